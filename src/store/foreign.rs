//! Records that this repository did not create: `git clone --mirror` or `git fetch
//! '+refs/*:refs/*'` brings them. They are only shown.

use std::collections::BTreeSet;

use super::stored::{ARCHIVE, StoredTask, task_ref};
use crate::failure::Failure;
use crate::git::Repo;
use crate::git::marks::Marks;
use crate::settings::{Settings, table};
use crate::task::{ObjectId, RefName, Task, TaskId};
use crate::ui::{quoted, word};

/// Returns whether this repository made the record `oid` of the task `id`, as a file in
/// `<git-common-dir>/flux/marks` says; `false` if that is unreadable. Without that file, as in git
/// flux 0.1.0, returns whether git config names the task for its branch.
pub(crate) fn is_ours(
    marks: &Marks,
    settings: &Settings,
    id: &TaskId,
    oid: &ObjectId,
    task: Option<&Task>,
) -> bool {
    let configured = || match task {
        Some(task) => settings.branch_value(&task.branch, &table::TASK) == Some(id.as_str()),
        None => settings.branch_of_task(id.as_str()).is_some(),
    };
    marks
        .has_made(&task_ref(id), oid)
        .unwrap_or_else(configured)
}

impl StoredTask {
    /// Returns the error that the record of this task was fetched, with the command that restores
    /// this repository's own record, or else commands that use the task's branch or delete the
    /// fetched record. If the mark file is unreadable, returns that error.
    pub(super) fn refusal(&self, repo: &Repo, branch_exists: bool) -> Failure {
        let id = &self.id;
        let name = task_ref(id);
        let failure = Failure::new(format!(
            "'{id}' is foreign: it was not made in this repository"
        ));
        let marks = repo.marks();
        let mark = match marks.find(&name) {
            Ok(mark) => mark,
            Err(error) => {
                let path = quoted(&marks.path(&name).unwrap_or_default());
                let hint = "to use the configuration of its branch instead";
                let failure = Failure::new(format!("{error:#}"));
                return failure.hint(format!("{hint}: mv {path} {path}.away"));
            }
        };
        let last = mark.as_ref().and_then(|mark| mark.objects(&name).last());
        if let Some(own) = last.filter(|own| repo.has_object(own)) {
            return failure.hint(format!(
                "to go back to the record made here: git update-ref {name} {own}"
            ));
        }
        let branch = self.task.as_ref().ok().filter(|_| branch_exists);
        let branch = branch.map(|task| word(&task.branch));
        let oid = &self.oid;
        failure
            .hints(branch.map(|branch| {
                let run = format!("git flux run --branch {branch}");
                format!("to work on its branch: {run} \"<description>\"")
            }))
            .hint(format!("to forget it: git update-ref -d {name} {oid}"))
    }
}

/// Returns those of the refs `parts` of the archive entry `name` that this repository made, as a
/// file in `<git-common-dir>/flux/marks` says; none if that is unreadable. Without that file,
/// returns all if the trash contains `name`, or if the entry's task has a run directory but is not
/// in `tasks`; otherwise none.
pub(crate) fn own_parts(
    repo: &Repo,
    name: &str,
    parts: &[(RefName, ObjectId)],
    tasks: &BTreeSet<String>,
) -> Vec<(RefName, ObjectId)> {
    // An unreadable mark proves nothing.
    let Ok(mark) = repo.marks().find(&RefName::new(format!("{ARCHIVE}{name}"))) else {
        return Vec::new();
    };
    let id = name.split('.').next().unwrap_or(name);
    let is_here = || {
        let flux = repo.flux_dir();
        let ran = || flux.join("run").join(id).exists() && !tasks.contains(id);
        flux.join("trash").join(name).exists() || ran()
    };
    let is_own = |(part, oid): &&(RefName, ObjectId)| match &mark {
        Some(mark) => mark.has(part, oid),
        None => is_here(),
    };
    parts.iter().filter(is_own).cloned().collect()
}
