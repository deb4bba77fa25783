//! Resolves the options of the command line.

use anyhow::{Context as _, Result, bail};

use super::CleanupArgs;
use super::args::{Mode, Porcelain};
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::lifecycle::cleanup::called_command::{CalledCommand, commit_option, flag, into_option};
use crate::lifecycle::cleanup::options::{
    Asking, Branch, Conflicts, Edits, GateUse, Options, Question, Verify,
};
use crate::task::BranchName;
use crate::task::check::is_branch_name;
use crate::ui::word;

impl CleanupArgs {
    pub(super) fn mode(&self) -> Mode {
        match (self.json, self.dry_run, self.nul, self.porcelain) {
            (true, ..) => Mode::Json,
            (_, true, ..) => Mode::DryRun,
            (_, _, true, _) => Mode::Removal(Porcelain::Nul),
            (.., true) => Mode::Removal(Porcelain::Lines),
            _ => Mode::Removal(Porcelain::No),
        }
    }

    /// Converts the command line to the options of a cleanup. Fails if `--merged=<commit>` is
    /// combined with `--into` or `--commit`, or names no commit, or if `flux.merge` is invalid and
    /// needed.
    pub(super) fn options(&self, flux: &Flux) -> Result<Options> {
        let can_ask = flux.ui.can_ask();
        let is_several = self.all || self.merged.is_some() || self.tasks.len() > 1;
        Ok(Options {
            command: self.called_command(),
            uncommitted: match &self.commit {
                Some(message) => Edits::Commit(message.clone()),
                None if self.discard => Edits::Discard,
                None => Edits::Ask,
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
            gate: if self.gate {
                GateUse::Required
            } else {
                GateUse::Shown
            },
            asking: match (can_ask, is_several) {
                (true, true) => Asking::Jointly,
                (true, false) => Asking::Everything,
                (false, _) => Asking::Nothing,
            },
            answers: Vec::new(),
        })
    }

    /// Returns this command as hints repeat it.
    pub(super) fn called_command(&self) -> CalledCommand {
        let merged = self.merged.as_deref().filter(|rev| !rev.is_empty());
        let values = [
            merged.map(|rev| format!("--merged={}", word(rev))),
            self.into.as_deref().map(into_option),
            self.styles.option(),
            self.commit.as_deref().map(commit_option),
        ];
        let flags = [
            (self.discard, "--discard"),
            (self.discard_stash, "--discard-stash"),
            (self.discard_branch, "--discard-branch"),
            (self.update, "--update"),
            (self.no_verify, "--no-verify"),
            (self.gate, "--gate"),
            (self.gone, "--gone"),
            (self.keep_config, "--keep-config"),
        ];
        CalledCommand::cleanup(values.into_iter().chain(flags.map(flag)).flatten())
    }

    /// Returns the questions to which the command line gives a consent. If the user can be asked,
    /// closing the caller's own pane is one of them, even if its agent runs.
    fn given(&self, can_ask: bool) -> Vec<Question> {
        let answers = [
            // On a terminal, the user has called the command in this pane.
            (can_ask, Question::OwnPane),
            (self.gone, Question::AgentEnded),
            (self.keep_config, Question::Configuration),
            (self.keep_config, Question::PlainConfiguration),
            // A warning is enough.
            (!can_ask, Question::PlainConfiguration),
            (self.into.is_some(), Question::OtherBranch),
            (self.discard, Question::WorktreeGone),
            (self.discard_stash, Question::Stash),
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
        if self.into.is_some() || self.commit.is_some() {
            let what = "--merged=<commit> cannot be used with --into or --commit";
            bail!(Failure::new(what).code(USAGE));
        }
        let commit = flux.repo.resolve(rev)?.with_context(|| {
            Failure::new(format!("'{rev}' does not name a commit"))
                .hint("git branch --all")
                .hint("git fetch")
        })?;
        // The record has it in the field of a branch name.
        let name = match is_branch_name(rev) {
            true => rev.to_owned(),
            false => commit.short().to_owned(),
        };
        Ok(Branch::MergedIn { name, commit })
    }
}
