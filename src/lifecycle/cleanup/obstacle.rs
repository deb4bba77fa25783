//! What is in the way of a merge.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use super::facts::Facts;
use super::options::Uncommitted;
use super::target::MergeTarget;
use crate::context::Flux;
use crate::failure::{CONFLICTS, Failure};
use crate::git::merge::merge_tree::Conflict;
use crate::git::{
    Change, Checkout, Ignored, MergePlan, ObjectId, Style, all_changes, forward, worktree,
};
use crate::interrupt;
use crate::ui::words::count;
use crate::ui::{quoted, shown, word};

impl Facts {
    /// Fails where the task cannot be merged as it was asked for: with exit code 3
    /// where both sides changed the same.
    ///
    /// # Errors
    /// The conflicts, file by file.
    pub(super) fn ensure_mergeable(&self) -> Result<()> {
        let Some(into) = &self.into else {
            return Ok(());
        };
        let (id, target) = (&self.task.id, &into.branch);
        match &into.merge {
            MergePlan::Conflicts { files } => Err(self.conflict(into, files).into()),
            MergePlan::Moved { by } => Err(Failure::new(format!(
                "'{target}' has moved: it has commits ({by}) that '{}' has not, and cannot be fast-forwarded to it",
                self.task.branch
            ))
            .hint(format!("git flux cleanup {id} --rebase"))
            .into()),
            MergePlan::UpToDate(_)
            | MergePlan::FastForward { .. }
            | MergePlan::Commit { .. }
            | MergePlan::Drivers { .. }
            | MergePlan::Rebase { .. } => Ok(()),
        }
    }

    /// The refusal of a merge with conflicts.
    pub(super) fn conflict(&self, into: &MergeTarget, files: &[Conflict]) -> Failure {
        let (id, target) = (&self.task.id, word(&into.branch));
        let failure = Failure::new(format!(
            "'{}' and '{}' conflict in {}; nothing was touched",
            self.task.branch,
            into.branch,
            named_conflicts(files)
        ));
        let in_worktree = format!(
            "resolve it in the task's worktree: git -C {}",
            quoted(&self.task.worktree)
        );
        let failure = match into.style {
            // What a merge resolves, a rebase meets again.
            Style::Rebase => failure.hint(format!("{in_worktree} rebase {target}")),
            Style::Merge | Style::Squash | Style::FastForward => failure
                .hint(format!("{in_worktree} merge {target}"))
                .hint(format!(
                    "or merge it there and tell its agent: git flux cleanup {id} --update"
                )),
        };
        failure
            .hint(format!("then: git flux cleanup {id}"))
            .code(CONFLICTS)
    }

    /// Fails where moving the target would be refused, by files of the user's in
    /// its worktree or by an operation that uses it: known before the agent is stopped. `made` is
    /// the commit that it goes to, if that is made already.
    ///
    /// # Errors
    /// What is in the way.
    pub(crate) fn ensure_free(&self, flux: &Flux, made: Option<&ObjectId>) -> Result<()> {
        let Some(MergeTarget {
            branch,
            tip,
            worktree,
            merge,
            ..
        }) = &self.into
        else {
            return Ok(());
        };
        let tree = match made {
            Some(made) => Some(flux.repo.tree_of(made)?),
            None => merge.tree(&flux.repo, &self.tip)?,
        };
        let Some(tree) = tree else { return Ok(()) };
        let Some(worktree) = worktree else {
            return forward::ensure_unused(flux.repo.home(), branch, tip).with_context(|| {
                Failure::new(format!(
                    "the branch '{branch}' is in use and cannot be moved"
                ))
                .hint("git worktree list")
                .hint(format!("git flux cleanup {}", self.task.id))
            });
        };
        let checkout = flux.repo.checkout(worktree)?;
        ensure_unlocked(branch, &checkout)?;
        let found = blockers(flux, tip, &tree, &checkout).with_context(|| {
            let place = shown(worktree);
            Failure::new(format!(
                "it cannot be told which files of '{place}' are changed"
            ))
            .hint(format!("git -C {} status", quoted(worktree)))
            .hint(format!("then: git flux cleanup {}", self.task.id))
        })?;
        match found.is_empty() {
            true => Ok(()),
            false => Err(self.blocked(branch, worktree, &found).into()),
        }
    }

    /// The refusal that names the files which the merge would overwrite.
    fn blocked(&self, branch: &str, worktree: &Path, found: &[Change]) -> Failure {
        let names = found
            .iter()
            .map(|change| format!("'{}'", shown(&change.path)));
        let in_the_way: Vec<String> = names.collect();
        let failure = Failure::new(format!(
            "the merge would overwrite {} in the worktree of '{branch}'",
            in_the_way.join(", ")
        ));
        let overlooked = found.iter().find_map(|change| reveal(change, worktree));
        let failure = overlooked.into_iter().fold(failure, Failure::hint);
        failure
            .hint(format!(
                "commit, stash or move them: git -C {} status --ignored",
                quoted(worktree)
            ))
            .hint(format!("git flux cleanup {}", self.task.id))
    }

