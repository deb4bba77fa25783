//! Observes a task that is to be removed.

use std::fs;
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::called_command::CalledCommand;
use super::check::{Check, Checks, Verdict};
use super::options::{Branch, Options, Question};
use super::processes::TaskProcesses;
use super::target::{Destination, MergeTarget, TargetSearch};
use super::worktree as own_worktree;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{
    Change, Ignored, Integrated, MergePlan, ObjectId, Worktree, full_status, snapshot, worktree,
    worktree_lock,
};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::review::count_unseen;
use crate::lifecycle::shared_config::Comparison;
use crate::lifecycle::stash::StashFacts;
use crate::lifecycle::stash_pins::name_entries;
use crate::lifecycle::{damage, observe, other_machine, shared_config};
use crate::run::RunDir;
use crate::store::{Store, StoredTask};
use crate::task::{State, Task, TaskId};
use crate::ui::words::count;
use crate::ui::{shown, word};

/// The observed state of a task that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) task: Task,
    /// For hints.
    pub(crate) command: CalledCommand,
    /// The object name of its record.
    pub(crate) oid: ObjectId,
    pub(crate) state: State,
    /// The branch's tip.
    pub(crate) tip: ObjectId,
    /// The branch is gone; `tip` is its last known commit.
    pub(crate) branch_gone: bool,
    /// Uncommitted files, including those marked assume-unchanged or skip-worktree.
    pub(crate) uncommitted: Vec<Change>,
    /// Why the uncommitted files cannot be read.
    pub(crate) read_error: Option<String>,
    pub(crate) ignored: Vec<Change>,
    pub(crate) stash: StashFacts,
    pub(crate) destination: Destination,
    pub(crate) processes: TaskProcesses,
    /// The worktree's directory is gone.
    pub(crate) missing: bool,
    /// The worktree cannot be moved to the trash: it is on another file system.
    pub(crate) other_fs: bool,
    /// The shared configuration, compared with that at the start.
    pub(crate) configuration: Comparison,
    /// The number of files that the user has not looked at; `None` if it is not known, or nothing is
    /// reviewed here.
    pub(crate) unseen: Option<usize>,
    /// The worktrees of the repository.
    pub(crate) worktrees: Vec<Worktree>,
}

impl Facts {
    /// Observes a task, and makes the checks that no answer changes. The facts are `None` if
    /// branch, destination of the commits, processes or file system are unknown: a check then
    /// refuses. Fails if its record is unreadable, or its worktree belongs to another repository.
    pub(super) fn observe(
        flux: &Flux,
        store: &Store,
        stored: &StoredTask,
        options: &Options,
    ) -> Result<(Checks, Option<Self>)> {
        let task = stored.readable()?;
        ensure_not_copied(flux, task)?;
        let missing = !fs::exists(&task.worktree)
            .with_context(|| format!("could not read '{}'", task.worktree.display()))?;
        // Before its files are read: an agent that ends meanwhile may write more.
        let run = flux.run_dir(&task.id);
        let exit = run.exit();
        let ran = exit.and_then(|exit| Ok(exit.is_none() && run.is_alive()?));
        thread::scope(|scope| {
            // Reading the files takes longer than everything else.
            let checkout = (!missing).then(|| flux.repo.checkout(&task.worktree));
            let files = scope.spawn(|| match checkout.transpose()? {
                None => anyhow::Ok(Vec::new()),
                Some(checkout) => Ok(full_status(&checkout, Ignored::Included)?.1),
            });
            let mut observer = Observer {
                flux,
                store,
                task,
                options,
                missing,
                branch_gone: store.tip(&task.branch).is_none(),
                worktrees: worktree::list(flux.repo.home())?,
                checks: Checks::default(),
            };
            let files = || files.join().expect("reading files does not panic");
            let facts = observer.observe(&stored.oid, ran, files);
            Ok((observer.checks, facts))
        })
    }

    /// Returns the facts with the tip and the merge that they will have after `--commit`: makes a
    /// trial commit of the uncommitted files, which no ref points to, and plans its merge.
    pub(super) fn once_committed(&self, flux: &Flux) -> Result<Self> {
        let tip = snapshot::preview_commit(&flux.repo.checkout(&self.task.worktree)?, &self.tip)?;
        let mut facts = self.clone();
        if let Destination::Merge(into) = &mut facts.destination {
            into.merge = into.plan(flux, (&self.task, &self.command), &tip)?;
        }
        facts.tip = tip;
        Ok(facts)
    }

    /// Returns the branch that the task is to be merged into; `None` if its commits are dropped, or
    /// are in the commit of `--merged=<commit>`.
    pub(crate) fn merge_target(&self) -> Option<&MergeTarget> {
        match &self.destination {
            Destination::Merge(into) => Some(into),
            Destination::MergedIn { .. } | Destination::Dropped => None,
        }
    }

    /// Returns the number of commits to merge; 0 if nothing is merged or the merge conflicts.
    pub(crate) fn commits(&self) -> usize {
        self.merge_target().map_or(0, |into| into.merge.commits())
    }

