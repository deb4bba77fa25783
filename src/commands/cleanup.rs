//! `git flux cleanup`

use anyhow::Result;
use clap::Args;

use super::status::count;
use super::{choose, settled, ui};
use crate::failure::{Failure, USAGE};
use crate::git::{Lock, MergePlan, merge, worktree};
use crate::lifecycle::Flux;
use crate::lifecycle::plan::{Consent, Plan};
use crate::lifecycle::remove::{Removed, leave, remove};
use crate::sanitize;
use crate::settings::Settings;
use crate::store::Store;
use crate::task::{Phase, TaskId};
use crate::ui::shown;

/// Merge a task back and remove its worktree, branch and session
#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    /// The task: its id, or the beginning of it
    task: Option<String>,
    /// Merge into this branch instead of the one the task started from
    #[arg(long, value_name = "BRANCH", conflicts_with = "discard_branch")]
    into: Option<String>,
    /// Commit what is uncommitted first
    #[arg(long, value_name = "MESSAGE", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "discard")]
    commit: Option<String>,
    /// Leave what is uncommitted out of the merge; it is kept in the trash
    #[arg(long)]
    discard: bool,
    /// Drop the branch without a merge; it is kept in the archive
    #[arg(long)]
    discard_branch: bool,
    /// Agree to the merge and to stopping the agent, never to losing anything
    #[arg(short, long)]
    yes: bool,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// How often a task that keeps changing is looked at again.
const ATTEMPTS: usize = 5;

