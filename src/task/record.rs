//! What was intended: the record of a task, versioned.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::{BranchName, ObjectId, PaneId, RefName, SessionName, TaskId, WindowId, version};

/// The longest `task.json`, in bytes: arguments for an agent may be long.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;

/// The version of `task.json` this program writes, and the latest that it reads.
///
/// A field that changes what may be removed, or where, raises it: a program that does not know
/// the field must not act on the task. Any other field may come and go without, for the ones
/// that are not known ([`Rest`]) survive each rewrite. A record of a later version is shown,
/// and nothing is done with its task ([`version::Newer`](super::version::Newer)).
///
/// 0.1.0 shows a record of another version as a broken one, and leaves its task alone too. Of
/// version 1 it reads what we write; but it drops the fields that it does not know.
pub(crate) const VERSION: u32 = 1;

/// Fields of a record that are not known here, kept as they are.
pub(crate) type Rest = serde_json::Map<String, serde_json::Value>;

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
    pub(crate) branch: BranchName,
    /// The commit it started from, in full.
    pub(crate) base: ObjectId,
    /// The branch it is merged into, if it started from one.
    pub(crate) into: Option<BranchName>,
    #[serde(with = "super::record::path")]
    pub(crate) worktree: PathBuf,
    /// The directory in the worktree that its agent starts in, if that is not the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<Bytes>,
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
    pub(crate) carried: Option<ObjectId>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// A branch that was not made for its task alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Existing {
    /// The commit that it stood at when the task came.
    pub(crate) tip: ObjectId,
    /// The start has made it, after that of a remote, say: if the start fails, it goes again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) made: bool,
    /// The worktree was there before the task as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) adopted: bool,
    #[serde(flatten)]
    pub(crate) rest: Rest,
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
    pub(crate) snapshot: Option<ObjectId>,
    /// What was configured for its branch: names, as in `branch.<branch>.<name>`, and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) config: Vec<(String, String)>,
    /// What only its worktree had: names in the archive, and objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) own: Vec<(String, ObjectId)>,
    /// Where its work went; none if it was dropped.
    pub(crate) into: Option<Merged>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// How a branch got the work of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merged {
    /// Also that of a remote, or the object name of a commit that has it.
    pub(crate) branch: String,
    /// The commit it stood at before.
    pub(crate) from: ObjectId,
    /// The commit it was moved to; the same if there was nothing to merge.
    pub(crate) to: ObjectId,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// How far a task has come. What *is* shows in its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Phase {
    Starting,
    Active,
    Removing,
}

/// What git flux made for the agent to run in.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Layout {
    Pane,
    Window,
    Session,
}

/// A pane, so that it cannot be mistaken for another after a server restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Layout,
    /// The session's name when it was made.
    pub(crate) session: SessionName,
    #[serde(with = "as_text")]
    pub(crate) window: WindowId,
    #[serde(with = "as_text")]
    pub(crate) pane: PaneId,
    /// The pane's own process: the launcher.
    pub(crate) pane_pid: i32,
    /// The tmux server: its socket, process and start time.
    #[serde(with = "super::record::path")]
    pub(crate) socket: PathBuf,
    pub(crate) server_pid: u32,
    pub(crate) server_start: u64,
    #[serde(flatten)]
    pub(crate) rest: Rest,
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

    /// Reads `task.json`, and checks each field of it.
    ///
    /// # Errors
    /// When it is not a record, or one of a later version: [`Newer`](super::version::Newer).
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.len() <= LONGEST, "it is too long");
        let task: Self = version::parse(bytes, VERSION.into())?;
        task.check()?;
        Ok(task)
    }

    /// Writes `task.json`, for people to read as well.
    ///
    /// # Errors
    /// When it could not be read again.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(&self.recordable())?;
        json.push(b'\n');
        Self::from_json(&json).context("this record could not be read again")?;
        Ok(json)
    }

    /// The commit that its branch stands at before any work is done.
    pub(crate) fn start(&self) -> &ObjectId {
        self.existing.as_ref().map_or(&self.base, |it| &it.tip)
    }

    /// Whether its branch stays when the task goes.
    pub(crate) fn keeps_branch(&self) -> bool {
        let is_made = |it: &Existing| it.made && self.phase == Phase::Starting;
        self.existing.as_ref().is_some_and(|it| !is_made(it))
    }

    /// `refs/heads/<branch>`
    pub(crate) fn branch_ref(&self) -> RefName {
        self.branch.full()
    }
}

/// What is read and shown as text, in JSON.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Paths and arguments in JSON: text where they are UTF-8, a list of bytes where not.
pub(crate) mod path {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
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
            Some(text) => serializer.serialize_str(text),
            None => path.as_bytes().serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<OsString>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let path = match Bytes::deserialize(deserializer)? {
            Bytes::Text(text) => OsString::from(text),
            Bytes::Raw(bytes) => OsString::from_vec(bytes),
        };
        Ok(path.into())
    }
}

#[cfg(test)]
mod tests;
