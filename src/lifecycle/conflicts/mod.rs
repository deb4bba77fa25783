//! Tasks that change the same lines, and the order in which they are best merged. Uncommitted and
//! untracked work counts. Writes nothing but a cache.

pub(super) mod cache;
mod direct;
mod finding;
mod land;
mod order;
mod radar;
mod side;

use std::collections::BTreeMap;

use anyhow::Result;

use self::cache::Cache;
pub(crate) use self::finding::Finding;
use self::order::LandingOrder;
use self::radar::{Comparison, Freshness, Radar};
use self::side::Side;
use crate::context::Flux;
use crate::failure;
use crate::git::conflicts::hunks::{ConflictText, read_conflicts};
use crate::git::conflicts::merge_batch::{TrialMerge, TrialResult};
use crate::git::conflicts::touched::Pair;
use crate::interrupt;
use crate::lifecycle::observe::ObservedTask;
use crate::lifecycle::work::{LazyQuarantine, Work};
use crate::store::Store;
use crate::task::{BranchName, TaskId};

/// The tasks to compare.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    All,
    /// One task with all others.
    Of(&'a TaskId),
    /// Two tasks with each other, by asking git.
    Pair(&'a TaskId, &'a TaskId),
}

/// The other side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opponent {
    Task(TaskId),
    Target(BranchName),
    /// Some of the other tasks.
    Others,
}

/// A task, the other side, and what is known about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskConflict {
    pub(crate) task: TaskId,
    pub(crate) with: Opponent,
    pub(crate) finding: Finding,
}

/// All conflicts of the tasks in a [`Scope`].
pub(crate) struct ConflictReport<'a> {
    /// The tasks that were compared, by age.
    pub(crate) tasks: Vec<TaskId>,
    /// The tasks whose work cannot be read, and why.
    pub(crate) unreadable: Vec<(TaskId, String)>,
    pub(crate) conflicts: Vec<TaskConflict>,
    /// The order in which to merge the tasks that have changed anything; none unless all were
    /// compared.
    pub(crate) order: SuggestedOrder,
    /// The work of the tasks that were compared.
    pub(crate) works: Vec<(TaskId, Work)>,
    /// It has the objects of the work.
    pub(crate) quarantine: LazyQuarantine<'a>,
    asked: Option<(TrialMerge, TrialResult)>,
}

/// The order in which tasks are best merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SuggestedOrder {
    pub(crate) tasks: Vec<TaskId>,
    /// The number of tasks that conflict with an earlier one.
    pub(crate) to_resolve: usize,
    /// The number of tasks to resolve if the oldest task comes first.
    pub(crate) to_resolve_by_age: usize,
}

/// Finds the conflicts of observed tasks with each other and with their targets, and asks git at
/// most `limit` new questions of each kind; beyond that, a finding is unknown.
///
/// # Errors
/// If objects of the repository cannot be read, or on ^C. A task whose work cannot be read does not
/// affect the others.
pub(crate) fn find_conflicts<'a>(
    flux: &'a Flux,
    store: &Store,
    observed: &[ObservedTask],
    scope: Scope,
    limit: Option<usize>,
) -> Result<ConflictReport<'a>> {
    let mut radar = Radar {
        flux,
        quarantine: LazyQuarantine::new(&flux.repo),
        cache: Cache::load(flux),
        limit: limit.unwrap_or(usize::MAX),
        merges: BTreeMap::new(),
    };
    let mut sorted: Vec<&ObservedTask> = observed.iter().collect();
    sorted.sort_by_key(|one| (one.status.task.created, one.status.task.id.clone()));
    let (mut sides, mut unreadable) = (Vec::new(), Vec::new());
    for one in sorted {
        interrupt::check()?;
        match Work::of(flux, store, one, &radar.quarantine) {
            Ok(work) => sides.extend(work.map(|work| Side::new(one, work))),
            Err(error) => {
                unreadable.push((one.status.task.id.clone(), failure::reason(&error)));
            }
        }
    }
    radar.land(&mut sides)?;
    unreadable.extend(sides.iter().filter_map(unmerged));
    unreadable.extend(sides.iter().filter_map(|side| unfinished(side, scope)));
    let wanted = wanted(&sides, scope);
    let freshness = match scope {
        Scope::Pair(..) => Freshness::Asked,
        Scope::All | Scope::Of(_) => Freshness::Known,
    };
    let comparison = radar.compare(&mut sides, &wanted, freshness)?;
    let Radar {
        cache,
        quarantine,
        mut merges,
        ..
    } = radar;
    cache.save();
    let findings = &comparison.findings;
    let asked = findings.iter().find_map(|(pair, finding)| match finding {
        Finding::Conflicts(result) => Some((merges.remove(pair)?, result.clone())),
        _ => None,
    });
    Ok(ConflictReport {
        order: match scope {
            Scope::All => suggest(&sides, findings),
            Scope::Of(_) | Scope::Pair(..) => SuggestedOrder::default(),
        },
        conflicts: list(&sides, &comparison, scope),
        tasks: sides.iter().map(|side| side.id.clone()).collect(),
        works: sides.into_iter().map(|side| (side.id, side.work)).collect(),
        unreadable,
        quarantine,
        asked,
    })
}

