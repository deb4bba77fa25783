//! What a person may edit of a task: git config, in the section of its branch.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::Result;

use crate::git::command::exit_error;
use crate::git::{Git, Lock, Repo};
use crate::settings::{Settings, table};
use crate::system::wait_until;
use crate::task::{ObjectId, Task};

/// Writes what a person may edit: `branch.<branch>.description` and `.fluxTask`; or what
/// was there before, if the task was. The caller holds the repository's lock.
///
/// # Errors
/// When git cannot write its configuration.
pub(crate) fn write_config(
    repo: &Repo,
    task: &Task,
    kept: &[(String, String)],
    lock: &Lock,
) -> Result<()> {
    let key = |name: &str| format!("branch.{}.{name}", task.branch);
    let named = |setting: &table::Setting| setting.named(&task.branch);
    let kept: Vec<_> = kept.iter().filter(|(name, _)| name != "fluxtask").collect();
    for (at, (name, value)) in kept.iter().enumerate() {
        let again = kept[..at].iter().any(|(other, _)| other == name);
        let how = if again { "--add" } else { "--replace-all" };
        configure(repo, &[how, &key(name), value], lock)?;
    }
    if kept.is_empty() && task.existing.is_none() {
        configure(repo, &[&named(&table::DESCRIPTION), &task.title], lock)?;
    }
    configure(repo, &[&named(&table::TASK), task.id.as_str()], lock)
}

/// Removes the section of a task's branch, as `git branch -d` does: `git config --remove-section`;
/// of one that stays only what was written for the task. That there is none is no error.
/// The caller holds the repository's lock.
///
/// # Errors
/// When git cannot write its configuration.
pub(crate) fn remove_config(repo: &Repo, task: &Task, lock: &Lock) -> Result<()> {
    let branch = &task.branch;
    let settings = || Settings::load(repo.home());
    if task.keeps_branch() {
        // Another task may have the branch by now.
        if settings()?.of_branch(branch, &table::TASK) != Some(task.id.as_str()) {
            return Ok(());
        }
        let (key, value) = (table::TASK.named(branch), format!("^{}$", task.id));
        return configure(repo, &["--unset-all", &key, &value], lock);
    }
    let section = format!("branch.{branch}");
    let removed = configure(repo, &["--remove-section", &section], lock);
    // git says the same of a section that is not there and of a name it cannot parse.
    if removed.is_err() && settings()?.section_of_branch(branch).is_empty() {
        return Ok(());
    }
    removed
}

/// Adds a tree to what the user trusts: `flux.trust`. The caller holds the repository's lock.
///
/// # Errors
/// When git cannot write its configuration.
pub(crate) fn trust(repo: &Repo, tree: &ObjectId, lock: &Lock) -> Result<()> {
    configure(repo, &["--add", table::TRUST.key, tree], lock)
}

/// git's exit code when another program holds `config.lock`.
const LOCKED: i32 = 255;

/// How long another program is waited for that holds it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// `git config --local <args>`, tried again while another program is writing.
fn configure(repo: &Repo, args: &[impl AsRef<OsStr>], lock: &Lock) -> Result<()> {
    let mut last = None;
    let attempt = || {
        let git = Git::new(repo.home(), "config").arg("--local").args(args);
        let (code, output) = git.holding(lock)?.outcome()?;
        let is_over = code != LOCKED;
        last = Some((code, output.stderr));
        Ok(is_over.then_some(()))
    };
    wait_until(PATIENCE, PAUSE, attempt)?;
    match last {
        Some((code, said)) if code != 0 => {
            Err(exit_error("git config", code, &said).context("could not write the configuration"))
        }
        _ => Ok(()),
    }
}
