//! What becomes of uncommitted changes.

use anyhow::Result;

use super::Cleanup;
use crate::commands::status::count;
use crate::failure::Failure;
use crate::git::worktree;
use crate::lifecycle::Flux;
use crate::lifecycle::plan::Plan;
use crate::ui::{quoted, shown};

/// What becomes of uncommitted changes.
pub(super) enum Uncommitted {
    /// They go into the branch, with this message.
    Commit(String),
    /// There are none, or they stay where they are and go to the trash.
    Leave,
}

impl Cleanup {
    /// Asks what becomes of uncommitted changes.
    pub(super) fn uncommitted(&self, flux: &Flux, plan: &Plan) -> Result<Uncommitted> {
        if plan.missing && !self.discard {
            return self.unseen(flux, plan);
        }
        ensure_movable(plan, self.discard)?;
        if plan.uncommitted.is_empty() || self.discard {
            return Ok(Uncommitted::Leave);
        }
        let id = &plan.task.id;
        let files = count(plan.uncommitted.len(), "uncommitted file");
        let offered = format!("WIP: {}", plan.task.title);
        let message = match &self.commit {
            Some(message) => message.clone(),
            None if !flux.ui.can_ask() => {
                return Err(Failure::new(format!("'{id}' has {files}"))
                    .hint(format!("git flux cleanup {id} --commit"))
                    .hint(format!("git flux cleanup {id} --discard"))
                    .into());
            }
            None => {
                flux.ui.status(format_args!("'{id}' has {files}:"));
                for change in &plan.uncommitted {
                    let code = String::from_utf8_lossy(&change.code).replace('.', " ");
                    flux.ui
                        .status(format_args!("  {code} {}", shown(&change.path)));
                }
                let choices = [
                    "commit them all",
                    "discard them (they are kept in the trash)",
                    "abort",
                ];
                match flux
                    .ui
                    .select("What is to become of them?", &choices.map(str::to_owned))?
                {
                    0 => flux.ui.input("Message", &offered)?,
                    1 => {
                        ensure_movable(plan, true)?;
                        return Ok(Uncommitted::Leave);
                    }
                    _ => return Err(Failure::declined("nothing was changed").into()),
                }
            }
        };
        if let Some(nested) = plan
            .uncommitted
            .iter()
            .find(|change| change.is_repository())
        {
            return Err(Failure::new(format!(
                "'{}' is a repository of its own, and cannot be committed here",
                shown(&nested.path)
            ))
            .hint(format!("move it, or: git flux cleanup {id} --discard"))
            .into());
        }
        Ok(Uncommitted::Commit(if message.trim().is_empty() {
            offered
        } else {
            message
        }))
    }

    /// The worktree is gone, so nobody can tell what was uncommitted in it.
    fn unseen(&self, flux: &Flux, plan: &Plan) -> Result<Uncommitted> {
        let (id, path) = (&plan.task.id, shown(&plan.task.worktree));
        if !flux.ui.can_ask() {
            return Err(
                Failure::new(format!("the worktree of '{id}' is gone: '{path}'"))
                    .hint(format!(
                        "if it was moved: git worktree repair {}",
                        quoted(&plan.task.worktree)
                    ))
                    .hint(format!("git flux cleanup {id} --discard"))
                    .into(),
            );
        }
        flux.ui.status(format_args!(
            "The worktree of '{id}' is gone: '{path}'. What was uncommitted in it is unknown."
        ));
        if flux.ui.confirm("Remove the task all the same?", false)? {
            Ok(Uncommitted::Leave)
        } else {
            Err(Failure::declined("nothing was changed").into())
        }
    }
}

/// What is on another file system cannot be moved to the trash: there must
/// be nothing in it but what is committed.
pub(super) fn ensure_movable(plan: &Plan, discard: bool) -> Result<()> {
    if !plan.abroad {
        return Ok(());
    }
    let left = plan.ignored.len() + if discard { plan.uncommitted.len() } else { 0 };
    // git status does not look at files that are assumed to be unchanged.
    let looks_clean = left + plan.uncommitted.len() == 0;
    if looks_clean && worktree::is_untouched(&plan.task.worktree, &plan.tip)? {
        return Ok(());
    }
    if left == 0 && !looks_clean {
        return Ok(());
    }
    let (id, path) = (&plan.task.id, &plan.task.worktree);
    Err(Failure::new(format!(
        "'{}' is on another file system than the repository: {} in it cannot be moved to the trash",
        shown(path),
        count(left.max(1), "file")
    ))
    .hint(format!(
        "look at them, then remove them: git -C {} clean -dx --dry-run",
        quoted(path)
    ))
    .hint(format!("git flux cleanup {id}"))
    .into())
}
