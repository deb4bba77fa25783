//! Checks for files, locks and conflicts that prevent a merge.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};

use super::facts::Facts;
use super::files::{quote_paths, reveal_command};
use super::options::Edits;
use super::target::MergeTarget;
use crate::context::Flux;
use crate::failure::{CONFLICTS, Failure};
use crate::git::merge::merge_tree::Conflict;
use crate::git::{
    Change, Checkout, Ignored, MergePlan, ObjectId, Style, fast_forward, full_status, worktree,
};
use crate::lifecycle::damage;
use crate::system::wait_until;
use crate::task::BranchName;
use crate::ui::words::count;
use crate::ui::{quoted, shown, word};

impl Facts {
    /// Fails if the merge conflicts (exit code 3), or if a fast-forward is required and impossible.
    /// Passes if nothing is merged.
    pub(super) fn ensure_mergeable(&self) -> Result<()> {
        let Some(into) = self.merge_target() else {
            return Ok(());
        };
        match &into.merge {
            MergePlan::Conflicts { files } => bail!(self.conflict_failure(into, files)),
            MergePlan::Moved { by } => {
                let (target, branch) = (&into.branch, &self.task.branch);
                let why = format!("it has commits ({by}) that '{branch}' lacks");
                let rebase = self.command.with(&self.task.id, "--rebase");
                let hint = format!("to rebase and merge it: {rebase}");
                let what = format!("'{target}' cannot be fast-forwarded: {why}");
                bail!(Failure::new(what).hint(hint))
            }
            _ => Ok(()),
        }
    }

    /// Returns the failure that names the files in conflict, with exit code 3, and with commands to
    /// resolve the conflicts in the task's worktree.
    pub(super) fn conflict_failure(&self, into: &MergeTarget, files: &[Conflict]) -> Failure {
        let (id, branch, target) = (&self.task.id, &self.task.branch, word(&into.branch));
        let (files, worktree) = (name_conflicts(files), quoted(&self.task.worktree));
        let into_branch = &into.branch;
        let what = format!("'{branch}' and '{into_branch}' conflict in {files}");
        let resolve = format!("resolve it in the task's worktree: git -C {worktree}");
        let mut hints = vec![match into.style {
            // A rebase would meet conflicts again that a merge has resolved.
            Style::Rebase => format!("{resolve} rebase {target}"),
            Style::Merge | Style::Squash | Style::FastForward => {
                format!("{resolve} merge {target}")
            }
        }];
        // A landing sends it back to its agent.
        if into.style != Style::Rebase && self.command.is_cleanup() {
            let update = self.command.cleanup_with(id, "--update");
            hints.push(format!(
                "or have cleanup start the same merge, for the task's agent or you to resolve: {update}"
            ));
        }
        Failure::new(what)
            .hints(hints)
            .hint(format!("then: {}", self.command.with(id, "")))
            .code(CONFLICTS)
    }

    /// Fails if moving the target branch would overwrite changed, untracked or ignored files in its
    /// worktree or, if it has none, if an operation such as a rebase uses it. Waits up to 5 seconds
    /// for a locked index. Passes if `made`, the merge, is `None` and its result cannot be
    /// predicted.
    pub(crate) fn ensure_no_collision(&self, flux: &Flux, made: Option<&ObjectId>) -> Result<()> {
        let Some(into) = self.merge_target() else {
            return Ok(());
        };
        let tree = match made {
            Some(made) => Some(flux.repo.tree_of(made)?),
            None => into.merge.tree(&flux.repo, &self.tip)?,
        };
        let Some(tree) = tree else { return Ok(()) };
        let (branch, retry) = (&into.branch, self.command.with(&self.task.id, ""));
        let Some(worktree) = &into.worktree else {
            let what = format!("the branch '{branch}' is in use and cannot be moved");
            let failure = Failure::new(what).hint("git worktree list").hint(retry);
            let unused = fast_forward::ensure_unused(flux.repo.home(), branch, &into.tip);
            return unused.context(failure);
        };
        wait_for_index_lock(branch, &flux.repo.checkout(worktree)?)?;
        let found = find_collisions(flux, into, worktree, &tree).with_context(|| {
            let (place, status) = (
                shown(worktree),
                format!("git -C {} status", quoted(worktree)),
            );
            let what = format!("could not read the changed files of '{place}'");
            Failure::new(what)
                .hint(status)
                .hint(format!("then: {retry}"))
        })?;
        ensure!(
            found.is_empty(),
            overwrite_failure("the merge", branch, worktree, &found, &retry)
        );
        Ok(())
    }

