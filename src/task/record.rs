//! The record of a task, versioned.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::{
    BranchName, NotedEntry, ObjectId, PaneId, RefName, SessionName, TaskId, WindowId, version,
};
use crate::system::clock::{in_milliseconds, in_seconds};

/// The longest `task.json`: arguments for an agent may be long.
const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// The version of `task.json` that this program writes, and the latest that it reads.
///
/// A field that changes what may be removed, or where, raises it: a program that does not know
/// the field must not act on the task. Any other field may come and go, because unknown fields
/// ([`Rest`]) survive each rewrite. A task whose record has a later version is only shown
/// ([`NewerVersion`](super::version::NewerVersion)).
///
/// 0.1.0 shows a record of another version as broken, and does not act on it. It reads version
/// 1 as we write it, and drops the fields that it does not know.
pub(crate) const VERSION: u32 = 1;

/// Unknown fields of a record, which are kept.
pub(crate) type Rest = serde_json::Map<String, serde_json::Value>;

/// A task: a branch, a worktree and a pane for one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) version: u32,
    #[serde(with = "as_text")]
    pub(crate) id: TaskId,
    /// The description's first line.
    pub(crate) title: String,
    pub(crate) phase: Phase,
    pub(crate) agent: String,
    /// Additional arguments for the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) agent_args: Vec<Bytes>,
    pub(crate) branch: BranchName,
    /// The commit that it started from.
    pub(crate) base: ObjectId,
    /// The branch that it started from and is merged into.
    pub(crate) into: Option<BranchName>,
    #[serde(with = "super::record::path")]
    pub(crate) worktree: PathBuf,
    /// The directory in the worktree that its agent starts in, if not the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<Bytes>,
    #[serde(with = "in_seconds")]
    pub(crate) created: Timestamp,
    /// The first of its reserved ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    pub(crate) target: Option<Target>,
    /// Set as soon as its removal begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removal: Option<Removal>,
    /// The archive entry that it is being restored from.
    #[serde(default, rename = "restored", skip_serializing_if = "Option::is_none")]
    pub(crate) restored_from: Option<String>,
    /// Set if its branch existed before the task: cleanup keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) existing: Option<ExistingBranch>,
    /// The snapshot of the user's changes, while its worktree is being made.
    #[serde(default, rename = "carried", skip_serializing_if = "Option::is_none")]
    pub(crate) stash: Option<ObjectId>,
    /// The times that `land` sent it back. If they are lost, the count begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) landing: Option<LandRounds>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// The times that a landing sent a task back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LandRounds {
    pub(crate) count: usize,
    /// The last time or, if it is blocked, the time since when.
    #[serde(with = "in_milliseconds")]
    pub(crate) at: Timestamp,
    /// The commit of its branch then.
    pub(crate) tip: ObjectId,
    /// It failed again after the last round.
    #[serde(
        default,
        rename = "blocked",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(crate) is_blocked: bool,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// A branch that existed before its task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExistingBranch {
    /// Its commit when the task started.
    pub(crate) tip: ObjectId,
    /// The start created it, from that of a remote for example: a failed start deletes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) made: bool,
    /// The worktree existed before the task, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) adopted: bool,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// An argument or environment value of any bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bytes(#[serde(with = "super::record::path")] pub(crate) OsString);

/// The removal of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    #[serde(with = "in_seconds")]
    pub(crate) at: Timestamp,
    /// The snapshot of the uncommitted changes.
    pub(crate) snapshot: Option<ObjectId>,
    /// The configuration of its branch: names, as in `branch.<branch>.<name>`, and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) config: Vec<(String, String)>,
    /// Its per-worktree refs and reflog-only commits: names in the archive, and objects.
    #[serde(default, rename = "own", skip_serializing_if = "Vec::is_empty")]
    pub(crate) worktree_refs: Vec<(String, ObjectId)>,
    /// The entries of its own stash, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stash: Vec<NotedEntry>,
    /// The entries that were removed from the shared stash while its agent ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) shared_stash: Vec<NotedEntry>,
    /// The merge; `None` if its work was discarded.
    pub(crate) into: Option<MergeRecord>,
    /// The tip of the branch that lands together with other tasks. The target may not have moved
    /// yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) landing: Option<ObjectId>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

impl Removal {
    /// Returns whether entries of a stash are archived with the task.
    pub(crate) fn has_stash_entries(&self) -> bool {
        !self.stash.is_empty() || !self.shared_stash.is_empty()
    }
}

