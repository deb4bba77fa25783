//! `git flux diff`

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose};
use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::git::{Distrust, ObjectId, diff};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::damage::Damage;
use crate::lifecycle::review::{Scope, TaskReview};
use crate::store::Store;
use crate::task::Task;
use crate::ui::{Ui, word};

/// Show a task's changes, including uncommitted and untracked files
#[derive(Debug, Args)]
#[command(override_usage = "git flux diff [<options>] [<task>] [-- <git diff args>...]")]
pub(crate) struct DiffArgs {
    /// the task: its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::task_then_files))]
    task: Option<String>,
    /// only what you have not looked at, as git flux review shows it
    #[arg(long)]
    unseen: bool,
    /// arguments for git diff
    #[arg(last = true, value_name = "<git diff args>", add = ArgValueCompleter::new(candidates::files))]
    args: Vec<OsString>,
}

impl DiffArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let task = choose(&flux, &store, self.task.as_deref(), Verb::Diff)?.readable()?;
        ensure_not_copied(&flux, task)?;
        if let Some(broken) = Damage::find(&flux, task)? {
            let mut failure = broken.failure();
            if store.tip(&task.branch).is_some() {
                let (base, branch) = (word(&task.base), word(&task.branch));
                failure = failure.hint(format!(
                    "to see what its commits changed: git diff {base} {branch}"
                ));
            }
            return Err(failure.into());
        }
        let shown = match self.unseen {
            true => TaskReview::find(&flux, &store, task, Scope::Unseen)?.show(&self.args),
            false => show(&flux, task, &task.base, self.args),
        };
        match shown? {
            0 => Ok(()),
            // git has printed its error, or --exit-code was given.
            code => Err(Failure::new("").code(code.try_into().unwrap_or(1)).into()),
        }
    }
}

/// Shows the changes of a task's worktree since the commit `since`, untracked files included,
/// through git's pager: `git diff`. Returns git's exit code. Warns if uncommitted changes in
/// submodules are left out.
pub(super) fn show(flux: &Flux, task: &Task, since: &ObjectId, args: Vec<OsString>) -> Result<i32> {
    let checkout = flux.repo.checkout(&task.worktree)?;
    let mut options: Vec<OsString> = Vec::new();
    match checkout.verify_nested() {
        Ok(true) => {}
        Ok(false) => options.push("--ignore-submodules=dirty".into()),
        Err(error) if error.is::<Distrust>() => {
            // git would start a process in each submodule.
            options.push("--ignore-submodules=dirty".into());
            options.push("--submodule=short".into());
            flux.ui.warning(format_args!(
                "uncommitted changes in submodules are not shown: {error:#}"
            ));
        }
        Err(error) => return Err(error),
    }
    options.extend(args);
    diff::show(&checkout, since, &options)
}
