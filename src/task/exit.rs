//! How an agent's program ended.

use std::fmt;
use std::ops::Not;

use serde::{Deserialize, Serialize};

use super::check;

/// How the agent's program ended, as its launcher saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    #[serde(flatten)]
    pub(crate) how: How,
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// Whether git flux has ended it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) stopped: bool,
    /// The signal that its launcher received and passed on to it, as when its terminal went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<i32>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) enum How {
    /// None was started, or it was not seen.
    Unseen,
    /// It could not be started, and why.
    Unstarted(String),
    Status(i32),
    Signal(i32),
}

/// An end as every version stores it.
#[derive(Serialize, Deserialize)]
struct Stored {
    status: Option<i32>,
    signal: Option<i32>,
    error: Option<String>,
}

impl From<Stored> for How {
    fn from(stored: Stored) -> Self {
        match (stored.error, stored.signal, stored.status) {
            (Some(error), ..) => Self::Unstarted(error),
            (None, Some(signal), _) => Self::Signal(signal),
            (None, None, Some(status)) => Self::Status(status),
            (None, None, None) => Self::Unseen,
        }
    }
}

impl From<How> for Stored {
    fn from(how: How) -> Self {
        let (status, signal, error) = match how {
            How::Unseen => (None, None, None),
            How::Unstarted(error) => (None, None, Some(error)),
            How::Status(status) => (Some(status), None, None),
            How::Signal(signal) => (None, Some(signal), None),
        };
        Self {
            status,
            signal,
            error,
        }
    }
}

impl Exit {
    pub(crate) fn new(how: How, at: u64) -> Self {
        Self {
            how,
            at,
            stopped: false,
            received: None,
        }
    }

    /// Returns the exit status, if it exited.
    pub(crate) fn status(&self) -> Option<i32> {
        match self.how {
            How::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Returns the number of the signal that ended it, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        match self.how {
            How::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// Returns why it could not be started, if so.
    pub(crate) fn error(&self) -> Option<&str> {
        match &self.how {
            How::Unstarted(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether it exited with status 0.
    pub(crate) fn is_success(&self) -> bool {
        self.how == How::Status(0)
    }

    /// Returns whether something can have ended so: an agent can write the file as well.
    pub(crate) fn is_plausible(&self) -> bool {
        let is_signal = |signal: i32| (1..128).contains(&signal);
        let is_end = match self.how {
            How::Status(status) => (0..256).contains(&status),
            How::Signal(signal) => is_signal(signal),
            How::Unseen | How::Unstarted(_) => true,
        };
        is_end && self.received.is_none_or(is_signal) && check::is_time(self.at)
    }

    /// Returns whether nothing has ended here, since no agent was started.
    pub(crate) fn is_none(&self) -> bool {
        self.how == How::Unseen && !self.stopped
    }

    /// Returns whether a signal ended the agent that git flux did not send: it did not end by itself.
    pub(crate) fn is_by_signal(&self) -> bool {
        let by_signal = self.signal().is_some() || self.received.is_some();
        by_signal && !self.stopped && self.error().is_none()
    }

    /// Returns the state that it is, in one word.
    pub(super) fn name(&self) -> &'static str {
        match self.how {
            _ if self.stopped => "stopped",
            How::Unstarted(_) => "failed",
            How::Signal(_) => "killed",
            How::Status(_) | How::Unseen => "exited",
        }
    }

    /// Returns the word with its number.
    pub(super) fn label(&self) -> String {
        let name = self.name();
        match self.how {
            How::Status(number) | How::Signal(number) if !self.stopped => {
                format!("{name}({number})")
            }
            _ => name.to_owned(),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            _ if self.stopped => f.write_str("was stopped"),
            How::Unstarted(error) => write!(f, "could not be started: {error}"),
            How::Signal(signal) => write!(f, "was ended by signal {signal}"),
            How::Status(status) => write!(f, "exited with status {status}"),
            How::Unseen => f.write_str("ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_one_that_a_program_can_have() {
        let exit = |text: &str| serde_json::from_str::<Exit>(text).unwrap().is_plausible();
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
    fn an_end_is_stored_as_it_ever_was() {
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
