//! `git flux cleanup`

mod bulk;
mod checks;
mod conflicts;
mod elsewhere;
mod merged;
mod style;
mod uncommitted;
mod words;

pub(super) use words::capital;

use anyhow::{Context as _, Error, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use self::style::Styles;
use self::uncommitted::{Uncommitted, ignored};
use super::{candidates, choose_own, settled};
use crate::failure::{self, Failure, USAGE};
use crate::git::commit::CommitAll;
use crate::git::{Lock, refs, worktree};
use crate::lifecycle::Flux;
use crate::lifecycle::cleanup::facts::Plan;
use crate::lifecycle::cleanup::into::Wanted;
use crate::lifecycle::cleanup::merge;
use crate::lifecycle::cleanup::remove::{Removed, halt, remove, stands};
use crate::lifecycle::other_machine::ensure_gone;
use crate::settings::Settings;
use crate::store::Store;
use crate::task::{Phase, Task, TaskId};
use crate::ui::words::count;
use crate::ui::{Ui, quoted, word};

/// Merge a task back and remove its worktree, branch and session
#[derive(Clone, Debug, Args)]
pub(crate) struct Cleanup {
    /// The tasks: each its id or a part of it, its branch or its worktree
    #[arg(value_name = "TASK", add = ArgValueCompleter::new(candidates::further_tasks))]
    tasks: Vec<String>,
    /// Remove all tasks
    #[arg(long, conflicts_with_all = ["tasks", "merged"])]
    all: bool,
    /// Remove all tasks whose commits are merged already, or in this commit
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "tasks", add = ArgValueCompleter::new(candidates::commits))]
    merged: Option<String>,
    /// Merge into this branch instead of the one the task started from
    #[arg(long, value_name = "BRANCH", conflicts_with = "discard_branch", add = ArgValueCompleter::new(candidates::branches))]
    into: Option<String>,
    #[command(flatten)]
    styles: Styles,
    /// Commit what is uncommitted first
    #[arg(long, value_name = "MESSAGE", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "discard")]
    commit: Option<String>,
    /// Leave what is uncommitted out of the merge; it is kept in the trash
    #[arg(long)]
    discard: bool,
    /// Drop the branch without a merge; it is kept in the archive
    #[arg(long)]
    discard_branch: bool,
    /// Where both sides changed the same, merge the branch into the task's worktree,
    /// for its agent or you to resolve the conflicts there
    #[arg(long, conflicts_with_all = ["discard_branch", "rebase"])]
    update: bool,
    /// Machine-readable output: the files in conflict, a line each
    #[arg(long)]
    porcelain: bool,
    /// Terminate records of --porcelain with a NUL character
    #[arg(short = 'z', requires = "porcelain")]
    nul: bool,
    /// Bypass the hooks that can refuse a commit or a merge
    #[arg(long)]
    no_verify: bool,
    /// Agree to the merge and to stopping the agent, never to losing anything
    #[arg(short, long)]
    yes: bool,
    /// Agree that an agent that was started on another machine has ended
    #[arg(long)]
    gone: bool,
    /// Dry run: only say what was looked at and what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Machine-readable output of the dry run, which it implies
    #[arg(long, conflicts_with = "porcelain")]
    json: bool,
}

/// How often a task that keeps changing is looked at again.
const ATTEMPTS: usize = 5;

