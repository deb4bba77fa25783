//! What the options say, resolved once.

use anyhow::{Context as _, Result};

use super::Cleanup;
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::lifecycle::cleanup::options::{
    Asking, Branch, Conflicts, Options, Question, Uncommitted, Verify,
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
            given: self.given(flux),
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

    /// Returns the questions that are answered.
    fn given(&self, flux: &Flux) -> Vec<Question> {
        let answers = [
            // Who sits in front of the pane has called the command there.
            (flux.ui.can_ask(), Question::OwnPane),
            (self.gone, Question::AgentEnded),
            (self.into.is_some(), Question::OtherBranch),
            (self.discard, Question::WorktreeGone),
        ];
        let given = answers.into_iter().filter(|(is_given, _)| *is_given);
        let by_yes = Question::BY_YES.into_iter().filter(|_| self.yes);
        given.map(|(_, question)| question).chain(by_yes).collect()
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
