//! Signs the commits of a chain that land.

use std::collections::HashMap;

use anyhow::{Result, ensure};

use super::chain::Chain;
use crate::context::Flux;
use crate::git::commit::Draft;
use crate::git::rebase::{BranchCommit, Compare, list};
use crate::git::{Checkout, ObjectId};
use crate::lifecycle::cleanup::merge::signs_merges;

/// Returns the commits of the first `number` tasks of a chain, which was built unsigned. If git
/// config wants merges signed, makes signed copies of those that the tasks did not have before,
/// with the same trees, messages, authors and times.
pub(super) fn sign(flux: &Flux, chain: &Chain, number: usize) -> Result<Vec<ObjectId>> {
    let links = &chain.links[..number];
    let unsigned = || links.iter().map(|link| link.commit.clone()).collect();
    let into = links.first().and_then(|link| link.facts.merge_target());
    let checkout = into.and_then(|into| into.worktree.as_deref());
    let checkout = checkout.map(|path| flux.repo.checkout(path)).transpose()?;
    if !signs_merges(flux, checkout.as_ref())? {
        return Ok(unsigned());
    }
    let mut signer = Signer {
        flux,
        checkout: checkout.as_ref(),
        signed: HashMap::new(),
    };
    let mut commits = Vec::new();
    let mut before = &chain.base;
    for link in links {
        for commit in list(&flux.repo, before, &[&link.commit], Compare::Nothing)? {
            // The task's own commits stay as they are.
            if flux.repo.ahead_behind(&commit.oid, &link.facts.tip)?.0 > 0 {
                signer.sign(&commit)?;
            }
        }
        let commit = signer.name_of(&link.commit);
        let trees = [&commit, &link.commit].map(|commit| flux.repo.tree_of(commit));
        let [signed, tested] = trees;
        ensure!(
            signed? == tested?,
            "internal error: another tree would land"
        );
        commits.push(commit);
        before = &link.commit;
    }
    Ok(commits)
}

struct Signer<'a> {
    flux: &'a Flux,
    checkout: Option<&'a Checkout>,
    /// The signed commits, by the unsigned ones.
    signed: HashMap<ObjectId, ObjectId>,
}

impl Signer<'_> {
    fn name_of(&self, commit: &ObjectId) -> ObjectId {
        self.signed.get(commit).unwrap_or(commit).clone()
    }

    fn sign(&mut self, commit: &BranchCommit) -> Result<()> {
        let parents: Vec<ObjectId> = commit.parents.iter().map(|it| self.name_of(it)).collect();
        let draft = Draft {
            tree: &commit.tree,
            parents: parents.iter().collect(),
            message: &commit.message,
            author: Some(&commit.author),
            committed: Some(&commit.committed),
            sign: true,
        };
        let signed = draft.make(&self.flux.repo, self.checkout)?;
        self.signed.insert(commit.oid.clone(), signed);
        Ok(())
    }
}