/// The merge of a task into a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeRecord {
    /// A local or remote-tracking branch, or the object name of a commit.
    pub(crate) branch: String,
    /// Its commit before the merge.
    pub(crate) from: ObjectId,
    /// Its commit after the merge; equal to `from` if there was nothing to merge.
    pub(crate) to: ObjectId,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// A file of a record.
#[derive(Clone, Copy, IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum RecordFile {
    #[strum(serialize = "task.json")]
    Task,
    #[strum(serialize = "prompt.md")]
    Prompt,
    /// The events, which a removal adds.
    Events,
    /// The last screen of the pane, which a removal adds.
    Screen,
}

/// The stored phase of a task, unlike its observed status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Phase {
    #[default]
    Starting,
    Active,
    Removing,
}

/// The part of tmux that git flux created for the agent.
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

/// A pane, identified across restarts of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Layout,
    /// The name of the session when it was created.
    pub(crate) session: SessionName,
    #[serde(with = "as_text")]
    pub(crate) window: WindowId,
    #[serde(with = "as_text")]
    pub(crate) pane: PaneId,
    /// The process of the pane: the launcher.
    pub(crate) pane_pid: i32,
    /// The tmux server: its socket, process and start time.
    #[serde(with = "super::record::path")]
    pub(crate) socket: PathBuf,
    pub(crate) server_pid: u32,
    #[serde(with = "in_seconds")]
    pub(crate) server_start: Timestamp,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

impl Task {
    /// Returns a copy of the task in the given phase, without the data of a removal and of a start
    /// (the archive entry to restore, and the stash).
    pub(crate) fn in_phase(&self, phase: Phase) -> Self {
        Self {
            phase,
            removal: None,
            restored_from: None,
            stash: None,
            ..self.clone()
        }
    }

    /// Returns a copy of the task in phase `removing`, with the data of its removal and without
    /// that of a start.
    pub(crate) fn with_removal(&self, removal: Removal) -> Self {
        Self {
            removal: Some(removal),
            ..self.in_phase(Phase::Removing)
        }
    }

    /// Returns a copy of the task in phase `active`, with this pane, or none, and without the data
    /// of a start or removal.
    pub(crate) fn with_target(&self, target: Option<Target>) -> Self {
        Self {
            target,
            ..self.in_phase(Phase::Active)
        }
    }

    /// Parses the record of a task, the content of `task.json`. Fails if a field is invalid, or if
    /// the content is longer than 16 MiB.
    ///
    /// # Errors
    /// [`NewerVersion`](super::version::NewerVersion) if the record's version is later.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.len() <= MAX_RECORD_BYTES, "it is too long");
        let task: Self = version::parse(bytes, VERSION.into())?;
        task.check()?;
        Ok(task)
    }

    /// Returns the record of a task as the content of `task.json`; shortens or removes an invalid
    /// title, target branch or agent. Fails if the content could not be read again.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(&self.recordable())?;
        json.push(b'\n');
        Self::from_json(&json).context("this record could not be read again")?;
        Ok(json)
    }

    /// Returns the commit that the task's branch had when the task started, before any work: the
    /// base of a new branch, or the tip of an existing one.
    pub(crate) fn start_commit(&self) -> &ObjectId {
        self.existing.as_ref().map_or(&self.base, |it| &it.tip)
    }

    /// Returns whether removing the task keeps its branch: it existed before the task, or the start
    /// created it from a remote branch. `false` while a start that created it has not completed.
    pub(crate) fn keeps_branch(&self) -> bool {
        let is_made = |it: &ExistingBranch| it.made && self.phase == Phase::Starting;
        self.existing.as_ref().is_some_and(|it| !is_made(it))
    }

    /// Returns whether a command, perhaps a killed one, has begun to restore the task from the archive
    /// entry `name`, and has not completed that.
    pub(crate) fn is_being_restored_from(&self, name: &str) -> bool {
        self.phase == Phase::Starting && self.restored_from.as_deref() == Some(name)
    }

    /// Returns the full name of the ref of the task's branch: `refs/heads/<branch>`.
    pub(crate) fn branch_ref(&self) -> RefName {
        self.branch.full()
    }
}

/// Text in JSON for types that implement `FromStr` and `Display`.
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

/// Paths and arguments in JSON: text if they are UTF-8, otherwise a list of bytes.
pub(crate) mod path {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Encoded {
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
        let path = match Encoded::deserialize(deserializer)? {
            Encoded::Text(text) => OsString::from(text),
            Encoded::Raw(bytes) => OsString::from_vec(bytes),
        };
        Ok(path.into())
    }
}

#[cfg(test)]
mod tests;
