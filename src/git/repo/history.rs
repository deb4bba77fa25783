//! Counts of commits ahead and behind, for many pairs of commits.

use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use anyhow::Result;
use git2::Oid;

use super::Repo;
use crate::git::ObjectId;

/// Bits for the tips that reach a commit.
const OURS: u8 = 1;
const THEIRS: u8 = 2;
const BOTH: u8 = OURS | THEIRS;

/// The number of commits to walk beyond the common frontier, as in git, for wrong clocks.
const SLOP_COMMITS: usize = 5;

/// A cache of the commits read so far, so that each commit is read once for many pairs. Commits
/// are identified by their index here.
///
/// [`Repo::ahead_behind`] is for one pair. Without the cache, `list` with many tasks in
/// `cargo bench -- growth` takes twice as long.
pub(crate) struct History<'repo> {
    repo: &'repo Repo,
    /// Not a HashMap: git2 hashes bytes beyond the end of a name.
    places: BTreeMap<Oid, usize>,
    commits: Vec<Node>,
}

struct Node {
    /// The committer time, in seconds since 1970.
    time: i64,
    named: Vec<Oid>,
    /// The indexes of its parents, once read.
    parents: Option<Rc<[usize]>>,
    /// The tips that reach it in the current walk.
    sides: u8,
    /// Is in the queue of the current walk.
    is_queued: bool,
}

/// A walk from two commits, newest first.
#[derive(Default)]
struct CommitWalk {
    /// Times and indexes.
    queue: BinaryHeap<(i64, usize)>,
    /// The number of queued commits that only one tip reaches.
    open: usize,
    /// The oldest time of a walked commit that only one tip reaches.
    oldest: Option<i64>,
    /// The number of commits left to walk after the frontier is common.
    slop: usize,
    seen: Vec<usize>,
}

impl CommitWalk {
    /// Returns whether the walk has to read more commits, because one that only one tip has reached
    /// may still be reached by both. Then returns `true` four more times, since clocks may be
    /// wrong.
    fn must_continue(&mut self) -> bool {
        let newest = self.queue.peek().map(|(time, _)| *time);
        if self.open > 0 || (self.oldest.is_some() && newest >= self.oldest) {
            self.slop = SLOP_COMMITS;
            return true;
        }
        self.slop = self.slop.saturating_sub(1);
        self.slop > 0
    }

    /// Marks a commit as reached from the tips in `sides`, and queues it if one of these is new.
    fn mark_seen(&mut self, commit: &mut Node, at: usize, sides: u8) {
        let (before, now) = (commit.sides, commit.sides | sides);
        if before == now {
            return;
        }
        if before == 0 {
            self.seen.push(at);
        }
        commit.sides = now;
        if commit.is_queued {
            // It was reached from one side and is common now.
            self.open -= 1;
        } else {
            commit.is_queued = true;
            self.queue.push((commit.time, at));
            self.open += usize::from(now != BOTH);
        }
    }
}

impl<'repo> History<'repo> {
    pub(super) fn new(repo: &'repo Repo) -> Self {
        let (places, commits) = Default::default();
        Self {
            repo,
            places,
            commits,
        }
    }

    /// Counts the commits that `ours` reaches and `theirs` does not, and the reverse, as `git
    /// rev-list --left-right --count <ours>...<theirs>` does, without starting git. Reads each
    /// commit once for all calls.
    pub(crate) fn ahead_behind(
        &mut self,
        ours: &ObjectId,
        theirs: &ObjectId,
    ) -> Result<(usize, usize)> {
        let ours = self.place(self.repo.oid(ours)?)?;
        let theirs = self.place(self.repo.oid(theirs)?)?;
        let mut walk = CommitWalk::default();
        let walked = self.walk(&mut walk, ours, theirs);
        let mut only = [0; BOTH as usize + 1];
        for at in walk.seen {
            let commit = &mut self.commits[at];
            only[usize::from(commit.sides)] += 1;
            (commit.sides, commit.is_queued) = (0, false);
        }
        walked?;
        Ok((only[usize::from(OURS)], only[usize::from(THEIRS)]))
    }

    fn walk(&mut self, walk: &mut CommitWalk, ours: usize, theirs: usize) -> Result<()> {
        walk.mark_seen(&mut self.commits[ours], ours, OURS);
        walk.mark_seen(&mut self.commits[theirs], theirs, THEIRS);
        while walk.must_continue()
            && let Some((time, at)) = walk.queue.pop()
        {
            let commit = &mut self.commits[at];
            commit.is_queued = false;
            let sides = commit.sides;
            if sides != BOTH {
                walk.open -= 1;
                walk.oldest = Some(walk.oldest.map_or(time, |oldest| oldest.min(time)));
            }
            for &parent in self.parents(at)?.iter() {
                walk.mark_seen(&mut self.commits[parent], parent, sides);
            }
        }
        Ok(())
    }

