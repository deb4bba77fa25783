//! The exit of an agent's program.

use std::fmt;
use std::ops::Not;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::system::clock::in_seconds;

/// The exit of an agent's program, as its launcher saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    #[serde(flatten)]
    pub(crate) reason: ExitReason,
    #[serde(with = "in_seconds")]
    pub(crate) at: Timestamp,
    /// git flux ended it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) stopped: bool,
    /// The signal that its launcher received and passed on, SIGHUP for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<i32>,
}

/// The reason of an exit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredExit", into = "StoredExit")]
pub(crate) enum ExitReason {
    /// No program was started, or its exit was not seen.
    Unseen,
    /// It could not be started; the text says why.
    NotStarted(String),
    Status(i32),
    Signal(i32),
}

/// The format of an exit reason in every version.
#[derive(Serialize, Deserialize)]
struct StoredExit {
    status: Option<i32>,
    signal: Option<i32>,
    error: Option<String>,
}

impl From<StoredExit> for ExitReason {
    fn from(stored: StoredExit) -> Self {
        match (stored.error, stored.signal, stored.status) {
            (Some(error), ..) => Self::NotStarted(error),
            (None, Some(signal), _) => Self::Signal(signal),
            (None, None, Some(status)) => Self::Status(status),
            (None, None, None) => Self::Unseen,
        }
    }
}

impl From<ExitReason> for StoredExit {
    fn from(reason: ExitReason) -> Self {
        let (status, signal, error) = match reason {
            ExitReason::Unseen => (None, None, None),
            ExitReason::NotStarted(error) => (None, None, Some(error)),
            ExitReason::Status(status) => (Some(status), None, None),
            ExitReason::Signal(signal) => (None, Some(signal), None),
        };
        Self {
            status,
            signal,
            error,
        }
    }
}

impl Exit {
    pub(crate) fn new(reason: ExitReason, at: Timestamp) -> Self {
        Self {
            reason,
            at,
            stopped: false,
            received: None,
        }
    }

    /// Returns the exit status of the agent's program; `None` if a signal ended it, if it was not
    /// started, or if its end was not seen.
    pub(crate) fn status(&self) -> Option<i32> {
        match self.reason {
            ExitReason::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Returns the number of the signal that ended the agent's program, also one that git flux
    /// sent; `None` if it ended in any other way, or if its end was not seen.
    pub(crate) fn signal(&self) -> Option<i32> {
        match self.reason {
            ExitReason::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// Returns why the agent's program could not be started; `None` if it was started, or if that
    /// is unknown.
    pub(crate) fn error(&self) -> Option<&str> {
        match &self.reason {
            ExitReason::NotStarted(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the agent's program exited with status 0, also after git flux told it to
    /// stop.
    pub(crate) fn is_success(&self) -> bool {
        self.reason == ExitReason::Status(0)
    }

    /// Returns whether status and signals in the file `exit` are in the ranges that a launcher
    /// writes. An agent can write the file, too.
    pub(crate) fn is_plausible(&self) -> bool {
        let is_signal = |signal: i32| (1..128).contains(&signal);
        let is_end = match self.reason {
            ExitReason::Status(status) => (0..256).contains(&status),
            ExitReason::Signal(signal) => is_signal(signal),
            ExitReason::Unseen | ExitReason::NotStarted(_) => true,
        };
        is_end && self.received.is_none_or(is_signal)
    }

    /// Returns whether nothing is known of the end of an agent's program: the launcher started
    /// none, or its end was not seen. `false` if the attempt to start it failed, or if git flux has
    /// stopped it.
    pub(crate) fn is_unseen(&self) -> bool {
        self.reason == ExitReason::Unseen && !self.stopped
    }

    /// Returns whether a signal ended the agent's program, or its launcher received one and passed
    /// it on. `false` if git flux stopped the agent, or its program could not be started.
    pub(crate) fn is_by_signal(&self) -> bool {
        let by_signal = self.signal().is_some() || self.received.is_some();
        by_signal && !self.stopped && self.error().is_none()
    }

    /// Returns how the agent's program ended, in one word: `stopped` by git flux, `failed` to
    /// start, `killed` by a signal, or `exited`, also if its end was not seen.
    pub(super) fn name(&self) -> &'static str {
        match self.reason {
            _ if self.stopped => "stopped",
            ExitReason::NotStarted(_) => "failed",
            ExitReason::Signal(_) => "killed",
            ExitReason::Status(_) | ExitReason::Unseen => "exited",
        }
    }

    /// Returns how the agent's program ended, in one word with its status or signal: `exited(1)`,
    /// `killed(9)`. Without a number if git flux stopped it, or if there is none.
    pub(super) fn label(&self) -> String {
        let name = self.name();
        match self.reason {
            ExitReason::Status(number) | ExitReason::Signal(number) if !self.stopped => {
                format!("{name}({number})")
            }
            _ => name.to_owned(),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            _ if self.stopped => f.write_str("was stopped"),
            ExitReason::NotStarted(error) => write!(f, "could not be started: {error}"),
            ExitReason::Signal(signal) => write!(f, "was ended by signal {signal}"),
            ExitReason::Status(status) => write!(f, "exited with status {status}"),
            ExitReason::Unseen => f.write_str("ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_plausible_rejects_values_that_no_program_exits_with() {
        let exit = |text: &str| {
            let exit = serde_json::from_str::<Exit>(text);
            exit.is_ok_and(|exit| exit.is_plausible())
        };
        for right in [
            r#"{"status":0,"signal":null,"error":null,"at":1700000000}"#,
            r#"{"status":255,"at":253402207200}"#,
            r#"{"signal":64,"at":0,"later":1}"#,
        ] {
            assert!(exit(right), "{right}");
        }
        for wrong in [
            r#"{"status":-1,"at":1}"#,
            r#"{"status":256,"at":1}"#,
            r#"{"signal":-9,"at":1}"#,
            r#"{"signal":128,"at":1}"#,
            r#"{"status":0,"at":253402207201}"#,
            r#"{"status":0,"at":18446744073709551615}"#,
        ] {
            assert!(!exit(wrong), "{wrong}");
        }
    }

    #[test]
    fn exit_is_stored_in_the_format_of_every_version() {
        for text in [
            r#"{"status":0,"signal":null,"error":null,"at":1}"#,
            r#"{"status":null,"signal":9,"error":null,"at":1,"stopped":true,"received":15}"#,
            r#"{"status":null,"signal":null,"error":"no such file","at":1}"#,
            r#"{"status":null,"signal":null,"error":null,"at":1}"#,
        ] {
            let exit: Exit = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&exit).unwrap(), text);
        }
    }
}
