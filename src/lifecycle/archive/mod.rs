//! Removed tasks: their refs below `refs/flux/archive/<name>`, and their worktrees in the trash
//! under the same name.

pub(crate) mod delete;
pub(crate) mod expire;
pub(super) mod trash;
pub(crate) mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail, ensure};
use jiff::Timestamp;

use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::git::trash::HEAD_LOG;
use crate::git::{Lock, ObjectId, Repo, Transaction, refs, worktree_refs};
use crate::sanitize;
use crate::store::{self, ARCHIVE, TASKS};
use crate::task::{MergeRecord, RefName, Task, TaskId, version};
use crate::ui::word;

/// The part of an archive entry that has what the user has looked at.
pub(in crate::lifecycle) const SEEN: &str = "seen";

/// Returns the name of the ref that keeps a commit of a restored task's reflog:
/// `refs/flux/reflog/<id>/<commit>`.
fn reflog_ref(id: &TaskId, commit: &str) -> RefName {
    RefName::new(format!("refs/flux/reflog/{id}/{commit}"))
}

/// A removed task.
#[derive(Clone, Debug)]
pub(crate) struct Archived {
    /// The name in the archive and in the trash: `<id>`, `<id>.1` …
    pub(crate) name: String,
    pub(crate) task: Task,
    /// The object name of the record.
    pub(crate) record: ObjectId,
    /// The tip of the branch.
    pub(crate) tip: ObjectId,
    /// The directory in the trash, if it still has the worktree.
    pub(crate) trash: Option<PathBuf>,
    /// The entry was fetched: this repository did not create it.
    pub(crate) foreign: bool,
    /// The refs of the entry, with their objects.
    refs: BTreeMap<RefName, ObjectId>,
}

impl Archived {
    /// Returns the commit in which the removal saved the worktree's uncommitted files, without
    /// ignored ones, as the task's record names it. `None` if there were no such files or they were
    /// not saved.
    pub(crate) fn snapshot(&self) -> Option<&ObjectId> {
        self.task.removal.as_ref()?.snapshot.as_ref()
    }

    /// Returns the object of one ref of the archive entry: for `tip` that of
    /// `refs/flux/archive/<name>/tip`. `None` if there is no such ref.
    pub(crate) fn part(&self, part: &str) -> Option<&ObjectId> {
        self.refs.get(&*format!("{ARCHIVE}{}/{part}", self.name))
    }

    /// Returns the git config of the removed branch, as names below `branch.<branch>` and values.
    /// Empty if none was kept.
    pub(crate) fn config(&self) -> &[(String, String)] {
        let removal = self.task.removal.as_ref();
        removal.map_or(&[], |removal| &removal.config)
    }

    /// Returns the time when the task was removed; if that is not recorded, the time when it was created.
    pub(crate) fn removed_at(&self) -> Timestamp {
        let removal = self.task.removal.as_ref();
        removal.map_or(self.task.created, |removal| removal.at)
    }

    /// Returns the branch or commit that has the task's commits, as recorded by the removal, and
    /// the commits to which it pointed before and after; equal if nothing had to be merged. `None`
    /// if the task's commits were discarded.
    pub(crate) fn merged(&self) -> Option<&MergeRecord> {
        self.task.removal.as_ref()?.into.as_ref()
    }

    /// Fails if the refs of this archive entry have changed since it was listed: it may have been
    /// restored, and another task removed under its name. The caller holds the task's lock.
    pub(in crate::lifecycle) fn ensure_unchanged(&self, flux: &Flux) -> Result<()> {
        let name = &self.name;
        let mut found = refs::list(flux.repo.home(), &[&format!("{ARCHIVE}{name}")])?;
        let has = |part: &RefName| self.foreign || self.refs.contains_key(part);
        found.retain(|part, oid| has(part) || is_ours(flux, part, oid));
        let what = format!("the removed task '{name}' has just changed");
        let failure = Failure::new(format!("{what}; nothing was changed"));
        ensure!(found == self.refs, failure.hint("git flux restore --list"));
        Ok(())
    }

    /// Restores the per-worktree refs of the task's worktree. Unless the worktree's reflog comes
    /// back from the trash, keeps the commits that only the reflog had, by refs below
    /// `refs/flux/reflog/<id>/`.
    pub(in crate::lifecycle) fn restore_own_refs(&self, repo: &Repo, lock: &Lock) -> Result<()> {
        let mut logs = self.trash.iter().map(|trash| trash.join(HEAD_LOG));
        let logs_are_back = logs.any(|log| log.exists());
        let message = format!("flux restore: {}", self.name);
        let own = self
            .task
            .removal
            .iter()
            .flat_map(|removal| &removal.worktree_refs);
        let (logged, own): (Vec<_>, Vec<_>) =
            own.partition(|(part, _)| part == worktree_refs::REFLOG);
        for (_, oid) in logged.into_iter().filter(|_| !logs_are_back) {
            let name = reflog_ref(&self.task.id, oid);
            // A killed command may have created it.
            if refs::list(repo.home(), &[&name])?.is_empty() {
                let made = Transaction::default().create(&name, oid);
                made.commit(repo, &message, lock)?;
            }
        }
        if own.is_empty() {
            return Ok(());
        }
        let create = |refs: Transaction, (part, oid): &(String, ObjectId)| {
            refs.create(&RefName::new(format!("refs/{part}")), oid)
        };
        let refs = own.into_iter().fold(Transaction::default(), create);
        refs.commit_in_worktree(&self.task.worktree, &message, lock)
    }

