//! What is observed of a task that is to be removed.

use std::fs;
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::check::{Check, Checks, Verdict};
use super::options::{Branch, Options, Question};
use super::runs::Runs;
use super::target::{Destination, MergeTarget, TargetSearch};
use super::worktree as place;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{
    Change, Ignored, Integrated, MergePlan, ObjectId, Worktree, all_changes, snapshot, worktree,
};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::{damage, observe, other_machine};
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
    pub(crate) destination: Destination,
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
        ensure_not_copied(flux, task)?;
        let missing = !fs::exists(&task.worktree)
            .with_context(|| format!("could not look at '{}'", task.worktree.display()))?;
        // Before its files are: one that ends meanwhile may have written some more.
        let run = flux.run_dir(&task.id);
        let exit = run.exit();
        let ran = exit.and_then(|exit| Ok(exit.is_none() && run.is_alive()?));
        thread::scope(|scope| {
            // It takes longer than everything else together, which is looked at meanwhile.
            let checkout = (!missing).then(|| flux.repo.checkout(&task.worktree));
            let files = scope.spawn(|| match checkout.transpose()? {
                None => anyhow::Ok(Vec::new()),
                Some(checkout) => Ok(all_changes(&checkout, Ignored::Included)?.1),
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
            let files = || files.join().expect("looking at files does not panic");
            let facts = observer.observe(&stored.oid, ran, files);
            Ok((observer.checks, facts))
        })
    }

    /// Returns the facts as they will be once what is uncommitted is committed.
    ///
    /// # Errors
    /// When the commit cannot be foreseen.
    pub(super) fn once_committed(&self, flux: &Flux) -> Result<Self> {
        let tip = snapshot::foresee(&flux.repo.checkout(&self.task.worktree)?, &self.tip)?;
        let mut facts = self.clone();
        if let Destination::Merge(into) = &mut facts.destination {
            into.merge = into.plan(flux, &self.task, &tip)?;
        }
        facts.tip = tip;
        Ok(facts)
    }

    /// Returns the branch that the task is merged into, if it is to be.
    pub(crate) fn into(&self) -> Option<&MergeTarget> {
        match &self.destination {
            Destination::Merge(into) => Some(into),
            Destination::MergedIn { .. } | Destination::Dropped => None,
        }
    }

    /// Returns how many commits would be merged.
    pub(crate) fn commits(&self) -> usize {
        self.into().map_or(0, |into| into.merge.commits())
    }

    /// Returns whether the task has no commits of its own.
    pub(crate) fn has_no_commits(&self) -> bool {
        self.tip == self.task.base
    }

    /// Says why there is nothing to merge, if so: no work yet, or work that is there already.
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
                return Some(format!(
                    "the commits of '{branch}' change nothing, all in all"
                ));
            }
            Integrated::Ancestor => format!("everything of '{branch}' already"),
            Integrated::Contained => format!("the changes of '{branch}' already, by other commits"),
            Integrated::Picked => {
                format!("each commit of '{branch}' already, under another name")
            }
            Integrated::Squashed => format!("'{branch}' already, squashed into one commit"),
        };
        Some(format!("'{target}' has {what}"))
    }
}

