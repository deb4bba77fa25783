//! What the user's shells say when they are asked, with all that their own files do.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, setsid};

use super::place::{Reader, directory};
use crate::system::program::shell;
use crate::system::wait_until;
use crate::ui::{quoted, shown, word};

/// What keeps the installed files from being used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) problem: String,
    /// Commands to paste.
    pub(super) fixes: Vec<String>,
}

impl Finding {
    pub(super) fn new(problem: impl Display, fix: impl Display) -> Self {
        Self {
            problem: problem.to_string(),
            fixes: vec![fix.to_string()],
        }
    }
}

/// How long a shell may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// What an answer begins with; the files of a shell may print as well.
const ANSWER: &str = "git-flux: ";

/// Where bash-completion may lie, waiting to be read.
const BASH_COMPLETION: [&str; 4] = [
    "/usr/share/bash-completion/bash_completion",
    "/usr/local/share/bash-completion/bash_completion",
    "/opt/homebrew/etc/profile.d/bash_completion.sh",
    "/usr/local/etc/profile.d/bash_completion.sh",
];

const ASK_BASH: &str = r#"
unset HISTFILE
for loader in _comp_load __load_completion _completion_loader ''; do
    declare -F "$loader" >/dev/null && break
done
if declare -F _git_flux >/dev/null; then answer=works
elif [ -z "$loader" ]; then answer=none
else
    "$loader" git-flux >/dev/null 2>&1
    if declare -F _git_flux >/dev/null; then answer=works; else answer=elsewhere; fi
fi
printf '\ngit-flux: %s\n' "$answer"
"#;

const ASK_ZSH: &str = r#"
unset HISTFILE
print
print -r -- "git-flux: ${+_comps[git-flux]} ${+functions[compdef]} ${fpath[(Ie)$1]} ${ZDOTDIR:-$HOME}"
"#;

/// Whether the user seems to use a shell: it is the login shell, or has a file of settings.
pub(super) fn is_used(reader: Reader) -> bool {
    let (name, login) = (reader.into_str(), shell());
    let dirs = [directory("HOME"), directory("ZDOTDIR")];
    let mut dirs = dirs.into_iter().flatten();
    reader.is_there()
        && (Path::new(&login).file_name() == Some(OsStr::new(name))
            || dirs.any(|dir| dir.join(format!(".{name}rc")).exists()))
}

/// Whether bash finds its completion at `file`.
///
/// # Errors
/// On interruption.
pub(super) fn bash(file: &Path) -> Result<Option<Finding>> {
    let answer = answer(alone("bash").args(["-ic", ASK_BASH]))?;
    let mut there = BASH_COMPLETION.into_iter().map(Path::new);
    let there = there.find(|file| file.is_file());
    Ok(judge_bash(answer.as_deref(), file, there))
}

/// `there` is bash-completion, if it is on this machine.
fn judge_bash(answer: Option<&str>, file: &Path, there: Option<&Path>) -> Option<Finding> {
    let (problem, read) = match (answer, there) {
        (Some("works"), _) => return None,
        (Some("none"), Some(there)) => ("bash does not read bash-completion".to_owned(), there),
        // Without it our file can be read at once; git's own completion finds what was.
        (Some("none"), None) => ("bash-completion is not installed".to_owned(), file),
        (Some(_), _) => {
            let problem = format!("bash does not look where '{}' is", shown(file));
            (problem, file)
        }
        (None, _) => (silent(Reader::Bash), file),
    };
    let line = word(&format!(". {}", quoted(read)));
    Some(Finding::new(problem, format!("echo {line} >>~/.bashrc")))
}

/// Whether zsh finds its completion in `dir`.
///
/// # Errors
/// On interruption.
pub(super) fn zsh(dir: &Path) -> Result<Option<Finding>> {
    let answer = answer(alone("zsh").args(["-ic", ASK_ZSH, "zsh"]).arg(dir))?.unwrap_or_default();
    let look = look_in(dir);
    let words: Vec<&str> = answer.splitn(4, ' ').collect();
    let &[completes, started, looks, own] = words.as_slice() else {
        return Ok(Some(Finding::new(silent(Reader::Zsh), look)));
    };
    let file = |name| match directory("HOME") {
        Some(home) if home == Path::new(own) => format!("~/{name}"),
        _ => quoted(&Path::new(own).join(name)),
    };
    let rc = file(".zshrc");
    let start = format!("echo 'autoload -Uz compinit && compinit' >>{rc}");
    let there = format!("zsh does not look in '{}'", shown(dir));
    Ok(Some(match (completes, started, looks) {
        ("1", _, _) => return Ok(None),
        (_, "1", "0") => Finding::new(there, look),
        (_, _, "0") => Finding {
            problem: format!("{there}, and its completion is not started"),
            fixes: vec![look, start],
        },
        (_, "0", _) => Finding::new("zsh's completion is not started", start),
        _ => Finding::new(
            "zsh completes from an old list of commands",
            format!("rm -f {}*", file(".zcompdump")),
        ),
    }))
}

