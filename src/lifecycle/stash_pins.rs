//! Pins: refs that keep the entries of the shared stash from loss while agents run.
//!
//! Any worktree can drop any entry of the stash, and git then deletes its commit sooner or later.
//! While an agent runs, each entry is pinned by `refs/flux/stash/<commit>` and noted in the task's
//! run directory. A pin is deleted as soon as no run directory notes its entry. What was removed
//! from the stash while an agent ran is then in the archive entry of its task.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};

use super::owner::other_owner;
use crate::context::Flux;
use crate::git::{Lock, ObjectId, Transaction, refs, task_stash};
use crate::run::RunDir;
use crate::run::stash_notes::{StashMoment, StashNotes};
use crate::system::none_if_missing;
use crate::task::{NotedEntry, RefName, Task, TaskId};
use crate::ui::{Ui, word};

/// The prefix of the pins.
const PINS: &str = "refs/flux/stash/";

/// The number of entries that are named in messages.
pub(crate) const MAX_NAMED: usize = 3;

/// The number of characters of an entry's message in messages.
const MAX_SUBJECT_CHARS: usize = 60;

fn pin_ref(commit: &ObjectId) -> RefName {
    RefName::new(format!("{PINS}{commit}"))
}

impl Flux {
    /// Creates refs, called pins, that keep all entries of the shared stash, and notes the entries
    /// in a task's run directory. At a start, also deletes pins that are no longer needed. Does
    /// nothing if the agent has ended, or if the run directory is gone.
    pub(crate) fn note_stash(&self, id: &TaskId, moment: StashMoment) -> Result<()> {
        let run = self.run_dir(id);
        // The launcher still watches for a moment.
        let has_ended = moment == StashMoment::Change && run.exit()?.is_some();
        if has_ended {
            return Ok(());
        }
        let lock = self.lock_stash()?;
        if !run.0.is_dir() {
            return Ok(());
        }
        // Damaged notes are replaced.
        let before = run.stash_notes().unwrap_or_default();
        let mut notes = before.clone();
        notes.update(self.list_shared_stash()?, moment);
        if !notes.removed.is_empty() {
            let moved = self.commits_in_own_stashes();
            notes.removed.retain(|entry| !moved.contains(&entry.commit));
        }
        let known: BTreeSet<&ObjectId> = before.entries().map(|entry| &entry.commit).collect();
        let mut entries = notes.entries();
        let has_new = entries.any(|entry| !known.contains(&entry.commit));
        // Before the notes, which name only entries that are pinned.
        if has_new || moment == StashMoment::Start {
            self.pin(notes.entries(), &lock)?;
        }
        if notes != before {
            run.write_stash_notes(&notes)?;
        }
        match moment {
            StashMoment::Start => self.delete_unneeded_pins(&lock),
            StashMoment::Change => Ok(()),
        }
    }

    /// Returns the commits of the entries in the own stashes of all tasks of this user. An
    /// autostash that conflicts is moved from the shared stash to the task's own.
    fn commits_in_own_stashes(&self) -> BTreeSet<ObjectId> {
        let runs = fs::read_dir(self.repo.runs_dir());
        let runs = runs.into_iter().flatten().flatten();
        let entries = runs.flat_map(|run| RunDir(run.path()).stash().list().unwrap_or_default());
        entries.map(|entry| entry.commit).collect()
    }

    fn list_shared_stash(&self) -> Result<Vec<NotedEntry>> {
        let entries = task_stash::shared::list(self.repo.home())?;
        Ok(entries.iter().map(NotedEntry::from).collect())
    }

