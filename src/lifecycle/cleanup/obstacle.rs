//! What is in the way of a merge.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Error, Result};

use super::facts::Plan;
use super::into::Into;
use crate::failure::{CONFLICTS, Failure};
use crate::git::{
    Change, Checkout, Died, Ignored, MergePlan, Style, Unrelated, all_changes, forward, worktree,
};
use crate::interrupt;
use crate::lifecycle::Flux;
use crate::task::Task;
use crate::ui::{quoted, shown, word};

/// Adds to an error why a task and the branch `into` cannot be merged at all, with a merge by hand:
/// once that is done, nothing of the branch is missing in the task.
pub(super) fn explain(error: Error, task: &Task, into: &str) -> Error {
    let (id, branch) = (&task.id, &task.branch);
    let merge = |options: &str| {
        let (path, into) = (quoted(&task.worktree), word(into));
        format!("merge it in the task's worktree: git -C {path} {options} {into}")
    };
    let then = format!("then: git flux cleanup {id} --into {}", word(into));
    if error.is::<Unrelated>() {
        let failure = Failure::new(format!("'{branch}' cannot be merged into '{into}'"));
        let other = task.into.as_ref().filter(|other| *other != into);
        let other = other.map(|other| format!("git flux cleanup {id} --into {}", word(other)));
        let failure = other.into_iter().fold(failure, Failure::hint);
        let failure = failure.hint(merge("merge --allow-unrelated-histories"));
        return error.context(failure.hint(then));
    }
    if error.is::<Died>() {
        let failure = Failure::new(format!("git cannot merge '{branch}' into '{into}'"));
        // Where it dies, it is for the renames of directories.
        let failure = failure.hint(merge("-c merge.directoryRenames=false merge"));
        return error.context(failure.hint(then));
    }
    error
}

impl Plan {
    /// Fails where the task cannot be merged as it was asked for: with exit code 3
    /// where both sides changed the same.
    ///
    /// # Errors
    /// The conflicts, file by file.
    pub(crate) fn ensure_mergeable(&self) -> Result<()> {
        let Some(Into {
            branch,
            merge,
            style,
            ..
        }) = &self.into
        else {
            return Ok(());
        };
        let id = &self.task.id;
        let files = match merge {
            MergePlan::Conflicts { files } => files,
            MergePlan::Moved { by } => {
                return Err(Failure::new(format!(
                    "'{branch}' has moved: it has commits ({by}) that '{}' has not, and cannot be fast-forwarded to it",
                    self.task.branch
                ))
                .hint(format!("git flux cleanup {id} --rebase"))
                .into());
            }
            MergePlan::UpToDate(_)
            | MergePlan::FastForward { .. }
            | MergePlan::Commit { .. }
            | MergePlan::Drivers { .. }
            | MergePlan::Rebase { .. } => return Ok(()),
        };
        // What a merge resolves, a rebase meets again.
        let verb = match style {
            Style::Rebase => "rebase",
            Style::Merge | Style::Squash | Style::FastForward => "merge",
        };
        let list: Vec<String> = files
            .iter()
            .map(|file| match file.kind.as_str() {
                "" => format!("'{}'", shown(&file.path)),
                kind => format!("'{}' ({kind})", shown(&file.path)),
            })
            .collect();
        let failure = Failure::new(format!(
            "'{}' and '{branch}' conflict in {}; nothing was touched",
            self.task.branch,
            list.join(", ")
        ));
        let failure = failure.hint(format!(
            "resolve it in the task's worktree: git -C {} {verb} {}",
            quoted(&self.task.worktree),
            word(branch)
        ));
        let failure = match style {
            Style::Rebase => failure,
            _ => failure.hint(format!(
                "or merge it there and tell its agent: git flux cleanup {id} --update"
            )),
        };
        Err(failure
            .hint(format!("then: git flux cleanup {id}"))
            .code(CONFLICTS)
            .into())
    }

    /// Fails where moving the target would be refused, by files of the user's in
    /// its worktree or by an operation that uses it: known before the agent is stopped. `made` is
    /// the commit that it goes to, if that is made already.
    ///
    /// # Errors
    /// What is in the way.
    pub(crate) fn ensure_free(&self, flux: &Flux, made: Option<&str>) -> Result<()> {
        let Some(Into {
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
        made: &str,
        begun: SystemTime,
    ) -> Option<Failure> {
        let Some(Into {
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
    /// file system, and there is more in it than what is committed. With `discard`
    /// that is what is uncommitted, too.
    ///
    /// # Errors
    /// When it is so, or it cannot be told.
    pub(crate) fn ensure_movable(&self, flux: &Flux, discard: bool) -> Result<()> {
        if !self.abroad {
            return Ok(());
        }
        let left = self.ignored.len() + if discard { self.uncommitted.len() } else { 0 };
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
        match left.max(1) {
            1 => "1 file".to_owned(),
            many => format!("{many} files"),
        }
    ))
    .hint(format!(
        "look at them, then remove them: git -C {} clean -dx --dry-run",
        quoted(path)
    ))
    .hint(format!("git flux cleanup {id}"))
    .into())
    }
}

/// How far the times of files may be behind the clock.
const TICK: Duration = Duration::from_millis(10);

/// Returns what stands in `checkout`, which has `tip` checked out, where going to `tree` would
/// write.
fn blockers(flux: &Flux, tip: &str, tree: &str, checkout: &Checkout) -> Result<Vec<Change>> {
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
