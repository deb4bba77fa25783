//! The configuration of a task, in the section of its branch.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::git::command::exit_error;
use crate::git::{Git, Lock, Repo};
use crate::settings::{Settings, table};
use crate::system::wait_until;
use crate::task::{ObjectId, Task};

/// Writes `branch.<branch>.fluxTask` to the repository's git config. Before that, writes the values
/// `kept` from the archive or, if there are none and the branch is new, the task's title as
/// description. The caller holds the repository's lock (`Flux::lock_repo`).
pub(crate) fn write_config(
    repo: &Repo,
    task: &Task,
    kept: &[(String, String)],
    lock: &Lock,
) -> Result<()> {
    let key = |name: &str| format!("branch.{}.{name}", task.branch);
    let named = |setting: &table::Setting| setting.documented_key(&task.branch);
    let kept: Vec<_> = kept.iter().filter(|(name, _)| name != "fluxtask").collect();
    for (at, (name, value)) in kept.iter().enumerate() {
        let is_repeated = kept[..at].iter().any(|(other, _)| other == name);
        let how = if is_repeated {
            "--add"
        } else {
            "--replace-all"
        };
        configure(repo, &[how, &key(name), value], lock)?;
    }
    if kept.is_empty() && task.existing.is_none() {
        configure(repo, &[&named(&table::DESCRIPTION), &task.title], lock)?;
    }
    configure(repo, &[&named(&table::TASK), task.id.as_str()], lock)
}

/// Removes the section of a task's branch from git config:
/// `git config --local --remove-section branch.<branch>`. If the branch is kept, only its
/// `fluxTask`, and only if it names this task. A missing section is no error.
pub(crate) fn remove_config(repo: &Repo, task: &Task, lock: &Lock) -> Result<()> {
    let branch = &task.branch;
    let settings = || Settings::load(repo.home());
    if task.keeps_branch() {
        // Another task may use the branch by now.
        if settings()?.branch_value(branch, &table::TASK) != Some(task.id.as_str()) {
            return Ok(());
        }
        let (key, value) = (table::TASK.documented_key(branch), format!("^{}$", task.id));
        return configure(repo, &["--unset-all", &key, &value], lock);
    }
    let section = format!("branch.{branch}");
    let removed = configure(repo, &["--remove-section", &section], lock);
    // git reports a missing section and an invalid name alike.
    if removed.is_err() && settings()?.branch_section(branch).is_empty() {
        return Ok(());
    }
    removed
}

/// Adds the object name of a tree to `flux.trust`: `git config --local --add flux.trust <tree>`.
/// The caller holds the repository's lock.
pub(crate) fn add_trust(repo: &Repo, tree: &ObjectId, lock: &Lock) -> Result<()> {
    configure(repo, &["--add", table::TRUST.key, tree], lock)
}

/// The exit code of git if another program holds `config.lock`.
const EXIT_LOCKED: i32 = 255;

/// The time to wait for `config.lock`.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Runs `git config --local <args>`, and tries again for up to ten seconds while another program is
/// writing the configuration.
fn configure(repo: &Repo, args: &[impl AsRef<OsStr>], lock: &Lock) -> Result<()> {
    retry(|| {
        let git = Git::new(repo.home()).words("config --local").args(args);
        git.holding(lock)
    })
}

/// Runs `git config --file <file> <args>`, and tries again for up to ten seconds while another
/// program is writing the file. The caller holds the repository's lock.
pub(crate) fn configure_file(repo: &Repo, file: &Path, args: &[&OsStr], lock: &Lock) -> Result<()> {
    retry(|| {
        let git = Git::new(repo.home()).words("config --file").arg(file);
        git.args(args).holding(lock)
    })
}

/// Runs the `git config` that `make` builds. While another program is writing the configuration,
/// tries again, for up to ten seconds or until ^C.
fn retry(make: impl Fn() -> Result<Git>) -> Result<()> {
    let mut last = None;
    let attempt = || {
        let (code, output) = make()?.outcome()?;
        let is_over = code != EXIT_LOCKED;
        last = Some((code, output.stderr));
        Ok(is_over.then_some(()))
    };
    wait_until(LOCK_TIMEOUT, MAX_PAUSE, attempt)?;
    match last {
        Some((code, stderr)) if code != 0 => {
            Err(exit_error("git config", code, &stderr)
                .context("could not write the configuration"))
        }
        _ => Ok(()),
    }
}
