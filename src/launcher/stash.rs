//! `git stash` of an agent, in the task's own stash.
//!
//! The agent's `git` starts git flux as `git-flux-stash` for a command that may be `git stash`,
//! perhaps by an alias. Any other command, and one for another repository, becomes plain git.

mod arguments;
mod branch;
mod command_line;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

use self::arguments::StashArgs;
use self::command_line::{CommandLine, PlainGit};
use super::foreground_child::{exit_as, output, status};
use crate::failure::Failure;
use crate::git::identity::is_same_place;
use crate::git::task_stash::caller::{CallerWorktree, GlobalOptions};
use crate::git::{Lock, ObjectId, Repo, TaskStash};
use crate::run::RunDir;
use crate::sanitize;
use crate::task::TaskId;

/// The name as which the agent's git starts git flux.
pub(crate) const NAME: &str = "git-flux-stash";

/// The variable by which a caller chooses an index.
const INDEX: &str = "GIT_INDEX_FILE";

/// A `git stash` for the task's own stash.
struct StashCall {
    git: PlainGit,
    options: GlobalOptions,
    args: StashArgs,
    worktree: CallerWorktree,
    run: RunDir,
    id: TaskId,
    stash: TaskStash,
}

/// Runs `git-flux-stash <git> <argv...>`, as the agent's own `git` starts git flux: runs the
/// command `<argv...>` in the task's own stash if it is `git stash`, else replaces this process by
/// it. `<git>` is the path of the next git on PATH. Ends as git ends; returns only an error.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> Result<()> {
    let line = CommandLine::parse(args).context("not called by an agent's git")?;
    match StashCall::of(&line)? {
        Some(call) => call.run(),
        None => Err(line.become_git().into()),
    }
}

impl StashCall {
    /// Returns the call for the task's own stash to which a git command leads; `None` if it leads
    /// to another command or repository.
    fn of(line: &CommandLine) -> Result<Option<Self>> {
        let Some((id, run)) = task_from_env() else {
            return Ok(None);
        };
        let Some((options, args)) = line.resolve()? else {
            return Ok(None);
        };
        let Some(worktree) = options.worktree()? else {
            return Ok(None);
        };
        let is_ours = run
            .common_dir()
            .is_some_and(|dir| is_same_place(dir, &worktree.common_dir));
        if !is_ours {
            return Ok(None);
        }
        Ok(Some(Self {
            git: line.git.clone(),
            options,
            args,
            worktree,
            stash: run.stash(),
            run,
            id,
        }))
    }

    /// Runs this `git stash`, and ends the process as git ends; returns only an error. Holds the
    /// lock of the task's stash, but not while a command that only reads it runs (`list` or
    /// `show`).
    fn run(self) -> Result<()> {
        if self.args.is_reading() && self.stash.is_in_use() {
            // `git stash -p` may wait for an answer.
            return Err(self.command(&self.own_entry_args()?).exec().into());
        }
        let lock = self.lock()?;
        let repo = Repo::open_at(&self.worktree.common_dir)?;
        self.stash.adopt_autostashes(&repo, &lock)?;
        self.stash.prepare(&self.worktree, &self.options)?;
        let args = self.own_entry_args()?;
        if self.args.is_reading() {
            drop(lock);
            return Err(self.command(&args).exec().into());
        }
        let status = match self.args.subcommand() {
            "create" => self.create(&args)?,
            "branch" => self.branch(&args)?,
            _ => self.run_stash(&args)?,
        };
        self.finish(&repo, lock)?;
        exit_as(status)
    }

    fn run_stash(&self, args: &[OsString]) -> Result<ExitStatus> {
        status(&mut self.command(args)).context("could not start git")
    }

    fn lock(&self) -> Result<Lock> {
        self.stash.lock(|waits| {
            drop(writeln!(io::stderr(), "{waits}"));
        })
    }

    /// Updates the refs that keep the entries from `git gc`, and releases the lock. If the command
    /// has reset the worktree, also ends a merge, cherry-pick or revert there, as `git stash` does:
    /// its reset ended that only in the git directory of the stash.
    fn finish(&self, repo: &Repo, lock: Lock) -> Result<()> {
        self.stash.pin(repo, &self.id, &lock)?;
        let has_reset = self.stash.has_reset();
        drop(lock);
        if has_reset {
            self.stash.forget_operation(&self.worktree, &self.options)?;
        }
        Ok(())
    }

    /// Builds the command `git stash` with `args`, which runs in the task's own stash.
    fn command(&self, args: &[OsString]) -> Command {
        let mut command = self.git();
        command.env("GIT_DIR", self.stash.dir());
        command.env("GIT_WORK_TREE", &self.worktree.top);
        if env::var_os(INDEX).is_none() {
            command.env(INDEX, self.worktree.git_dir.join("index"));
        }
        command.args(self.options.without_repository());
        command.arg("stash").args(args);
        command
    }

    /// Builds a command of the next git on PATH, without arguments. Unsets `GIT_COMMON_DIR`, and
    /// `GIT_EXEC_PATH` if that is the directory with the agent's own `git`.
    fn git(&self) -> Command {
        let mut command = self.git.command();
        command.env_remove("GIT_COMMON_DIR");
        if env::var_os("GIT_EXEC_PATH").is_some_and(|dir| dir == self.run.exec_dir()) {
            command.env_remove("GIT_EXEC_PATH");
        }
        command
    }

    /// Runs `git stash create`, prints its output, and records the commit that it prints as one
    /// that this task has stashed.
    fn create(&self, args: &[OsString]) -> Result<ExitStatus> {
        let mut command = self.command(args);
        let output = output(command.stdout(Stdio::piped())).context("could not start git")?;
        if let Some(commit) = ObjectId::parse(output.stdout.trim_ascii_end()) {
            self.stash.note_created(&commit)?;
        }
        io::stdout().write_all(&output.stdout)?;
        Ok(output.status)
    }

    /// Returns the arguments. If one names an entry by its commit, as in `git stash apply
    /// <commit>`, replaces it by the full object name, and fails if this task has not stashed that
    /// commit. Keeps a name that git cannot resolve: git then prints the error.
    fn own_entry_args(&self) -> Result<Vec<OsString>> {
        let mut args = self.args.0.clone();
        let Some(at) = self.args.commit() else {
            return Ok(args);
        };
        let Some(commit) = self.options.commit(&args[at])? else {
            // git says so.
            return Ok(args);
        };
        if !self.stash.has(&commit)? {
            let name = sanitize::line(&args[at].to_string_lossy());
            let what = format!("'{name}' is no stash entry of this task");
            return Err(Failure::new(what).into());
        }
        args[at] = commit.to_string().into();
        Ok(args)
    }
}

/// Returns the task in whose environment this process runs, with its run directory; `None` without
/// `FLUX_RUN`, or if that is no run directory.
fn task_from_env() -> Option<(TaskId, RunDir)> {
    let run = RunDir(PathBuf::from(env::var_os("FLUX_RUN")?));
    let id: TaskId = run.0.file_name()?.to_str()?.parse().ok()?;
    let is_run = run.0.ends_with(Path::new("flux/run").join(id.as_str())) && run.0.is_dir();
    is_run.then_some((id, run))
}