    /// Returns whether the tip of the task's branch is the task's base: the commit where the branch
    /// was created or, for an older branch, its merge base with the target at the start.
    pub(crate) fn has_no_commits(&self) -> bool {
        self.tip == self.task.base
    }

    /// Returns `3 files unseen`; `None` if there are none, or if that is not known.
    pub(crate) fn unseen_note(&self) -> Option<String> {
        let unseen = self.unseen.filter(|unseen| *unseen > 0)?;
        Some(format!("{} unseen", count(unseen, "file")))
    }

    /// Describes why there is nothing to merge: the branch has no commits, or the target branch has
    /// all its changes. `None` if there are commits to merge, conflicts, or commits to drop.
    pub(crate) fn nothing_to_merge(&self) -> Option<String> {
        let (target, how) = match &self.destination {
            Destination::MergedIn { name, how, .. } => (name.as_str(), how),
            Destination::Merge(into) => match &into.merge {
                MergePlan::UpToDate(how) => (&*into.branch, how),
                _ => return None,
            },
            Destination::Dropped => return None,
        };
        let branch = &self.task.branch;
        let what = match how {
            Integrated::Ancestor if self.has_no_commits() => {
                return Some(format!("'{branch}' has no commits of its own"));
            }
            Integrated::Cancelled => {
                return Some(format!("the commits of '{branch}' cancel each other out"));
            }
            Integrated::Ancestor => format!("all commits of '{branch}'"),
            Integrated::Contained => format!("the changes of '{branch}', in other commits"),
            Integrated::Picked => {
                format!("each commit of '{branch}', cherry-picked")
            }
            Integrated::Squashed => format!("'{branch}', squashed into one commit"),
        };
        Some(format!("'{target}' already has {what}"))
    }
}

struct Observer<'a> {
    flux: &'a Flux,
    store: &'a Store,
    task: &'a Task,
    options: &'a Options,
    missing: bool,
    branch_gone: bool,
    worktrees: Vec<Worktree>,
    checks: Checks,
}

