//! The refs and files of stored tasks.

use anyhow::Result;
use jiff::Timestamp;

use crate::task::{ObjectId, RefName, Task, TaskId, version};

pub(crate) const TASKS: &str = "refs/flux/tasks/";
/// The prefix of the refs of removed tasks.
pub(crate) const ARCHIVE: &str = "refs/flux/archive/";
pub(super) const BASES: &str = "refs/flux/base/";
/// The prefix of the refs to what the user has looked at.
pub(super) const SEEN: &str = "refs/flux/seen/";

/// Returns the name of the ref of a task's record: `refs/flux/tasks/<id>`.
pub(crate) fn task_ref(id: &TaskId) -> RefName {
    RefName::new(format!("{TASKS}{id}"))
}

/// Returns the name of the ref of a task's base commit: `refs/flux/base/<id>`.
pub(crate) fn base_ref(id: &TaskId) -> RefName {
    RefName::new(format!("{BASES}{id}"))
}

/// Returns the name of the ref to a commit with the files of a task that the user has looked at:
/// `refs/flux/seen/<id>`.
pub(crate) fn seen_ref(id: &TaskId) -> RefName {
    RefName::new(format!("{SEEN}{id}"))
}

/// A stored task.
#[derive(Debug)]
pub(crate) struct StoredTask {
    pub(crate) id: TaskId,
    /// The record's tree.
    pub(crate) oid: ObjectId,
    /// The task with the configuration of its branch, or the error of its record.
    pub(crate) task: Result<Task>,
}

impl StoredTask {
    /// Returns the time when the task was created, `Timestamp::MAX` if its record
    /// cannot be read, so that it is sorted last.
    pub(crate) fn created(&self) -> Timestamp {
        self.task
            .as_ref()
            .map_or(Timestamp::MAX, |task| task.created)
    }

    /// Returns the task. Fails if its record cannot be read, with the reason and, unless a newer
    /// git flux wrote it, the command that archives it.
    pub(crate) fn readable(&self) -> Result<&Task> {
        let id = &self.id;
        let record = task_ref(id);
        self.task.as_ref().map_err(|error| {
            let archive = (!version::is_newer(error)).then(|| {
                let kept = format!("git update-ref {ARCHIVE}{id}/task {}", self.oid);
                format!("to set it aside: {kept} && git update-ref -d {record}")
            });
            let what = format!("the record of '{id}'");
            version::refusal(what, &record, error).hints(archive).into()
        })
    }
}
