//! The verdict of a gate about a tree.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::ObjectId;
use crate::system::clock::in_optional_seconds;

/// The result of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum GateState {
    Green,
    /// A command has failed, each time that it was run.
    Red,
    /// A command has failed, and then passed.
    Flaky,
    /// The tree was not tested, or the gate did not decide.
    None,
}

/// The verdict of a gate about a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GateVerdict {
    pub(crate) state: GateState,
    /// `None` if the files cannot be tested.
    pub(crate) tree: Option<ObjectId>,
    /// The command that has failed, the last one.
    pub(crate) command: Option<String>,
    /// Its exit status.
    pub(crate) status: Option<i32>,
    /// The reason if there is no verdict.
    pub(crate) why: Option<String>,
    /// The seconds that the gate took, all its runs together.
    pub(crate) seconds: Option<u64>,
    /// The end of the gate.
    #[serde(with = "in_optional_seconds")]
    pub(crate) at: Option<Timestamp>,
    /// The file with the output of the commands.
    pub(crate) log: Option<String>,
}

impl GateVerdict {
    /// Returns the verdict about a tree that was not tested.
    pub(crate) fn untested(tree: impl Into<Option<ObjectId>>) -> Self {
        Self {
            state: GateState::None,
            tree: tree.into(),
            command: None,
            status: None,
            why: None,
            seconds: None,
            at: None,
            log: None,
        }
    }

    /// Returns whether the gate has passed, perhaps only when it was run again.
    pub(crate) fn is_passed(&self) -> bool {
        matches!(self.state, GateState::Green | GateState::Flaky)
    }

    /// Returns whether the gate has neither passed nor failed.
    pub(crate) fn is_none(&self) -> bool {
        self.state == GateState::None
    }

    /// Describes the command that has failed: `'make check' exited with status 2`. `None` if none has.
    pub(crate) fn failed_command(&self) -> Option<String> {
        let (command, status) = (self.command.as_deref()?, self.status?);
        Some(format!("'{command}' exited with status {status}"))
    }

    /// Returns the verdict in a word, for tables: `green`, `red(2)`, `flaky`, `untested`.
    pub(crate) fn label(&self) -> String {
        match (self.state, self.status) {
            (GateState::Red, Some(status)) => format!("red({status})"),
            (GateState::None, _) => "untested".to_owned(),
            (state, _) => state.into_str().to_owned(),
        }
    }
}

/// Describes the verdict with its reason: `red: 'make check' exited with status 2`.
impl fmt::Display for GateVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.state.into_str();
        match (self.state, self.failed_command(), &self.why) {
            (GateState::None, _, None) => f.write_str("untested"),
            (GateState::None, _, Some(why)) => write!(f, "no verdict: {why}"),
            (GateState::Flaky, Some(failed), _) => write!(f, "{word}: {failed}, then passed"),
            (_, Some(failed), _) => write!(f, "{word}: {failed}"),
            (_, None, _) => f.write_str(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdict_is_described_with_its_reason() {
        let of = |state, status: Option<i32>, why: Option<&str>| {
            let verdict = GateVerdict {
                state,
                status,
                why: why.map(str::to_owned),
                command: status.map(|_| "make check".to_owned()),
                ..GateVerdict::untested(ObjectId::default())
            };
            format!("{verdict} | {}", verdict.label())
        };
        for (said, expected) in [
            (of(GateState::Green, None, None), "green | green"),
            (
                of(GateState::Red, Some(2), None),
                "red: 'make check' exited with status 2 | red(2)",
            ),
            (
                of(GateState::Flaky, Some(2), None),
                "flaky: 'make check' exited with status 2, then passed | flaky",
            ),
            (of(GateState::None, None, None), "untested | untested"),
            (
                of(GateState::None, None, Some("it timed out")),
                "no verdict: it timed out | untested",
            ),
        ] {
            assert_eq!(said, expected);
        }
    }
}