    /// Fails if merging `tip`, the tip of the target branch, into the task's worktree would overwrite
    /// changed, untracked or ignored files there, if a file is staged, or if the worktree is damaged
    /// or unreadable. Waits up to 5 seconds for a locked index.
    pub(super) fn ensure_updatable(&self, flux: &Flux, tip: &ObjectId) -> Result<()> {
        let (repo, task) = (&flux.repo, &self.task);
        damage::ensure_intact(flux, task)?;
        wait_for_index_lock(&task.branch, &repo.checkout(&task.worktree)?)?;
        if let Some(why) = &self.read_error {
            bail!("{why}");
        }
        let touched = find_touched(flux, &self.tip, tip)?;
        let changes = self.uncommitted.iter().chain(&self.ignored);
        let blocks = |change: &&Change| {
            // git refuses to merge while a file is staged.
            !b".?!".contains(&change.code[0]) || collides(change, &task.worktree, &touched)
        };
        let found: Vec<Change> = changes.filter(blocks).cloned().collect();
        let update = self.command.is_cleanup().then_some("--update");
        let retry = self.command.with(&task.id, update.unwrap_or_default());
        let (branch, worktree) = (&task.branch, &task.worktree);
        let merge = match self.merge_target() {
            Some(into) => format!("merging '{}'", into.branch),
            None => "the merge".to_owned(),
        };
        ensure!(
            found.is_empty(),
            overwrite_failure(&merge, branch, worktree, &found, &retry)
        );
        Ok(())
    }

    /// Fails if merging the task's branch in the target's worktree would overwrite ignored files
    /// there, which git does; it refuses to overwrite others. Waits up to 5 seconds for a locked
    /// index.
    pub(super) fn ensure_startable(&self, flux: &Flux) -> Result<()> {
        let Some(into) = self.merge_target() else {
            return Ok(());
        };
        let Some(worktree) = &into.worktree else {
            return Ok(());
        };
        let checkout = flux.repo.checkout(worktree)?;
        wait_for_index_lock(&into.branch, &checkout)?;
        let (head, mut found) = full_status(&checkout, Ignored::Included)?;
        let touched = find_touched(flux, &ObjectId::from(head.oid), &self.tip)?;
        found.retain(|change| change.is_ignored() && collides(change, worktree, &touched));
        let retry = self.command.with(&self.task.id, "");
        ensure!(
            found.is_empty(),
            overwrite_failure("the merge", &into.branch, worktree, &found, &retry)
        );
        Ok(())
    }

    /// Returns the failure that names the user's files which kept git from moving the target branch
    /// to `made`. `None` if no file is in the way, or one has changed since `begun`: git itself may
    /// have written it.
    pub(super) fn collision_failure(
        &self,
        flux: &Flux,
        made: &ObjectId,
        begun: SystemTime,
    ) -> Option<Failure> {
        let into = self.merge_target()?;
        let worktree = into.worktree.as_ref()?;
        let found = find_collisions(flux, into, worktree, &flux.repo.tree_of(made).ok()?).ok()?;
        let limit = begun.checked_sub(LAG)?.duration_since(UNIX_EPOCH).ok()?;
        let limit = (limit.as_secs(), u64::from(limit.subsec_nanos()));
        let is_older = |change: &Change| {
            let file = worktree.join(&change.path).symlink_metadata();
            let time = file.map(|file| [file.ctime(), file.ctime_nsec()].map(i64::unsigned_abs));
            time.is_ok_and(|[seconds, nanos]| (seconds, nanos) < limit)
        };
        let retry = self.command.with(&self.task.id, "");
        let is_untouched = !found.is_empty() && found.iter().all(is_older);
        is_untouched.then(|| overwrite_failure("the merge", &into.branch, worktree, &found, &retry))
    }

    /// Fails if the worktree is on another file system than the trash, and has files that would be
    /// lost: ignored ones, uncommitted ones with `--discard`, or, if git lists neither, others that
    /// are not in the task's last commit.
    pub(super) fn ensure_trashable(&self, flux: &Flux, uncommitted: &Edits) -> Result<()> {
        if !self.other_fs {
            return Ok(());
        }
        let mut left = self.ignored.len();
        if *uncommitted == Edits::Discard {
            left += self.uncommitted.len();
        }
        let (id, path) = (&self.task.id, &self.task.worktree);
        let is_free = match left + self.uncommitted.len() {
            // A worktree that is deleted in place is checked twice, with our own index.
            0 => worktree::is_untouched(&flux.repo.checkout(path)?, &self.tip)?,
            _ => left == 0,
        };
        if is_free {
            return Ok(());
        }
        let (place, files) = (shown(path), count(left.max(1), "file"));
        let clean = format!("git -C {} clean -dx --dry-run", quoted(path));
        let why = format!("restore could not recover {files}");
        let what = format!("'{place}' is not on the repository's file system: {why}");
        let failure = Failure::new(what).hint(format!("check them, then remove them: {clean}"));
        bail!(failure.hint(format!("then: {}", self.command.with(id, ""))))
    }
}