    /// Creates the refs that keep these entries, if they are missing and the commits exist.
    /// Replaces such refs that were fetched, since the next fetch may delete them.
    fn pin<'a>(&self, entries: impl Iterator<Item = &'a NotedEntry>, lock: &Lock) -> Result<()> {
        let (repo, marks) = (&self.repo, self.repo.marks());
        let found = refs::list(repo.home(), &[PINS])?;
        let commits: BTreeSet<&ObjectId> = entries.map(|entry| &entry.commit).collect();
        let (mut updates, mut is_empty) = (Transaction::default(), true);
        for commit in commits.into_iter().filter(|commit| repo.has_object(commit)) {
            let name = pin_ref(commit);
            updates = match found.get(&name) {
                None => updates.create(&name, commit),
                Some(old) if old == commit && marks.has_made(&name, old) == Some(true) => continue,
                Some(old) => updates.update(&name, commit, old),
            };
            is_empty = false;
        }
        match is_empty {
            true => Ok(()),
            false => updates.commit(repo, "flux: pin the stash", lock),
        }
    }

    /// Deletes the refs that keep entries of the shared stash, if no run directory notes them any
    /// more.
    ///
    /// # Errors
    /// Also if the notes of a run directory cannot be read.
    pub(in crate::lifecycle) fn release_stash_pins(&self) -> Result<()> {
        self.delete_unneeded_pins(&self.lock_stash()?)
    }

    fn delete_unneeded_pins(&self, lock: &Lock) -> Result<()> {
        let (repo, marks) = (&self.repo, self.repo.marks());
        let mut pins = refs::list(repo.home(), &[PINS])?;
        // A killed command may have left marks without refs.
        for name in marks.list("stash")? {
            if !pins.contains_key(&name) {
                marks.remove(&name)?;
            }
        }
        pins.retain(|name, commit| marks.has_made(name, commit) == Some(true));
        if pins.is_empty() {
            return Ok(());
        }
        let Some(noted) = self.noted_commits()? else {
            return Ok(());
        };
        pins.retain(|name, _| !noted.contains(name));
        if pins.is_empty() {
            return Ok(());
        }
        let refs = Transaction::default();
        let refs = pins
            .iter()
            .fold(refs, |all, (name, commit)| all.delete(name, commit));
        refs.commit(repo, "flux: release the stash", lock)
    }

    /// Returns the names of the refs that keep the entries noted in any run directory. `None` if
    /// another user has a run directory, whose notes only that user can read.
    fn noted_commits(&self) -> Result<Option<BTreeSet<RefName>>> {
        let mut noted = BTreeSet::new();
        let what = "could not list the run directories";
        let runs = none_if_missing(fs::read_dir(self.repo.runs_dir())).context(what)?;
        for entry in runs.into_iter().flatten() {
            let run = RunDir(entry.context(what)?.path());
            if other_owner(&run.0).is_some() {
                return Ok(None);
            }
            let notes = run.stash_notes()?;
            noted.extend(notes.entries().map(|entry| pin_ref(&entry.commit)));
        }
        Ok(Some(noted))
    }

    /// Returns the entries that were removed from the shared stash while a task's agent ran, the
    /// last removed first, except those that were put back or deleted by git. Starts no process if
    /// no entry is noted as removed.
    pub(crate) fn removed_stash_entries(&self, id: &TaskId) -> Result<Vec<NotedEntry>> {
        let mut removed = self.run_dir(id).stash_notes()?.removed;
        if removed.is_empty() {
            return Ok(removed);
        }
        let there = self.list_shared_stash()?;
        let there: BTreeSet<ObjectId> = there.into_iter().map(|entry| entry.commit).collect();
        let is_lost = |entry: &NotedEntry| !there.contains(&entry.commit);
        removed.retain(|entry| is_lost(entry) && self.repo.has_object(&entry.commit));
        Ok(removed)
    }

    /// Waits while a launcher that has just ended notes entries of the shared stash, then returns
    /// what [`Flux::removed_stash_entries`] does.
    pub(in crate::lifecycle) fn settled_removed_entries(
        &self,
        id: &TaskId,
    ) -> Result<Vec<NotedEntry>> {
        let has_notes = self.run_dir(id).has_stash_notes();
        let _lock = has_notes.then(|| self.lock_stash()).transpose()?;
        self.removed_stash_entries(id)
    }

    /// Creates the refs that keep entries that were removed from the shared stash while a restored
    /// task ran, and notes the entries in its run directory again. Does nothing if there are none.
    pub(in crate::lifecycle) fn restore_stash_notes(&self, task: &Task) -> Result<()> {
        let removal = task.removal.as_ref();
        let removed = removal.map_or(&[][..], |removal| &removal.shared_stash);
        if removed.is_empty() {
            return Ok(());
        }
        let lock = self.lock_stash()?;
        let notes = StashNotes {
            removed: removed.to_vec(),
            ..StashNotes::default()
        };
        self.pin(notes.entries(), &lock)?;
        self.run_dir(&task.id).write_stash_notes(&notes)
    }
}

/// Formats a number of stash entries: `1 stash entry`, `2 stash entries`.
pub(crate) fn count_entries(number: usize) -> String {
    let noun = if number == 1 { "entry" } else { "entries" };
    format!("{number} stash {noun}")
}

