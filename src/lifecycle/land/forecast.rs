//! Forecasts how often the gate has to run.

use anyhow::Result;

use super::batch::BatchSize;
use super::finding::Tester;
use crate::context::Flux;
use crate::git::MergePlan;
use crate::lifecycle::cleanup::facts::Facts;

/// Returns the number of times that the gate has to run until these tasks, which have one target,
/// have landed in this order, if everything passes. Makes their merges without a ref, and runs no
/// hook.
pub(crate) fn count_runs(flux: &Flux, tester: &Tester, tasks: &[&Facts]) -> Result<usize> {
    let repo = &flux.repo;
    let Some(first) = tasks.iter().find_map(|facts| facts.merge_target()) else {
        return Ok(0);
    };
    let (mut tip, mut chain) = (first.tip.clone(), Vec::new());
    for facts in tasks {
        let Some(into) = facts.merge_target() else {
            continue;
        };
        let merge = MergePlan::make(repo, &tip, &facts.tip, into.style)?;
        if let Some(tree) = merge.tree(repo, &facts.tip)? {
            tip = repo.write_commit(&tree, &[&tip, &facts.tip])?;
            chain.push(Some(tip.clone()));
        } else if matches!(merge, MergePlan::Drivers { .. }) {
            // Its tree is not known before the merge is made.
            chain.push(None);
        }
    }
    let (mut size, mut runs, mut rest) = (BatchSize::default(), 0, &chain[..]);
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
