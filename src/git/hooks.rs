//! The user's hooks: lookup, and those that git flux runs itself.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Error, Result};
use nix::libc::ENOEXEC;
use nix::unistd::{AccessFlags, access};

use super::command::{AUTHOR_ENV, REPOSITORY_ENV, exit_error, version_of_git};
use super::{Checkout, Git, Lock, ObjectId, Repo};
use crate::system::captured::CapturedOutput;

/// A hook from the configuration: `hook.<name>.event` and `.command` (git 2.54).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredHook {
    pub(crate) name: String,
    pub(crate) events: Vec<String>,
    pub(crate) command: String,
}

/// The hooks that can refuse or change a commit.
const COMMIT_HOOKS: [&str; 3] = ["pre-commit", "prepare-commit-msg", "commit-msg"];

/// The hooks that git runs in a worktree.
#[derive(Clone, Debug)]
pub(crate) struct Hooks {
    /// The directory of the hooks.
    pub(super) dir: PathBuf,
    /// The directory relative to the top of the worktree, if it is in there.
    pub(super) relative: Option<PathBuf>,
    /// The directory is git's default.
    pub(super) is_default_dir: bool,
    pub(super) configured: Vec<ConfiguredHook>,
}

impl Hooks {
    /// Returns the hooks in `<git-common-dir>/hooks`, git's default directory, together with the
    /// hooks in `configured`.
    pub(crate) fn with_default_dir(repo: &Repo, configured: Vec<ConfiguredHook>) -> Self {
        Self::with_dir(&repo.common_dir().join("hooks"), repo, None, configured)
    }

    /// Finds the hooks directory, which need not exist, of `checkout`, or if that is `None` of the
    /// main worktree or bare repository: `git rev-parse --git-path hooks`. Adds the hooks in
    /// `configured`.
    pub(crate) fn find(
        repo: &Repo,
        checkout: Option<&Checkout>,
        configured: Vec<ConfiguredHook>,
    ) -> Result<Self> {
        let git = match checkout {
            Some(checkout) => checkout.with_user_config(),
            None => Git::reading(repo.home()),
        };
        let path = git.words("rev-parse --git-path hooks").path()?;
        let top = checkout.map(Checkout::path);
        Ok(Self::with_dir(&path, repo, top, configured))
    }

    /// Returns the hooks for `core.hooksPath=<path>` in the worktree at `top`, together with those
    /// in `configured`. A relative path begins at `top` or, if that is `None`, at the main worktree
    /// or bare repository; an empty path has no hooks.
    pub(super) fn with_dir(
        path: &Path,
        repo: &Repo,
        top: Option<&Path>,
        configured: Vec<ConfiguredHook>,
    ) -> Self {
        // An empty path disables hooks.
        let dir = match path.as_os_str().is_empty() {
            true => PathBuf::from("/dev/null"),
            false => top.unwrap_or(repo.home()).join(path),
        };
        let is_default_dir = dir == repo.common_dir().join("hooks");
        let real = dir.canonicalize().unwrap_or_else(|_| dir.clone());
        let within = top.and_then(|top| real.strip_prefix(top).ok());
        let relative = match within.filter(|path| !path.starts_with(".git")) {
            Some(within) => Some(within.to_owned()),
            None => (path.is_relative() && !path.as_os_str().is_empty()).then(|| path.to_owned()),
        };
        Self {
            relative: relative.filter(|_| !is_default_dir),
            dir,
            is_default_dir,
            configured,
        }
    }

    /// Returns whether the hooks directory is in the worktree, so that a merge can change the
    /// hooks; `true` also for any relative `core.hooksPath`.
    pub(crate) fn are_in_worktree(&self) -> bool {
        self.relative.is_some()
    }

    /// Returns the hooks directory if it is in the worktree, has no tracked files (`git ls-files -z
    /// -- <directory>`), and has a `pre-commit`, `prepare-commit-msg` or `commit-msg` that is not
    /// executable, or missing, at the same place in the worktree at `other`. Otherwise `None`.
    pub(crate) fn find_missing_dir(
        &self,
        checkout: &Checkout,
        other: &Path,
    ) -> Result<Option<PathBuf>> {
        let Some(relative) = &self.relative else {
            return Ok(None);
        };
        let other = other.join(relative);
        let mut hooks = COMMIT_HOOKS.iter().filter(|name| self.file(name).is_some());
        if hooks.all(|name| is_executable(&other.join(name))) {
            return Ok(None);
        }
        let git = checkout.reading().words("ls-files -z --").arg(relative);
        let files = git.env("GIT_LITERAL_PATHSPECS", "1").output()?;
        Ok(files.is_empty().then(|| self.dir.clone()))
    }

    /// Returns whether a hook of one of these names exists as an executable file or in the
    /// configuration (`hook.<name>.event`).
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        let mut events = self.configured.iter().flat_map(|hook| &hook.events);
        names.iter().any(|name| self.file(name).is_some())
            || events.any(|event| names.contains(&event.as_str()))
    }

    /// Returns the path of the hook `name` in the hooks directory; `None` unless an executable file
    /// is there.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let file = self.dir.join(name);
        is_executable(&file).then_some(file)
    }
}

