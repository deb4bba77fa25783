//! Errors of a failed git process.

use std::fmt::{self, Display, Formatter};
use std::io;

use anyhow::{Error, anyhow};
use console::strip_ansi_codes;

use crate::failure::Failure;

/// The error for a git that was killed by a signal; git aborts itself when it finds a bug.
#[derive(Debug)]
pub(crate) struct GitKilled {
    /// `git <subcommand>`
    pub(in crate::git) name: String,
    pub(in crate::git) signal: i32,
}

impl Display for GitKilled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was ended by signal {}", self.name, self.signal)
    }
}

impl std::error::Error for GitKilled {}

/// Returns the error that the command `name` exited with `code`. The cause is `stderr`, what the
/// command printed, without colours and overwritten progress lines; without text, there is no
/// cause.
pub(crate) fn exit_error(name: impl Display, code: i32, stderr: &[u8]) -> Error {
    let message = String::from_utf8_lossy(stderr);
    // Hooks may print colours even without a terminal.
    let message = strip_ansi_codes(&message);
    // Progress overwrites its line; keep the last state.
    let lines = message.lines().map(|l| l.rsplit('\r').next().unwrap_or(l));
    let message = lines.collect::<Vec<_>>().join("\n");
    let headline = format!("`{name}` failed with exit code {code}");
    if message.trim().is_empty() {
        anyhow!(headline)
    } else {
        anyhow!(message).context(headline)
    }
}

pub(super) fn start_error(error: io::Error, name: impl Display) -> Error {
    if error.kind() != io::ErrorKind::NotFound {
        return Error::new(error).context(format!("could not start `{name}`"));
    }
    let hint = "to install it: apt install git, dnf install git, pacman -S git or brew install git";
    let failure = Failure::new("git is not installed, or not on PATH");
    failure.hint(hint).into()
}

#[cfg(test)]
mod tests {
    use crate::git::Git;

    #[test]
    fn output_fails_with_standard_error_or_else_with_standard_output() {
        let temp = tempfile::tempdir().unwrap();
        for (script, expected) in [
            ("!echo out; echo err >&2; exit 3", "err"),
            ("!echo out; exit 3", "out"),
        ] {
            let git = Git::new(temp.path()).config(format!("alias.fails={script}"));
            let error = git.arg("fails").output().unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains("exit code 3"), "{text}");
            let said: Vec<&str> = text.split([':', '\n']).map(str::trim).collect();
            let said: Vec<&str> = said
                .into_iter()
                .filter(|it| ["out", "err"].contains(it))
                .collect();
            assert_eq!(said, [expected], "{text}");
        }
    }
}
