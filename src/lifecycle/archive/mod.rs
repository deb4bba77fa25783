//! What stays of a task that is removed: refs below `refs/flux/archive/<name>`,
//! and its worktree in the trash under the same name.

pub(crate) mod delete;
pub(crate) mod expire;
pub(super) mod trash;
pub(crate) mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail, ensure};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::trash::HEAD_LOG;
use crate::git::{Lock, ObjectId, Repo, Transaction, refs, worktree_refs};
use crate::sanitize;
use crate::store::{self, ARCHIVE, TASKS};
use crate::task::{Merged, RefName, Task, TaskId, version};
use crate::ui::word;

/// What holds commits that the logs of a restored task had: `refs/flux/reflog/<id>/<commit>`
fn reflog_ref(id: &TaskId, commit: &str) -> RefName {
    RefName::new(format!("refs/flux/reflog/{id}/{commit}"))
}

/// A removed task.
#[derive(Clone, Debug)]
pub(crate) struct Archived {
    /// Its name in the archive and in the trash: the id, or `<id>.1` …
    pub(crate) name: String,
    pub(crate) task: Task,
    /// The tree of its record.
    pub(crate) record: ObjectId,
    /// The tip of its branch.
    pub(crate) tip: ObjectId,
    /// Its worktree, as long as it is kept whole.
    pub(crate) trash: Option<PathBuf>,
    /// Whether it came from elsewhere: this repository has not made it.
    pub(crate) foreign: bool,
    /// Its refs, with what they stand at.
    refs: BTreeMap<RefName, ObjectId>,
}

impl Archived {
    /// The snapshot of what was uncommitted.
    pub(crate) fn snapshot(&self) -> Option<&ObjectId> {
        self.task.removal.as_ref()?.snapshot.as_ref()
    }

    /// What one of its refs stands at: `tip`, `base` …
    pub(crate) fn part(&self, part: &str) -> Option<&ObjectId> {
        self.refs.get(&*format!("{ARCHIVE}{}/{part}", self.name))
    }

    /// What was configured for its branch.
    pub(crate) fn config(&self) -> &[(String, String)] {
        let removal = self.task.removal.as_ref();
        removal.map_or(&[], |removal| &removal.config)
    }

    /// When it was removed, in seconds since 1970.
    pub(crate) fn removed(&self) -> u64 {
        let removal = self.task.removal.as_ref();
        removal.map_or(self.task.created, |removal| removal.at)
    }

    /// Returns where its work is, unless it was dropped.
    pub(crate) fn merged(&self) -> Option<&Merged> {
        self.task.removal.as_ref()?.into.as_ref()
    }

    /// Whether its commits are elsewhere, so that nothing of them goes with it.
    pub(crate) fn is_merged(&self) -> bool {
        self.tip == self.task.base || self.merged().is_some()
    }

    /// Fails where it is not what it was when it was listed: restored since, and another one
    /// removed under its name. The caller holds the task's lock.
    ///
    /// # Errors
    /// When it is so, or git fails.
    pub(in crate::lifecycle) fn ensure_unchanged(&self, flux: &Flux) -> Result<()> {
        let name = &self.name;
        let mut found = refs::list(flux.repo.home(), &[&format!("{ARCHIVE}{name}")])?;
        let has = |part: &RefName| self.foreign || self.refs.contains_key(part);
        found.retain(|part, oid| has(part) || vouched(flux, part, oid));
        let what = format!("the removed task '{name}' is not what it was just now");
        let failure = Failure::new(format!("{what}; nothing was changed"));
        ensure!(found == self.refs, failure.hint("git flux restore --list"));
        Ok(())
    }

