//! What becomes of a task that conflicts with its target.

use std::path::Path;

use anyhow::Result;

use super::Cleanup;
use crate::failure::{CONFLICTS, Failure};
use crate::git::{Lock, MergePlan, Style, merge};
use crate::lifecycle::plan::Plan;
use crate::lifecycle::{Flux, Into, observe, recipient};
use crate::sanitize;
use crate::system::clock;
use crate::ui::{quoted, shown};

impl Cleanup {
    /// Lets a task pass that can be merged. For one that conflicts, asks where the
    /// conflicts are to be resolved, or refuses.
    ///
    /// # Errors
    /// When it cannot be merged: exit code 3.
    pub(super) fn resolve(&self, flux: &Flux, plan: &Plan, lock: &Lock) -> Result<()> {
        let Some(into) = &plan.into else {
            return plan.ensure_mergeable();
        };
        let MergePlan::Conflicts { files } = &into.merge else {
            return plan.ensure_mergeable();
        };
        if self.porcelain {
            let end = if self.nul { b'\0' } else { b'\n' };
            for file in files {
                let path = file.path.as_os_str().as_encoded_bytes();
                let mut line = match self.nul {
                    true => path.to_vec(),
                    false => sanitize::line(&String::from_utf8_lossy(path)).into_bytes(),
                };
                line.push(end);
                flux.ui.bytes(&line)?;
            }
        }
        let choice = if self.update {
            Choice::Update
        } else if flux.ui.can_ask() && !self.porcelain && into.style != Style::Rebase {
            ask(flux, plan, into)?
        } else {
            Choice::Refuse
        };
        let (place, theirs) = match (choice, &into.worktree) {
            (Choice::Update, _) => (plan.task.worktree.as_path(), into.branch.as_str()),
            (Choice::Here, Some(worktree)) => (worktree.as_path(), plan.task.branch.as_str()),
            _ => return plan.ensure_mergeable(),
        };
        start(flux, plan, place, theirs, lock)
    }
}

/// Where conflicts are resolved.
enum Choice {
    /// In the task's worktree, by its agent or by the user.
    Update,
    /// In the worktree of the target.
    Here,
    /// Nowhere now.
    Refuse,
}

fn ask(flux: &Flux, plan: &Plan, into: &Into) -> Result<Choice> {
    if let Err(error) = plan.ensure_mergeable() {
        flux.ui.status(error);
    }
    let mut choices = vec![(
        Choice::Update,
        format!("merge '{}' into the task's worktree", into.branch),
    )];
    if let Some(worktree) = &into.worktree {
        let here = format!("start the merge in '{}'", shown(worktree));
        choices.push((Choice::Here, here));
    }
    choices.push((Choice::Refuse, "abort".to_owned()));
    let items: Vec<String> = choices.iter().map(|(_, item)| item.clone()).collect();
    let chosen = flux.ui.select("Where are they to be resolved?", &items)?;
    match choices.swap_remove(chosen).0 {
        Choice::Refuse => Err(Failure::declined("nothing was changed").into()),
        choice => Ok(choice),
    }
}

/// Starts a merge that stops at its conflicts, for somebody to resolve them.
fn start(flux: &Flux, plan: &Plan, place: &Path, theirs: &str, lock: &Lock) -> Result<()> {
    let id = &plan.task.id;
    let told = place == plan.task.worktree && wants_to_tell(flux, plan)?;
    merge::start(&flux.repo.checkout(place)?, theirs, lock)?;
    flux.ui.status(format_args!(
        "merging '{theirs}' in '{}': it stopped at the conflicts",
        shown(place)
    ));
    if told {
        tell(flux, plan)?;
    }
    let pasted = quoted(place);
    let mut failure = Failure::new(format!(
        "'{id}' is not removed: resolve the conflicts first"
    ))
    .hint(format!("git -C {pasted} status"));
    if place == plan.task.worktree {
        failure = failure.hint(format!("git flux attach {id}"));
    }
    Err(failure
        .hint(format!(
            "then: git -C {pasted} commit && git flux cleanup {id}"
        ))
        .hint(format!("or: git -C {pasted} merge --abort"))
        .code(CONFLICTS)
        .into())
}

/// What an agent is told of the conflicts. No name of anybody's is in it.
const MESSAGE: &str = "git flux: the target branch was merged into this worktree and the merge stopped at \
                       conflicts. Please resolve them and commit the merge.";

/// Whether a running agent is to be told of the conflicts in its worktree.
fn wants_to_tell(flux: &Flux, plan: &Plan) -> Result<bool> {
    if !flux.ui.can_ask() || plan.inside || observe::listener(flux, &plan.task)?.is_none() {
        return Ok(false);
    }
    let id = &plan.task.id;
    flux.ui.confirm(
        format_args!("The agent of '{id}' is running. Tell it?"),
        true,
    )
}

fn tell(flux: &Flux, plan: &Plan) -> Result<()> {
    let id = &plan.task.id;
    // It may have ended since, or do so at any time. Its answer is not waited for.
    let told = match recipient::listening(flux, &plan.task, clock::now(), true)? {
        Some(recipient) => recipient.send(MESSAGE).map(drop),
        None => {
            Err(Failure::new(format!("the agent of '{id}' does not read what is typed")).into())
        }
    };
    match told {
        Ok(()) => flux.ui.status(format_args!("told the agent of '{id}'")),
        Err(error) => flux.ui.warning(format_args!("{error:#}")),
    }
    Ok(())
}
