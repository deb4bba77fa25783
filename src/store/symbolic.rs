//! Branches that are symbolic refs of others.

use anyhow::{Context as _, Result};

use super::Store;
use crate::failure::Failure;
use crate::sanitize;
use crate::task::{BranchName, HEADS};
use crate::ui::word;

impl Store {
    /// Returns the branch to which the branch `name` leads as a symbolic ref; `name` itself if it
    /// is no symbolic ref, a dangling one, or does not exist. Fails if `name` leads to a ref that
    /// is not a branch.
    pub(crate) fn resolve_symbolic(&self, name: &BranchName) -> Result<BranchName> {
        let full = name.full();
        let Some(target) = self.refs.target(&full) else {
            return Ok(name.clone());
        };
        let branch = target.strip_prefix(HEADS).map(BranchName::new);
        branch.with_context(|| {
            let target = sanitize::line(target);
            let what = format!("'{name}' is a symbolic ref of '{target}', which is not a branch");
            let hint = format!("git symbolic-ref {} refs/heads/<branch>", word(&full));
            Failure::new(what).hint(hint)
        })
    }

    /// Fails if the branch is a symbolic ref, so that its commits are those of another branch.
    /// Succeeds if it dangles or does not exist.
    pub(crate) fn ensure_not_symbolic(&self, branch: &BranchName) -> Result<()> {
        let full = branch.full();
        let (Some(target), Some(tip)) = (self.refs.target(&full), self.tip(branch)) else {
            return Ok(());
        };
        let target = sanitize::line(target);
        let what = format!("the branch '{branch}' is a symbolic ref of '{target}'");
        let (full, branch) = (word(&full), word(branch));
        let hint = format!("git symbolic-ref --delete {full} && git branch {branch} {tip}");
        Err(Failure::new(what).hint(hint).into())
    }
}
