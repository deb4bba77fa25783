//! What is in the way of a merge.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};

use super::facts::Facts;
use super::files::{listed, reveal};
use super::options::Uncommitted;
use super::target::MergeTarget;
use crate::context::Flux;
use crate::failure::{CONFLICTS, Failure};
use crate::git::merge::merge_tree::Conflict;
use crate::git::{
    Change, Checkout, Ignored, MergePlan, ObjectId, Style, all_changes, forward, worktree,
};
use crate::lifecycle::damage;
use crate::system::wait_until;
use crate::task::BranchName;
use crate::ui::words::count;
use crate::ui::{quoted, shown, word};

impl Facts {
    /// Fails where the task cannot be merged as it was asked for: with exit code 3
    /// where both sides changed the same.
    ///
    /// # Errors
    /// The conflicts, file by file.
    pub(super) fn ensure_mergeable(&self) -> Result<()> {
        let Some(into) = self.into() else {
            return Ok(());
        };
        match &into.merge {
            MergePlan::Conflicts { files } => bail!(self.conflict(into, files)),
            MergePlan::Moved { by } => {
                let (target, branch) = (&into.branch, &self.task.branch);
                let moved = format!("'{target}' has moved: it has commits ({by})");
                let why = format!("that '{branch}' has not, and cannot be fast-forwarded to it");
                let hint = format!("git flux cleanup {} --rebase", self.task.id);
                bail!(Failure::new(format!("{moved} {why}")).hint(hint))
            }
            _ => Ok(()),
        }
    }

