//! What was intended: the record of a task, versioned.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::TaskId;

/// The version of `task.json` this program writes and reads.
pub(crate) const VERSION: u32 = 1;

/// One task: its own branch, worktree and target for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) version: u32,
    #[serde(with = "as_text")]
    pub(crate) id: TaskId,
    /// The description's first line.
    pub(crate) title: String,
    pub(crate) phase: Phase,
    /// The agent's name.
    pub(crate) agent: String,
    /// Arguments of its own for the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) agent_args: Vec<Bytes>,
    /// The branch, without `refs/heads/`.
    pub(crate) branch: String,
    /// The commit it started from, in full.
    pub(crate) base: String,
    /// The branch it is merged into, if it started from one.
    pub(crate) into: Option<String>,
    #[serde(with = "super::record::path")]
    pub(crate) worktree: PathBuf,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// The first of the ports that are set aside for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// Where its agent runs, once it does.
    pub(crate) target: Option<Target>,
    /// How it goes, while it is being removed and ever after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removal: Option<Removal>,
    /// The name in the archive that it comes back from, while it is being restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restored: Option<String>,
    /// What its branch was, if it was there before it: it stays when the task goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) existing: Option<Existing>,
    /// The snapshot of the user's changes that goes into its worktree, while it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) carried: Option<String>,
}

/// A branch that was not made for its task alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Existing {
    /// The commit that it stood at when the task came.
    pub(crate) tip: String,
    /// The start has made it, after that of a remote, say: if the start fails, it goes again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) made: bool,
    /// The worktree was there before the task as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) adopted: bool,
}

/// One argument or environment value, any bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bytes(#[serde(with = "super::record::path")] pub(crate) OsString);

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// The snapshot of what was uncommitted.
    pub(crate) snapshot: Option<String>,
    /// What was configured for its branch: names, as in `branch.<branch>.<name>`, and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) config: Vec<(String, String)>,
    /// What only its worktree had: names in the archive, and objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) own: Vec<(String, String)>,
    /// Where its work went; none if it was dropped.
    pub(crate) into: Option<Merged>,
}

/// How a branch got the work of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merged {
    pub(crate) branch: String,
    /// The commit it stood at before.
    pub(crate) from: String,
    /// The commit it was moved to; the same if there was nothing to merge.
    pub(crate) to: String,
}

/// How far a task has come. What *is* shows in its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Starting,
    Active,
    Removing,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Removing => "removing",
        }
    }
}

/// What git flux made for the agent to run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    Pane,
    Window,
    Session,
}

impl Layout {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pane => "pane",
            Self::Window => "window",
            Self::Session => "session",
        }
    }
}

/// A pane, so that it cannot be mistaken for another after a server restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Layout,
    /// The session's name when it was made.
    pub(crate) session: String,
    /// `@1`
    pub(crate) window: String,
    /// `%1`
    pub(crate) pane: String,
    /// The pane's own process: the launcher.
    pub(crate) pane_pid: i32,
    /// The tmux server: its socket, process and start time.
    #[serde(with = "super::record::path")]
    pub(crate) socket: PathBuf,
    pub(crate) server_pid: u32,
    pub(crate) server_start: u64,
}

impl Task {
    /// The same task, in another phase.
    pub(crate) fn in_phase(&self, phase: Phase) -> Self {
        Self {
            phase,
            removal: None,
            restored: None,
            carried: None,
            ..self.clone()
        }
    }

    /// The same task, about to go.
    pub(crate) fn leaving(&self, removal: Removal) -> Self {
        Self {
            removal: Some(removal),
            ..self.in_phase(Phase::Removing)
        }
    }

    /// The same task, active, with its agent there.
    pub(crate) fn running_in(&self, target: Option<Target>) -> Self {
        Self {
            target,
            ..self.in_phase(Phase::Active)
        }
    }

    /// Reads `task.json`.
    ///
    /// # Errors
    /// When it is not a record, or one of another version.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let read = serde_json::from_slice(bytes);
        if let Ok(Self {
            version: VERSION, ..
        }) = read
        {
            return Ok(read?);
        }
        let Versioned { version } = serde_json::from_slice(bytes).context("not a task record")?;
        if version != VERSION {
            bail!("a task record of version {version}, this git flux reads version {VERSION}");
        }
        read.context("not a task record")
    }

    /// Writes `task.json`, for people to read as well.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self)
            .expect("a record has only text, numbers and byte strings");
        json.push(b'\n');
        json
    }

    /// The commit that its branch stands at before any work is done.
    pub(crate) fn start(&self) -> &str {
        let existing = self.existing.as_ref();
        existing.map_or(&self.base, |existing| &existing.tip)
    }

    /// Whether its branch stays when the task goes.
    pub(crate) fn keeps_branch(&self) -> bool {
        let unstarted = self.phase == Phase::Starting;
        let existing = self.existing.as_ref();
        existing.is_some_and(|existing| !(existing.made && unstarted))
    }

    /// `refs/heads/<branch>`
    pub(crate) fn branch_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}

mod as_text {
    use super::TaskId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(id: &TaskId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<TaskId, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Paths and arguments in JSON: text where they are UTF-8, a list of bytes where not.
pub(crate) mod path {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Bytes {
        Text(String),
        Raw(Vec<u8>),
    }

    pub(crate) fn serialize<S: Serializer>(
        path: &impl AsRef<OsStr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let path = path.as_ref();
        match path.to_str() {
            Some(text) => Bytes::Text(text.to_owned()),
            None => Bytes::Raw(path.as_bytes().to_vec()),
        }
        .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<OsString>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Ok(match Bytes::deserialize(deserializer)? {
            Bytes::Text(text) => OsString::from(text),
            Bytes::Raw(bytes) => OsString::from_vec(bytes),
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    fn task() -> Task {
        let worktree = OsString::from_vec(b"/tmp/a\nb\xff \"c\"".to_vec());
        Task {
            version: VERSION,
            id: "fix-1".parse().unwrap(),
            title: "Fix \"it\"\u{9b}".to_owned(),
            phase: Phase::Starting,
            agent: "claude".to_owned(),
            agent_args: Vec::new(),
            branch: "feature/fix-1".to_owned(),
            base: "0".repeat(64),
            into: None,
            worktree: worktree.into(),
            created: 1,
            port: None,
            target: None,
            removal: None,
            restored: None,
            existing: None,
            carried: None,
        }
    }

    #[test]
    fn a_record_survives_the_round_trip() {
        let mut task = task();
        task.target = Some(Target {
            kind: Layout::Pane,
            session: "s".to_owned(),
            window: "@1".to_owned(),
            pane: "%1".to_owned(),
            pane_pid: 2,
            socket: "/tmp/s".into(),
            server_pid: 3,
            server_start: 4,
        });
        assert_eq!(Task::from_json(&task.to_json()).unwrap(), task);
    }

    #[test]
    fn another_version_is_named() {
        let json = String::from_utf8(task().to_json())
            .unwrap()
            .replace("\"version\": 1", "\"version\": 2");
        let error = Task::from_json(json.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            error,
            "a task record of version 2, this git flux reads version 1"
        );
        assert!(Task::from_json(b"{}").is_err());
        assert!(Task::from_json(b"").is_err());
    }
}
