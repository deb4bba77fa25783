//! What stays of a task that is removed: refs below `refs/flux/archive/<name>`,
//! and its worktree in the trash under the same name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Flux, Lock, trash, tree};
use crate::failure::Failure;
use crate::git::{Transaction, keep, own, refs};
use crate::store::{self, ARCHIVE, base_ref, task_ref};
use crate::task::{Removal, Task, TaskId};

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
    let dir = flux.repo.home();
    // What did not come back is in the archive still.
    let tip_kept = tip.filter(|tip| task.restored.is_none() && (always || *tip != task.start()));
    // A worktree that another left in the trash must not pass for this task's.
    let mut name = match wanted {
        Some(name) => name,
        None if tip_kept.is_some() => free_name(flux, &task.id, "")?,
        None => task.id.to_string(),
    };
    let mut base = Some(task.base.clone());
    loop {
        let archive = |part| format!("{ARCHIVE}{name}/{part}");
        let mut refs = Transaction::default();
        if let Some(tip) = tip_kept {
            refs = refs
                .create(&archive("tip"), tip)
                .create(&archive("base"), &task.base)
                .create(&archive("task"), oid);
            let removal = task.removal.as_ref();
            if let Some(snapshot) = removal.and_then(|r| r.snapshot.as_ref()) {
                refs = refs.create(&archive("snapshot"), snapshot);
            }
            for (part, oid) in removal.map_or(&[][..], |removal| &removal.own) {
                refs = refs.create(&archive(part), oid);
            }
        }
        if let Some(tip) = tip.filter(|_| !task.keeps_branch()) {
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

/// What holds commits that the logs of a restored task had: `refs/flux/reflog/<id>/<commit>`
fn logged(id: &TaskId, commit: &str) -> String {
    format!("refs/flux/reflog/{id}/{commit}")
}

/// A removed task.
#[derive(Clone, Debug)]
pub(crate) struct Archived {
    /// Its name in the archive and in the trash: the id, or `<id>.1` …
    pub(crate) name: String,
    pub(crate) task: Task,
    /// The tree of its record.
    pub(crate) record: String,
    /// The tip of its branch.
    pub(crate) tip: String,
    /// Its worktree, as long as it is kept whole.
    pub(crate) trash: Option<PathBuf>,
    /// Its refs, with what they stand at.
    refs: Vec<(String, String)>,
}

impl Archived {
    /// The snapshot of what was uncommitted.
    pub(crate) fn snapshot(&self) -> Option<&str> {
        self.task.removal.as_ref()?.snapshot.as_deref()
    }

    /// What was configured for its branch.
    pub(crate) fn config(&self) -> &[(String, String)] {
        let removal = self.task.removal.as_ref();
        removal.map_or(&[], |removal| &removal.config)
    }

    /// When it was removed, in seconds since 1970.
    pub(crate) fn removed(&self) -> u64 {
        self.task
            .removal
            .as_ref()
            .map_or(self.task.created, |removal| removal.at)
    }

    /// Whether its commits are elsewhere, so that nothing of them goes with it.
    pub(crate) fn is_merged(&self) -> bool {
        let merged = |removal: &Removal| removal.into.is_some();
        self.tip == self.task.base || self.task.removal.as_ref().is_some_and(merged)
    }

    /// Fails where it is not what it was when it was listed: restored since, and another one
    /// removed under its name. The caller holds the task's lock.
    ///
    /// # Errors
    /// When it is so, or git fails.
    pub(super) fn ensure_unchanged(&self, flux: &Flux) -> Result<()> {
        let name = &self.name;
        let below = format!("{ARCHIVE}{name}");
        let found = refs::list(flux.repo.home(), &[&below])?;
        if found.into_iter().eq(self.refs.iter().cloned()) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the removed task '{name}' is not what it was just now; nothing was changed"
        ))
        .hint("git flux restore --list")
        .into())
    }

    /// Gives its worktree, which is back, the refs that it had for itself. What was in its
    /// logs gets one that is everybody's, unless they are back too: git's garbage collection
    /// does not look at those of another worktree.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn put_own(&self, dir: &Path, lock: &Lock) -> Result<()> {
        let removal = self.task.removal.as_ref();
        let log = self.trash.as_ref().map(|trash| trash.join(keep::LOG));
        let logs_are_back = log.is_some_and(|log| log.exists());
        let message = format!("flux restore: {}", self.name);
        let mut own = None;
        for (part, oid) in removal.map_or(&[][..], |removal| &removal.own) {
            if part != own::REFLOG {
                let refs = own.unwrap_or_else(Transaction::default);
                own = Some(refs.create(&format!("refs/{part}"), oid));
                continue;
            }
            let name = logged(&self.task.id, oid);
            // A command that was killed may have made it.
            if !logs_are_back && refs::list(dir, &[&name])?.is_empty() {
                let made = Transaction::default().create(&name, oid);
                made.commit(dir, &message, lock)?;
            }
        }
        own.map_or(Ok(()), |own| {
            own.commit(&self.task.worktree, &message, lock)
        })
    }

    /// What deletes its refs.
    pub(super) fn forget(&self, also: Transaction) -> Transaction {
        self.refs
            .iter()
            .fold(also, |refs, (name, oid)| refs.delete(name, oid))
    }
}