    /// The refusal of a merge with conflicts.
    pub(super) fn conflict(&self, into: &MergeTarget, files: &[Conflict]) -> Failure {
        let (id, branch, target) = (&self.task.id, &self.task.branch, word(&into.branch));
        let (files, worktree) = (named_conflicts(files), quoted(&self.task.worktree));
        let into_branch = &into.branch;
        let what =
            format!("'{branch}' and '{into_branch}' conflict in {files}; nothing was touched");
        let resolve = format!("resolve it in the task's worktree: git -C {worktree}");
        let failure = match into.style {
            // What a merge resolves, a rebase meets again.
            Style::Rebase => Failure::new(what).hint(format!("{resolve} rebase {target}")),
            Style::Merge | Style::Squash | Style::FastForward => {
                let update = format!("git flux cleanup {id} --update");
                Failure::new(what)
                    .hint(format!("{resolve} merge {target}"))
                    .hint(format!("or merge it there and tell its agent: {update}"))
            }
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
        let Some(into) = self.into() else {
            return Ok(());
        };
        let tree = match made {
            Some(made) => Some(flux.repo.tree_of(made)?),
            None => into.merge.tree(&flux.repo, &self.tip)?,
        };
        let Some(tree) = tree else { return Ok(()) };
        let (branch, again) = (&into.branch, format!("git flux cleanup {}", self.task.id));
        let Some(worktree) = &into.worktree else {
            let what = format!("the branch '{branch}' is in use and cannot be moved");
            let failure = Failure::new(what).hint("git worktree list").hint(again);
            let unused = forward::ensure_unused(flux.repo.home(), branch, &into.tip);
            return unused.context(failure);
        };
        ensure_unlocked(branch, &flux.repo.checkout(worktree)?)?;
        let found = blockers(flux, into, worktree, &tree).with_context(|| {
            let (place, status) = (
                shown(worktree),
                format!("git -C {} status", quoted(worktree)),
            );
            let what = format!("it cannot be told which files of '{place}' are changed");
            Failure::new(what)
                .hint(status)
                .hint(format!("then: {again}"))
        })?;
        ensure!(found.is_empty(), blocked(branch, worktree, &found, &again));
        Ok(())
    }

    /// Fails where git would refuse to merge the target into the task's worktree, by what is
    /// uncommitted in it.
    ///
    /// # Errors
    /// What is in the way.
    pub(super) fn ensure_updatable(&self, flux: &Flux) -> Result<()> {
        let (repo, task) = (&flux.repo, &self.task);
        let Some(into) = self.into() else {
            return Ok(());
        };
        damage::ensure_intact(flux, task)?;
        ensure_unlocked(&task.branch, &repo.checkout(&task.worktree)?)?;
        if let Some(why) = &self.unread {
            bail!("{why}");
        }
        let Some(base) = repo.merge_base(&self.tip, &into.tip)? else {
            return Ok(());
        };
        let touched = repo.differing(&repo.tree_of(&base)?, &repo.tree_of(&into.tip)?)?;
        let changes = self.uncommitted.iter().chain(&self.ignored);
        let blocks = |change: &&Change| {
            // git merges nothing where something is staged.
            !b".?!".contains(&change.code[0]) || collides(change, &task.worktree, &touched)
        };
        let found: Vec<Change> = changes.filter(blocks).cloned().collect();
        let again = format!("git flux cleanup {} --update", task.id);
        let (branch, worktree) = (&task.branch, &task.worktree);
        ensure!(found.is_empty(), blocked(branch, worktree, &found, &again));
        Ok(())
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
        let into = self.into()?;
        let worktree = into.worktree.as_ref()?;
        let found = blockers(flux, into, worktree, &flux.repo.tree_of(made).ok()?).ok()?;
        let limit = begun.checked_sub(TICK)?.duration_since(UNIX_EPOCH).ok()?;
        let limit = (limit.as_secs(), u64::from(limit.subsec_nanos()));
        let is_older = |change: &Change| {
            let file = worktree.join(&change.path).symlink_metadata();
            let time = file.map(|file| [file.ctime(), file.ctime_nsec()].map(i64::unsigned_abs));
            time.is_ok_and(|[seconds, nanos]| (seconds, nanos) < limit)
        };
        let again = format!("git flux cleanup {}", self.task.id);
        let is_untouched = !found.is_empty() && found.iter().all(is_older);
        is_untouched.then(|| blocked(&into.branch, worktree, &found, &again))
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
        let mut left = self.ignored.len();
        if *uncommitted == Uncommitted::Discard {
            left += self.uncommitted.len();
        }
        let (id, path) = (&self.task.id, &self.task.worktree);
        let is_free = match left + self.uncommitted.len() {
            // What is removed in place is looked at twice, with an index of ours.
            0 => worktree::is_untouched(&flux.repo.checkout(path)?, &self.tip)?,
            _ => left == 0,
        };
        if is_free {
            return Ok(());
        }
        let (place, files) = (shown(path), count(left.max(1), "file"));
        let clean = format!("git -C {} clean -dx --dry-run", quoted(path));
        bail!(
            Failure::new(format!(
                "'{place}' is on another file system than the repository: {files} in it cannot be moved to the trash"
            ))
            .hint(format!("look at them, then remove them: {clean}"))
            .hint(format!("git flux cleanup {id}"))
        )
    }
}

/// The refusal that names the files which a merge would overwrite.
fn blocked(branch: &BranchName, worktree: &Path, found: &[Change], again: &str) -> Failure {
    let files = listed(found.iter().map(|change| &change.path));
    let what = format!("the merge would overwrite {files} in the worktree of '{branch}'");
    let overlooked = found.iter().find_map(|change| reveal(change, worktree));
    let failure = overlooked
        .into_iter()
        .fold(Failure::new(what), Failure::hint);
    let status = format!("git -C {} status --ignored", quoted(worktree));
    failure
        .hint(format!("commit, stash or move them: {status}"))
        .hint(again)
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

/// Returns what stands in the worktree of the target where going to `tree` would write.
fn blockers(
    flux: &Flux,
    into: &MergeTarget,
    worktree: &Path,
    tree: &ObjectId,
) -> Result<Vec<Change>> {
    let touched = flux.repo.differing(&flux.repo.tree_of(&into.tip)?, tree)?;
    let mut changes = all_changes(&flux.repo.checkout(worktree)?, Ignored::Included)?.1;
    changes.retain(|change| collides(change, worktree, &touched));
    Ok(changes)
}

/// Returns whether a change is where one of the paths `touched` is to be written.
fn collides(change: &Change, worktree: &Path, touched: &BTreeSet<PathBuf>) -> bool {
    let there = worktree.join(&change.path);
    let is_dir = there.symlink_metadata().is_ok_and(|found| found.is_dir());
    // A directory that is ignored or untracked as a whole is in the way only
    // with the very file that the merge brings.
    let is_within = |path: &PathBuf| {
        path.starts_with(&change.path)
            && (!is_dir || worktree.join(path).symlink_metadata().is_ok())
    };
    let mut touched = touched.iter();
    touched.any(|path| is_within(path) || change.path.starts_with(path))
}

/// Waits a moment for another git that writes the index of the target's worktree.
fn ensure_unlocked(branch: &BranchName, worktree: &Checkout) -> Result<()> {
    let lock = worktree.git_dir().join("index.lock");
    let is_gone = || {
        let is_there = fs::exists(&lock).context("could not look for a lock")?;
        Ok((!is_there).then_some(()))
    };
    let (patience, pause) = (Duration::from_secs(5), Duration::from_millis(20));
    if wait_until(patience, pause, is_gone)?.is_some() {
        return Ok(());
    }
    let what = format!("another git is at work in the worktree of '{branch}', or was killed there");
    bail!(Failure::new(what).hint(format!("if none is: rm {}", quoted(&lock))))
}
