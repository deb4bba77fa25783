//! The answers of git that are known already, in `.git/flux/cache/conflicts.json`. All are about
//! objects, so they stay right; the file may be deleted or damaged at any time.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::context::Flux;
use crate::git::conflicts::merge_batch::Answer;
use crate::git::conflicts::touched::Touched;
use crate::lifecycle::cache_file::{CacheFile, fingerprint};
use crate::store::Store;
use crate::task::Task;

/// The form of the file. Another one is ignored.
const VERSION: u32 = 3;

/// The number of answers beyond which those that were not used now are dropped.
const MANY: usize = 5000;

/// The number of answers that the file has at most.
const MAX: usize = 50_000;

/// A task's work as it would be after a merge into the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Landing {
    pub(super) merged: Answer,
    /// The difference between the target and the merged tree.
    pub(super) touched: Touched,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// The git and the configuration that the answers depend on.
    made_with: String,
    landings: BTreeMap<String, Landing>,
    /// The tree of an answer may be that of earlier changes with the same conflicts.
    pairs: BTreeMap<String, Answer>,
}

/// The known answers.
pub(super) struct Cache {
    file: CacheFile,
    stored: Stored,
    used: HashSet<String>,
    is_changed: bool,
}

impl Cache {
    /// Reads the results of earlier trial merges from the file of the cache; none if it is missing,
    /// damaged, or made by another git or with another configuration.
    pub(super) fn load(flux: &Flux) -> Self {
        let file = CacheFile::new(flux, "conflicts.json");
        let made_with = fingerprint(flux);
        let stored = file.read::<Stored>();
        let is_right = |stored: &Stored| stored.version == VERSION && stored.made_with == made_with;
        let stored = stored.filter(is_right).unwrap_or_else(|| Stored {
            version: VERSION,
            made_with,
            ..Stored::default()
        });
        Self {
            file,
            stored,
            used: HashSet::new(),
            is_changed: false,
        }
    }

    pub(super) fn landing(&mut self, key: &LandingKey) -> Option<Landing> {
        let found = self.stored.landings.get(&key.0).cloned();
        self.used.insert(key.0.clone());
        found
    }

    pub(super) fn pair(&mut self, key: &PairKey) -> Option<Answer> {
        let found = self.stored.pairs.get(&key.0).cloned();
        self.used.insert(key.0.clone());
        found
    }

    pub(super) fn put_landing(&mut self, key: LandingKey, landing: Landing) {
        self.is_changed = true;
        self.stored.landings.insert(key.0, landing);
    }

    pub(super) fn put_pair(&mut self, key: PairKey, answer: Answer) {
        self.is_changed = true;
        self.stored.pairs.insert(key.0, answer);
    }

    /// Drops the results of trial merges whose target or task is no branch's tip any more, and
    /// returns their number. For a merge of two tasks, only the target of the first counts.
    fn drop_outdated(&mut self, store: &Store) -> usize {
        let tasks = store
            .tasks
            .iter()
            .filter_map(|stored| stored.readable().ok());
        let has_target = |task: &Task| {
            task.into
                .as_ref()
                .is_some_and(|into| store.tip(into).is_some())
        };
        // Without a target, a task is merged with its base.
        let bases = tasks
            .filter(|task| !has_target(task))
            .map(|task| &task.base);
        let tips: HashSet<&str> = store.tips().chain(bases).map(|tip| &**tip).collect();
        let is_current = |key: &str, commits: usize| {
            let mut words = key.split(' ').take(commits);
            words.all(|commit| tips.contains(commit))
        };
        let Stored {
            landings, pairs, ..
        } = &mut self.stored;
        let before = landings.len() + pairs.len();
        landings.retain(|key, _| is_current(key, 2));
        // No commit has the changes of two tasks.
        pairs.retain(|key, _| is_current(key, 1));
        before - landings.len() - pairs.len()
    }

    /// Writes the results of trial merges to the cache file if at least one is new; of more than
    /// 5000, only those that this command has used. Ignores failures: without the file, git merges
    /// again.
    pub(super) fn save(mut self) {
        let count = self.stored.landings.len() + self.stored.pairs.len();
        if !self.is_changed || self.used.len() > MAX {
            return;
        }
        if count > MANY {
            let used = &self.used;
            self.stored.landings.retain(|key, _| used.contains(key));
            self.stored.pairs.retain(|key, _| used.contains(key));
        }
        self.file.write(&self.stored).ok();
    }
}

/// The commits and the tree that a landing depends on.
pub(super) struct LandingKey(String);

impl LandingKey {
    pub(super) fn new(parts: [&str; 3]) -> Self {
        Self(parts.join(" "))
    }
}

/// All that the conflicts of two tasks depend on.
pub(super) struct PairKey(String);

impl PairKey {
    pub(super) fn new(parts: &[&str]) -> Self {
        Self(parts.join(" "))
    }
}

/// Counts the cached results of trial merges whose target or task has moved since or is gone.
/// Changes nothing.
pub(in crate::lifecycle) fn count_outdated(flux: &Flux, store: &Store) -> usize {
    Cache::load(flux).drop_outdated(store)
}

/// Deletes the cached results of trial merges whose target or task has moved since or is gone.
pub(in crate::lifecycle) fn delete_outdated(flux: &Flux, store: &Store) -> Result<()> {
    let mut cache = Cache::load(flux);
    cache.drop_outdated(store);
    cache.file.write(&cache.stored)
}