    /// Gives its worktree, which is back, the refs that it had for itself. What was in its
    /// logs gets one that is everybody's, unless they are back too: git's garbage collection
    /// does not look at those of another worktree.
    ///
    /// # Errors
    /// When git fails.
    pub(in crate::lifecycle) fn put_own(&self, repo: &Repo, lock: &Lock) -> Result<()> {
        let mut logs = self.trash.iter().map(|trash| trash.join(HEAD_LOG));
        let logs_are_back = logs.any(|log| log.exists());
        let message = format!("flux restore: {}", self.name);
        let own = self.task.removal.iter().flat_map(|removal| &removal.own);
        let (logged, own): (Vec<_>, Vec<_>) =
            own.partition(|(part, _)| part == worktree_refs::REFLOG);
        for (_, oid) in logged.into_iter().filter(|_| !logs_are_back) {
            let name = reflog_ref(&self.task.id, oid);
            // A command that was killed may have made it.
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

    /// What deletes its refs.
    pub(in crate::lifecycle) fn forget(&self, also: Transaction) -> Transaction {
        let refs = self.refs.iter();
        refs.fold(also, |all, (name, oid)| all.delete(name, oid))
    }
}

/// What a teardown left for whoever wants it back.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The name below `refs/flux/archive`.
    pub(crate) archive: Option<String>,
    /// Where the worktree was moved to.
    pub(crate) worktree: Option<PathBuf>,
}

/// An entry of the archive that cannot be read. Its commits are there all the same.
#[derive(Debug)]
pub(crate) struct Unread {
    /// Its name in the archive.
    pub(crate) name: String,
    /// The tip of its branch, if that is there.
    tip: Option<ObjectId>,
    pub(crate) error: Error,
}

impl Unread {
    /// Returns the refusal to do anything with it, with the commands that keep its commits or get
    /// rid of it.
    pub(crate) fn refusal(&self) -> Failure {
        let name = &self.name;
        let what = format!("the record of the removed task '{}'", sanitize::line(name));
        let record = word(&format!("{ARCHIVE}{name}/task"));
        let mut failure = version::refusal(&what, record, &self.error);
        if version::is_newer(&self.error) {
            return failure;
        }
        if let Some(tip) = &self.tip {
            failure = failure.hint(format!("its commits: git branch {} {tip}", word(name)));
        }
        let below = word(&format!("{ARCHIVE}{name}"));
        let list = format!("git for-each-ref --format='delete %(refname)' {below}");
        failure.hint(format!("to delete it: {list} | git update-ref --stdin"))
    }
}

/// What can be restored, and what cannot be read.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) archived: Vec<Archived>,
    pub(crate) unread: Vec<Unread>,
}

/// Lists what this repository can restore, the latest first.
///
/// # Errors
/// When git fails.
pub(crate) fn list(flux: &Flux) -> Result<Vec<Archived>> {
    let mut archived = list_all(flux)?.archived;
    archived.retain(|one| !one.foreign);
    Ok(archived)
}

/// Lists what can be restored, the latest first, also what came from elsewhere; and the entries
/// that cannot be read.
///
/// # Errors
/// When git fails.
pub(crate) fn list_all(flux: &Flux) -> Result<Listed> {
    let all = || refs::list(flux.repo.home(), &[ARCHIVE, TASKS]);
    let mut refs = all()?;
    loop {
        let listed = sorted(flux, &refs);
        if listed.archived.iter().all(|one| !one.foreign) && listed.unread.is_empty() {
            return Ok(listed);
        }
        // It may be gone or there by now, and its mark with it.
        let again = all()?;
        if again == refs {
            return Ok(listed);
        }
        refs = again;
    }
}

fn sorted(flux: &Flux, refs: &BTreeMap<RefName, ObjectId>) -> Listed {
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
        match read(flux, name, parts, &tasks) {
            Ok(one) => archived.push(one),
            Err(error) => unread.push(Unread {
                name: name.to_owned(),
                tip: refs.get(&*format!("{ARCHIVE}{name}/tip")).cloned(),
                error,
            }),
        }
    }
    archived.sort_by_key(|one| std::cmp::Reverse(one.removed()));
    Listed { archived, unread }
}

/// The entry of these refs. What others have added to one of ours is no part of it.
fn read(
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
    let task = Task::from_json(&flux.repo.read_file(&record, store::RECORD)?)?;
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

/// Returns whether this repository has made the ref.
fn vouched(flux: &Flux, name: &RefName, oid: &ObjectId) -> bool {
    flux.repo.marks().has_made(name, oid) == Some(true)
}

/// The removed task that `name` means: its name, or the beginning of one and no other. What came
/// from elsewhere has to be named in full.
///
/// # Errors
/// When there is none, or more than one, or its record cannot be read.
pub(crate) fn find<'a>(listed: &'a Listed, name: &str) -> Result<&'a Archived> {
    let Listed { archived, unread } = listed;
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
    Ok(ours[store::meant("removed task", name, &names, "restore")?])
}

/// `<id>`, `<id>.1` …
pub(in crate::lifecycle) fn names(id: &TaskId) -> impl Iterator<Item = String> {
    let id = id.to_string();
    iter::once(id.clone()).chain((1..u32::MAX).map(move |n| format!("{id}.{n}")))
}

/// The first name that neither the archive nor the trash has, where `ours` is not
/// somebody else's.
pub(in crate::lifecycle) fn free_name(flux: &Flux, id: &TaskId, ours: &str) -> Result<String> {
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

/// The name of what lies at this place in the trash.
pub(in crate::lifecycle) fn name_of(place: &Path) -> Option<String> {
    Some(place.file_name()?.to_str()?.to_owned())
}
