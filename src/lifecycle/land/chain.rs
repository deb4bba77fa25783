//! Chains: the merges of several tasks on top of each other, made without moving a ref.

use anyhow::{Error, Result, anyhow, bail};

use crate::context::Flux;
use crate::failure::{self, CONFLICTS, Failure};
use crate::git::MergePlan;
use crate::interrupt;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::merge;
use crate::lifecycle::cleanup::options::{CommitRules, Edits, Options, Signing};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::target::{Destination, MergeTarget};
use crate::store::Store;
use crate::task::{BranchName, ObjectId, State, TaskId};

/// A task that is to land.
#[derive(Clone, Debug)]
pub(crate) struct LandTask {
    pub(crate) id: TaskId,
    pub(crate) options: Options,
    pub(crate) readiness: Readiness,
}

/// The states in which a task lands, if it has commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Every one: you have named the task.
    Named,
    /// Every one: `--all`.
    All,
    /// The agent is done, has ended or is idle: `--ready`.
    Ready,
    /// Every one; nothing lands: `--check`.
    Trial,
}

/// A task in a chain.
#[derive(Debug)]
pub(crate) struct Link {
    /// The facts of the task; its merge target is at the previous commit of the chain.
    pub(crate) facts: Facts,
    /// The commit that contains this task and all before.
    pub(crate) commit: ObjectId,
}

/// The merges of several tasks into one branch.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) branch: BranchName,
    /// The commit of the branch.
    pub(crate) base: ObjectId,
    pub(crate) links: Vec<Link>,
}

/// The reason why a task is in no chain.
#[derive(Debug)]
pub(crate) enum LeftOut {
    /// The target has all its changes.
    Integrated(Box<Facts>),
    /// It conflicts with its target.
    Conflict(Box<Facts>),
    /// It does not fit on the tasks before it: it is tried again when those have landed.
    Later(Misfit),
    Refused(Error),
}

/// The reason why a task does not fit on the tasks before it in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It conflicts with them.
    Conflict,
    /// They have all its changes.
    Contained,
    /// It lacks commits of theirs, and only a fast-forward is allowed.
    NoFastForward,
    /// The target has changed.
    OtherTarget,
}

/// A task that did not land since the gate gave no verdict.
pub(crate) struct Undecided {
    pub(super) id: TaskId,
    /// The commit of the chain that contains it.
    pub(super) commit: ObjectId,
}

/// The tasks of a chain to build.
pub(super) struct Candidates<'a> {
    /// In their order.
    pub(super) tasks: &'a [LandTask],
    pub(super) limit: usize,
    /// Those that would have landed before them.
    pub(super) undecided: &'a [Undecided],
}

/// The result of building a chain.
pub(crate) struct Built {
    /// `None` if no task fits.
    pub(crate) chain: Option<Chain>,
    /// The tasks that were passed over.
    pub(crate) left_out: Vec<(TaskId, LeftOut)>,
}

impl Chain {
    /// Returns the commit at a position: 0 is the target.
    pub(crate) fn commit(&self, position: usize) -> &ObjectId {
        match position {
            0 => &self.base,
            _ => &self.links[position - 1].commit,
        }
    }

    pub(crate) fn tip(&self) -> &ObjectId {
        self.commit(self.links.len())
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &TaskId> {
        self.links.iter().map(|link| &link.facts.task.id)
    }
}

/// Returns whether `--ready` selects a task in this state: its agent does not work.
pub(crate) fn is_ready(state: &State) -> bool {
    matches!(state, State::Done | State::Ended(_) | State::Idle)
}

/// Builds a chain of at most `limit` of the tasks: their merges into their common target on top of
/// each other, in order. Returns why others are left out. Moves no ref; message hooks run.
pub(super) fn build(flux: &Flux, candidates: &Candidates) -> Result<Built> {
    let store = Store::load(&flux.repo, &flux.settings)?;
    let (mut chain, mut left_out) = (None::<Chain>, Vec::new());
    for task in candidates.tasks {
        if chain
            .as_ref()
            .is_some_and(|chain| chain.links.len() >= candidates.limit)
        {
            break;
        }
        interrupt::check()?;
        let added = |facts| {
            ensure_next(flux, &facts, candidates.undecided)?;
            add(flux, &mut chain, facts, task)
        };
        let why = match observe(flux, &store, task).map(added) {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(why))) | Err(why) => why,
            Ok(Err(error)) => {
                interrupt::check()?;
                LeftOut::Refused(error)
            }
        };
        left_out.push((task.id.clone(), why));
    }
    let chain = chain.filter(|chain| !chain.links.is_empty());
    Ok(Built { chain, left_out })
}

/// Plans the cleanup of a task that is to land, and returns the facts of the plan. Returns the
/// reason to leave the task out if a check of the plan refuses, the task may not land, or there is
/// nothing to merge.
pub(super) fn observe(flux: &Flux, store: &Store, task: &LandTask) -> Result<Facts, LeftOut> {
    let is_trial = task.readiness == Readiness::Trial;
    let mut plan = Plan::make(flux, store, &task.id, &task.options);
    if !is_trial {
        plan.check_collisions(flux);
    }
    let is_conflict = |facts: &Facts| {
        let into = facts.merge_target();
        into.is_some_and(|into| matches!(into.merge, MergePlan::Conflicts { .. }))
    };
    let mut refusals = plan.checks.iter().filter(|check| check.refusal().is_some());
    if refusals.next().is_some_and(|check| check.name == "merge")
        && let Some(facts) = plan.forecast().filter(|facts| is_conflict(facts))
    {
        return Err(LeftOut::Conflict(Box::new(facts.clone())));
    }
    let plan = plan.ensure_not_refused().map_err(LeftOut::Refused)?;
    let facts = match is_trial {
        true => plan.forecast(),
        false => plan.facts.as_ref(),
    };
    let Some(facts) = facts else {
        return Err(LeftOut::Refused(anyhow!("internal error: no facts")));
    };
    let facts = facts.clone();
    if !is_trial {
        ensure_landable(flux, &facts, task).map_err(LeftOut::Refused)?;
    }
    match facts.merge_target().map(|into| &into.merge) {
        Some(MergePlan::UpToDate(_)) => Err(match ensure_begun(&facts) {
            Ok(()) => LeftOut::Integrated(Box::new(facts)),
            Err(error) => LeftOut::Refused(error),
        }),
        Some(_) => Ok(facts),
        None => Err(LeftOut::Refused(anyhow!("it has no target"))),
    }
}