/// Looks at one task.
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
    /// Looks at everything. The agent `ran` a moment ago; `files` waits for what is in the worktree.
    fn observe(
        &mut self,
        oid: &ObjectId,
        ran: Result<bool>,
        files: impl FnOnce() -> Result<Vec<Change>>,
    ) -> Option<Facts> {
        let (flux, task) = (self.flux, self.task);
        let state = observe::quick_state(flux, self.store, task, &self.worktrees);
        let settled = ensure_settled(&task.id, &state, &flux.run_dir(&task.id));
        self.checks.pass("state", settled, state.label());
        let tip = self.tip();
        self.look_at_worktree();
        let abroad = (!self.missing).then(|| flux.is_abroad(&task.worktree));
        let abroad = abroad.unwrap_or(Ok(false));
        let abroad = self.checks.require("file system", abroad);
        let submodules = tip.as_ref().map(|_| self.submodules(abroad));
        let before = self.checks.0.len();
        let destination = tip.as_ref().and_then(|tip| self.destination(tip));
        let runs = ran.and_then(|ran| Runs::find(flux, task, ran));
        let runs = self.checks.require("agent", runs);
        if runs.is_some() {
            let here = other_machine::ensure_not_elsewhere(flux, task);
            self.checks.require("agent", here);
        }
        let (all, unread) = match files() {
            Ok(all) => (all, None),
            // Whoever leaves it in the trash need not know.
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        // What cannot be looked into goes to the trash whole, submodules too.
        if let Some(found) = submodules
            && (unread.is_none() || abroad != Some(false))
        {
            let verdict = found.map_or_else(Verdict::Refused, Verdict::Ok);
            let name = "submodules";
            self.checks.0.insert(before, Check { name, verdict });
        }
        let (ignored, uncommitted) = all.into_iter().partition(Change::ignored);
        Some(Facts {
            task: task.clone(),
            oid: oid.clone(),
            state,
            tip: tip?,
            branch_gone: self.branch_gone,
            uncommitted,
            unread,
            ignored,
            destination: destination?,
            runs: runs?,
            missing: self.missing,
            abroad: abroad?,
            worktrees: self.worktrees.clone(),
        })
    }

    fn tip(&mut self) -> Option<ObjectId> {
        let tip = self.checks.require("branch", self.find_tip())?;
        let (branch, short) = (&self.task.branch, tip.short());
        let why = match self.branch_gone {
            true => format!("'{branch}' is gone, {short} is known of it"),
            false => format!("'{branch}' is at {short}"),
        };
        self.checks.add("branch", Verdict::Ok(why));
        Some(tip)
    }

    /// Finds the tip of the task's branch; where that is gone and is dropped, its last commit that
    /// is known.
    ///
    /// # Errors
    /// When the branch is gone, or has become a symbolic ref.
    fn find_tip(&self) -> Result<ObjectId> {
        let (store, task) = (self.store, self.task);
        let branch = &task.branch;
        if let Some(tip) = store.tip(branch) {
            store.ensure_not_symbolic(branch)?;
            return Ok(tip.to_owned());
        }
        if !matches!(self.options.branch, Branch::Discard) {
            damage::ensure_intact(self.flux, task)?;
            return Err(changed(&task.id));
        }
        if let Some(other) = store.in_the_way(branch).map(word) {
            let what = format!("the branch '{branch}' is gone, and '{other}' is in its way");
            bail!(Failure::new(what).hint(format!("git branch -m {other} <another name>")));
        }
        damage::last_known_commit(self.flux, task)
    }

    /// Looks whether the worktree is what it should be.
    fn look_at_worktree(&mut self) {
        let (flux, task) = (self.flux, self.task);
        let ours = place::ensure_ours(flux, task, &self.worktrees, self.missing);
        let checks = &mut self.checks;
        let is_ours = checks.require("worktree", ours).is_some();
        let path = shown(&task.worktree);
        if is_ours && !self.missing {
            checks.add("worktree", Verdict::Ok(format!("'{path}'")));
        }
        let mut entries = self.worktrees.iter();
        if let Some(entry) = entries.find(|entry| entry.path == task.worktree) {
            checks.pass("lock", place::ensure_unlocked(entry), "not locked");
            // Where it is not ours, that has been said.
            if !self.missing
                && let Ok(checkout) = flux.repo.checkout(&task.worktree)
            {
                let idle = place::ensure_idle(&checkout);
                checks.pass("operation", idle, "none is in progress");
            }
            if !self.branch_gone {
                let why = format!("'{}' is checked out", task.branch);
                checks.pass("HEAD", place::ensure_on_branch(task, entry), why);
            }
        }
        // A locked one may come back with its stick.
        if is_ours && self.missing {
            let refusal = damage::ensure_intact(flux, task).err();
            let refusal = refusal.unwrap_or_else(|| changed(&task.id));
            let what = format!("'{path}' is gone");
            let question = Question::WorktreeGone;
            let verdict = Verdict::consent(self.options, question, what, refusal);
            checks.add("worktree", verdict);
        }
    }

    /// Looks into each submodule, and says why nothing of them is lost.
    fn submodules(&self, abroad: Option<bool>) -> Result<String> {
        let found = place::submodules(self.flux, self.task)?;
        if abroad == Some(true) {
            place::ensure_none_checked_out(self.task, &found)?;
        }
        Ok(place::describe(&found))
    }

    /// Finds where the work goes.
    fn destination(&mut self, tip: &ObjectId) -> Option<Destination> {
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
    let failure =
        Failure::new(format!("'{id}' is {}", state.name())).hint(format!("git flux status {id}"));
    match run.ensure_known() {
        Err(error) if *state == State::Unknown => Err(failure::over(error, failure)),
        _ => Err(failure.into()),
    }
}