    /// Returns the transaction `also` with the ref changes of a restore: deletes all refs of this
    /// archive entry, and sets `refs/flux/seen/<id>` to what the user had looked at, if this
    /// repository archived the task. Changes nothing itself.
    pub(in crate::lifecycle) fn give_back(
        &self,
        flux: &Flux,
        also: Transaction,
    ) -> Result<Transaction> {
        let also = self.forget(also);
        let Some(seen) = self.part(SEEN).filter(|_| !self.foreign) else {
            return Ok(also);
        };
        let name = store::seen_ref(&self.task.id);
        // A fetched one would be in its place.
        Ok(match refs::list(flux.repo.home(), &[&name])?.get(&name) {
            None => also.create(&name, seen),
            Some(old) => also.update(&name, seen, old),
        })
    }

    /// Adds the deletion of all refs of this archive entry to the transaction `also`, and returns
    /// that. Deletes nothing itself.
    pub(in crate::lifecycle) fn forget(&self, also: Transaction) -> Transaction {
        let refs = self.refs.iter();
        refs.fold(also, |all, (name, oid)| all.delete(name, oid))
    }
}

/// The parts of a task that a teardown has kept.
#[derive(Debug, Default)]
pub(crate) struct KeptParts {
    /// The name below `refs/flux/archive`.
    pub(crate) archive: Option<String>,
    /// The directory in the trash that has the worktree.
    pub(crate) worktree: Option<PathBuf>,
}

/// An archive entry that cannot be read. Its commits still exist.
#[derive(Debug)]
pub(crate) struct UnreadEntry {
    pub(crate) name: String,
    /// The tip of the branch, if its ref exists.
    tip: Option<ObjectId>,
    pub(crate) error: Error,
}

impl UnreadEntry {
    /// Returns the error that this archive entry cannot be read, with commands that keep its
    /// commits or delete it; without those if a newer git flux wrote it.
    pub(crate) fn refusal(&self) -> Failure {
        let name = &self.name;
        let what = format!("the record of the removed task '{}'", sanitize::line(name));
        let record = word(&format!("{ARCHIVE}{name}/task"));
        let mut failure = version::refusal(&what, record, &self.error);
        if version::is_newer(&self.error) {
            return failure;
        }
        if let Some(tip) = &self.tip {
            failure = failure.hint(format!(
                "to keep its commits: git branch {} {tip}",
                word(name)
            ));
        }
        let below = word(&format!("{ARCHIVE}{name}"));
        let list = format!("git for-each-ref --format='delete %(refname)' {below}");
        failure.hint(format!(
            "to delete the task for good: {list} | git update-ref --stdin"
        ))
    }
}

/// The entries of the archive.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) archived: Vec<Archived>,
    pub(crate) unread: Vec<UnreadEntry>,
}

/// Lists the removed tasks in the archive of this repository, the latest first. Leaves out entries
/// that were fetched from other repositories or cannot be read.
pub(crate) fn list(flux: &Flux) -> Result<Vec<Archived>> {
    let mut archived = list_all(flux)?.archived;
    archived.retain(|one| !one.foreign);
    Ok(archived)
}

/// Lists all entries of the archive, the latest first, also those that were fetched or cannot be
/// read. If there are such entries, reads the refs until they do not change, since one may just be
/// written.
pub(crate) fn list_all(flux: &Flux) -> Result<Listing> {
    let all = || refs::list(flux.repo.home(), &[ARCHIVE, TASKS]);
    let mut refs = all()?;
    loop {
        let listed = sort_refs(flux, &refs);
        if listed.archived.iter().all(|one| !one.foreign) && listed.unread.is_empty() {
            return Ok(listed);
        }
        // A foreign or unreadable entry may just be being written or deleted.
        let again = all()?;
        if again == refs {
            return Ok(listed);
        }
        refs = again;
    }
}

