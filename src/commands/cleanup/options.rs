//! What the options say, resolved once.

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::Cleanup;
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::Style;
use crate::lifecycle::cleanup::options::{
    Asking, Branch, Conflicts, Options, Question, Uncommitted, Verify,
};
use crate::settings::Settings;
use crate::task::BranchName;
use crate::task::check::is_branch_name;

/// How to merge: one of these, or none.
#[derive(Clone, Debug, Args)]
#[group(multiple = false, conflicts_with = "discard_branch")]
pub(super) struct Styles {
    /// create a merge commit (the default, unless flux.merge says otherwise)
    #[arg(long)]
    merge: bool,
    /// create a single commit instead of doing a merge
    #[arg(long)]
    squash: bool,
    /// put the task's commits on top of the branch, one by one
    #[arg(long)]
    rebase: bool,
    /// abort if fast-forward is not possible
    #[arg(long)]
    ff_only: bool,
}

impl Styles {
    /// Returns the style that was asked for, or `flux.merge`.
    ///
    /// # Errors
    /// When the setting is none.
    fn chosen(&self, settings: &Settings) -> Result<Style> {
        match (self.merge, self.squash, self.rebase, self.ff_only) {
            (true, ..) => Ok(Style::Merge),
            (_, true, ..) => Ok(Style::Squash),
            (.., true, _) => Ok(Style::Rebase),
            (.., true) => Ok(Style::FastForward),
            _ => settings.style(),
        }
    }
}

/// What is printed of conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Porcelain {
    No,
    /// The files in conflict, a line each.
    Lines,
    /// The files in conflict, with a NUL after each.
    Nul,
}

/// What is done with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Removal(Porcelain),
    DryRun,
    Json,
}

impl Cleanup {
    pub(super) fn output(&self) -> Output {
        match (self.json, self.dry_run, self.nul, self.porcelain) {
            (true, ..) => Output::Json,
            (_, true, ..) => Output::DryRun,
            (_, _, true, _) => Output::Removal(Porcelain::Nul),
            (.., true) => Output::Removal(Porcelain::Lines),
            _ => Output::Removal(Porcelain::No),
        }
    }

    /// Resolves the options.
    ///
    /// # Errors
    /// When one of them names nothing, or they contradict each other.
    pub(super) fn options(&self, flux: &Flux) -> Result<Options> {
        let can_ask = flux.ui.can_ask();
        let is_several = self.all || self.merged.is_some() || self.tasks.len() > 1;
        Ok(Options {
            uncommitted: match &self.commit {
                Some(message) => Uncommitted::Commit(message.clone()),
                None if self.discard => Uncommitted::Discard,
                None => Uncommitted::Ask,
            },
            branch: self.branch(flux)?,
            conflicts: match (self.update, self.porcelain) {
                (true, _) => Conflicts::Update,
                (_, true) => Conflicts::Refuse,
                _ => Conflicts::Ask,
            },
            given: self.given(can_ask),
            verify: if self.no_verify {
                Verify::None
            } else {
                Verify::All
            },
            asking: match (can_ask, is_several) {
                (true, true) => Asking::Jointly,
                (true, false) => Asking::Everything,
                (false, _) => Asking::Nothing,
            },
            answers: Vec::new(),
        })
    }

    /// Returns the questions that are answered.
    fn given(&self, can_ask: bool) -> Vec<Question> {
        let answers = [
            // Who sits in front of the pane has called the command there.
            (can_ask, Question::OwnPane),
            (self.gone, Question::AgentEnded),
            (self.into.is_some(), Question::OtherBranch),
            (self.discard, Question::WorktreeGone),
        ];
        let by_yes = Question::BY_YES.map(|question| (self.yes, question));
        let answers = answers.into_iter().chain(by_yes);
        answers
            .filter_map(|(is_given, question)| is_given.then_some(question))
            .collect()
    }

    fn branch(&self, flux: &Flux) -> Result<Branch> {
        let Some(rev) = self.merged.as_deref().filter(|rev| !rev.is_empty()) else {
            if self.discard_branch {
                return Ok(Branch::Discard);
            }
            let into = self.into.as_deref().map(BranchName::typed);
            let style = self.styles.chosen(&flux.settings)?;
            return Ok(Branch::Merge { into, style });
        };
        if self.into.is_some() || self.commit.is_some() || self.discard_branch {
            let what = "--merged=<commit> merges, commits and drops nothing by itself";
            let hint = "leave out --into, --commit and --discard-branch";
            bail!(Failure::new(what).hint(hint).code(USAGE));
        }
        let commit = flux.repo.resolve(rev)?.with_context(|| {
            Failure::new(format!("'{rev}' does not name a commit"))
                .hint("git branch --all")
                .hint("git fetch")
        })?;
        // It goes into the record where the name of a branch does.
        let name = match is_branch_name(rev) {
            true => rev.to_owned(),
            false => commit.short().to_owned(),
        };
        Ok(Branch::MergedIn { name, commit })
    }
}
