//! The stash entries of a task's own, from its observation to its restore.

use anyhow::{Context as _, Result};

use super::archive::Archived;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, TaskStash, Transaction, refs, task_stash};
use crate::task::{NotedEntry, RefName, Task, TaskId};
use crate::ui::quoted;

/// The stash entries that concern a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StashFacts {
    /// Those of the task's own stash, the latest first.
    pub(crate) own: Vec<NotedEntry>,
    /// Those that were removed from the shared stash while its agent ran.
    pub(crate) removed: Vec<NotedEntry>,
}

impl Flux {
    /// Returns the entries of a task's own stash, and those that were removed from the shared stash
    /// while its agent ran. Changes nothing.
    pub(crate) fn stash_facts(&self, id: &TaskId) -> Result<StashFacts> {
        Ok(StashFacts {
            own: self.own_stash_entries(id)?,
            removed: self.removed_stash_entries(id)?,
        })
    }

    /// Returns the entries of a task's own stash, the latest first, without those whose commits do
    /// not exist: an agent can write the files of its stash. Starts no process.
    pub(crate) fn own_stash_entries(&self, id: &TaskId) -> Result<Vec<NotedEntry>> {
        let run = self.run_dir(id);
        let entries = run.stash().list().with_context(|| {
            let (pins, dir) = (TaskStash::pins(id), quoted(run.stash().dir()));
            Failure::new(format!("cannot read the stash of '{id}'"))
                .hint(format!(
                    "to list its entries, and keep those you need: git for-each-ref {pins}"
                ))
                .hint(format!("then, to delete the stash: rm -rf {dir}"))
        })?;
        let mut entries: Vec<NotedEntry> = entries.iter().map(NotedEntry::from).collect();
        let exists = |entry: &NotedEntry| self.repo.has_object(&entry.commit);
        entries.retain(|entry| entry.is_plausible() && exists(entry));
        Ok(entries)
    }

    /// Adds the archived entries of a restored task's own stash to it again, in their order, and
    /// creates the refs that keep them. Does nothing if there are none. The caller holds the task's
    /// lock.
    pub(in crate::lifecycle) fn restore_own_stash(
        &self,
        from: &Archived,
        lock: &Lock,
    ) -> Result<()> {
        let task = &from.task;
        let removal = task.removal.as_ref();
        let entries = removal.map_or(&[][..], |removal| &removal.stash);
        if entries.is_empty() {
            return Ok(());
        }
        let stash = self.run_dir(&task.id).stash();
        for entry in entries.iter().rev() {
            stash.store(&task_stash::StashEntry::from(entry))?;
        }
        stash.pin(&self.repo, &task.id, lock)
    }

    /// Deletes a task's run directory with its own stash, the refs that keep the entries of that
    /// stash, and those for entries of the shared stash that no other task has noted. Warns if refs
    /// of the latter kind cannot be deleted. The caller holds the task's lock.
    pub(in crate::lifecycle) fn remove_run_dir(&self, id: &TaskId, lock: &Lock) -> Result<()> {
        let run = self.run_dir(id);
        self.delete_own_pins(id, lock)?;
        let has_notes = run.has_stash_notes();
        run.remove()?;
        if has_notes && let Err(error) = self.release_stash_pins() {
            let what = "could not delete the pins of stash entries";
            self.ui.warn_of(&error.context(what));
        }
        Ok(())
    }

    /// Deletes the refs that keep the entries of a task's own stash, and the mark file that notes
    /// these refs. Starts no process if there is no such file.
    fn delete_own_pins(&self, id: &TaskId, lock: &Lock) -> Result<()> {
        let (repo, marks) = (&self.repo, self.repo.marks());
        let prefix = RefName::new(TaskStash::pins(id));
        if marks.path(&prefix).is_none_or(|mark| !mark.exists()) {
            return Ok(());
        }
        let mut pins = refs::list(repo.home(), &[&prefix])?;
        pins.retain(|name, commit| marks.has_made(name, commit) == Some(true));
        if !pins.is_empty() {
            let delete = |refs: Transaction, (name, commit)| refs.delete(name, commit);
            let refs = pins.iter().fold(Transaction::default(), delete);
            refs.commit(repo, &format!("flux: drop the stash of {id}"), lock)?;
        }
        // A killed command may have left it.
        marks.remove(&prefix)
    }
}

impl Task {
    /// Returns the parts of the archive entry that keep the stash entries of the task's removal:
    /// `stash/<n>` for its own, and `shared-stash/<n>` for those that were removed from the shared
    /// stash.
    pub(in crate::lifecycle) fn stash_parts<'a>(&'a self) -> Vec<(String, &'a NotedEntry)> {
        let Some(removal) = &self.removal else {
            return Vec::new();
        };
        let name = |list: &'static str, entries: &'a [NotedEntry]| {
            let entries = entries.iter().enumerate();
            entries.map(move |(n, entry)| (format!("{list}/{n}"), entry))
        };
        let shared = name("shared-stash", &removal.shared_stash);
        name("stash", &removal.stash).chain(shared).collect()
    }
}
