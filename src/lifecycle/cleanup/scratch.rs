//! Makes a merge in a scratch repository, where hooks run on it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};

use super::facts::Facts;
use super::options::{CommitRules, Signing, Verify};
use super::target::MergeTarget;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::hooks::Hooks;
use crate::git::identity::is_same_place;
use crate::git::scratch::{Original, Scratch, Skipped};
use crate::git::{MergePlan, ObjectId};
use crate::interrupt;
use crate::lifecycle::archive::tree;
use crate::lifecycle::damage::unused_path;
use crate::system::Lock;
use crate::task::{Task, TaskId};
use crate::ui::{quoted, shown, word};

/// The commits to make on top of the target.
pub(super) enum NewCommits {
    /// A merge commit with this message.
    Merge(Vec<u8>),
    /// A squashed commit with this message.
    Squash(Vec<u8>),
    Rebase,
}

/// Returns the failure `could not make the merge of '<id>'; nothing was changed`.
pub(super) fn merge_failure(facts: &Facts) -> Failure {
    let what = format!("could not make the merge of '{}'", facts.task.id);
    Failure::new(format!("{what}; nothing was changed"))
}

/// A merge that is made in a scratch repository.
pub(super) struct ScratchMerge<'a> {
    pub(super) flux: &'a Flux,
    pub(super) facts: &'a Facts,
    pub(super) into: &'a MergeTarget,
    pub(super) commits: &'a NewCommits,
    pub(super) hooks: &'a Hooks,
    pub(super) rules: CommitRules,
    pub(super) lock: &'a Lock,
}

impl ScratchMerge<'_> {
    /// Makes the merge in a new scratch repository, where hooks run on it, and returns its last
    /// commit, which is in the user's repository then, without a ref. Deletes the scratch
    /// repository; warns if that fails.
    pub(super) fn make(&self) -> Result<ObjectId> {
        let (flux, task) = (self.flux, &self.facts.task);
        let target = self.into.worktree.as_deref().unwrap_or(flux.repo.home());
        sweep(flux, &task.id, Some(task))?;
        let dir = choose_dir(flux, task, target)?;
        // The directory tells the next command to look for leftovers.
        let notes = flux.run_dir(&task.id).scratch();
        fs::create_dir(&notes).with_context(|| format!("could not make '{}'", notes.display()))?;
        let made = self.make_in(&dir, target, &notes);
        // The next command removes leftovers.
        if let Err(error) = sweep(flux, &task.id, Some(task)) {
            flux.ui.warning(format_args!("{error:#}"));
        }
        if made.is_err() {
            interrupt::check()?;
        }
        made
    }

    fn make_in(&self, dir: &Path, target: &Path, notes: &Path) -> Result<ObjectId> {
        let (repo, task, into) = (&self.flux.repo, &self.facts.task, self.into);
        let checkout = into.worktree.as_deref().map(|path| repo.checkout(path));
        let checkout = checkout.transpose()?;
        let main = repo.main().map(|path| repo.checkout(path)).transpose()?;
        fs::create_dir(dir).with_context(|| {
            Failure::new(format!("could not make '{}'", shown(dir)))
                .hint(format!("ls -ld {}", quoted(dir.parent().unwrap_or(dir))))
        })?;
        let path = dir.join(target.file_name().unwrap_or(OsStr::new("project")));
        let head = match self.commits {
            NewCommits::Rebase => &task.branch,
            NewCommits::Merge(_) | NewCommits::Squash(_) => &into.branch,
        };
        let original = Original {
            repo,
            checkout: checkout.as_ref(),
            main: main.as_ref(),
            hooks: self.hooks,
            branches: [(&into.branch, &into.tip), (&task.branch, &self.facts.tip)],
            head,
            verify: self.rules.verify == Verify::All,
            signs: self.rules.signing == Signing::Configured,
        };
        let scratch = {
            let what = "checking out the files for the hooks";
            let _spinner = self.flux.ui.spinner(what);
            Scratch::make(&original, &path, self.lock)?
        };
        self.warn_of_omissions(&scratch, target);
        self.commit(&scratch, &notes.join("message"))
    }

    fn warn_of_omissions(&self, scratch: &Scratch<'_>, target: &Path) {
        for one in &scratch.skipped {
            let target = shown(target);
            let (path, why) = match one {
                Skipped::NamesCheckout(path) => (path, format!("it contains the path '{target}'")),
                Skipped::NotIgnored(path) => (
                    path,
                    "git would not ignore a symbolic link of that name".to_owned(),
                ),
            };
            let what = format!(
                "hooks run in a copy of the worktree without '{}': {why}",
                shown(path)
            );
            self.flux.ui.warning(what);
        }
    }

    /// Makes the merge in the scratch repository, with the message in `file`, and fetches its
    /// commits into the user's repository. Returns the last. Fails if hooks have changed the
    /// history; reports if they have changed files.
    fn commit(&self, scratch: &Scratch<'_>, file: &Path) -> Result<ObjectId> {
        let (repo, into, tip) = (&self.flux.repo, self.into, &self.facts.tip);
        let (branch, target) = (&self.facts.task.branch, &into.branch);
        if let NewCommits::Merge(message) | NewCommits::Squash(message) = self.commits {
            let what = || format!("could not write '{}'", file.display());
            fs::write(file, message).with_context(what)?;
        }
        let made = match self.commits {
            NewCommits::Merge(_) => scratch.merge(branch, file),
            NewCommits::Squash(_) => scratch.squash(branch, file),
            NewCommits::Rebase => scratch.rebase(target),
        };
        let made = made.map_err(|error| explain(error, self.facts, into, scratch))?;
        scratch.send_commit(repo, &made)?;
        let (ahead, behind) = repo.ahead_behind(&made, &into.tip)?;
        let is_whole = match (self.commits, &into.merge) {
            (NewCommits::Merge(_), _) => repo.parents_of(&made)?.contains(tip),
            (NewCommits::Rebase, MergePlan::Rebase { commits, .. }) => ahead == *commits,
            (NewCommits::Squash(_) | NewCommits::Rebase, _) => ahead > 0,
        };
        if behind > 0 || !is_whole {
            bail!("git and the hooks did not merge '{branch}' into '{target}'");
        }
        let (planned, ui) = (into.merge.tree(repo, tip)?, &self.flux.ui);
        if planned.is_some_and(|planned| repo.tree_of(&made).ok() != Some(planned)) {
            ui.status("the hooks have changed the committed files");
        }
        Ok(made)
    }
}

