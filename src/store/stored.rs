//! How tasks are stored: refs, and the files of a record.

use anyhow::Result;

use crate::task::{ObjectId, RefName, Task, TaskId, version};

pub(crate) const TASKS: &str = "refs/flux/tasks/";
/// Where removed tasks stay.
pub(crate) const ARCHIVE: &str = "refs/flux/archive/";
pub(super) const BASES: &str = "refs/flux/base/";

/// The files of a record.
pub(crate) const RECORD: &str = "task.json";
pub(super) const PROMPT: &str = "prompt.md";
/// What is put beside it when the task is removed: what happened, and what the pane showed at last.
pub(crate) const EVENTS: &str = "events";
pub(crate) const SCREEN: &str = "screen";

/// `refs/flux/tasks/<id>`
pub(crate) fn task_ref(id: &TaskId) -> RefName {
    RefName::new(format!("{TASKS}{id}"))
}

/// `refs/flux/base/<id>`
pub(crate) fn base_ref(id: &TaskId) -> RefName {
    RefName::new(format!("{BASES}{id}"))
}

/// One stored task.
#[derive(Debug)]
pub(crate) struct StoredTask {
    pub(crate) id: TaskId,
    /// The record's tree.
    pub(crate) oid: ObjectId,
    /// The task, with what is configured for its branch; or what is wrong with the record.
    pub(crate) task: Result<Task>,
}

impl StoredTask {
    /// When the task was made, in seconds since 1970, for the order of lists: what cannot be read is the last.
    pub(crate) fn created(&self) -> u64 {
        self.task.as_ref().map_or(u64::MAX, |task| task.created)
    }

    /// The task of a record that can be read.
    pub(crate) fn readable(&self) -> Result<&Task> {
        let id = &self.id;
        let record = task_ref(id);
        self.task.as_ref().map_err(|error| {
            let aside = (!version::is_newer(error)).then(|| {
                let kept = format!("git update-ref {ARCHIVE}{id}/task {}", self.oid);
                format!("to set it aside: {kept} && git update-ref -d {record}")
            });
            let what = format!("the record of '{id}'");
            version::refusal(what, &record, error).hints(aside).into()
        })
    }
}
