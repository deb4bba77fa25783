//! The tasks that `git flux land --watch` did not land, and when it tries them again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::store::Store;
use crate::task::{BranchName, ObjectId, TaskId};

/// The pauses before a task is tried again whose commits are not to blame. Each is longer than the
/// one before: a landing causes events itself, and each try may run the gate.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(3600);
const GROWTH: u32 = 4;

/// The commits of the branch of a task and of its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tips {
    pub(super) branch: Option<ObjectId>,
    target: Option<ObjectId>,
}

impl Tips {
    /// Returns the last commits of a task's branch and of its target branch, as they are in
    /// `store`.
    pub(super) fn of(store: &Store, id: &TaskId, target: Option<&BranchName>) -> Self {
        let task = store.readable().find(|task| task.id == *id);
        Self {
            branch: task.and_then(|task| store.tip(&task.branch)).cloned(),
            target: target.and_then(|target| store.tip(target)).cloned(),
        }
    }
}

/// The reason why a task did not land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its commits, those of its target, or both: only others change the result.
    Commits,
    /// Something else, which may be over without a change of the commits: a file in the worktree of
    /// the target, a full disk, a gate without a verdict.
    Other,
}

/// A task that did not land.
struct Failed {
    tips: Tips,
    /// The time of the next try, and the pause until then; `None` if these commits cannot land.
    again: Option<(Instant, Duration)>,
}

/// The tasks that did not land.
#[derive(Default)]
pub(super) struct FailedTasks(BTreeMap<TaskId, Failed>);

impl FailedTasks {
    /// Returns whether to try to land a task with these commits: they have not failed, or the pause
    /// after that is over.
    pub(super) fn is_due(&self, id: &TaskId, tips: &Tips, now: Instant) -> bool {
        match self.0.get(id) {
            Some(failed) if failed.tips == *tips => failed.again.is_some_and(|(at, _)| at <= now),
            _ => true,
        }
    }

    /// Returns whether the commits of the task's branch did not pass or conflicted before.
    pub(super) fn has_failed(&self, id: &TaskId, tips: &Tips) -> bool {
        let failed = self.0.get(id).filter(|failed| failed.again.is_none());
        failed.is_some_and(|failed| failed.tips.branch == tips.branch)
    }

    /// Notes that a task with these commits did not land.
    pub(super) fn note(&mut self, id: TaskId, tips: Tips, reason: Reason, now: Instant) {
        let last = self.0.get(&id).filter(|failed| failed.tips == tips);
        let again = match (reason, last.and_then(|failed| failed.again)) {
            (Reason::Commits, _) => None,
            (Reason::Other, None) => Some(FIRST_PAUSE),
            (Reason::Other, Some((_, pause))) => Some((pause * GROWTH).min(LAST_PAUSE)),
        };
        let again = again.map(|pause| (now + pause, pause));
        self.0.insert(id, Failed { tips, again });
    }

    /// Removes a task that is gone or has other commits. Once it is ready, it is tried again without
    /// a pause.
    pub(super) fn forget(&mut self, id: &TaskId) {
        self.0.remove(id);
    }

    /// Returns the earliest time after `now` at which the pause of a task ends; `None` if there is
    /// none. Leaves out tasks whose pause is over: an event comes when one of them becomes ready.
    pub(super) fn next_try(&self, now: Instant) -> Option<Instant> {
        let tries = self.0.values().filter_map(|failed| failed.again);
        tries.map(|(at, _)| at).filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tips(branch: &str, target: &str) -> Tips {
        let id = |digit: &str| ObjectId::parse(digit.repeat(40).as_bytes());
        Tips {
            branch: id(branch),
            target: id(target),
        }
    }

    #[test]
    fn task_whose_commits_failed_is_due_with_other_commits_only() {
        let id: TaskId = "fix".parse().unwrap();
        let (mut failed, begun) = (FailedTasks::default(), Instant::now());
        let later = begun + 2 * LAST_PAUSE;
        assert!(failed.is_due(&id, &tips("a", "b"), begun));
        failed.note(id.clone(), tips("a", "b"), Reason::Commits, begun);
        assert!(!failed.is_due(&id, &tips("a", "b"), later));
        assert!(failed.is_due(&id, &tips("c", "b"), begun));
        assert!(failed.is_due(&id, &tips("a", "c"), begun));
        assert_eq!(failed.next_try(begun), None);
        failed.forget(&id);
        assert!(failed.is_due(&id, &tips("a", "b"), begun));
    }

    #[test]
    fn task_has_failed_only_with_the_commits_that_did_not_pass() {
        let id: TaskId = "fix".parse().unwrap();
        let (mut failed, now) = (FailedTasks::default(), Instant::now());
        assert!(!failed.has_failed(&id, &tips("a", "b")));
        failed.note(id.clone(), tips("a", "b"), Reason::Commits, now);
        assert!(failed.has_failed(&id, &tips("a", "b")));
        assert!(failed.has_failed(&id, &tips("a", "c")));
        assert!(!failed.has_failed(&id, &tips("c", "b")));
        failed.note(id.clone(), tips("c", "b"), Reason::Other, now);
        assert!(!failed.has_failed(&id, &tips("c", "b")));
    }

    #[test]
    fn task_that_failed_for_another_reason_is_due_after_growing_pauses() {
        let id: TaskId = "fix".parse().unwrap();
        let (mut failed, mut now) = (FailedTasks::default(), Instant::now());
        for seconds in [2, 8, 32, 128, 512, 2048, 3600, 3600] {
            failed.note(id.clone(), tips("a", "b"), Reason::Other, now);
            assert!(!failed.is_due(&id, &tips("a", "b"), now));
            assert!(failed.is_due(&id, &tips("c", "b"), now));
            let next = now + Duration::from_secs(seconds);
            assert_eq!(failed.next_try(now), Some(next));
            assert!(failed.is_due(&id, &tips("a", "b"), next));
            assert_eq!(failed.next_try(next), None);
            now = next;
        }
        failed.note(id.clone(), tips("c", "b"), Reason::Other, now);
        assert_eq!(failed.next_try(now), Some(now + FIRST_PAUSE));
    }
}