/// Warns of entries that were removed from the shared stash while a task's agent ran, each with the
/// command that puts it back; only counts those after the third.
pub(crate) fn warn_of_removed_entries(ui: &Ui, id: &TaskId, removed: &[NotedEntry]) {
    for entry in removed.iter().take(MAX_NAMED) {
        let name = name_entry(entry);
        ui.warning(format_args!(
            "stash entry {name} was removed while the agent of '{id}' ran"
        ));
        let (message, commit) = (word(&entry.subject), &entry.commit);
        ui.hint(format_args!(
            "to put it back: git stash store -m {message} {commit}"
        ));
    }
    let more = removed.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        ui.warning(format_args!(
            "more stash entries were removed while the agent of '{id}' ran: {more}"
        ));
        ui.hint(format_args!("to see them: git flux status {id} --json"));
    }
}

/// Names an entry of a stash: `1a2b3c4d5 (On main: fix)`, with its message in at most 60
/// characters.
pub(crate) fn name_entry(entry: &NotedEntry) -> String {
    let mut entry = entry.clone();
    entry.shorten(MAX_SUBJECT_CHARS);
    format!("{} ({})", entry.commit.short(), entry.subject)
}

/// Names at most three entries of a stash, and counts the rest: `1a2b3c4d5 (On main: fix), …`
pub(crate) fn name_entries(entries: &[NotedEntry]) -> String {
    let mut names: Vec<String> = entries.iter().take(MAX_NAMED).map(name_entry).collect();
    if entries.len() > MAX_NAMED {
        names.push(format!("and {} more", entries.len() - MAX_NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::world::{World, git, id};

    fn entries(number: usize) -> Vec<NotedEntry> {
        let entry = |n: usize| NotedEntry {
            commit: n.to_string().repeat(40).into(),
            subject: format!("On main: {}", "ä".repeat(n * 30)),
        };
        (0..number).map(entry).collect()
    }

    #[test]
    fn name_entries_names_three_and_counts_the_rest() {
        assert_eq!(name_entries(&entries(0)), "");
        assert_eq!(name_entries(&entries(1)), "000000000 (On main: )");
        let names = name_entries(&entries(5));
        let (whole, cut) = ("ä".repeat(30), "ä".repeat(51) + "…");
        let expected = format!(
            "000000000 (On main: ), 111111111 (On main: {whole}), 222222222 (On main: {cut}), and 2 more"
        );
        assert_eq!(names, expected);
        assert_eq!(count_entries(1), "1 stash entry");
        assert_eq!(count_entries(2), "2 stash entries");
    }

    #[test]
    fn note_stash_pins_what_exists_and_releases_what_no_run_notes() {
        let world = World::new();
        let flux = &world.flux;
        let pins = || refs::list(world.home(), &[PINS]).unwrap().into_keys();
        let (run, id) = (flux.run_dir(&id()), id());
        // A run directory that is gone is not made again.
        flux.note_stash(&id, StashMoment::Change).unwrap();
        assert!(!run.0.exists());
        fs::create_dir_all(&run.0).unwrap();
        fs::write(world.home().join("file"), "stashed\n").unwrap();
        git(world.home(), ["stash", "push", "-q", "--include-untracked"]);
        let mut notes = StashNotes::default();
        notes.update(entries(1), StashMoment::Start);
        run.write_stash_notes(&notes).unwrap();
        flux.note_stash(&id, StashMoment::Change).unwrap();
        let notes = run.stash_notes().unwrap();
        assert_eq!(notes.removed, entries(1));
        let pinned: Vec<RefName> = pins().collect();
        assert_eq!(pinned, [pin_ref(&notes.present[0].commit)]);
        // An entry whose commit does not exist cannot be put back.
        assert_eq!(flux.removed_stash_entries(&id).unwrap(), []);
        flux.release_stash_pins().unwrap();
        assert_eq!(pins().count(), 1);
        fs::write(run.0.join("stash-seen"), "damaged").unwrap();
        flux.release_stash_pins().unwrap_err();
        assert_eq!(pins().count(), 1);
        fs::remove_file(run.0.join("stash-seen")).unwrap();
        flux.release_stash_pins().unwrap();
        assert_eq!(pins().count(), 0);
        assert!(flux.repo.marks().list("stash").unwrap().is_empty());
    }
}
