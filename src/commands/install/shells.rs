//! Questions to the user's shells, which read their own files first.

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

use super::install_file::{Reader, env_dir};
use crate::system::program::user_shell;
use crate::system::wait_until;
use crate::ui::{quoted, shown, word};

/// A problem that keeps the installed files from being used.
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

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The start of an answer. The files of a shell may print other lines.
const ANSWER_PREFIX: &str = "git-flux: ";

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

/// Returns whether a shell is on PATH, and the user seems to use it: it is the login shell, or has
/// an rc file such as `.bashrc`.
pub(super) fn is_used(reader: Reader) -> bool {
    let (name, login) = (reader.into_str(), user_shell());
    let dirs = [env_dir("HOME"), env_dir("ZDOTDIR")];
    let mut dirs = dirs.into_iter().flatten();
    reader.is_installed()
        && (Path::new(&login).file_name() == Some(OsStr::new(name))
            || dirs.any(|dir| dir.join(format!(".{name}rc")).exists()))
}

/// Asks a new interactive bash, for at most 10 seconds, whether it can complete `git flux`, with
/// the installed completion `file` or any other. Returns the problem, with its fix, if it cannot or
/// gives no answer.
pub(super) fn check_bash(file: &Path) -> Result<Option<Finding>> {
    let answer = ask_shell(detached("bash").args(["-ic", ASK_BASH]))?;
    let mut library = BASH_COMPLETION.into_iter().map(Path::new);
    let library = library.find(|file| file.is_file());
    Ok(judge_bash(answer.as_deref(), file, library))
}

/// Returns the problem that an answer of bash shows, with its fix; `None` if completion works.
/// `answer` is `None` if there was none; `library` is bash-completion, if it is installed.
fn judge_bash(answer: Option<&str>, file: &Path, library: Option<&Path>) -> Option<Finding> {
    let (problem, read) = match (answer, library) {
        (Some("works"), _) => return None,
        (Some("none"), Some(library)) => ("bash does not read bash-completion".to_owned(), library),
        // Without it, bash reads our file at start-up, for git's own completion.
        (Some("none"), None) => ("bash-completion is not installed".to_owned(), file),
        (Some(_), _) => {
            let problem = format!("bash does not find '{}'", shown(file));
            (problem, file)
        }
        (None, _) => (no_answer(Reader::Bash), file),
    };
    let line = word(&format!(". {}", quoted(read)));
    Some(Finding::new(problem, format!("echo {line} >>~/.bashrc")))
}

/// Asks a new interactive zsh, for at most 10 seconds, whether it can complete `git-flux`, with the
/// installed completion in `dir` or any other. Returns the problem, with its fixes, if it cannot or
/// gives no answer.
pub(super) fn check_zsh(dir: &Path) -> Result<Option<Finding>> {
    let answer =
        ask_shell(detached("zsh").args(["-ic", ASK_ZSH, "zsh"]).arg(dir))?.unwrap_or_default();
    let search = add_to_fpath(dir);
    let words: Vec<&str> = answer.splitn(4, ' ').collect();
    let &[completes, started, searches, home] = words.as_slice() else {
        return Ok(Some(Finding::new(no_answer(Reader::Zsh), search)));
    };
    let file = |name| match env_dir("HOME") {
        Some(dir) if dir == Path::new(home) => format!("~/{name}"),
        _ => quoted(&Path::new(home).join(name)),
    };
    let rc = file(".zshrc");
    let start = format!("echo 'autoload -Uz compinit && compinit' >>{rc}");
    let problem = format!("zsh does not search '{}'", shown(dir));
    Ok(Some(match (completes, started, searches) {
        ("1", _, _) => return Ok(None),
        (_, "1", "0") => Finding::new(problem, search),
        (_, _, "0") => Finding {
            problem: format!("{problem}, and its completion is not started"),
            fixes: vec![search, start],
        },
        (_, "0", _) => Finding::new("zsh's completion is not started", start),
        _ => Finding::new(
            "zsh completes from an old list of commands",
            format!("rm -f {}*", file(".zcompdump")),
        ),
    }))
}

/// Returns the command that adds a directory to zsh's `fpath`, in the `.zshenv` that zsh reads
/// before it starts completion.
fn add_to_fpath(dir: &Path) -> String {
    let line = word(&format!("fpath=({} $fpath)", quoted(dir)));
    let is_at_home = env_dir("HOME").is_some_and(|home| home.join(".zshenv").exists());
    let file = match env_dir("ZDOTDIR").filter(|_| !is_at_home) {
        Some(dir) => quoted(&dir.join(".zshenv")),
        None => "~/.zshenv".to_owned(),
    };
    format!("echo {line} >>{file}")
}

fn no_answer(shell: Reader) -> String {
    let name = shell.into_str();
    format!("cannot tell whether {name} completes 'git flux'; if it does not:")
}

/// Returns a command, not yet started, that runs a program in a new session, without this terminal
/// and with `TERM=dumb`: `git-flux __alone <program>`.
pub(super) fn detached(program: impl AsRef<OsStr>) -> Command {
    // An empty name fails to start.
    let mut command = Command::new(env::current_exe().unwrap_or_default());
    command.arg("__alone").arg(program).env("TERM", "dumb");
    command
}

/// Runs a [`detached`] shell for at most 10 seconds, and returns its answer: the rest of its last
/// line that begins with `git-flux: `. `None` if there is no such line.
pub(super) fn ask_shell(command: &mut Command) -> Result<Option<String>> {
    let said = run_with_timeout(command)?.unwrap_or_default();
    let mut answers = said
        .lines()
        .filter_map(|line| line.strip_prefix(ANSWER_PREFIX));
    Ok(answers.next_back().map(str::to_owned))
}

/// Runs a [`detached`] program, and returns its standard output, whatever its exit code. Kills it
/// after 10 seconds; then, or if it cannot be started, returns `None`.
pub(super) fn run_with_timeout(command: &mut Command) -> Result<Option<String>> {
    let mut out = tempfile::tempfile().context("could not make a temporary file")?;
    command.stdout(out.try_clone()?);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        return Ok(None);
    };
    let ended = wait_until(ANSWER_TIMEOUT, POLL_INTERVAL, || Ok(child.try_wait()?));
    if !matches!(ended, Ok(Some(_))) {
        // It leads its own group, or is about to.
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

/// Replaces this process with the program and arguments in `words`, in a new session without a
/// terminal: `git-flux __alone <program> <args>`. Returns only if that fails.
pub(crate) fn exec_alone(words: &[OsString]) -> Result<()> {
    let (program, args) = words
        .split_first()
        .context("internal error: no program for __alone")?;
    // An interactive shell would otherwise become the terminal's foreground group, and leave none
    // when it exits.
    setsid().context("could not leave the terminal")?;
    Err(Command::new(program).args(args).exec())
        .with_context(|| format!("could not start '{}'", program.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judge_bash_names_a_fix_that_exists() {
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
        let elsewhere = "does not find '/a b/git-flux'";
        case(Some("elsewhere"), there, [elsewhere, own]);
        case(None, there, ["cannot tell", own]);
        let works = judge_bash(Some("works"), Path::new("/f"), None);
        assert_eq!(works, None);
    }
}
