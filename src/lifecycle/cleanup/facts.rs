//! What is observed of a task that is to be removed.

use std::fs;
use std::thread;

use anyhow::{Context as _, Result};

use super::check::{Check, Checks, Verdict};
use super::options::{Agreed, Branch, Options, Question};
use super::runs::Runs;
use super::target::{MergeTarget, MergedIn, TargetSearch};
use super::worktree as place;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{Change, Ignored, ObjectId, Worktree, all_changes, snapshot, worktree};
use crate::lifecycle::elsewhere::ensure_here;
use crate::lifecycle::{broken, observe, other_machine};
use crate::run::RunDir;
use crate::store::{Store, Stored};
use crate::task::{State, Task, TaskId};
use crate::ui::{shown, word};

/// Everything observed of a task that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) task: Task,
    /// The object name of its record.
    pub(crate) oid: ObjectId,
    pub(crate) state: State,
    /// The branch's tip.
    pub(crate) tip: ObjectId,
    /// The branch is gone, and the tip is the last commit of it that is known.
    pub(crate) branch_gone: bool,
    /// Uncommitted files: what `git status` shows, and what it was told to overlook.
    pub(crate) uncommitted: Vec<Change>,
    /// Why it cannot be told what is uncommitted, if so.
    pub(crate) unread: Option<String>,
    /// Ignored files, which stay in the trash.
    pub(crate) ignored: Vec<Change>,
    /// None if the branch is to be dropped.
    pub(crate) into: Option<MergeTarget>,
    /// The commit that has its work, if it is to be dropped for that.
    pub(crate) merged_in: Option<MergedIn>,
    pub(crate) runs: Runs,
    /// The worktree's directory is gone already.
    pub(crate) missing: bool,
    /// It is on another file system than the trash: it cannot be moved there.
    pub(crate) abroad: bool,
    /// The worktrees of the repository.
    pub(crate) worktrees: Vec<Worktree>,
}

impl Facts {
    /// Observes a task, check by check; there are facts if all checks could be made.
    ///
    /// # Errors
    /// When there is nothing to look at: the record cannot be read, or git not be asked.
    pub(super) fn observe(
        flux: &Flux,
        store: &Store,
        stored: &Stored,
        options: &Options,
    ) -> Result<(Checks, Option<Self>)> {
        let task = stored.readable()?;
        ensure_here(flux, task)?;
        let missing = !fs::exists(&task.worktree)
            .with_context(|| format!("could not look at '{}'", task.worktree.display()))?;
        // Before its files are: one that ends meanwhile may have written some more.
        let ran = is_alive(flux, task);
        thread::scope(|scope| {
            // It takes longer than everything else together, which is looked at meanwhile.
            let checkout = (!missing).then(|| flux.repo.checkout(&task.worktree));
            let files = scope.spawn(|| match checkout.transpose()? {
                None => anyhow::Ok(Vec::new()),
                Some(checkout) => Ok(all_changes(&checkout, Ignored::Included)?.1),
            });
            let observer = Observer {
                flux,
                store,
                stored,
                task,
                options,
                missing,
                worktrees: worktree::list(flux.repo.home())?,
            };
            let files = || files.join().expect("looking at files does not panic");
            Ok(observer.observe(ran, files))
        })
    }

    /// Returns the facts as they will be once what is uncommitted is committed.
    ///
    /// # Errors
    /// When the commit cannot be foreseen.
    pub(super) fn once_committed(&self, flux: &Flux) -> Result<Self> {
        let tip = snapshot::foresee(&flux.repo.checkout(&self.task.worktree)?, &self.tip)?;
        let mut facts = self.clone();
        if let Some(into) = &mut facts.into {
            into.merge = into.plan(flux, &self.task, &tip)?;
        }
        facts.tip = tip;
        Ok(facts)
    }

    /// Returns how many commits would be merged.
    pub(crate) fn commits(&self) -> usize {
        self.into.as_ref().map_or(0, |into| into.merge.commits())
    }

    /// Returns whether the task has no commits of its own.
    pub(crate) fn has_no_commits(&self) -> bool {
        self.tip == self.task.base
    }
}

/// Where a task's work goes, as it was found.
enum Target {
    MergeTarget(MergeTarget),
    MergedIn(MergedIn),
    Nowhere,
}

/// Looks at one task.
struct Observer<'a> {
    flux: &'a Flux,
    store: &'a Store,
    stored: &'a Stored,
    task: &'a Task,
    options: &'a Options,
    missing: bool,
    worktrees: Vec<Worktree>,
}