/// The command that makes zsh look in a directory: in the file that is read before any other, and so before
/// whatever it is that starts completion.
fn look_in(dir: &Path) -> String {
    let line = word(&format!("fpath=({} $fpath)", quoted(dir)));
    let usual = directory("HOME").is_some_and(|home| home.join(".zshenv").exists());
    let file = match directory("ZDOTDIR").filter(|_| !usual) {
        Some(own) => quoted(&own.join(".zshenv")),
        None => "~/.zshenv".to_owned(),
    };
    format!("echo {line} >>{file}")
}

fn silent(shell: Reader) -> String {
    let name = shell.into_str();
    format!("{name} did not say whether it completes 'git flux'; if it does not:")
}

/// Returns what starts a program beside this terminal.
pub(super) fn alone(program: impl AsRef<OsStr>) -> Command {
    // Without a name it is not started.
    let mut command = Command::new(env::current_exe().unwrap_or_default());
    command.arg("__alone").arg(program).env("TERM", "dumb");
    command
}

/// What a shell answers: the rest of the line that begins as agreed.
///
/// # Errors
/// On interruption.
pub(super) fn answer(command: &mut Command) -> Result<Option<String>> {
    let said = ask(command)?.unwrap_or_default();
    let mut answers = said.lines().filter_map(|line| line.strip_prefix(ANSWER));
    Ok(answers.next_back().map(str::to_owned))
}

/// What a program prints that is started [`alone`]; none where it fails to answer.
///
/// # Errors
/// On interruption.
pub(super) fn ask(command: &mut Command) -> Result<Option<String>> {
    let mut out = tempfile::tempfile().context("could not make a temporary file")?;
    command.stdout(out.try_clone()?);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    // There is nothing to be done here about one that cannot be started.
    let Ok(mut child) = command.spawn() else {
        return Ok(None);
    };
    let ended = wait_until(PATIENCE, PAUSE, || Ok(child.try_wait()?));
    if !matches!(ended, Ok(Some(_))) {
        // It leads its own group, or is on its way there.
        killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).ok();
        child.kill()?;
        child.wait()?;
    }
    if ended?.is_none() {
        return Ok(None);
    }
    let mut said = Vec::new();
    out.rewind()?;
    out.read_to_end(&mut said)?;
    Ok(Some(String::from_utf8_lossy(&said).into_owned()))
}

/// `git-flux __alone <program> <args>`: becomes the program, without this terminal. An interactive shell would take the
/// terminal for itself, and leave it to nobody when it ends.
///
/// # Errors
/// When the program cannot be started.
pub(crate) fn exec_alone(words: &[OsString]) -> Result<()> {
    let (program, args) = words.split_first().context("which program?")?;
    setsid().context("could not leave the terminal")?;
    Err(Command::new(program).args(args).exec())
        .with_context(|| format!("could not start '{}'", program.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_is_mended_with_what_the_machine_has() {
        #[track_caller]
        fn case(answer: Option<&str>, there: Option<&str>, expected: [&str; 2]) {
            let finding = judge_bash(answer, Path::new("/a b/git-flux"), there.map(Path::new));
            let finding = finding.expect("a finding");
            assert!(finding.problem.contains(expected[0]), "{finding:?}");
            assert_eq!(finding.fixes, [expected[1]]);
        }
        let own = r"echo '. '\''/a b/git-flux'\''' >>~/.bashrc";
        let there = Some("/usr/share/bash_completion");
        let read = "echo '. /usr/share/bash_completion' >>~/.bashrc";
        case(Some("none"), there, ["does not read", read]);
        case(Some("none"), None, ["not installed", own]);
        let elsewhere = "does not look where '/a b/git-flux' is";
        case(Some("elsewhere"), there, [elsewhere, own]);
        case(None, there, ["did not say", own]);
        let works = judge_bash(Some("works"), Path::new("/f"), None);
        assert_eq!(works, None);
    }
}
