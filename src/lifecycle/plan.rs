//! What a cleanup would do, as a value: computed before anything changes.

use std::fs;
use std::thread;

use anyhow::{Context as _, Result};

use super::elsewhere::ensure_here;
use super::into::{MergedIn, Wanted};
use super::loss::{Loss, Verdict};
use super::pane::ensure_no_orphan;
use super::{Flux, Into, broken, check, observe, obstacle, other_machine};
use crate::agent::process::{self, Process};
use crate::agent::run::RunDir;
use crate::failure::{self, Failure};
use crate::git::{Change, MergePlan, all_changes, refs, snapshot, worktree};
use crate::sanitize;
use crate::store::{Store, Stored};
use crate::task::{State, Task, TaskId};
use crate::tmux::pane;
use crate::ui::word;

/// Everything observed of a task that is to be removed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) task: Task,
    pub(crate) oid: String,
    /// The branch's tip.
    pub(crate) tip: String,
    /// The branch is gone, and the tip is the last commit of it that is known.
    pub(crate) branch_gone: bool,
    /// Uncommitted files: what `git status` shows, and what it was told to overlook.
    pub(crate) uncommitted: Vec<Change>,
    /// Why it cannot be told what is uncommitted, if so.
    pub(crate) unread: Option<String>,
    /// Ignored files, which stay in the trash.
    pub(crate) ignored: Vec<Change>,
    /// None if the branch is to be dropped.
    pub(crate) into: Option<Into>,
    /// The commit that has its work, if it is to be dropped for that.
    pub(crate) merged_in: Option<MergedIn>,
    /// Its agent runs, whatever else may be wrong with it.
    pub(crate) alive: bool,
    /// Its agent runs where it cannot be seen: that refuses.
    pub(crate) elsewhere: bool,
    /// Why it is not known whether its agent has ended, if so.
    pub(crate) doubt: Option<String>,
    /// A program that runs in the pane, though the agent has ended.
    pub(crate) busy: Option<i32>,
    /// What else goes with the pane, wherever it stands; none if that cannot be told.
    pub(crate) aside: Option<Vec<Process>>,
    /// Other processes that stand in the worktree; none if that cannot be told.
    pub(crate) others: Option<Vec<Process>>,
    /// We were started in the task's own pane: it is closed last.
    pub(crate) inside: bool,
    /// The worktree's directory is gone already.
    pub(crate) missing: bool,
    /// It is on another file system than the trash: it cannot be moved there.
    pub(crate) abroad: bool,
}

impl Plan {
    /// Observes a task. What is wrong with it, and cannot be asked about, is an error.
    ///
    /// # Errors
    /// When a check fails, or could not be made: unknown is never clean.
    pub(crate) fn make(
        flux: &Flux,
        store: &Store,
        stored: &Stored,
        wanted: Wanted<'_>,
    ) -> Result<Self> {
        let (loss, plan) = Self::observe(flux, store, stored, wanted)?;
        loss.ensure()?;
        plan.context("a check was forgotten")
    }