/// Everything that can be restored, the latest first. A record that cannot be
/// read is left out: its commits are there all the same.
///
/// # Errors
/// When git fails.
pub(crate) fn list(flux: &Flux) -> Result<Vec<Archived>> {
    let refs = refs::list(flux.repo.home(), &[ARCHIVE])?;
    let mut found: BTreeMap<&str, Vec<(&str, &String)>> = BTreeMap::new();
    for (name, oid) in &refs {
        let parts = name.strip_prefix(ARCHIVE);
        if let Some((name, part)) = parts.and_then(|parts| parts.split_once('/')) {
            found.entry(name).or_default().push((part, oid));
        }
    }
    let read = |(name, parts): (&str, Vec<(&str, &String)>)| {
        let at = |part| {
            parts
                .iter()
                .find(|(name, _)| *name == part)
                .map(|(_, oid)| *oid)
        };
        let record = at("task")?;
        let task = flux.repo.read_file(record, store::RECORD).ok()?;
        let trash = flux.trash().join(name);
        Some(Archived {
            name: name.to_owned(),
            task: Task::from_json(&task).ok()?,
            record: record.clone(),
            tip: at("tip")?.clone(),
            trash: trash.join("worktree").exists().then_some(trash),
            refs: parts
                .iter()
                .map(|(part, oid)| (format!("{ARCHIVE}{name}/{part}"), (*oid).clone()))
                .collect(),
        })
    };
    let mut archived: Vec<Archived> = found.into_iter().filter_map(read).collect();
    archived.sort_by_key(|one| std::cmp::Reverse(one.removed()));
    Ok(archived)
}

/// The removed task that `name` means: its name, or the beginning of one and no other.
///
/// # Errors
/// When there is none, or more than one.
pub(crate) fn find<'a>(archived: &'a [Archived], name: &str) -> Result<&'a Archived> {
    if archived.is_empty() {
        return Err(Failure::new(format!("there is no removed task '{name}'"))
            .hint("git flux restore --list")
            .into());
    }
    let names: Vec<&str> = archived.iter().map(|one| one.name.as_str()).collect();
    Ok(&archived[store::meant("removed task", name, &names, "restore")?])
}

/// Deletes a removed task for good: its worktree in the trash, then its refs.
///
/// # Errors
/// When something of it stays.
pub(crate) fn drop_for_good(flux: &Flux, one: &Archived) -> Result<()> {
    let lock = flux.lock_task(&one.task.id)?;
    let done = delete(flux, one, &lock);
    flux.tidy_run(&one.task.id)?;
    done
}

fn delete(flux: &Flux, one: &Archived, lock: &Lock) -> Result<()> {
    one.ensure_unchanged(flux)?;
    // By a name of its own it is no worktree of anything, should some of it stay.
    let place = flux.trash().join(&one.name);
    let aside = trash::set_aside(&place)?;
    let message = format!("flux restore: drop {}", one.name);
    let logs = refs::list(flux.repo.home(), &[&logged(&one.task.id, "")])?;
    let logs = logs
        .iter()
        .fold(Transaction::default(), |all, (name, oid)| {
            all.delete(name, oid)
        });
    let forgotten = one.forget(logs).commit(flux.repo.home(), &message, lock);
    let Some(aside) = aside else { return forgotten };
    if forgotten.is_err() {
        fs::rename(&aside, &place).context("could not move a worktree back in the trash")?;
        return forgotten;
    }
    trash::clear(&aside)
        .with_context(|| format!("'{}' is deleted, but not all of its files", one.name))
}

/// Removes what is left at a place in the trash whose worktree has been put back.
/// That some of it stays is worth a warning, and in nobody's way.
pub(super) fn tidy_up(flux: &Flux, name: &str) {
    let place = flux.trash().join(name);
    if place.join("worktree").exists() {
        return;
    }
    if let Err(error) = tree::delete(&place) {
        flux.ui.warning(format_args!("{error:#}"));
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
    let taken = refs::list(flux.repo.home(), &[ARCHIVE])?;
    let free = |name: &String| {
        let prefix = format!("{ARCHIVE}{name}/");
        !taken.keys().any(|name| name.starts_with(&prefix))
            && (name == ours || !flux.trash().join(name).exists())
    };
    names(id).find(free).context("the archive is full")
}

/// The name of what lies at this place in the trash.
pub(super) fn name_of(place: &Path) -> Option<String> {
    Some(place.file_name()?.to_str()?.to_owned())
}