impl Cleanup {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(ui(false))?;
        let store = settled(&flux)?;
        let id = choose(&flux, &store, self.task.as_deref(), "cleanup")?
            .id
            .clone();
        if self.dry_run {
            let plan = Plan::make(
                &flux,
                &store,
                store.find(id.as_str())?,
                self.into.as_deref(),
                &self.consent(),
            )?;
            return self.describe(&flux, &plan);
        }
        let lock = flux.lock_task(&id)?;
        let done = self.under_lock(&flux, store, &id, &lock);
        if done.is_err() && !flux.repo.run_dir(&id).join("running").exists() {
            // Locking a task that was gone by then made its directory anew.
            let store = Store::load(&flux.repo, &flux.settings)?;
            if store.tasks.iter().all(|stored| stored.id != id) {
                flux.run_dir(&id).remove()?;
            }
        }
        done
    }

    fn consent(&self) -> Consent {
        Consent {
            commit: self.commit.clone(),
            discard: self.discard,
            discard_branch: self.discard_branch,
            stop: self.yes,
        }
    }

    fn under_lock(&self, flux: &Flux, store: Store, id: &TaskId, lock: &Lock) -> Result<()> {
        let mut consent = self.consent();
        let mut store = store;
        for _ in 0..ATTEMPTS {
            let plan = Plan::make(
                flux,
                &store,
                store.find(id.as_str())?,
                self.into.as_deref(),
                &consent,
            )?;
            if plan.task.phase != Phase::Active {
                return Err(
                    Failure::new(format!("'{id}' is {}", plan.task.phase.name()))
                        .hint(format!("git flux status {id}"))
                        .into(),
                );
            }
            plan.ensure_no_conflicts()?;
            let committed = self.uncommitted(flux, &plan, &mut consent, lock)?;
            if !committed {
                self.agree(flux, &plan, &mut consent)?;
                match remove(flux, &plan, lock)? {
                    Removed::Done { merge, kept } => {
                        return tell(flux, &plan, merge.as_deref(), kept.as_deref());
                    }
                    Removed::Changed => flux.ui.status(format_args!(
                        "'{id}' changed meanwhile; looking at it again"
                    )),
                }
            }
            let settings = Settings::load(flux.repo.common_dir())?;
            store = Store::load(&flux.repo, &settings)?;
        }
        Err(
            Failure::new(format!("'{id}' keeps changing; it was not removed"))
                .hint(format!("git flux attach {id}"))
                .into(),
        )
    }

    /// Asks what becomes of uncommitted changes. `true` if they were committed: look again.
    fn uncommitted(
        &self,
        flux: &Flux,
        plan: &Plan,
        consent: &mut Consent,
        lock: &Lock,
    ) -> Result<bool> {
        if plan.uncommitted.is_empty() || consent.discard {
            return Ok(false);
        }
        let id = &plan.task.id;
        let files = count(plan.uncommitted.len(), "uncommitted file");
        let offered = format!("WIP: {}", plan.task.title);
        if consent.commit.is_none() {
            if !flux.ui.can_ask() {
                return Err(Failure::new(format!("'{id}' has {files}"))
                    .hint(format!("git flux cleanup {id} --commit"))
                    .hint(format!("git flux cleanup {id} --discard"))
                    .into());
            }
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
            ]
            .map(str::to_owned);
            match flux.ui.select("What is to become of them?", &choices)? {
                0 => consent.commit = Some(flux.ui.input("Message", &offered)?),
                1 => {
                    consent.discard = true;
                    return Ok(false);
                }
                _ => return Err(Failure::declined("nothing was changed").into()),
            }
        }
        if let Some(nested) = plan
            .uncommitted
            .iter()
            .find(|change| change.path.as_os_str().as_encoded_bytes().ends_with(b"/"))
        {
            return Err(Failure::new(format!(
                "'{}' is a repository of its own, and cannot be committed here",
                shown(&nested.path)
            ))
            .hint(format!("move it, or: git flux cleanup {id} --discard"))
            .into());
        }
        let message = consent
            .commit
            .take()
            .filter(|message| !message.trim().is_empty())
            .unwrap_or(offered);
        merge::commit_all(&plan.task.worktree, &message, lock)?;
        flux.ui
            .status(format_args!("committed {files} on '{}'", plan.task.branch));
        // What appears after this was not seen by whoever agreed.
        consent.commit = None;
        Ok(true)
    }

    /// Asks whether to merge, and whether to stop a running agent.
    fn agree(&self, flux: &Flux, plan: &Plan, consent: &mut Consent) -> Result<()> {
        let id = &plan.task.id;
        let elsewhere = self.elsewhere(flux, plan)?;
        if !plan.ignored.is_empty() {
            let names: Vec<String> = plan
                .ignored
                .iter()
                .take(8)
                .map(|change| shown(&change.path))
                .collect();
            let more = if plan.ignored.len() > names.len() {
                ", …"
            } else {
                ""
            };
            flux.ui.status(format_args!(
                "ignored files are kept in the trash: {}{more}",
                names.join(", ")
            ));
        }
        if flux.ui.can_ask() && !self.yes {
            let question = self.question(plan, elsewhere.as_deref());
            if !flux.ui.confirm(question, !self.discard_branch)? {
                return Err(Failure::declined("nothing was changed").into());
            }
        }
        if (plan.must_stop() || (plan.inside && !flux.ui.can_ask())) && !consent.stop {
            if !flux.ui.can_ask() {
                return Err(
                    Failure::new(format!("the agent of '{id}' is still running"))
                        .hint(format!("git flux attach {id}"))
                        .hint(format!("git flux cleanup {id} --yes"))
                        .into(),
                );
            }
            if !flux.ui.confirm(
                format_args!("The agent of '{id}' is still running. Stop it?"),
                false,
            )? {
                return Err(Failure::declined("nothing was changed").into());
            }
            consent.stop = true;
        }
        Ok(())
    }

    /// The branch the user stands on, if the work goes to another that was not named.
    fn elsewhere(&self, flux: &Flux, plan: &Plan) -> Result<Option<String>> {
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
        let Some(entry) = entries
            .iter()
            .find(|entry| entry.path == standing && !entry.bare)
        else {
            return Ok(None);
        };
        let name = entry.branch.as_deref().map_or("a detached HEAD", |name| {
            name.strip_prefix("refs/heads/").unwrap_or(name)
        });
        if !flux.ui.can_ask() {
            return Err(Failure::new(format!(
                "you are on '{name}', but '{}' started from '{}'",
                plan.task.id, into.branch
            ))
            .hint(format!(
                "git flux cleanup {} --into {}",
                plan.task.id, into.branch
            ))
            .code(USAGE)
            .into());
        }
        Ok(Some(name.to_owned()))
    }

    fn question(&self, plan: &Plan, elsewhere: Option<&str>) -> String {
        let (id, branch) = (&plan.task.id, &plan.task.branch);
        match &plan.into {
            None => format!("Drop '{branch}' without merging it, and remove '{id}'?"),
            Some(_) if plan.commits() == 0 => {
                format!("'{branch}' has nothing to merge. Remove '{id}'?")
            }
            Some(into) => {
                let aside = elsewhere
                    .map(|on| format!(" (you are on '{on}')"))
                    .unwrap_or_default();
                format!(
                    "Merge {} of '{branch}' into '{}'{aside}, and remove '{id}'?",
                    count(plan.commits(), "commit"),
                    into.branch
                )
            }
        }
    }

    fn describe(&self, flux: &Flux, plan: &Plan) -> Result<()> {
        let say = |line: String| flux.ui.data(sanitize::line(&line));
        let files = count(plan.uncommitted.len(), "uncommitted file");
        match (
            plan.uncommitted.is_empty(),
            self.discard,
            self.commit.is_some(),
        ) {
            (true, ..) => {}
            (_, true, _) => say(format!("would leave {files} in the trash"))?,
            (_, _, true) => say(format!("would commit {files}"))?,
            _ => say(format!("would ask about {files}"))?,
        }
        if plan.must_stop() {
            say("would stop the agent".to_owned())?;
        }
        match &plan.into {
            None => say(format!(
                "would drop '{}' without merging it",
                plan.task.branch
            ))?,
            Some(into) => match &into.merge {
                MergePlan::UpToDate => {
                    say(format!("would merge nothing: '{}' has it all", into.branch))?;
                }
                MergePlan::Conflicts { .. } => return plan.ensure_no_conflicts(),
                MergePlan::FastForward { commits } | MergePlan::Merge { commits, .. } => {
                    say(format!(
                        "would merge {} into '{}'",
                        count(*commits, "commit"),
                        into.branch
                    ))?;
                }
            },
        }
        say(format!(
            "would remove the worktree '{}', the branch '{}' and the pane",
            shown(&plan.task.worktree),
            plan.task.branch
        ))?;
        flux.ui.status("Nothing was done.");
        Ok(())
    }
}

