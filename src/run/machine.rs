//! The machine and the PID namespace that a launcher runs in: numbers of processes mean nothing in others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sanitize;
use crate::system::process;

/// A machine, and a PID namespace on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Its machine id, where it has one.
    pub(crate) id: Option<String>,
    /// Its host name.
    pub(crate) host: String,
    /// The PID namespace, such as `pid:[4026531836]`, where the system has them.
    #[serde(default)]
    pub(crate) pid_namespace: Option<String>,
}

impl Machine {
    /// Returns the machine and the PID namespace of this process.
    pub(crate) fn here() -> Self {
        Self {
            id: process::machine_id(),
            host: process::host().unwrap_or_default(),
            pid_namespace: process::own_namespace(),
        }
    }

    /// Returns whether it is the machine `other`: by its id, or where one has none by its host name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other)) => id == other,
            (None, None) => self.host == other.host,
            _ => false,
        }
    }

    /// Returns where it is, for people.
    pub(crate) fn place(&self) -> String {
        let host = sanitize::line(&self.host);
        if self.is_same(&Self::here()) {
            return format!("in another PID namespace of '{host}'");
        }
        format!("on the machine '{host}'")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = [&self.id, &self.pid_namespace];
        let facts: Vec<&str> = facts.into_iter().filter_map(Option::as_deref).collect();
        write!(f, "{} ({})", self.host, facts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: Option<&str>, host: &str) -> Machine {
        Machine {
            id: id.map(str::to_owned),
            host: host.to_owned(),
            pid_namespace: process::own_namespace(),
        }
    }

    #[test]
    fn a_machine_is_the_same_by_its_id_or_else_by_its_name() {
        for (one, other, is_same) in [
            ((Some("1"), "a"), (Some("1"), "b"), true),
            ((Some("1"), "a"), (Some("2"), "a"), false),
            ((None, "a"), (None, "a"), true),
            ((None, "a"), (None, "b"), false),
            ((Some("1"), "a"), (None, "a"), false),
        ] {
            let machines = [one, other].map(|(id, host)| machine(id, host));
            assert_eq!(machines[0].is_same(&machines[1]), is_same, "{machines:?}");
        }
    }
}
