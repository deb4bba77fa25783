//! What stays of a task that is removed: refs below `refs/flux/archive/<name>`,
//! and its worktree in the trash under the same name.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Flux, Lock};
use crate::git::{Transaction, refs};
use crate::store::{base_ref, task_ref};
use crate::task::{Task, TaskId};

/// Deletes branch, base and record in one transaction. With `always`, or if the
/// branch has commits of its own, what they stood at is kept in the archive;
/// returns the name it has there: `wanted`, unless an earlier task has that.
pub(super) fn conclude(
    flux: &Flux,
    task: &Task,
    oid: &str,
    tip: Option<&str>,
    wanted: Option<String>,
    always: bool,
    lock: &Lock,
) -> Result<Option<String>> {
    let dir = flux.repo.common_dir();
    let tip_kept = tip.filter(|tip| always || *tip != task.base);
    let mut name = wanted.unwrap_or_else(|| task.id.to_string());
    let mut base = Some(task.base.clone());
    loop {
        let archive = |part| format!("refs/flux/archive/{name}/{part}");
        let mut refs = Transaction::default();
        if let Some(tip) = tip_kept {
            refs = refs
                .create(&archive("tip"), tip)
                .create(&archive("base"), &task.base)
                .create(&archive("task"), oid);
            if let Some(snapshot) = &task.snapshot {
                refs = refs.create(&archive("snapshot"), snapshot);
            }
        }
        if let Some(tip) = tip {
            refs = refs.delete(&task.branch_ref(), tip);
        }
        if let Some(base) = &base {
            refs = refs.delete(&base_ref(&task.id), base);
        }
        let done = refs.delete(&task_ref(&task.id), oid).commit(
            dir,
            &format!("flux cleanup: {}", task.id),
            lock,
        );
        let Err(error) = done else {
            return Ok(tip_kept.map(|_| name));
        };
        // An earlier task of the same id may be in the archive: it stays. And
        // the base may have been moved by somebody.
        let next = free_name(flux, &task.id, &name)?;
        let found = refs::list(dir, &[&base_ref(&task.id)])?.remove(&base_ref(&task.id));
        if next == name && found == base {
            return Err(error);
        }
        (name, base) = (next, found);
    }
}

/// `<id>`, `<id>.1` …
pub(super) fn names(id: &TaskId) -> impl Iterator<Item = String> {
    let id = id.to_string();
    (0..u32::MAX).map(move |n| {
        if n == 0 {
            id.clone()
        } else {
            format!("{id}.{n}")
        }
    })
}

/// The first name that neither the archive nor the trash has, where `ours` is not
/// somebody else's.
fn free_name(flux: &Flux, id: &TaskId, ours: &str) -> Result<String> {
    let taken = refs::list(flux.repo.common_dir(), &["refs/flux/archive"])?;
    let free = |name: &String| {
        let prefix = format!("refs/flux/archive/{name}/");
        !taken.keys().any(|name| name.starts_with(&prefix))
            && (name == ours || !flux.trash().join(name).exists())
    };
    names(id).find(free).context("the archive is full")
}

/// The name of what lies at this place in the trash.
pub(super) fn name_of(place: &Path) -> Option<String> {
    Some(place.file_name()?.to_str()?.to_owned())
}