/// Fails if the task has no commits and nothing to merge: its work has not begun, so it does not
/// count as integrated.
pub(crate) fn ensure_begun(facts: &Facts) -> Result<()> {
    if !facts.has_no_commits() || facts.nothing_to_merge().is_none() {
        return Ok(());
    }
    let id = &facts.task.id;
    let failure = Failure::new(format!("'{id}' has no commits"));
    let remove = facts.command.cleanup_with(id, "");
    bail!(failure.hint(format!("to remove it: {remove}")))
}

/// Fails if this command runs in the task's pane, or if the task has uncommitted files that are not
/// to be discarded. With `--ready`, also fails unless [`is_ready`] is true, or if the task has
/// unseen files and `flux.landUnseen` is false.
fn ensure_landable(flux: &Flux, facts: &Facts, task: &LandTask) -> Result<()> {
    let id = &task.id;
    if facts.processes.is_own_pane {
        let failure = Failure::new(format!("you are in the pane of '{id}'"));
        let land = facts.command.with(id, "");
        bail!(failure.hint(format!("in another pane: {land}")));
    }
    if task.readiness == Readiness::Ready && !is_ready(&facts.state) {
        bail!(Failure::new(format!("'{id}' is {}", facts.state.label())));
    }
    if task.readiness == Readiness::Ready
        && facts.unseen != Some(0)
        && !flux.settings.lands_unseen()?
    {
        let failure = Failure::new(format!("'{id}' has unseen files"));
        bail!(failure.hint(format!("to look at them: git flux review {id}")));
    }
    if !facts.uncommitted.is_empty() && task.options.uncommitted != Edits::Discard {
        let failure = Failure::new(format!("'{id}' has changed since the plan was made"));
        bail!(failure.hint(format!(
            "to see the state of the task: git flux status {id}"
        )));
    }
    Ok(())
}

/// Fails if the task conflicts with an earlier one that did not land because the gate gave no
/// verdict. If this task landed first, the earlier one would conflict with the target and be sent
/// back, although nothing is known against it.
fn ensure_next(flux: &Flux, facts: &Facts, undecided: &[Undecided]) -> Result<()> {
    let Some(into) = facts.merge_target() else {
        return Ok(());
    };
    for before in undecided {
        let merge = MergePlan::make(&flux.repo, &before.commit, &facts.tip, into.style)?;
        if matches!(merge, MergePlan::Conflicts { .. }) {
            let (id, other) = (&facts.task.id, &before.id);
            let what = format!("'{id}' conflicts with '{other}', which has no verdict");
            let land = facts.command.with(id, "");
            let hint = format!("to land '{id}' without waiting for '{other}': {land}");
            bail!(Failure::new(what).hint(hint));
        }
    }
    Ok(())
}

/// Adds a task at the end of the chain, which is created if it is `None`. Returns `None`, or the
/// reason why the task is left out.
fn add(
    flux: &Flux,
    chain: &mut Option<Chain>,
    mut facts: Facts,
    task: &LandTask,
) -> Result<Option<LeftOut>> {
    let Some(into) = facts.merge_target().cloned() else {
        bail!("internal error: no target");
    };
    let chain = chain.get_or_insert_with(|| Chain {
        branch: into.branch.clone(),
        base: into.tip.clone(),
        links: Vec::new(),
    });
    if into.branch != chain.branch || into.tip != chain.base {
        return Ok(Some(LeftOut::Later(Misfit::OtherTarget)));
    }
    let tip = chain.tip().clone();
    let is_first = chain.links.is_empty();
    if !is_first {
        let merge = MergePlan::make(&flux.repo, &tip, &facts.tip, into.style)?;
        let misfit = match merge {
            MergePlan::Conflicts { .. } => Some(Misfit::Conflict),
            MergePlan::UpToDate(_) => Some(Misfit::Contained),
            MergePlan::Moved { .. } => Some(Misfit::NoFastForward),
            _ => None,
        };
        if let Some(misfit) = misfit {
            return Ok(Some(LeftOut::Later(misfit)));
        }
        facts.destination = Destination::Merge(MergeTarget { tip, merge, ..into });
    }
    let lock = flux.lock_task(&facts.task.id)?;
    let rules = CommitRules {
        verify: task.options.verify,
        signing: Signing::Never,
    };
    let made = merge::prepare(flux, &facts, rules, &lock);
    drop(lock);
    match made {
        Ok(Some(made)) => {
            let commit = made.commit;
            chain.links.push(Link { facts, commit });
            Ok(None)
        }
        // Merge drivers decide only when the merge is made.
        Err(error) if failure::exit_code(&error) == CONFLICTS => Ok(Some(match is_first {
            true => LeftOut::Conflict(Box::new(facts)),
            false => LeftOut::Later(Misfit::Conflict),
        })),
        Ok(None) => bail!("internal error: nothing to merge"),
        Err(error) => Err(error),
    }
}