/// Returns the id of a task that has no target branch and whose trial merge with its base has no
/// result, and the reason. `None` for any other task.
fn unmerged(side: &Side) -> Option<(TaskId, String)> {
    let landing = side.landing.as_ref().filter(|_| side.work.into.is_none())?;
    match Finding::of(landing.merged.clone()) {
        Finding::Unknown(why) => Some((side.id.clone(), why)),
        _ => None,
    }
}

/// Returns the id of a task with unmerged files in its worktree, and that as the reason, if
/// [`list`] has no row for its target. `None` for any other task.
fn unfinished(side: &Side, scope: Scope) -> Option<(TaskId, String)> {
    let is_listed = side.work.into.is_some() && !matches!(scope, Scope::Pair(..));
    let why = "its worktree has unmerged files".to_owned();
    (!side.unmerged.is_empty() && !is_listed).then(|| (side.id.clone(), why))
}

/// Returns whether a task conflicts with its target branch, and in which files, as far as that is
/// known.
fn find_with_target(side: &Side) -> Finding {
    let Some(landing) = &side.landing else {
        return Finding::later();
    };
    let mut merged = landing.merged.clone();
    if let Ok(result) = &mut merged
        && result.files.is_empty()
    {
        result.files = side.unmerged.clone();
    }
    Finding::of(merged)
}

/// Returns a function that tells whether two tasks, by their indexes in `sides`, are to be compared
/// in this scope.
fn wanted(sides: &[Side], scope: Scope) -> impl Fn(Pair) -> bool + use<> {
    let find = |id: &TaskId| sides.iter().position(|side| side.id == *id);
    let members: Vec<Option<usize>> = match scope {
        Scope::All => Vec::new(),
        Scope::Of(id) => vec![find(id)],
        Scope::Pair(one, two) => vec![find(one), find(two)],
    };
    move |pair| {
        let has = |member: &Option<usize>| [Some(pair.0), Some(pair.1)].contains(member);
        members.iter().all(has)
    }
}

/// Lists the findings about tasks and their targets and about pairs in the order of the tasks.
fn list(sides: &[Side], comparison: &Comparison, scope: Scope) -> Vec<TaskConflict> {
    let mut all = Vec::new();
    for (at, side) in sides.iter().enumerate() {
        let has_target = match scope {
            Scope::All => true,
            Scope::Of(id) => side.id == *id,
            Scope::Pair(..) => false,
        };
        let with_target = side
            .work
            .into
            .clone()
            .filter(|_| has_target)
            .map(|into| TaskConflict {
                task: side.id.clone(),
                with: Opponent::Target(into),
                finding: find_with_target(side),
            });
        let pairs = comparison.findings.iter();
        let pairs = pairs.filter(|(pair, _)| pair.0 == at);
        let with_tasks = pairs.map(|(pair, finding)| TaskConflict {
            task: side.id.clone(),
            with: Opponent::Task(sides[pair.1].id.clone()),
            finding: finding.clone(),
        });
        let with_others = comparison.later.contains(&at).then(|| TaskConflict {
            task: side.id.clone(),
            with: Opponent::Others,
            finding: Finding::later(),
        });
        all.extend(with_tasks.chain(with_target).chain(with_others));
    }
    all.retain(|one| one.finding != Finding::NoConflicts);
    all
}

fn suggest(sides: &[Side], findings: &BTreeMap<Pair, Finding>) -> SuggestedOrder {
    let has_changed = |at: &usize| {
        let landing = sides[*at].landing.as_ref();
        landing.is_none_or(|landing| landing.merged.is_err() || !landing.touched.is_empty())
    };
    let tasks: Vec<usize> = (0..sides.len()).filter(has_changed).collect();
    let pairs = findings.iter().filter(|(_, finding)| finding.is_conflict());
    let pairs: Vec<Pair> = pairs.map(|(pair, _)| *pair).collect();
    let order = LandingOrder::suggest(&tasks, &pairs);
    SuggestedOrder {
        tasks: order.tasks.iter().map(|at| sides[*at].id.clone()).collect(),
        to_resolve: order.to_resolve,
        to_resolve_by_age: order.to_resolve_by_age,
    }
}

impl ConflictReport<'_> {
    /// Reads the conflicting text of the two tasks that were compared, with their ids in the
    /// markers: [`Scope::Pair`]. Empty if they do not conflict.
    pub(crate) fn read_text(&self) -> Result<Vec<ConflictText>> {
        let pair = self.conflicts.first();
        let (Some(pair), Some(quarantine), Some((merge, result))) =
            (pair, self.quarantine.made(), &self.asked)
        else {
            return Ok(Vec::new());
        };
        let Opponent::Task(other) = &pair.with else {
            return Ok(Vec::new());
        };
        let names = [pair.task.as_str(), other.as_str()];
        read_conflicts(quarantine, merge, result, names)
    }
}
