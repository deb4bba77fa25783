//! `git flux cleanup --merged`: the tasks whose work is there already.

use anyhow::{Context as _, Result};

use super::Cleanup;
use super::bulk::{Outlook, in_order};
use super::words::nothing_yet;
use crate::failure::{Failure, USAGE};
use crate::git::{Integrated, MergePlan, Style, refs};
use crate::lifecycle::Flux;
use crate::lifecycle::cleanup::facts::Plan;
use crate::lifecycle::cleanup::into::Wanted;
use crate::store::{Store, Stored};
use crate::task::TaskId;
use crate::task::check::is_branch_name;
use crate::ui::word;

impl Cleanup {
    /// The commit that `--merged=<commit>` names, which has the work that is meant.
    pub(super) fn merged_in(&self) -> Option<&str> {
        self.merged.as_deref().filter(|rev| !rev.is_empty())
    }

    /// What is wanted of a task whose work `rev` has.
    ///
    /// # Errors
    /// When that is no commit.
    pub(super) fn wanted_in(flux: &Flux, rev: &str) -> Result<Wanted<'static>> {
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
        Ok(Wanted::In { name, commit })
    }

    /// The tasks that are merged, and those of which that cannot be told.
    ///
    /// # Errors
    /// When they would be merged into what is no branch, or in what is no commit.
    pub(super) fn merged(&self, flux: &Flux, store: &Store) -> Result<Vec<Outlook>> {
        self.ensure_target(flux, store)?;
        let within = match self.merged_in() {
            Some(rev) => match Self::wanted_in(flux, rev)? {
                Wanted::In { commit, .. } => Some(commit),
                _ => None,
            },
            None => None,
        };
        // One that goes nowhere is merged nowhere.
        let goes = |stored: &&Stored| match (&within, &stored.task) {
            (Some(commit), Ok(task)) => match store.tip(&task.branch) {
                Some(tip) => tip != task.base && has(flux, commit, tip),
                None => false,
            },
            (None, Ok(task)) => self.into.is_some() || task.into.is_some(),
            (_, Err(_)) => true,
        };
        let ids = in_order(flux.own_tasks(store).filter(goes)).map(|stored| &stored.id);
        let outlook = |id| Some((TaskId::clone(id), self.outlook_of_merged(flux, store, id)?));
        Ok(ids.filter_map(outlook).collect())
    }

    /// What is to become of a task if it is merged.
    fn outlook_of_merged(&self, flux: &Flux, store: &Store, id: &TaskId) -> Option<Result<Plan>> {
        let (loss, plan) = match self.examine(flux, store, id) {
            Ok((loss, Some(plan))) => (loss, plan),
            Ok((loss, None)) => return loss.ensure().err().map(Err),
            Err(error) => return Some(Err(error)),
        };
        if plan.unread.is_some() && !self.discard && is_merged(&plan) {
            return loss.ensure().err().map(Err);
        }
        let plan = loss.ensure().and_then(|()| self.unasked(plan)).ok();
        plan.filter(is_merged).map(Ok)
    }

    /// # Errors
    /// When `--into` names no branch, or something else is wanted of what `--merged=<commit>` means.
    fn ensure_target(&self, flux: &Flux, store: &Store) -> Result<()> {
        let into = self.into.as_deref().map(refs::short);
        if self.merged_in().is_some() {
            return match into.is_some() || self.commit.is_some() || self.discard_branch {
                false => Ok(()),
                true => Err(Failure::new(
                    "--merged=<commit> merges, commits and drops nothing by itself",
                )
                .hint("leave out --into, --commit and --discard-branch")
                .code(USAGE)
                .into()),
            };
        }
        let Some(into) = into else { return Ok(()) };
        if store.tip(store.resolve(into)?).is_some() {
            return Ok(());
        }
        let failure = Failure::new(format!("there is no branch '{into}'"));
        Err(match flux.repo.resolve(into)? {
            Some(_) => failure.hint(format!("git flux cleanup --merged={}", word(into))),
            None => failure.hint("git branch"),
        }
        .into())
    }
}

/// Whether a commit has the work of a branch; where that cannot be told, it has not.
fn has(flux: &Flux, commit: &str, tip: &str) -> bool {
    let plan = MergePlan::make(&flux.repo, commit, tip, Style::Merge);
    matches!(plan, Ok(MergePlan::UpToDate(how)) if how != Integrated::Cancelled)
}

/// Whether the target has the work of a task that has any. One whose commits undo
/// each other has none that could be there.
fn is_merged(plan: &Plan) -> bool {
    match plan.into.as_ref().map(|into| &into.merge) {
        Some(MergePlan::UpToDate(how)) => *how != Integrated::Cancelled && !nothing_yet(plan),
        _ => plan.merged_in.is_some(),
    }
}
