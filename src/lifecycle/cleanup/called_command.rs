//! The command that the user has called, as hints name it.

use crate::task::TaskId;

/// The command that the user has called. Hints name it, so that a landing that was refused does not
/// become a cleanup, which tests nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CalledCommand {
    Cleanup,
    /// A cleanup with `--gate`.
    TestedCleanup,
    /// A landing without a gate.
    Land,
    /// A landing with a gate.
    TestedLand,
}

impl CalledCommand {
    /// Returns this command for a task, with options that both commands have:
    /// `git flux land <id> --commit`.
    pub(crate) fn with(self, id: &TaskId, options: &str) -> String {
        let (verb, gate) = match self {
            Self::Cleanup => ("git flux cleanup", ""),
            Self::TestedCleanup => ("git flux cleanup", "--gate"),
            Self::Land | Self::TestedLand => ("git flux land", ""),
        };
        command_line(&[verb, id.as_str(), options, gate])
    }

    pub(crate) fn is_cleanup(self) -> bool {
        matches!(self, Self::Cleanup | Self::TestedCleanup)
    }

    /// Returns the command for a task with options that only `git flux cleanup` has, and with
    /// `--gate` instead of a landing with a gate: `git flux cleanup <id> --discard --gate`.
    pub(crate) fn cleanup_with(self, id: &TaskId, options: &str) -> String {
        let gate = match self {
            Self::Cleanup | Self::Land => "",
            Self::TestedCleanup | Self::TestedLand => "--gate",
        };
        command_line(&["git flux cleanup", id.as_str(), options, gate])
    }
}

/// Joins the parts that are not empty.
fn command_line(parts: &[&str]) -> String {
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.copied().collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::CalledCommand::{Cleanup, Land, TestedCleanup, TestedLand};
    use super::*;

    #[test]
    fn hints_never_lead_around_the_gate() {
        let id: TaskId = "fix".parse().unwrap();
        let both = |command: CalledCommand| {
            let commit = command.with(&id, "--commit");
            [commit, command.cleanup_with(&id, "--discard")]
        };
        let discard = "git flux cleanup fix --discard";
        assert_eq!(both(Cleanup), ["git flux cleanup fix --commit", discard]);
        assert_eq!(both(Land), ["git flux land fix --commit", discard]);
        let tested = "git flux cleanup fix --discard --gate";
        assert_eq!(both(TestedLand), ["git flux land fix --commit", tested]);
        assert_eq!(TestedLand.with(&id, ""), "git flux land fix");
        let commit = "git flux cleanup fix --commit --gate";
        assert_eq!(both(TestedCleanup), [commit, tested]);
    }
}