    /// Returns the refusal to move the target to `made` that git has given just now, before it touched a file,
    /// since files of the user's are in its way that were there before `begun`. A file that
    /// is younger may be one that git had begun to write.
    pub(super) fn was_blocked(
        &self,
        flux: &Flux,
        made: &ObjectId,
        begun: SystemTime,
    ) -> Option<Failure> {
        let Some(MergeTarget {
            branch,
            tip,
            worktree: Some(worktree),
            ..
        }) = &self.into
        else {
            return None;
        };
        let tree = flux.repo.tree_of(made).ok()?;
        let found = blockers(flux, tip, &tree, &flux.repo.checkout(worktree).ok()?).ok()?;
        let limit = begun.checked_sub(TICK)?.duration_since(UNIX_EPOCH).ok()?;
        let is_older = |change: &Change| {
            let file = worktree.join(&change.path).symlink_metadata();
            file.is_ok_and(|file| {
                let seconds = u64::try_from(file.ctime()).unwrap_or(u64::MAX);
                let nanos = u32::try_from(file.ctime_nsec()).unwrap_or(u32::MAX);
                (seconds, nanos) < (limit.as_secs(), limit.subsec_nanos())
            })
        };
        let untouched = !found.is_empty() && found.iter().all(is_older);
        untouched.then(|| self.blocked(branch, worktree, &found))
    }

    /// Fails where the worktree cannot be moved to the trash, since that is on another
    /// file system, and there is more in it than what is committed.
    ///
    /// # Errors
    /// When it is so, or it cannot be told.
    pub(super) fn ensure_movable(&self, flux: &Flux, uncommitted: &Uncommitted) -> Result<()> {
        if !self.abroad {
            return Ok(());
        }
        let left = match uncommitted {
            Uncommitted::Discard => self.ignored.len() + self.uncommitted.len(),
            Uncommitted::Ask | Uncommitted::Commit(_) => self.ignored.len(),
        };
        // What is removed in place is looked at twice, with an index of ours.
        let looks_clean = left + self.uncommitted.len() == 0;
        if looks_clean {
            let checkout = flux.repo.checkout(&self.task.worktree)?;
            if worktree::is_untouched(&checkout, &self.tip)? {
                return Ok(());
            }
        }
        if left == 0 && !looks_clean {
            return Ok(());
        }
        let (id, path) = (&self.task.id, &self.task.worktree);
        Err(Failure::new(format!(
            "'{}' is on another file system than the repository: {} in it cannot be moved to the trash",
            shown(path),
            count(left.max(1), "file")
        ))
        .hint(format!(
            "look at them, then remove them: git -C {} clean -dx --dry-run",
            quoted(path)
        ))
        .hint(format!("git flux cleanup {id}"))
        .into())
    }
}

/// Names files in conflict, each with its kind.
pub(super) fn named_conflicts(files: &[Conflict]) -> String {
    let name = |file: &Conflict| match file.kind.as_str() {
        "" => format!("'{}'", shown(&file.path)),
        kind => format!("'{}' ({kind})", shown(&file.path)),
    };
    files.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// How far the times of files may be behind the clock.
const TICK: Duration = Duration::from_millis(10);

/// Returns what stands in `checkout`, which has `tip` checked out, where going to `tree` would
/// write.
fn blockers(
    flux: &Flux,
    tip: &ObjectId,
    tree: &ObjectId,
    checkout: &Checkout,
) -> Result<Vec<Change>> {
    let worktree = checkout.path();
    let touched = flux.repo.differing(&flux.repo.tree_of(tip)?, tree)?;
    let collides = |change: &Change| {
        let there = worktree.join(&change.path);
        let is_dir = there.symlink_metadata().is_ok_and(|found| found.is_dir());
        // A directory that is ignored or untracked as a whole is in the way only
        // with the very file that the merge brings.
        let within = |path: &PathBuf| {
            path.starts_with(&change.path)
                && (!is_dir || worktree.join(path).symlink_metadata().is_ok())
        };
        touched
            .iter()
            .any(|path| within(path) || change.path.starts_with(path))
    };
    let mut changes = all_changes(checkout, Ignored::Included)?.1;
    changes.retain(collides);
    Ok(changes)
}

/// The command after which git looks again at a change that it was told to overlook.
pub(crate) fn reveal(change: &Change, worktree: &Path) -> Option<String> {
    let option = change.overlooked?;
    let (worktree, path) = (quoted(worktree), quoted(&change.path));
    Some(format!("git -C {worktree} update-index {option} -- {path}"))
}

/// Waits a moment for another git that writes the index of the target's worktree.
fn ensure_unlocked(branch: &str, worktree: &Checkout) -> Result<()> {
    let lock = worktree.git_dir().join("index.lock");
    let begun = Instant::now();
    while fs::exists(&lock).context("could not look for a lock")? {
        interrupt::check()?;
        if begun.elapsed() > Duration::from_secs(5) {
            return Err(Failure::new(format!(
                "another git is at work in the worktree of '{branch}', or was killed there"
            ))
            .hint(format!("if none is: rm {}", quoted(&lock)))
            .into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