/// Returns the paths that `theirs` has changed since it left `ours`; none if they have no common
/// commit.
fn find_touched(flux: &Flux, ours: &ObjectId, theirs: &ObjectId) -> Result<BTreeSet<PathBuf>> {
    let repo = &flux.repo;
    match repo.merge_base(ours, theirs)? {
        Some(base) => repo.diff_paths(&repo.tree_of(&base)?, &repo.tree_of(theirs)?),
        None => Ok(BTreeSet::new()),
    }
}

/// Returns the failure that names the files of `worktree` that `merge` would overwrite, with
/// commands to see and keep them.
fn overwrite_failure(
    merge: &str,
    branch: &BranchName,
    worktree: &Path,
    found: &[Change],
    retry: &str,
) -> Failure {
    let files = quote_paths(found.iter().map(|change| &change.path));
    let what = format!("{merge} would overwrite {files} in the worktree of '{branch}'");
    let overlooked = found
        .iter()
        .find_map(|change| reveal_command(change, worktree));
    let failure = overlooked
        .into_iter()
        .fold(Failure::new(what), Failure::hint);
    let status = format!("git -C {} status --ignored", quoted(worktree));
    failure
        .hint(format!("to see untracked and ignored files: {status}"))
        .hint(format!("commit, stash or move {files}, then: {retry}"))
}

/// Names all files in conflict, in quotes, each with the kind of its conflict, if known:
/// `'a.txt' (content)`.
pub(super) fn name_conflicts(files: &[Conflict]) -> String {
    let name = |file: &Conflict| match file.kind.as_str() {
        "" => format!("'{}'", shown(&file.path)),
        kind => format!("'{}' ({kind})", shown(&file.path)),
    };
    files.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The time by which file times may lag behind the clock.
const LAG: Duration = Duration::from_millis(10);

/// Returns the changed, untracked and ignored files in the target branch's worktree that moving the
/// target branch to `tree` would overwrite.
fn find_collisions(
    flux: &Flux,
    into: &MergeTarget,
    worktree: &Path,
    tree: &ObjectId,
) -> Result<Vec<Change>> {
    let touched = flux.repo.diff_paths(&flux.repo.tree_of(&into.tip)?, tree)?;
    let mut changes = full_status(&flux.repo.checkout(worktree)?, Ignored::Included)?.1;
    changes.retain(|change| collides(change, worktree, &touched));
    Ok(changes)
}

/// Returns whether writing one of the paths `touched` would overwrite `change`, which is a changed,
/// untracked or ignored file, or replace a directory that contains it. If `change` is a directory,
/// `true` also if one of the paths exists in it.
fn collides(change: &Change, worktree: &Path, touched: &BTreeSet<PathBuf>) -> bool {
    let there = worktree.join(&change.path);
    let is_dir = there.symlink_metadata().is_ok_and(|found| found.is_dir());
    // An untracked or ignored directory collides only if it contains the file
    // that the merge adds.
    let is_within = |path: &PathBuf| {
        path.starts_with(&change.path)
            && (!is_dir || worktree.join(path).symlink_metadata().is_ok())
    };
    let mut touched = touched.iter();
    touched.any(|path| is_within(path) || change.path.starts_with(path))
}

/// Waits until no git locks a worktree's index (`index.lock`); fails after 5 seconds or on ^C.
fn wait_for_index_lock(branch: &BranchName, worktree: &Checkout) -> Result<()> {
    let lock = worktree.git_dir().join("index.lock");
    let is_gone = || {
        let what = || format!("could not access '{}'", lock.display());
        let is_there = fs::exists(&lock).with_context(what)?;
        Ok((!is_there).then_some(()))
    };
    let (timeout, interval) = (Duration::from_secs(5), Duration::from_millis(20));
    if wait_until(timeout, interval, is_gone)?.is_some() {
        return Ok(());
    }
    let what =
        format!("another git locks the index of '{branch}', or left its lock when it was killed");
    bail!(Failure::new(what).hint(format!("if no git runs: rm {}", quoted(&lock))))
}
