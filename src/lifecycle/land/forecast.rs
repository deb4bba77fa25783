//! Forecasts which tasks fit on each other, and how often the gate has to run.

use anyhow::Result;

use super::batch::BatchSize;
use super::chain::Misfit;
use super::finding::Tester;
use crate::context::Flux;
use crate::git::MergePlan;
use crate::lifecycle::cleanup::facts::Facts;
use crate::task::{ObjectId, TaskId};

/// What is expected of a landing if everything passes.
#[derive(Debug, Default)]
pub(crate) struct Forecast {
    /// The merges that the gate has to pass; `None` if one is not known before it is made.
    chain: Vec<Option<ObjectId>>,
    /// The tasks that do not fit on those before them.
    pub(crate) misfits: Vec<(TaskId, Misfit)>,
}

impl Forecast {
    /// Merges these tasks, which have one target, on top of each other in this order: without a ref
    /// and without hooks.
    pub(crate) fn make(flux: &Flux, tasks: &[&Facts]) -> Result<Self> {
        let (repo, mut all) = (&flux.repo, Self::default());
        let mut tip = None::<ObjectId>;
        for facts in tasks {
            let Some(into) = facts.merge_target() else {
                continue;
            };
            let onto = tip.as_ref().unwrap_or(&into.tip);
            let merge = MergePlan::make(repo, onto, &facts.tip, into.style)?;
            if let Some(tree) = merge.tree(repo, &facts.tip)? {
                let commit = repo.write_commit(&tree, &[onto, &facts.tip])?;
                all.chain.push(Some(commit.clone()));
                tip = Some(commit);
                continue;
            }
            let misfit = match merge {
                MergePlan::Drivers { .. } => {
                    all.chain.push(None);
                    continue;
                }
                MergePlan::Conflicts { .. } => Misfit::Conflict,
                MergePlan::Moved { .. } => Misfit::NoFastForward,
                _ => continue,
            };
            all.misfits.push((facts.task.id.clone(), misfit));
        }
        Ok(all)
    }

    /// Returns the number of times that the gate has to run.
    pub(crate) fn count_runs(&self, tester: &Tester) -> Result<usize> {
        count_runs(tester, &self.chain)
    }
}

fn count_runs(tester: &Tester, chain: &[Option<ObjectId>]) -> Result<usize> {
    let (mut size, mut runs, mut rest) = (BatchSize::default(), 0, chain);
    while !rest.is_empty() {
        let (batch, others) = rest.split_at(size.get().min(rest.len()));
        let is_known = match batch.last() {
            Some(Some(commit)) => tester.is_known_green(commit)?,
            _ => false,
        };
        runs += usize::from(!is_known);
        size.grow();
        rest = others;
    }
    Ok(runs)
}