/// Adds to the error of a merge in the scratch repository: the files in conflict, or else, since a
/// hook may have refused it, the command to merge in the target branch's worktree.
fn explain(error: Error, facts: &Facts, into: &MergeTarget, scratch: &Scratch<'_>) -> Error {
    let files = scratch.conflicts().unwrap_or_default();
    if !files.is_empty() {
        return facts.conflict_failure(into, &files).into();
    }
    let error = match scratch.has_changes() {
        true => error.context("changes that a hook or a merge driver made were discarded"),
        false => error,
    };
    let failure = merge_failure(facts);
    let Some(place) = &into.worktree else {
        return failure::wrap_in_failure(error, failure);
    };
    // A hook that fails here may succeed in the worktree itself.
    let (id, place, branch) = (&facts.task.id, quoted(place), word(&facts.task.branch));
    if facts.command.is_tested {
        // What is merged by hand is not tested.
        return failure::wrap_in_failure(error, failure);
    }
    let then = facts.command.with(id, "");
    let by_hand = format!("git -C {place} merge {branch} && {then}");
    failure::wrap_in_failure(error, failure.hint(by_hand))
}

/// Chooses the path of the scratch repository: beside the task's worktree; if that is inside a work
/// tree or a repository, beside this repository or above. Fails if the chosen path exists already.
fn choose_dir(flux: &Flux, task: &Task, target: &Path) -> Result<PathBuf> {
    let [first, others @ ..] = &candidate_dirs(flux, &task.id, Some(task))[..] else {
        bail!("found no directory for the merge");
    };
    // Programs that search parent directories, as for `node_modules`, would find those of a work
    // tree; programs that skip `.git` would skip it.
    let is_within = |dir: &Path| {
        let tops = [target, flux.repo.common_dir()];
        let mut above = dir.ancestors();
        above.any(|dir| tops.iter().any(|top| is_same_place(dir, top)))
    };
    let has_git = |dir: &Path| dir.join(".git").symlink_metadata().is_ok();
    let mut above = first.ancestors().skip(1);
    let place = match is_within(first) || above.any(has_git) {
        false => Some(first),
        true => others.iter().find(|dir| !is_within(dir)),
    };
    let place = place.context("found no directory for the merge")?;
    if place.symlink_metadata().is_ok() {
        let pasted = quoted(place);
        let what = format!(
            "'{}' exists already; the merge needs this path",
            shown(place)
        );
        bail!(Failure::new(what).hint(format!(
            "to make room: mv {pasted} {}",
            quoted(&unused_path(place))
        )));
    }
    Ok(place.clone())
}

/// Returns the paths where the scratch repository of a task can be: beside the task's worktree,
/// beside this repository, and in each directory above the repository. The name contains the task's
/// id and the repository's inode, so it is unique.
fn candidate_dirs(flux: &Flux, id: &TaskId, task: Option<&Task>) -> Vec<PathBuf> {
    let repo = &flux.repo;
    let number = fs::metadata(repo.common_dir()).map_or(0, |found| found.ino());
    let mut name = OsString::from(".");
    name.push(repo.project());
    name.push(format!("-{id}.{number:x}.merge"));
    let beside = repo.base_dir();
    let first = match task.and_then(|task| task.worktree.parent()) {
        Some(parent) => parent.to_owned(),
        None => flux.settings.worktree_dir(repo.home(), beside),
    };
    let dirs = [first.as_path()].into_iter().chain(beside.ancestors());
    dirs.map(|dir| dir.join(&name)).collect()
}

/// Deletes the scratch repository of a task, and the directory `merge` in its run directory, which
/// has the merge message, if a merge, perhaps of a killed command, has left them.
pub(in crate::lifecycle) fn sweep(flux: &Flux, id: &TaskId, task: Option<&Task>) -> Result<()> {
    let notes = flux.run_dir(id).scratch();
    match notes.symlink_metadata() {
        Ok(found) if found.is_dir() => {}
        // An agent may have made it; a link may lead to a worktree of the user.
        Ok(_) => {
            let what = || format!("could not remove '{}'", notes.display());
            return fs::remove_file(&notes).with_context(what);
        }
        Err(_) => return Ok(()),
    }
    for place in candidate_dirs(flux, id, task) {
        if place.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            let failure = Failure::new("could not delete the scratch repository");
            let failure = failure.hint(format!("rm -rf {}", quoted(&place)));
            tree::delete(&place).context(failure)?;
        }
    }
    tree::delete(&notes)
}
