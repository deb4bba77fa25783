//! What stays of a task that is removed: refs below `refs/flux/archive/<name>`,
//! and its worktree in the trash under the same name.

pub(crate) mod delete;
pub(crate) mod expire;
pub(super) mod trash;
pub(crate) mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, ObjectId, Repo, Transaction, keep, own, refs};
use crate::sanitize;
use crate::store::{self, ARCHIVE, TASKS};
use crate::task::{RefName, Removal, Task, TaskId, version};
use crate::ui::word;

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
    pub(crate) record: ObjectId,
    /// The tip of its branch.
    pub(crate) tip: ObjectId,
    /// Its worktree, as long as it is kept whole.
    pub(crate) trash: Option<PathBuf>,
    /// Whether it came from elsewhere: this repository has not made it.
    pub(crate) foreign: bool,
    /// Its refs, with what they stand at.
    refs: Vec<(RefName, ObjectId)>,
}

impl Archived {
    /// The snapshot of what was uncommitted.
    pub(crate) fn snapshot(&self) -> Option<&ObjectId> {
        self.task.removal.as_ref()?.snapshot.as_ref()
    }

    /// What one of its refs stands at: `tip`, `base` …
    pub(crate) fn part(&self, part: &str) -> Option<&ObjectId> {
        let name = RefName::new(format!("{ARCHIVE}{}/{part}", self.name));
        let found = self.refs.iter().find(|(other, _)| *other == name);
        found.map(|(_, oid)| oid)
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
    pub(in crate::lifecycle) fn ensure_unchanged(&self, flux: &Flux) -> Result<()> {
        let name = &self.name;
        let below = format!("{ARCHIVE}{name}");
        let found = refs::list(flux.repo.home(), &[&below])?;
        let again = found.into_iter().filter(|(part, oid)| {
            self.foreign || self.refs.iter().any(|(own, _)| own == part) || vouched(flux, part, oid)
        });
        if again.eq(self.refs.iter().cloned()) {
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
    pub(in crate::lifecycle) fn put_own(&self, repo: &Repo, lock: &Lock) -> Result<()> {
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
            if !logs_are_back && refs::list(repo.home(), &[&name])?.is_empty() {
                let made = Transaction::default().create(&name, oid);
                made.commit(repo, &message, lock)?;
            }
        }
        own.map_or(Ok(()), |own| {
            own.commit_in(&self.task.worktree, &message, lock)
        })
    }

    /// What deletes its refs.
    pub(in crate::lifecycle) fn forget(&self, also: Transaction) -> Transaction {
        self.refs
            .iter()
            .fold(also, |refs, (name, oid)| refs.delete(name, oid))
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
        let failure = version::refusal(&what, &word(&format!("{ARCHIVE}{name}/task")), &self.error);
        if version::is_newer(&self.error) {
            return failure;
        }
        let commits = self.tip.iter();
        let commits = commits.map(|tip| format!("its commits: git branch {} {tip}", word(name)));
        let failure = commits.fold(failure, Failure::hint);
        let below = word(&format!("{ARCHIVE}{name}"));
        failure.hint(format!(
            "to delete it: git for-each-ref --format='delete %(refname)' {below} | git update-ref --stdin"
        ))
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
        let parts = part.strip_prefix(ARCHIVE);
        if let Some((name, _)) = parts.and_then(|parts| parts.split_once('/')) {
            let part = (part.clone(), oid.clone());
            found.entry(name).or_default().push(part);
        }
    }
    let (mut archived, mut unread) = (Vec::new(), Vec::new());
    for (name, parts) in found {
        match read(flux, name, parts, &tasks) {
            Ok(one) => archived.push(one),
            Err(error) => unread.push(Unread {
                name: name.to_owned(),
                tip: refs.get(format!("{ARCHIVE}{name}/tip").as_str()).cloned(),
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
    let at = |parts: &[(RefName, ObjectId)], part: &str| {
        let part = RefName::new(format!("{ARCHIVE}{name}/{part}"));
        let found = parts.iter().find(|(name, _)| *name == part);
        found.map(|(_, oid)| oid.clone())
    };
    let foreign = ["task", "tip"].iter().any(|part| at(&own, part).is_none());
    let refs = if foreign { parts } else { own };
    let part = |part| at(&refs, part).with_context(|| format!("it has no '{part}'"));
    let (record, tip) = (part("task")?, part("tip")?);
    let task = Task::from_json(&flux.repo.read_file(&record, store::RECORD)?)?;
    if name.split('.').next() != Some(task.id.as_str()) {
        bail!("the record is that of '{}'", task.id);
    }
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
fn vouched(flux: &Flux, name: &str, oid: &ObjectId) -> bool {
    flux.repo.marks().vouch(name, oid) == Some(true)
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
        return Err(Failure::new(format!("there is no removed task '{name}'"))
            .hint("git flux restore --list")
            .into());
    }
    let names: Vec<&str> = ours.iter().map(|one| one.name.as_str()).collect();
    Ok(ours[store::meant("removed task", name, &names, "restore")?])
}

/// `<id>`, `<id>.1` …
pub(in crate::lifecycle) fn names(id: &TaskId) -> impl Iterator<Item = String> {
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
pub(in crate::lifecycle) fn free_name(flux: &Flux, id: &TaskId, ours: &str) -> Result<String> {
    let taken = refs::list(flux.repo.home(), &[ARCHIVE])?;
    let free = |name: &String| {
        let prefix = format!("{ARCHIVE}{name}/");
        !taken
            .keys()
            .any(|name| name.starts_with(&prefix) || *name == prefix[..prefix.len() - 1])
            && (name == ours || !flux.trash().join(name).exists())
    };
    names(id).find(free).context("the archive is full")
}

/// The name of what lies at this place in the trash.
pub(in crate::lifecycle) fn name_of(place: &Path) -> Option<String> {
    Some(place.file_name()?.to_str()?.to_owned())
}