    /// Observes a task, check by check; there is a plan if all could be made.
    ///
    /// # Errors
    /// When there is nothing to look at: the record cannot be read, or git not be asked.
    pub(crate) fn observe(
        flux: &Flux,
        store: &Store,
        stored: &Stored,
        wanted: Wanted<'_>,
    ) -> Result<(Loss, Option<Self>)> {
        let task = stored.readable()?;
        ensure_here(flux, task)?;
        let missing = !fs::exists(&task.worktree)
            .with_context(|| format!("could not look at '{}'", task.worktree.display()))?;
        // Before its files are: one that ends meanwhile may have written some more.
        let began = is_alive(flux, task);
        thread::scope(|scope| {
            // It takes longer than everything else together, which is looked at meanwhile.
            let checkout = (!missing).then(|| flux.repo.checkout(&task.worktree));
            let files = scope.spawn(|| -> Result<Vec<Change>> {
                match checkout.transpose()? {
                    None => Ok(Vec::new()),
                    Some(checkout) => Ok(all_changes(&checkout, true)?.1),
                }
            });
            let mut loss = Loss::default();
            let worktrees = worktree::list(flux.repo.home())?;
            let state = observe::state(flux, store, task, &worktrees);
            let run = flux.run_dir(&task.id);
            loss.note("state", ensure_settled(&task.id, &state, &run), |()| {
                Verdict::Passes(state.label())
            });
            let branch_gone = store.tip(&task.branch).is_none();
            let drops = matches!(wanted, Wanted::Nothing);
            let tip = loss.note("branch", tip_of(flux, store, task, drops), |tip| {
                let (branch, tip) = (&task.branch, &tip[..tip.len().min(9)]);
                match branch_gone {
                    true => Verdict::Asks(format!("'{branch}' is gone, {tip} is known of it")),
                    false => Verdict::Passes(format!("'{branch}' is at {tip}")),
                }
            });
            let tip = tip.as_deref();
            check::worktree(flux, task, &worktrees, missing, !branch_gone, &mut loss);
            let abroad = match missing {
                true => Ok(false),
                false => flux.is_abroad(&task.worktree),
            };
            let abroad = loss.must("file system", abroad);
            let mut of_submodules = Loss::default();
            if let Some(tip) = tip {
                let abroad = abroad == Some(true);
                check::submodules(flux, task, tip, abroad, &mut of_submodules);
            }
            let at = loss.checks.len();
            let mut merged_in = None;
            let into = match (wanted, tip) {
                (Wanted::Merge { into, style }, Some(tip)) => {
                    let branch = into.or(task.into.as_deref()).map_or("", refs::short);
                    let into = Into::find(flux, store, task, tip, (into, style), &worktrees)
                        .map_err(|error| obstacle::explain(error, task, branch));
                    loss.note("target", into, |into| Verdict::Passes(into.place()))
                        .map(Some)
                }
                (Wanted::In { name, commit }, Some(tip)) => {
                    let found = MergedIn::find(flux, task, tip, (name, commit));
                    merged_in = loss.note("target", found, |found| {
                        Verdict::Passes(format!("'{}' has its work", found.name))
                    });
                    merged_in.is_some().then_some(None)
                }
                _ => Some(None),
            };
            let runs = began.and_then(|began| Runs::find(flux, task, began));
            let runs = loss.must("agent", runs);
            let away = other_machine::ensure_not_elsewhere(flux, task);
            let elsewhere = runs.is_some() && loss.must("agent", away).is_none();
            let files = files.join().expect("looking at files does not panic");
            let (all, unread): (Vec<Change>, _) = match files {
                Ok(all) => (all, None),
                // Whoever leaves it in the trash need not know.
                Err(error) => (Vec::new(), Some(format!("{error:#}"))),
            };
            // What cannot be looked into goes to the trash whole, submodules too.
            if unread.is_none() || abroad != Some(false) {
                loss.checks.splice(at..at, of_submodules.checks);
            }
            let plan = || {
                let runs = runs?;
                let (ignored, uncommitted) = all.into_iter().partition(Change::ignored);
                Some(Self {
                    task: task.clone(),
                    oid: stored.oid.clone(),
                    tip: tip?.to_owned(),
                    branch_gone,
                    uncommitted,
                    unread,
                    ignored,
                    into: into?,
                    merged_in,
                    alive: runs.alive,
                    elsewhere,
                    doubt: runs.doubt,
                    busy: runs.busy,
                    aside: runs.aside,
                    others: runs.others,
                    inside: task.target.as_ref().is_some_and(pane::is_ours),
                    missing,
                    abroad: abroad?,
                })
            };
            let plan = plan();
            Ok((loss, plan))
        })
    }

    /// Whether something has to be stopped: an agent that runs, or what runs in its
    /// pane by now, unless it is who called.
    pub(crate) fn must_stop(&self) -> bool {
        (self.alive || self.busy.is_some()) && !self.inside
    }

    /// Whether its pane has to be closed before the last look, for what runs in it by now may still
    /// write: there is such a program, or there may be.
    pub(crate) fn has_foreign_jobs(&self) -> bool {
        (self.busy.is_some() || self.aside.is_none()) && !self.inside
    }

    /// What is to be stopped.
    pub(crate) fn stopped(&self) -> String {
        let id = &self.task.id;
        match self.busy {
            Some(pid) => format!("a program in the pane of '{id}' (process {pid})"),
            None => format!("the agent of '{id}'"),
        }
    }

    /// Who else stands in the worktree, if anybody.
    pub(crate) fn others(&self) -> Option<String> {
        let Some(others) = &self.others else {
            return Some("this system does not tell which processes stand in it".to_owned());
        };
        let (count, verb) = match others.len() {
            0 => return None,
            1 => ("1 other process".to_owned(), "stands"),
            many => (format!("{many} other processes"), "stand"),
        };
        Some(format!("{count} {verb} in the worktree: {}", list(others)))
    }

    /// What else ends with the pane, if anything, and whether some of it is stopped or unknown: that
    /// may hold what nobody has saved, and cannot say so.
    pub(crate) fn aside(&self) -> Option<(String, bool)> {
        let id = &self.task.id;
        let Some(aside) = &self.aside else {
            let what = format!(
                "this system does not tell what runs in the pane of '{id}', and would end with it"
            );
            return Some((what, true));
        };
        let stopped = aside.iter().any(|one| one.stopped);
        let what = format!(
            "what was put aside in the pane of '{id}' would end with it: {}",
            list(aside)
        );
        (!aside.is_empty()).then_some((what, stopped))
    }

