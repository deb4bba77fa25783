//! What the options say, resolved once.

use anyhow::{Context as _, Result};

use super::Cleanup;
use crate::failure::{Failure, USAGE};
use crate::lifecycle::Flux;
use crate::lifecycle::cleanup::options::{
    Agreement, Asking, Branch, Conflicts, Options, OtherMachine, Uncommitted, Verify,
};
use crate::task::check::is_branch_name;

impl Cleanup {
    /// Resolves the options.
    ///
    /// # Errors
    /// When one of them names nothing, or they contradict each other.
    pub(super) fn options(&self, flux: &Flux) -> Result<Options> {
        Ok(Options {
            uncommitted: match &self.commit {
                Some(message) => Uncommitted::Commit(message.clone()),
                None if self.discard => Uncommitted::Discard,
                None => Uncommitted::Ask,
            },
            branch: self.branch(flux)?,
            conflicts: if self.update {
                Conflicts::Update
            } else if self.porcelain {
                Conflicts::Refuse
            } else {
                Conflicts::Ask
            },
            agreement: match self.yes {
                true => Agreement::Yes,
                false => Agreement::Ask,
            },
            other_machine: match self.gone {
                true => OtherMachine::Ended,
                false => OtherMachine::Ask,
            },
            verify: match self.no_verify {
                true => Verify::None,
                false => Verify::All,
            },
            asking: match flux.ui.can_ask() {
                true => Asking::Everything,
                false => Asking::Nothing,
            },
            answers: Vec::new(),
        })
    }

    fn branch(&self, flux: &Flux) -> Result<Branch> {
        let rev = self.merged.as_deref().filter(|rev| !rev.is_empty());
        let Some(rev) = rev else {
            return Ok(match self.discard_branch {
                true => Branch::Discard,
                false => Branch::Merge {
                    into: self.into.clone(),
                    style: self.styles.chosen(&flux.settings)?,
                },
            });
        };
        if self.into.is_some() || self.commit.is_some() || self.discard_branch {
            let what = "--merged=<commit> merges, commits and drops nothing by itself";
            return Err(Failure::new(what)
                .hint("leave out --into, --commit and --discard-branch")
                .code(USAGE)
                .into());
        }
        let commit = flux.repo.resolve(rev)?.with_context(|| {
            Failure::new(format!("'{rev}' does not name a commit"))
                .hint("git branch --all")
                .hint("git fetch")
        })?;
        // It goes into the record where the name of a branch does.
        let name = match is_branch_name(rev) {
            true => rev.to_owned(),
            false => commit[..commit.len().min(9)].to_owned(),
        };
        Ok(Branch::MergedIn { name, commit })
    }
}