impl Cleanup {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let dry = self.dry_run || self.json;
        let store = match dry {
            true => Store::load(&flux.repo, &flux.settings)?,
            false => settled(&flux)?,
        };
        if let Some(tasks) = self.several(&flux, &store)? {
            return self.bulk(&flux, tasks);
        }
        let name = self.tasks.first().map(String::as_str);
        let stored = choose_own(&flux, &store, name, "cleanup")?;
        if self.drop_elsewhere(&flux, &store, stored)? {
            return Ok(());
        }
        let id = stored.id.clone();
        if dry {
            return self.foretell(&flux, &store, &[id]);
        }
        // Somebody may have taken any time to pick it.
        self.one(&flux, name.map(|_| store), &id, false)
    }

    /// What removing a task would come to.
    fn outlook(&self, flux: &Flux, store: &Store, id: &TaskId) -> Result<Plan> {
        let (loss, plan) = self.examine(flux, store, id)?;
        loss.ensure()?;
        plan.context("a check was forgotten")
    }

    /// Removes one task; `agreed` says that the merge was agreed to before. `seen` is what
    /// was seen just now, if it was.
    fn one(&self, flux: &Flux, seen: Option<Store>, id: &TaskId, agreed: bool) -> Result<()> {
        let load = || Store::load(&flux.repo, &flux.settings);
        let (lock, store) = match flux.try_lock_task(id)? {
            Some(lock) => (lock, seen.map_or_else(load, Ok)?),
            // Whoever holds it changes what was seen before.
            None => (flux.lock_task(id)?, load()?),
        };
        let done = self.under_lock(flux, store, id, &lock, agreed);
        if done.is_err() {
            // It may have been gone by then.
            flux.tidy_run(id)?;
        }
        done
    }

    fn plan(&self, flux: &Flux, store: &Store, id: &TaskId) -> Result<Plan> {
        Plan::make(
            flux,
            store,
            store.find(&flux.repo, id.as_str())?,
            self.wanted(flux)?,
        )
    }

    fn wanted(&self, flux: &Flux) -> Result<Wanted<'_>> {
        if let Some(rev) = self.merged_in() {
            return Self::wanted_in(flux, rev);
        }
        Ok(match self.discard_branch {
            true => Wanted::Nothing,
            false => Wanted::Merge {
                into: self.into.as_deref(),
                style: self.styles.chosen(&flux.settings)?,
            },
        })
    }

    /// Observe, decide, ask, do; and again as long as the task changes meanwhile.
    fn under_lock(
        &self,
        flux: &Flux,
        mut store: Store,
        id: &TaskId,
        lock: &Lock,
        mut agreed: bool,
    ) -> Result<()> {
        let verify = !self.no_verify;
        let mut attempts = 0..ATTEMPTS;
        // Held from the first merge that came too late, so that the next one does not.
        let mut queue = None;
        let mut warned = false;
        while attempts.next().is_some() {
            let plan = self.plan(flux, &store, id)?;
            if plan.task.phase != Phase::Active {
                return Err(
                    Failure::new(format!("'{id}' is {}", plan.task.phase.into_str()))
                        .hint(format!("git flux status {id}"))
                        .into(),
                );
            }
            self.resolve(flux, &plan, lock)?;
            let choice = self.uncommitted(flux, &plan)?;
            let outlook = match choice {
                Uncommitted::Commit(_) => plan.once_committed(flux)?,
                Uncommitted::Leave => plan.clone(),
            };
            outlook.ensure_mergeable()?;
            if !std::mem::replace(&mut warned, true) {
                words::heirs(flux, &store, &plan);
            }
            self.agree(flux, &outlook, agreed)?;
            // Whatever can refuse does so while the agent still runs.
            let merge = match choice {
                Uncommitted::Commit(_) => None,
                Uncommitted::Leave => merge::prepare(flux, &plan, verify, lock)?,
            };
            if plan.must_stop() || matches!(choice, Uncommitted::Commit(_)) {
                let made = merge.as_ref().map(|made| &*made.commit);
                outlook.ensure_free(flux, made)?;
            }
            let unchanged = if plan.must_stop() || plan.has_foreign_jobs() {
                halt(flux, &plan)?
            } else {
                // A question or a hook may have taken any time.
                let slow = flux.ui.can_ask() || merge.as_ref().is_some_and(|made| made.ran_hooks);
                !slow || stands(flux, &plan)?
            };
            match choice {
                _ if !unchanged => changed(flux, id),
                Uncommitted::Commit(message) => {
                    let checkout = flux.repo.checkout(&plan.task.worktree)?;
                    let hooks = merge::hooks_for_commit(flux, &plan)?;
                    let commit = CommitAll {
                        tip: &plan.tip,
                        message: &message,
                        verify,
                        hooks: hooks.as_deref(),
                    };
                    let committed = commit.make(&checkout, lock);
                    if committed.map_err(|error| not_committed(error, &plan.task))? {
                        let files = count(plan.uncommitted.len(), "file");
                        flux.ui
                            .status(format_args!("committed {files} on '{}'", plan.task.branch));
                    }
                    agreed = true;
                }
                Uncommitted::Leave => {
                    if merge.is_some() && queue.is_none() {
                        queue = Some(flux.lock_merge()?);
                    }
                    match remove(flux, &plan, merge.map(|made| made.commit), lock)? {
                        Removed::Done { merge, kept } => {
                            return words::tell(flux, &plan, merge.as_deref(), &kept);
                        }
                        Removed::Changed => {
                            queue = None;
                            changed(flux, id);
                        }
                        Removed::TargetMoved => agreed = true,
                    }
                }
            }
            let settings = Settings::load(flux.repo.home())?;
            store = Store::load(&flux.repo, &settings)?;
        }
        Err(
            Failure::new(format!("'{id}' keeps changing; it was not removed"))
                .hint(format!("git flux attach {id}"))
                .into(),
        )
    }

    /// Asks whether to merge, and whether to stop a running agent. `plan` is what
    /// it will come to; `agreed` says that the merge was agreed to before.
    fn agree(&self, flux: &Flux, plan: &Plan, agreed: bool) -> Result<()> {
        let id = &plan.task.id;
        let elsewhere = self.elsewhere(flux, plan)?;
        if !plan.ignored.is_empty() {
            flux.ui.status(format_args!(
                "ignored files are kept in the trash: {}",
                ignored(flux, plan)?
            ));
        }
        let declined = || Failure::declined("nothing was changed");
        // -y agrees to the merge, not to a branch that nobody named.
        if flux.ui.can_ask() && !agreed && (!self.yes || elsewhere.is_some()) {
            let question = words::question(plan, elsewhere.as_deref());
            let is_kept = plan.into.is_some() || plan.merged_in.is_some();
            if !flux.ui.confirm(question, is_kept)? {
                return Err(declined().into());
            }
        }
        let command = format!("git flux cleanup {id}");
        ensure_gone(&flux.ui, plan.doubt.as_deref(), self.gone, &command)?;
        let others = plan.others().map(|others| (others, false));
        for (what, stopped) in [others, plan.aside()].into_iter().flatten() {
            let question = "Remove it all the same?";
            // Nobody has agreed to lose what one that is stopped holds.
            if self.yes && stopped {
                if !flux.ui.can_ask() {
                    let attach = format!("git flux attach {id}");
                    return Err(Failure::new(what).hint(attach).into());
                }
                confirm(flux, &what, question)?;
                continue;
            }
            if self.yes {
                flux.ui.warning(&what);
            }
            self.consent(flux, id, &what, question)?;
        }
        // The last of the questions.
        if plan.must_stop() || (plan.inside && !flux.ui.can_ask()) {
            let running = format!("{} is still running", plan.stopped());
            self.consent(flux, id, &running, "Stop it?")?;
        }
        Ok(())
    }

    /// Asks about something that -y agrees to.
    fn consent(&self, flux: &Flux, id: &TaskId, what: &str, question: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !flux.ui.can_ask() {
            return Err(Failure::new(what)
                .hint(format!("git flux attach {id}"))
                .hint(format!("git flux cleanup {id} --yes"))
                .into());
        }
        confirm(flux, what, question)
    }

    /// The branch the user stands on, if the work goes to another that was not named.
    ///
    /// # Errors
    /// When it cannot be told.
    fn standing(&self, flux: &Flux, plan: &Plan) -> Result<Option<String>> {
        let (None, Some(into)) = (&self.into, &plan.into) else {
            return Ok(None);
        };
        let standing = match flux.repo.current() {
            Some(current) if current != plan.task.worktree => current,
            // In the task's own worktree: the main worktree is what counts.
            _ => flux.repo.home(),
        };
        if into.worktree.as_deref() == Some(standing) || plan.commits() == 0 {
            return Ok(None);
        }
        let entries = worktree::list(flux.repo.home())?;
        let entry = entries.iter().find(|entry| entry.path == standing);
        Ok(entry.filter(|entry| !entry.bare).map(|entry| {
            let name = entry.branch.as_deref().unwrap_or("a detached HEAD");
            refs::short(name).to_owned()
        }))
    }

    /// The same, where somebody can be asked whether it is meant.
    fn elsewhere(&self, flux: &Flux, plan: &Plan) -> Result<Option<String>> {
        match (self.standing(flux, plan)?, &plan.into) {
            (Some(name), Some(into)) if !flux.ui.can_ask() => Err(Failure::new(format!(
                "you are on '{name}', but '{}' goes to '{}'",
                plan.task.id, into.branch
            ))
            .hint(format!(
                "git flux cleanup {} --into {}",
                plan.task.id,
                word(&into.branch)
            ))
            .code(USAGE)
            .into()),
            (standing, _) => Ok(standing),
        }
    }
}

fn confirm(flux: &Flux, what: &str, question: &str) -> Result<()> {
    let question = format!("{}. {question}", words::capital(what));
    match flux.ui.confirm(question, false)? {
        true => Ok(()),
        false => Err(Failure::declined("nothing was changed").into()),
    }
}

fn changed(flux: &Flux, id: &TaskId) {
    flux.ui.status(format_args!(
        "'{id}' changed meanwhile; looking at it again"
    ));
}

/// The refusal of a commit that git or a hook does not make.
fn not_committed(error: Error, task: &Task) -> Error {
    let path = quoted(&task.worktree);
    let failure = Failure::new(format!("could not commit the changes of '{}'", task.id));
    let hint = format!("git -C {path} add --all && git -C {path} commit");
    failure::over(error, failure.hint(hint))
}
