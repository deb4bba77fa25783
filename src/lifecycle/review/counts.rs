//! The numbers of unseen files, in `.git/flux/cache/unseen.json`. All are about objects, so they stay
//! right; the file may be deleted or damaged at any time.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::unseen::{LookedAt, Unseen};
use crate::context::Flux;
use crate::lifecycle::cache_file::{CacheFile, fingerprint};
use crate::lifecycle::work::{LazyQuarantine, Work};
use crate::store::Store;
use crate::task::Task;

/// The form of the file. Another one is ignored.
const VERSION: u32 = 2;

/// The number of counts beyond which those that were not used now are dropped.
const MANY: usize = 5000;

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// The git and the configuration that the counts depend on.
    made_with: String,
    counts: BTreeMap<String, usize>,
}

/// Counts unseen files, and remembers how many there were.
pub(crate) struct UnseenCounts<'a> {
    flux: &'a Flux,
    store: &'a Store,
    quarantine: &'a LazyQuarantine<'a>,
    file: CacheFile,
    stored: Stored,
    used: BTreeMap<String, usize>,
}

impl<'a> UnseenCounts<'a> {
    /// Reads the stored numbers of unseen files; none if they depend on another git or
    /// configuration. `quarantine` is a temporary repository with the objects of uncommitted files.
    pub(crate) fn load(
        flux: &'a Flux,
        store: &'a Store,
        quarantine: &'a LazyQuarantine<'a>,
    ) -> Self {
        let file = CacheFile::new(flux, "unseen.json");
        let made_with = fingerprint(flux);
        let is_right = |stored: &Stored| stored.version == VERSION && stored.made_with == made_with;
        let stored = file.read().filter(is_right).unwrap_or_default();
        Self {
            flux,
            store,
            quarantine,
            file,
            stored: Stored {
                version: VERSION,
                made_with,
                ..stored
            },
            used: BTreeMap::new(),
        }
    }

    /// Counts the unseen files of a task, a renamed file once; `None` if that fails.
    pub(crate) fn count(&mut self, task: &Task, work: &Work) -> Option<usize> {
        let seen = self.store.seen(&self.flux.repo, &task.id);
        let [target, tip, tree] = work.key();
        let key = [
            seen.map_or("none", |seen| seen),
            &task.base,
            target,
            tip,
            tree,
        ]
        .join(" ");
        if let Some(count) = self.stored.counts.get(&key).copied() {
            self.used.insert(key, count);
            return Some(count);
        }
        let base = &task.base;
        let looked_at = LookedAt { seen, base };
        let unseen = Unseen::find(self.flux, &looked_at, work, self.quarantine).ok()?;
        let objects = unseen.objects(self.flux, work, self.quarantine).ok()?;
        let count = unseen.count(objects).ok()?;
        if !unseen.is_doubtful {
            self.used.insert(key, count);
        }
        Some(count)
    }

    /// Drops the counts about commits that no branch is at any more, and returns their number.
    fn drop_outdated(&mut self) -> usize {
        let tips: HashSet<&str> = self.store.tips().map(|tip| &**tip).collect();
        let counts = &mut self.stored.counts;
        let before = counts.len();
        counts.retain(|key, _| key.split(' ').nth(3).is_some_and(|tip| tips.contains(tip)));
        before - counts.len()
    }

    /// Writes the numbers of unseen files to `unseen.json` if one is new. Ignores errors: a number
    /// that is missing there is found again by a comparison.
    pub(crate) fn save(mut self) {
        let is_known = |(key, _): (&String, &usize)| self.stored.counts.contains_key(key);
        if self.used.iter().all(is_known) {
            return;
        }
        if self.stored.counts.len() > MANY {
            self.stored.counts.clear();
        }
        self.stored.counts.append(&mut self.used);
        self.file.write(&self.stored).ok();
    }
}

/// Returns how many stored numbers of unseen files are about commits that no branch is at any more.
/// Changes nothing.
pub(in crate::lifecycle) fn count_outdated(flux: &Flux, store: &Store) -> usize {
    let quarantine = LazyQuarantine::new(&flux.repo);
    UnseenCounts::load(flux, store, &quarantine).drop_outdated()
}

/// Deletes the stored numbers of unseen files that are about commits that no branch is at any more.
pub(in crate::lifecycle) fn delete_outdated(flux: &Flux, store: &Store) -> Result<()> {
    let quarantine = LazyQuarantine::new(&flux.repo);
    let mut counts = UnseenCounts::load(flux, store, &quarantine);
    counts.drop_outdated();
    counts.file.write(&counts.stored)
}