    /// Returns the index of a commit in the cache; reads the commit into the cache if it is not
    /// there.
    fn place(&mut self, oid: Oid) -> Result<usize> {
        if let Some(place) = self.places.get(&oid) {
            return Ok(*place);
        }
        let commit = self.repo.git2.find_commit(oid)?;
        self.places.insert(oid, self.commits.len());
        self.commits.push(Node {
            time: commit.time().seconds(),
            named: commit.parent_ids().collect(),
            parents: None,
            sides: 0,
            is_queued: false,
        });
        Ok(self.commits.len() - 1)
    }

    fn parents(&mut self, at: usize) -> Result<Rc<[usize]>> {
        if let Some(parents) = &self.commits[at].parents {
            return Ok(Rc::clone(parents));
        }
        let named = self.commits[at].named.clone();
        let places = named.into_iter().map(|oid| self.place(oid));
        let parents: Rc<[usize]> = places.collect::<Result<_>>()?;
        self.commits[at].parents = Some(Rc::clone(&parents));
        Ok(parents)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use git2::{Repository, Signature, Time};
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::git::Git;

    /// Makes commits of times and indexes of parents.
    fn made(dir: &Path, commits: &[(i64, Vec<usize>)]) -> Vec<ObjectId> {
        let repo = Repository::init_bare(dir).unwrap();
        let tree = repo.treebuilder(None).unwrap().write().unwrap();
        let tree = repo.find_tree(tree).unwrap();
        let mut made: Vec<Oid> = Vec::new();
        for (at, (time, parents)) in commits.iter().enumerate() {
            let who = Signature::new("a", "a@b", &Time::new(*time, 0)).unwrap();
            let parents = parents.iter().map(|at| repo.find_commit(made[*at]));
            let parents: Vec<_> = parents.map(Result::unwrap).collect();
            let parents: Vec<_> = parents.iter().collect();
            let commit = repo.commit(None, &who, &who, &at.to_string(), &tree, &parents);
            made.push(commit.unwrap());
        }
        made.iter().map(|oid| oid.to_string().into()).collect()
    }

    fn counted_by_git(dir: &Path, ours: &ObjectId, theirs: &ObjectId) -> (usize, usize) {
        let range = format!("{ours}...{theirs}");
        let git = Git::reading(dir).words("rev-list --left-right --count");
        let line = git.arg(range).line().unwrap();
        let (ahead, behind) = line.split_once('\t').unwrap();
        (ahead.parse().unwrap(), behind.parse().unwrap())
    }

    #[test]
    fn ahead_behind_counts_as_git_does() {
        for seed in 0..12 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut commits: Vec<(i64, Vec<usize>)> = vec![(1_000_000_000, Vec::new())];
            for at in 1..40_usize {
                // Roots, merges of many and criss-cross; many commits of the same second.
                let count = [0, 1, 1, 1, 1, 2, 2, 3][random.random_range(0..8)].min(at);
                let mut parents: Vec<usize> = Vec::new();
                for _ in 0..count {
                    let parent = random.random_range(at.saturating_sub(8)..at);
                    if !parents.contains(&parent) {
                        parents.push(parent);
                    }
                }
                let newest = parents.iter().map(|parent| commits[*parent].0).max();
                let time = newest.unwrap_or(1_000_000_000) + random.random_range(0..3);
                commits.push((time, parents));
            }
            let dir = tempfile::tempdir().unwrap();
            let names = made(dir.path(), &commits);
            let repo = Repo::open_at(dir.path()).unwrap();
            let mut history = repo.history();
            for _ in 0..12 {
                let [ours, theirs] = [(); 2].map(|()| &names[random.random_range(0..40)]);
                let expected = counted_by_git(dir.path(), ours, theirs);
                let found = history.ahead_behind(ours, theirs).unwrap();
                assert_eq!(found, expected, "seed {seed}: {ours}...{theirs}");
                let again = history.ahead_behind(theirs, ours).unwrap();
                assert_eq!(again, (expected.1, expected.0), "seed {seed}");
            }
        }
    }

    #[test]
    fn ahead_behind_is_right_when_a_clock_was_slow() {
        // 0 is the parent of 1 and 2; 1, from a slow clock, that of both tips.
        let commits = [
            (2000, vec![]),
            (1000, vec![0]),
            (3000, vec![1, 0]),
            (2500, vec![1]),
        ];
        let dir = tempfile::tempdir().unwrap();
        let names = made(dir.path(), &commits);
        let repo = Repo::open_at(dir.path()).unwrap();
        let mut history = repo.history();
        assert_eq!(history.ahead_behind(&names[2], &names[3]).unwrap(), (1, 1));
    }

    #[test]
    fn ahead_behind_works_after_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let names = made(dir.path(), &[(1, vec![]), (2, vec![0])]);
        let repo = Repo::open_at(dir.path()).unwrap();
        let mut history = repo.history();
        let missing = ObjectId::from("1".repeat(40));
        assert!(history.ahead_behind(&names[1], &missing).is_err());
        assert_eq!(history.ahead_behind(&names[1], &names[0]).unwrap(), (1, 0));
    }
}