fn sort_refs(flux: &Flux, refs: &BTreeMap<RefName, ObjectId>) -> Listing {
    let ids = refs.keys().filter_map(|name| name.strip_prefix(TASKS));
    let tasks: BTreeSet<String> = ids.map(str::to_owned).collect();
    let mut found: BTreeMap<&str, Vec<(RefName, ObjectId)>> = BTreeMap::new();
    for (part, oid) in refs {
        let below = part.strip_prefix(ARCHIVE);
        if let Some((name, _)) = below.and_then(|below| below.split_once('/')) {
            let parts = found.entry(name).or_default();
            parts.push((part.clone(), oid.clone()));
        }
    }
    let (mut archived, mut unread) = (Vec::new(), Vec::new());
    for (name, parts) in found {
        match read_entry(flux, name, parts, &tasks) {
            Ok(one) => archived.push(one),
            Err(error) => unread.push(UnreadEntry {
                name: name.to_owned(),
                tip: refs.get(&*format!("{ARCHIVE}{name}/tip")).cloned(),
                error,
            }),
        }
    }
    archived.sort_by_key(|one| std::cmp::Reverse(one.removed_at()));
    Listing { archived, unread }
}

/// Reads the archive entry `name` from its refs `parts`. Ignores refs that were fetched into an
/// entry of this repository. Fails if its record or tip is missing or invalid.
fn read_entry(
    flux: &Flux,
    name: &str,
    parts: Vec<(RefName, ObjectId)>,
    tasks: &BTreeSet<String>,
) -> Result<Archived> {
    let own = store::own_parts(&flux.repo, name, &parts, tasks);
    let own: BTreeMap<RefName, ObjectId> = own.into_iter().collect();
    let name_of = |part: &str| RefName::new(format!("{ARCHIVE}{name}/{part}"));
    let is_own = |part: &&str| own.contains_key(&name_of(part));
    let foreign = !["task", "tip"].iter().all(is_own);
    let refs = match foreign {
        true => parts.into_iter().collect(),
        false => own,
    };
    let part = |part: &str| {
        let found = refs.get(&name_of(part)).cloned();
        found.with_context(|| format!("it has no '{part}'"))
    };
    let (record, tip) = (part("task")?, part("tip")?);
    let task = store::parse_record(&flux.repo, &record)?;
    let is_its_own = name.split('.').next() == Some(task.id.as_str());
    ensure!(is_its_own, "the record is that of '{}'", task.id);
    let trash = flux.trash().join(name);
    Ok(Archived {
        name: name.to_owned(),
        task,
        tip,
        trash: (!foreign && trash.join("worktree").exists()).then_some(trash),
        record,
        foreign,
        refs,
    })
}

/// Returns whether this repository made the ref `name` with the object `oid`. `false` also if that
/// is unknown.
fn is_ours(flux: &Flux, name: &RefName, oid: &ObjectId) -> bool {
    flux.repo.marks().has_made(name, oid) == Some(true)
}

/// Returns the removed task whose archive name is `name`, or begins with it, or else contains it. A
/// fetched one needs its full name. Fails if none or several match, or if it cannot be read.
pub(crate) fn find<'a>(listed: &'a Listing, name: &str) -> Result<&'a Archived> {
    let Listing { archived, unread } = listed;
    if let Some(one) = unread.iter().find(|one| one.name == name) {
        return Err(one.refusal().into());
    }
    if let Some(exact) = archived.iter().find(|one| one.name == name) {
        return Ok(exact);
    }
    let ours: Vec<&Archived> = archived.iter().filter(|one| !one.foreign).collect();
    if ours.is_empty() {
        let what = format!("there is no removed task '{name}'");
        bail!(Failure::new(what).hint("git flux restore --list"));
    }
    let names: Vec<&str> = ours.iter().map(|one| one.name.as_str()).collect();
    Ok(ours[store::resolve_name("removed task", name, &names, Verb::Restore)?])
}

/// Returns the names that a removed task may have in the archive and the trash, without end:
/// `<id>`, `<id>.1`, `<id>.2` …
pub(in crate::lifecycle) fn names(id: &TaskId) -> impl Iterator<Item = String> {
    let id = id.to_string();
    iter::once(id.clone()).chain((1..u32::MAX).map(move |n| format!("{id}.{n}")))
}

/// Returns the first of a task's possible archive names that neither the archive nor the trash has.
/// The directory `ours` in the trash does not count. Reserves nothing.
pub(in crate::lifecycle) fn find_free_name(flux: &Flux, id: &TaskId, ours: &str) -> Result<String> {
    let taken = refs::list(flux.repo.home(), &[ARCHIVE])?;
    let is_free = |name: &String| {
        let entry = format!("{ARCHIVE}{name}");
        let is_in = |taken: &RefName| {
            let below = taken.strip_prefix(&entry);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        };
        !taken.keys().any(is_in) && (name == ours || !flux.trash().join(name).exists())
    };
    names(id).find(is_free).context("the archive is full")
}

/// Returns the file name of a directory in the trash, which is also the name in the archive. `None`
/// if it is not UTF-8.
pub(in crate::lifecycle) fn trash_name(place: &Path) -> Option<String> {
    Some(place.file_name()?.to_str()?.to_owned())
}