    /// How many commits would be merged.
    pub(crate) fn commits(&self) -> usize {
        self.into.as_ref().map_or(0, |into| into.merge.commits())
    }

    /// The plan as it will be once what is uncommitted is committed.
    ///
    /// # Errors
    /// When the commit cannot be foreseen.
    pub(crate) fn once_committed(&self, flux: &Flux) -> Result<Self> {
        let tip = snapshot::foresee(&flux.repo.checkout(&self.task.worktree)?, &self.tip)?;
        let mut plan = self.clone();
        if let Some(into) = &mut plan.into {
            into.merge = MergePlan::make(&flux.repo, &into.tip, &tip, into.style)
                .map_err(|error| obstacle::explain(error, &self.task, &into.branch))?;
        }
        plan.tip = tip;
        Ok(plan)
    }
}

/// Processes, for people.
fn list(processes: &[Process]) -> String {
    let name = |one: &Process| format!("{} ({})", one.name, one.pid);
    let names: Vec<String> = processes.iter().map(name).collect();
    sanitize::line(&names.join(", "))
}

/// Whether the agent of a task runs.
fn is_alive(flux: &Flux, task: &Task) -> Result<bool> {
    let run = flux.run_dir(&task.id);
    Ok(run.exit()?.is_none() && run.is_alive()?)
}

/// What runs for a task.
struct Runs {
    alive: bool,
    doubt: Option<String>,
    busy: Option<i32>,
    aside: Option<Vec<Process>>,
    others: Option<Vec<Process>>,
}

impl Runs {
    /// # Errors
    /// When it cannot be told, or is out of reach.
    fn find(flux: &Flux, task: &Task, began: bool) -> Result<Self> {
        let doubt = other_machine::doubt(flux, task)?;
        // Whether tmux answers is settled before anything is stopped.
        let panes = observe::Panes::of(std::iter::once(task))?;
        let run = flux.run_dir(&task.id);
        let running = run.running()?;
        let ended = run.exit()?.is_some();
        let still = !ended && run.is_alive()?;
        let alive = began || still;
        if !ended && !still {
            ensure_no_orphan(task, &run)?;
        }
        // What runs in its pane ends with it, but for what its shell has put aside.
        let shell = match &task.target {
            Some(target) if panes.has(task) => Some(target.pane_pid),
            _ => None,
        };
        let jobs = shell.is_some() && !alive;
        let agent = running.as_ref().and_then(|running| running.agent);
        let busy = match shell {
            Some(shell) if jobs => process::in_front(shell),
            _ => Ok(None),
        };
        let aside = match shell {
            Some(shell) if !alive || agent.is_some() => {
                process::put_aside(shell, agent.filter(|_| alive))
            }
            // Nothing but us has begun anything there.
            _ => Ok(Vec::new()),
        };
        let leader = shell.or(running.map(|running| running.launcher));
        let mut others = process::standing_in(&task.worktree, leader, jobs).ok();
        let (busy, aside) = match (busy, aside) {
            (Ok(busy), Ok(aside)) => (busy, Some(aside)),
            _ => (None, None),
        };
        if let (Some(aside), Some(others)) = (&aside, &mut others) {
            others.retain(|one| !aside.contains(one));
        }
        Ok(Self {
            alive,
            doubt,
            busy,
            aside,
            others,
        })
    }
}

/// # Errors
/// When a command is at work on the task or died at it, or nobody knows what it is.
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

/// The tip of the task's branch; where that is gone and is dropped, its last commit that is known.
///
/// # Errors
/// When the branch is gone, or has become a symbolic ref.
fn tip_of(flux: &Flux, store: &Store, task: &Task, drops: bool) -> Result<String> {
    if let Some(tip) = store.tip(&task.branch) {
        store.ensure_not_symbolic(&task.branch)?;
        return Ok(tip.to_owned());
    }
    if !drops {
        broken::ensure_whole(flux, task)?;
        return Err(Failure::new(format!("'{}' changed meanwhile", task.id)).into());
    }
    if let Some(other) = store.in_the_way(&task.branch) {
        let (other, branch) = (word(other), &task.branch);
        let what = format!("the branch '{branch}' is gone, and '{other}' is in its way");
        let rename = format!("git branch -m {other} <another name>");
        return Err(Failure::new(what).hint(rename).into());
    }
    broken::last_commit(flux, task)
}