impl Observer<'_> {
    /// Looks at everything. The agent `ran` a moment ago; `files` waits for what is in the worktree.
    fn observe(
        self,
        ran: Result<bool>,
        files: impl FnOnce() -> Result<Vec<Change>>,
    ) -> (Checks, Option<Facts>) {
        let (flux, task) = (self.flux, self.task);
        let mut checks = Checks::default();
        let state = observe::state(flux, self.store, task, &self.worktrees);
        let settled = ensure_settled(&task.id, &state, &flux.run_dir(&task.id));
        checks.pass("state", settled, state.label());
        let tip = self.tip(&mut checks);
        self.look_at_worktree(&mut checks);
        let abroad = match self.missing {
            true => Ok(false),
            false => flux.is_abroad(&task.worktree),
        };
        let abroad = checks.require("file system", abroad);
        let submodules = tip.as_ref().map(|_| self.submodules(abroad));
        let mut rest = Checks::default();
        let target = self.target(tip.as_ref(), &mut rest);
        let runs = ran.and_then(|ran| Runs::find(flux, task, ran));
        let runs = rest.require("agent", runs).map(|runs| {
            let here = other_machine::ensure_not_elsewhere(flux, task);
            let is_elsewhere = rest.require("agent", here).is_none();
            Runs {
                is_elsewhere,
                ..runs
            }
        });
        let (all, unread) = match files() {
            Ok(all) => (all, None),
            // Whoever leaves it in the trash need not know.
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        // What cannot be looked into goes to the trash whole, submodules too.
        if unread.is_none() || abroad != Some(false) {
            checks.0.extend(submodules);
        }
        checks.0.extend(rest.0);
        let (Some(tip), Some(abroad), Some(target), Some(runs)) = (tip, abroad, target, runs)
        else {
            return (checks, None);
        };
        let (into, merged_in) = match target {
            Target::MergeTarget(into) => (Some(into), None),
            Target::MergedIn(commit) => (None, Some(commit)),
            Target::Nowhere => (None, None),
        };
        let (ignored, uncommitted) = all.into_iter().partition(Change::ignored);
        let facts = Facts {
            task: task.clone(),
            oid: self.stored.oid.clone(),
            state,
            tip,
            branch_gone: self.is_branch_gone(),
            uncommitted,
            unread,
            ignored,
            into,
            merged_in,
            runs,
            missing: self.missing,
            abroad,
            worktrees: self.worktrees,
        };
        (checks, Some(facts))
    }

    fn is_branch_gone(&self) -> bool {
        self.store.tip(&self.task.branch).is_none()
    }

    fn tip(&self, checks: &mut Checks) -> Option<ObjectId> {
        let tip = checks.require("branch", self.find_tip())?;
        let (branch, short) = (&self.task.branch, &tip[..tip.len().min(9)]);
        let why = match self.is_branch_gone() {
            true => format!("'{branch}' is gone, {short} is known of it"),
            false => format!("'{branch}' is at {short}"),
        };
        checks.add("branch", Verdict::Ok(why));
        Some(tip)
    }

    /// Finds the tip of the task's branch; where that is gone and is dropped, its last commit that
    /// is known.
    ///
    /// # Errors
    /// When the branch is gone, or has become a symbolic ref.
    fn find_tip(&self) -> Result<ObjectId> {
        let (store, task) = (self.store, self.task);
        if let Some(tip) = store.tip(&task.branch) {
            store.ensure_not_symbolic(&task.branch)?;
            return Ok(tip.to_owned());
        }
        if !matches!(self.options.branch, Branch::Discard) {
            broken::ensure_whole(self.flux, task)?;
            return Err(changed(&task.id));
        }
        if let Some(other) = store.in_the_way(&task.branch) {
            let (other, branch) = (word(other), &task.branch);
            let what = format!("the branch '{branch}' is gone, and '{other}' is in its way");
            let rename = format!("git branch -m {other} <another name>");
            return Err(Failure::new(what).hint(rename).into());
        }
        broken::last_commit(self.flux, task)
    }

    /// Looks whether the worktree is what it should be.
    fn look_at_worktree(&self, checks: &mut Checks) {
        let (flux, task) = (self.flux, self.task);
        let ours = place::ensure_ours(flux, task, &self.worktrees, self.missing);
        let is_ours = checks.require("worktree", ours).is_some();
        if is_ours && !self.missing {
            let path = shown(&task.worktree);
            checks.add("worktree", Verdict::Ok(format!("'{path}'")));
        }
        let mut entries = self.worktrees.iter();
        if let Some(entry) = entries.find(|entry| entry.path == task.worktree) {
            self.look_at_entry(entry, checks);
        }
        // A locked one may come back with its stick.
        if is_ours && self.missing {
            checks.add("worktree", self.without_worktree());
        }
    }

    fn look_at_entry(&self, entry: &Worktree, checks: &mut Checks) {
        let task = self.task;
        checks.pass("lock", place::ensure_unlocked(entry), "not locked");
        // Where it is not ours, that has been said.
        if !self.missing
            && let Ok(checkout) = self.flux.repo.checkout(&task.worktree)
        {
            let idle = place::ensure_idle(&checkout);
            checks.pass("operation", idle, "none is in progress");
        }
        if !self.is_branch_gone() {
            let branch = format!("'{}' is checked out", task.branch);
            checks.pass("HEAD", place::ensure_on_branch(task, entry), branch);
        }
    }

    /// Looks into each submodule.
    fn submodules(&self, abroad: Option<bool>) -> Check {
        let found = place::submodules(self.flux, self.task);
        let movable = found.and_then(|found| {
            if abroad == Some(true) {
                place::ensure_none_checked_out(self.task, &found)?;
            }
            Ok(place::describe(&found))
        });
        Check {
            name: "submodules",
            verdict: movable.map_or_else(Verdict::Refused, Verdict::Ok),
        }
    }

    /// The worktree is gone, so that it is not known what was uncommitted in it.
    fn without_worktree(&self) -> Verdict {
        let what = format!("'{}' is gone", shown(&self.task.worktree));
        let refusal = match self.options.agreed(Question::WorktreeGone, &what) {
            Agreed::No => broken::ensure_whole(self.flux, self.task).err(),
            Agreed::Yes | Agreed::Ask => None,
        };
        let refusal = refusal.unwrap_or_else(|| changed(&self.task.id));
        Verdict::consent(self.options, Question::WorktreeGone, what, refusal)
    }

    /// Finds where the work goes; none if that is nowhere it can go.
    fn target(&self, tip: Option<&ObjectId>, checks: &mut Checks) -> Option<Target> {
        let (flux, task) = (self.flux, self.task);
        let Some(tip) = tip else {
            return Some(Target::Nowhere);
        };
        match &self.options.branch {
            Branch::Discard => Some(Target::Nowhere),
            Branch::Merge { into, style } => {
                let search = TargetSearch {
                    flux,
                    store: self.store,
                    task,
                    tip,
                    typed: into.as_deref(),
                    worktrees: &self.worktrees,
                };
                let into = checks.require("target", search.find(*style))?;
                checks.add("target", Verdict::Ok(into.place()));
                Some(Target::MergeTarget(into))
            }
            Branch::MergedIn { name, commit } => {
                let found = MergedIn::find(flux, task, tip, (name, commit));
                let found = checks.require("target", found)?;
                let why = format!("'{}' has its work", found.name);
                checks.add("target", Verdict::Ok(why));
                Some(Target::MergedIn(found))
            }
        }
    }
}

/// Returns whether the agent of a task runs.
fn is_alive(flux: &Flux, task: &Task) -> Result<bool> {
    let run = flux.run_dir(&task.id);
    Ok(run.exit()?.is_none() && run.is_alive()?)
}

/// The refusal of a task in which something is there again that was missing.
fn changed(id: &TaskId) -> anyhow::Error {
    Failure::new(format!("'{id}' changed meanwhile"))
        .hint(format!("git flux cleanup {id}"))
        .into()
}

/// Fails if a command is at work on the task or died at it, or it is not known what it is.
///
/// # Errors
/// As it says.
fn ensure_settled(id: &TaskId, state: &State, run: &RunDir) -> Result<()> {
    if !matches!(
        state,
        State::Unknown | State::Starting | State::Removing | State::Incomplete
    ) {
        return Ok(());
    }
    let failure = Failure::new(format!("'{id}' is {}", state.name()));
    let failure = failure.hint(format!("git flux status {id}"));
    match run.ensure_known() {
        Err(error) if *state == State::Unknown => {
            let failure = failure::hints(&error).fold(failure, Failure::hint);
            Err(error.context(failure))
        }
        _ => Err(failure.into()),
    }
}
