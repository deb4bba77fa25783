//! What the user's shells say when they are asked, with all that their own files do.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, setsid};

use super::finding::{Finding, package};
use super::place::directory;
use crate::interrupt;
use crate::system::program::{shell, which};
use crate::ui::{quoted, shown, word};

/// How long a shell may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

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
pub(super) fn is_used(name: &str) -> bool {
    let login = shell();
    let dirs = [directory("HOME"), directory("ZDOTDIR")];
    let mut dirs = dirs.into_iter().flatten();
    which(Path::new(name)).is_some()
        && (Path::new(&login).file_name() == Some(OsStr::new(name))
            || dirs.any(|dir| dir.join(format!(".{name}rc")).exists()))
}

/// Whether bash finds its completion at `file`.
pub(super) fn bash(file: &Path) -> Result<Option<Finding>> {
    let args = ["-ic", ASK_BASH].map(OsStr::new);
    let answer = answer_of("bash", &args, &[])?;
    let there = BASH_COMPLETION.into_iter().map(Path::new);
    let there = there.into_iter().find(|file| file.is_file());
    let install = package("bash-completion");
    Ok(judge_bash(answer.as_deref(), file, there, install))
}

/// `there` is bash-completion, if it is on this machine; `install` would bring it.
fn judge_bash(
    answer: Option<&str>,
    file: &Path,
    there: Option<&Path>,
    install: Option<String>,
) -> Option<Finding> {
    let source = |file: &Path| {
        let line = word(&format!(". {}", quoted(file)));
        format!("echo {line} >>~/.bashrc")
    };
    let (problem, fixes) = match (answer, there) {
        (Some("works"), _) => return None,
        (Some("none"), Some(there)) => (
            "bash does not read bash-completion".into(),
            vec![source(there)],
        ),
        // Without it our file can be read at once; git's own completion finds what was.
        (Some("none"), None) => (
            "bash-completion is not installed".into(),
            vec![install.unwrap_or_else(|| source(file))],
        ),
        (Some(_), _) => (
            format!("bash does not look where '{}' is", shown(file)),
            vec![source(file)],
        ),
        (None, _) => return Some(silent("bash", vec![source(file)])),
    };
    Some(Finding { problem, fixes })
}

/// Whether zsh finds its completion in `dir`.
pub(super) fn zsh(dir: &Path) -> Result<Option<Finding>> {
    let args = [OsStr::new("-ic"), OsStr::new(ASK_ZSH), OsStr::new("zsh")];
    let answer = answer_of("zsh", &[&args[..], &[dir.as_os_str()]].concat(), &[])?;
    let words = answer.as_deref().map(|answer| answer.splitn(4, ' '));
    let words: Option<Vec<&str>> = words.map(Iterator::collect);
    let look = look_in(dir);
    let Some(&[completes, started, looks, own]) = words.as_deref() else {
        return Ok(Some(silent("zsh", vec![look])));
    };
    let file = |name| match directory("HOME") {
        Some(home) if home == Path::new(own) => format!("~/{name}"),
        _ => quoted(&Path::new(own).join(name)),
    };
    let start = format!(
        "echo 'autoload -Uz compinit && compinit' >>{}",
        file(".zshrc")
    );
    let there = format!("zsh does not look in '{}'", shown(dir));
    let (problem, fixes) = match (completes, started, looks) {
        ("1", _, _) => return Ok(None),
        (_, "1", "0") => (there, vec![look]),
        (_, _, "0") => (
            format!("{there}, and its completion is not started"),
            vec![look, start],
        ),
        (_, "0", _) => ("zsh's completion is not started".into(), vec![start]),
        _ => (
            "zsh completes from an old list of commands".into(),
            vec![format!("rm -f {}*", file(".zcompdump"))],
        ),
    };
    Ok(Some(Finding { problem, fixes }))
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

fn silent(name: &str, fixes: Vec<String>) -> Finding {
    Finding {
        problem: format!("{name} did not say whether it completes 'git flux'; if it does not:"),
        fixes,
    }
}

/// What a shell answers: the rest of the line that begins as agreed.
///
/// # Errors
/// On interruption.
pub(super) fn answer_of(
    program: &str,
    args: &[&OsStr],
    vars: &[(&str, OsString)],
) -> Result<Option<String>> {
    let vars = [&[("TERM", "dumb".into())], vars].concat();
    let said = ask(program, args, &vars)?;
    let lines = said.iter().flat_map(|said| said.lines());
    let mut answers = lines.filter_map(|line| line.strip_prefix(ANSWER));
    Ok(answers.next_back().map(str::to_owned))
}

/// What a program prints when it is run beside this terminal; none where it fails to answer.
///
/// # Errors
/// On interruption.
pub(super) fn ask(
    program: &str,
    args: &[&OsStr],
    vars: &[(&str, OsString)],
) -> Result<Option<String>> {
    // A program that cannot be asked says nothing: there is nothing to be done about it here.
    let asked = || -> std::io::Result<(File, Child)> {
        let out = tempfile::tempfile()?;
        let child = Command::new(env::current_exe()?)
            .args([OsStr::new("__alone"), OsStr::new(program)])
            .args(args)
            .envs(vars.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(Stdio::null())
            .spawn()?;
        Ok((out, child))
    };
    let Ok((mut out, mut child)) = asked() else {
        return Ok(None);
    };
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > PATIENCE || interrupt::requested() {
            // It leads its own group, or is on its way there.
            let group = Pid::from_raw(child.id().cast_signed());
            killpg(group, Signal::SIGKILL).ok();
            child.kill()?;
            child.wait()?;
            interrupt::check()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
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
pub(crate) fn alone(words: &[OsString]) -> Result<()> {
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
        fn case(answer: Option<&str>, machine: (Option<&str>, Option<&str>), expected: [&str; 2]) {
            let (there, install) = machine;
            let (there, install) = (there.map(Path::new), install.map(str::to_owned));
            let finding = judge_bash(answer, Path::new("/a b/git-flux"), there, install);
            let finding = finding.expect("a finding");
            assert!(finding.problem.contains(expected[0]), "{finding:?}");
            assert_eq!(finding.fixes, [expected[1]]);
        }
        let own = r"echo '. '\''/a b/git-flux'\''' >>~/.bashrc";
        let there = Some("/usr/share/bash_completion");
        let read = "echo '. /usr/share/bash_completion' >>~/.bashrc";
        let install = Some("apt-get install it");
        let none = Some("none");
        case(none, (there, install), ["does not read", read]);
        let missing = "not installed";
        case(none, (None, install), [missing, "apt-get install it"]);
        case(none, (None, None), [missing, own]);
        let elsewhere = "does not look where '/a b/git-flux' is";
        case(Some("elsewhere"), (there, install), [elsewhere, own]);
        case(None, (there, install), ["did not say", own]);
        let works = judge_bash(Some("works"), Path::new("/f"), None, None);
        assert_eq!(works, None);
    }
}