/// Returns the setting `core.hooksPath=<dir>`, an argument for `git -c`.
pub(super) fn hooks_path_setting(dir: &Path) -> OsString {
    [OsStr::new("core.hooksPath="), dir.as_os_str()].join(OsStr::new(""))
}

/// Returns whether `file` exists and you may execute it, which is how git decides whether to run a
/// hook.
pub(super) fn is_executable(file: &Path) -> bool {
    access(file, AccessFlags::X_OK).is_ok()
}

/// Runs the hooks `post-checkout <null> <head> 1` of `hooks` in a new worktree, without `GIT_DIR`,
/// unlike `git hook run`; configured ones only with git 2.54 or newer. Runs all of them, and
/// returns the first failure, `None` without one.
pub(crate) fn post_checkout(
    hooks: &Hooks,
    checkout: &Checkout,
    head: &ObjectId,
) -> Result<Option<Error>> {
    const NAME: &str = "post-checkout";
    let of_event = |hook: &&ConfiguredHook| hook.events.iter().any(|event| event == NAME);
    let configured: Vec<_> = hooks.configured.iter().filter(of_event).collect();
    let mut programs: Vec<Vec<OsString>> = Vec::new();
    // git ignores configured hooks before 2.54.
    if !configured.is_empty() && version_of_git()?.is_some_and(|version| version >= (2, 54)) {
        for ConfiguredHook { command, .. } in configured {
            let script = format!("{command} \"$@\"");
            programs.push(["sh", "-c", &script, command].map(OsString::from).to_vec());
        }
    }
    programs.extend(hooks.file(NAME).map(|file| vec![file.into()]));
    if programs.is_empty() {
        return Ok(None);
    }
    let exec_path = Git::reading(Path::new("/")).words("--exec-path").path()?;
    let null = "0".repeat(head.len());
    let mut failed = None;
    for mut program in programs {
        program.extend([&*null, head, "1"].map(OsString::from));
        if let Err(error) = run_program(&program, checkout.path(), &exec_path) {
            failed.get_or_insert(error);
        }
    }
    Ok(failed)
}

/// Runs the hook `post-commit`, if any, in the worktree where `commit` was just made, with the
/// environment that `git commit` sets: `git hook run --ignore-missing post-commit`. Returns a
/// failed hook as an error.
pub(crate) fn post_commit(checkout: &Checkout, commit: &ObjectId, lock: &Lock) -> Result<()> {
    let show = checkout.reading().words("show -s --date=raw");
    let show = show.arg("--format=%an%x00%ae%x00@%ad%x00").arg(commit);
    let author = show.output()?;
    let author = author.split(|&byte| byte == 0).map(OsStr::from_bytes);
    let index = checkout.index();
    // git sets a path relative to the top if possible.
    let index = index.strip_prefix(checkout.path()).unwrap_or(&index);
    let git = checkout.with_hooks().env("GIT_EDITOR", ":");
    let git = git.env("GIT_INDEX_FILE", index);
    let git = git.words("hook run --ignore-missing post-commit");
    let git = git.envs(AUTHOR_ENV.into_iter().zip(author));
    git.holding(lock)?.inherit_stderr().run()
}

/// Runs a hook's command line in the directory `top`, without `GIT_DIR` and similar variables. Sets
/// `GIT_PREFIX` to nothing and `GIT_EXEC_PATH` to `exec_path`, and puts that first in `PATH`. Fails
/// if the exit code is not 0; the error names `post-checkout`.
fn run_program(program: &[OsString], top: &Path, exec_path: &Path) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    if dirs.first().is_none_or(|first| first != exec_path) {
        dirs.insert(0, exec_path.into());
    }
    let path = env::join_paths(dirs).context("invalid PATH")?;
    let run = |program: &[OsString]| -> Result<io::Result<_>> {
        let mut command = Command::new(&program[0]);
        command.args(&program[1..]).current_dir(top);
        for name in REPOSITORY_ENV {
            command.env_remove(name);
        }
        command
            .env("GIT_PREFIX", "")
            .env("GIT_EXEC_PATH", exec_path);
        command.env("PATH", &path).stdin(Stdio::null());
        let captured = CapturedOutput::to_stderr(&mut command)?;
        Ok(command.status().map(|status| (status, captured)))
    };
    let done = match run(program)? {
        // A script without a `#!` line is run by the shell.
        Err(error) if error.raw_os_error() == Some(ENOEXEC) => {
            run(&[&["sh".into()], program].concat())?
        }
        done => done,
    };
    let what = || format!("could not run '{}'", program[0].display());
    let (status, captured) = done.with_context(what)?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().unwrap_or(-1);
    Err(exit_error("post-checkout", code, &captured.errors()?))
}