impl Observer<'_> {
    /// Makes the checks of a task that no answer changes, and returns the facts; `None` if one
    /// could not be determined. `ran` says whether the agent ran a moment ago; `files` waits for
    /// the list of changed and ignored files.
    fn observe(
        &mut self,
        oid: &ObjectId,
        ran: Result<bool>,
        files: impl FnOnce() -> Result<Vec<Change>>,
    ) -> Option<Facts> {
        let (flux, task) = (self.flux, self.task);
        let state = observe::quick_state(flux, self.store, task, &self.worktrees);
        let settled = ensure_settled(&task.id, &state, &flux.run_dir(&task.id));
        self.checks.add_result("state", settled, state.label());
        let tip = self.check_tip();
        self.check_worktree();
        let other_fs = (!self.missing).then(|| flux.is_on_other_fs(&task.worktree));
        let other_fs = other_fs.unwrap_or(Ok(false));
        let other_fs = self.checks.require("file system", other_fs);
        let submodules = tip.as_ref().map(|_| self.check_submodules(other_fs));
        let before = self.checks.0.len();
        let destination = tip.as_ref().and_then(|tip| self.find_destination(tip));
        let processes = ran.and_then(|ran| TaskProcesses::find(flux, task, ran));
        let processes = self.checks.require("agent", processes);
        if processes.is_some() {
            let here = other_machine::ensure_not_elsewhere(flux, task);
            self.checks.require("agent", here);
        }
        let stash = self.find_stash_entries();
        let (all, read_error) = match files() {
            Ok(all) => (all, None),
            // `--discard` does not need the list.
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        // An unreadable worktree is moved to the trash with its submodules.
        if let Some(found) = submodules
            && (read_error.is_none() || other_fs != Some(false))
        {
            let verdict = found.map_or_else(Verdict::Refused, Verdict::Ok);
            let name = "submodules";
            self.checks.0.insert(before, Check { name, verdict });
        }
        let (ignored, uncommitted) = all.into_iter().partition(Change::is_ignored);
        Some(Facts {
            task: task.clone(),
            command: self.options.command.clone(),
            oid: oid.clone(),
            state,
            tip: tip?,
            branch_gone: self.branch_gone,
            uncommitted,
            read_error,
            ignored,
            stash: stash?,
            destination: destination?,
            processes: processes?,
            missing: self.missing,
            other_fs: other_fs?,
            configuration: shared_config::compare(flux, &task.id),
            unseen: count_unseen(flux, self.store, task),
            worktrees: self.worktrees.clone(),
        })
    }

    /// Returns the stash entries that concern the task. `None` if its own stash, or the notes about
    /// the shared one, cannot be read: a check then refuses.
    fn find_stash_entries(&mut self) -> Option<StashFacts> {
        let (flux, id) = (self.flux, &self.task.id);
        let own = self.checks.require("stash", flux.own_stash_entries(id));
        let removed = flux.removed_stash_entries(id);
        let removed = self.checks.require("shared stash", removed)?;
        let why = match name_entries(&removed) {
            names if names.is_empty() => "no entry was removed while the task ran".to_owned(),
            names => format!("removed while the task ran: {names}"),
        };
        self.checks.add("shared stash", Verdict::Ok(why));
        Some(StashFacts { own: own?, removed })
    }

    fn check_tip(&mut self) -> Option<ObjectId> {
        let tip = self.checks.require("branch", self.find_tip())?;
        let (branch, short) = (&self.task.branch, tip.short());
        let why = match self.branch_gone {
            true => format!("'{branch}' is gone; its last known commit is {short}"),
            false => format!("'{branch}' is at {short}"),
        };
        self.checks.add("branch", Verdict::Ok(why));
        Some(tip)
    }

    /// Returns the tip of the task's branch. Fails if the branch has become a symbolic ref, or is
    /// gone; with `--discard-branch`, returns the last known commit of a branch that is gone.
    fn find_tip(&self) -> Result<ObjectId> {
        let (store, task) = (self.store, self.task);
        let branch = &task.branch;
        if let Some(tip) = store.tip(branch) {
            store.ensure_not_symbolic(branch)?;
            return Ok(tip.to_owned());
        }
        if !matches!(self.options.branch, Branch::Discard) {
            damage::ensure_intact(self.flux, task)?;
            return Err(own_worktree::changed_failure(
                &task.id,
                &self.options.command,
            ));
        }
        if let Some(other) = store.conflicting_branch(branch).map(word) {
            let what = format!("'{branch}' is gone and cannot be recreated: '{other}' exists");
            bail!(Failure::new(what).hint(format!("git branch -m {other} <another name>")));
        }
        damage::last_known_commit(self.flux, task)
    }

    /// Adds the checks of the task's worktree: it is not another one, not locked, without an
    /// operation such as a rebase, and on the task's branch. A missing worktree needs a consent,
    /// which `--discard` gives.
    fn check_worktree(&mut self) {
        let (flux, task) = (self.flux, self.task);
        let ours = own_worktree::ensure_ours(flux, task, &self.worktrees, self.missing);
        let checks = &mut self.checks;
        let is_ours = checks.require("worktree", ours).is_some();
        let path = shown(&task.worktree);
        if is_ours && !self.missing {
            checks.add("worktree", Verdict::Ok(format!("'{path}'")));
        }
        let mut entries = self.worktrees.iter();
        if let Some(entry) = entries.find(|entry| entry.path == task.worktree) {
            let unlocked = own_worktree::ensure_unlocked_by_user(entry, &task.id);
            let why = match worktree_lock::is_of_task(entry, &task.id) {
                true => "locked only for the task itself",
                false => "not locked",
            };
            checks.add_result("lock", unlocked, why);
            // Another's worktree has been refused already.
            if !self.missing
                && let Ok(checkout) = flux.repo.checkout(&task.worktree)
            {
                let idle = own_worktree::ensure_idle(&checkout);
                checks.add_result("operation", idle, "no operation is in progress");
            }
            if !self.branch_gone {
                let why = format!("'{}' is checked out", task.branch);
                checks.add_result("HEAD", own_worktree::ensure_on_branch(task, entry), why);
            }
        }
        // A locked worktree may be on a removable disk.
        if is_ours && self.missing {
            let refusal = own_worktree::missing_failure(flux, task, self.options);
            let what = format!("'{path}' is gone");
            let question = Question::WorktreeGone;
            let verdict = Verdict::consent(self.options, question, what, refusal);
            checks.add("worktree", verdict);
        }
    }

    /// Describes why removing the worktree loses no work in its submodules. Fails if one has
    /// uncommitted files, unpushed commits or other worktrees, or if one is checked out and the
    /// worktree is on another file system than the trash.
    fn check_submodules(&self, other_fs: Option<bool>) -> Result<String> {
        let found = own_worktree::list_submodules(self.flux, self.task)?;
        if other_fs == Some(true) {
            let retry = self.options.command.with(&self.task.id, "");
            own_worktree::ensure_none_checked_out(self.task, &found, &retry)?;
        }
        Ok(own_worktree::describe_submodules(&found))
    }

    fn find_destination(&mut self, tip: &ObjectId) -> Option<Destination> {
        let search = TargetSearch {
            flux: self.flux,
            store: self.store,
            task: self.task,
            tip,
            options: self.options,
            worktrees: &self.worktrees,
        };
        let (destination, why) = self.checks.require("target", search.find())?;
        if let Some(why) = why {
            self.checks.add("target", Verdict::Ok(why));
        }
        Some(destination)
    }
}

/// Fails if the task is just being started or removed, was left incomplete by a killed command, or
/// has an unknown state.
fn ensure_settled(id: &TaskId, state: &State, run: &RunDir) -> Result<()> {
    if !matches!(
        state,
        State::Unknown | State::Starting | State::Removing | State::Incomplete
    ) {
        return Ok(());
    }
    let what = match state {
        State::Unknown => format!("cannot tell whether the agent of '{id}' is running"),
        _ => format!("'{id}' is {}", state.name()),
    };
    let failure = Failure::new(what).hint(format!(
        "to see the state of the task: git flux status {id}"
    ));
    match run.ensure_launcher_known() {
        Err(error) if *state == State::Unknown => Err(failure::wrap_in_failure(error, failure)),
        _ => Err(failure.into()),
    }
}