fn tell(
    flux: &Flux,
    plan: &Plan,
    merge: Option<&str>,
    kept: Option<&std::path::Path>,
) -> Result<()> {
    let task = &plan.task;
    match (&plan.into, merge) {
        (Some(into), Some(merge)) => {
            let commits = count(plan.commits(), "commit");
            let short = |oid: &str| oid[..oid.len().min(9)].to_owned();
            flux.ui.status(format_args!(
                "merged {commits} of '{}' into '{}' ({}..{})",
                task.branch,
                into.branch,
                short(&into.tip),
                short(merge)
            ));
        }
        (Some(into), None) if plan.tip == task.base => {
            flux.ui.status(format_args!(
                "'{}' had no commits: nothing was merged into '{}'",
                task.branch, into.branch
            ));
        }
        (Some(into), None) => flux.ui.status(format_args!(
            "'{}' has every commit of '{}' already",
            into.branch, task.branch
        )),
        (None, _) => flux
            .ui
            .status(format_args!("dropped '{}' without merging it", task.branch)),
    }
    flux.ui.status(format_args!(
        "removed '{}': worktree, branch and {}",
        task.id,
        task.target.as_ref().map_or("record", |t| t.kind.name())
    ));
    if plan.tip != task.base {
        flux.ui.status(format_args!(
            "its commits stay in refs/flux/archive/{}/tip",
            task.id
        ));
    }
    if let Some(kept) = kept {
        flux.ui
            .status(format_args!("its worktree is kept in '{}'", kept.display()));
    }
    if flux.repo.current() == Some(task.worktree.as_path()) {
        flux.ui.hint(format_args!(
            "this directory is gone: cd '{}'",
            shown(flux.repo.home())
        ));
    }
    leave(plan)
}
