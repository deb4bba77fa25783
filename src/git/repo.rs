//! The repository and its directories. Only this module uses git2.

pub(crate) mod history;
mod objects;
mod open;
pub(crate) mod patch;
pub(in crate::git) mod tree;
mod tree_changes;

use std::cell::OnceCell;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use git2::{ErrorClass, ErrorCode, ObjectFormat, Oid, Repository, RepositoryState as State};

use super::checkout::Checkout;
use super::checkout::distrust::{Distrust, refused};
use super::merge::drivers::Drivers;
use super::refs::marks::Marks;
use super::{Git, ObjectId, Sharing};
use crate::task::{RefName, TaskId};

/// An open repository.
pub(crate) struct Repo {
    git2: Repository,
    common_dir: PathBuf,
    /// The worktree with the current directory.
    current: Option<PathBuf>,
    /// The main worktree, unless the repository is bare.
    main: Option<PathBuf>,
    sharing: OnceCell<Sharing>,
    /// A configuration key that names a program, in a repository that the user did not choose.
    program_key: Option<String>,
    drivers: Drivers,
}

impl Repo {
    /// Makes [`Repo::checkout`] fail for every worktree from now on, because the key `key` of the
    /// repository's configuration names a program.
    pub(crate) fn refuse_worktrees(&mut self, key: &str) {
        self.program_key = Some(key.to_owned());
    }

    pub(crate) fn set_drivers(&mut self, drivers: Drivers) {
        self.drivers = drivers;
    }

    pub(crate) fn drivers(&self) -> &Drivers {
        &self.drivers
    }

    /// Returns the absolute path of the git directory that all worktrees share, as `git rev-parse
    /// --git-common-dir` does, without starting git.
    pub(crate) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Returns the top directory of the worktree in which the repository was opened: usually the
    /// one around the current directory, after [`Repo::open_at`] the main one. `None` if a bare
    /// repository was opened, not one of its worktrees.
    pub(crate) fn current(&self) -> Option<&Path> {
        self.current.as_deref()
    }

    /// Returns the current directory relative to [`Repo::current`], as `git rev-parse
    /// --show-prefix` does, without starting git. `None` at the top, outside of that worktree and
    /// inside the git directory.
    pub(crate) fn prefix(&self) -> Option<PathBuf> {
        let here = env::current_dir().ok()?;
        let below = here.strip_prefix(self.current()?).ok()?;
        let is_git_dir = here.starts_with(&self.common_dir);
        (!below.as_os_str().is_empty() && !is_git_dir).then(|| below.to_owned())
    }

    /// Returns whether the repository was opened in a linked worktree, not in the main one or a
    /// bare repository.
    pub(crate) fn is_linked(&self) -> bool {
        self.current.is_some() && self.current != self.main
    }

    /// Returns the top directory of the main worktree; `None` if the repository is bare.
    pub(crate) fn main(&self) -> Option<&Path> {
        self.main.as_deref()
    }

    /// Returns the directory in which git runs for the whole repository: the top of the main
    /// worktree, or the bare repository.
    pub(crate) fn home(&self) -> &Path {
        self.main.as_deref().unwrap_or(&self.common_dir)
    }

    /// Returns the directory that has the project's name: the main worktree or the bare repository,
    /// but the parent of a bare repository whose name begins with a dot (`.bare`, `.git`).
    fn project_dir(&self) -> &Path {
        let home = self.home();
        let name = home.file_name().map(OsStr::as_bytes);
        let is_hidden = name.is_some_and(|name| name.starts_with(b"."));
        let above = home.parent().filter(|_| is_hidden && self.main.is_none());
        above.unwrap_or(home)
    }

    /// Returns the directory that paths of new worktrees are relative to: the parent of the main
    /// worktree or bare repository.
    pub(crate) fn base_dir(&self) -> &Path {
        let home = self.home();
        home.parent().unwrap_or(home)
    }

    /// Returns the project's name: that of the main worktree or bare repository, without `.git` at
    /// the end of a bare one. A bare `.bare` or `.git` has the name of its parent directory.
    pub(crate) fn project(&self) -> OsString {
        let name = self.project_dir().file_name();
        let name = name.unwrap_or(OsStr::new("project"));
        let stem = name.as_bytes().strip_suffix(b".git");
        let stem = stem.filter(|stem| self.main.is_none() && !stem.is_empty());
        stem.map_or(name, OsStr::from_bytes).to_owned()
    }

    /// Reads `core.sharedRepository`, which sets the permissions of files in
    /// `<git-common-dir>/flux`, and keeps the value for later calls.
    ///
    /// # Errors
    /// If git would refuse the value.
    pub(crate) fn sharing(&self) -> Result<Sharing> {
        if let Some(known) = self.sharing.get() {
            return Ok(*known);
        }
        let found = match self.git2.config()?.get_entry("core.sharedRepository") {
            Err(error) if error.code() == ErrorCode::NotFound => Sharing::Umask,
            entry => {
                let entry = entry.context("could not read core.sharedRepository")?;
                let value = entry.has_value().then(|| entry.value()).transpose();
                let value = value.context("core.sharedRepository is not text")?;
                Sharing::parse(value, value.and_then(parse_bool))?
            }
        };
        Ok(*self.sharing.get_or_init(|| found))
    }

    /// Returns `<git-common-dir>/flux`.
    pub(crate) fn flux_dir(&self) -> PathBuf {
        self.common_dir.join("flux")
    }

    /// Returns the reader and writer of the files in `<git-common-dir>/flux/marks`, which list the
    /// refs below `refs/flux` that this repository made itself.
    pub(crate) fn marks(&self) -> Marks {
        Marks::new(&self.flux_dir())
    }

    /// Returns `<git-common-dir>/flux/run`.
    pub(crate) fn runs_dir(&self) -> PathBuf {
        self.flux_dir().join("run")
    }

    /// Returns `<git-common-dir>/flux/run/<id>`.
    pub(crate) fn run_dir(&self, id: &TaskId) -> PathBuf {
        self.runs_dir().join(id.as_str())
    }

    /// Returns the commit that `rev` names, `None` if it names none: `git rev-parse --verify
    /// --quiet <rev>^{commit}`. Runs in the current worktree, whose `HEAD` counts, or if there is
    /// none in the main worktree or the bare repository.
    pub(crate) fn resolve(&self, rev: &str) -> Result<Option<ObjectId>> {
        let dir = self.current.as_deref().unwrap_or(self.home());
        let git = Git::reading(dir).words("rev-parse --verify --quiet --end-of-options");
        let found = git.arg(format!("{rev}^{{commit}}")).answer()?;
        Ok(found.map(ObjectId::from))
    }

    /// Returns the ref that `HEAD` of the current worktree names or, if there is none, that `HEAD`
    /// of the bare repository names. The ref need not exist. `None` if `HEAD` is detached:
    /// `git symbolic-ref --quiet HEAD`
    pub(crate) fn head(&self) -> Result<Option<RefName>> {
        let dir = self.current.as_deref().unwrap_or(self.home());
        let head = Git::reading(dir).words("symbolic-ref --quiet HEAD");
        Ok(head.answer()?.map(RefName::new))
    }

    /// Returns the length of the repository's object names in bytes: 20 for SHA-1, 32 for SHA-256.
    fn oid_bytes(&self) -> usize {
        match self.git2.object_format() {
            ObjectFormat::Sha256 => 32,
            _ => 20,
        }
    }

    /// Returns whether the names of objects are SHA-256, not SHA-1.
    pub(super) fn is_sha256(&self) -> bool {
        self.oid_bytes() == 32
    }

    fn oid(&self, hex: &ObjectId) -> Result<Oid> {
        if hex.len() != 2 * self.oid_bytes() {
            bail!("'{hex}' is not an object name of this repository");
        }
        let oid = Oid::from_str_ext(hex, self.git2.object_format());
        oid.with_context(|| format!("'{hex}' is not an object name"))
    }

    /// Returns the worktree at `path`, in which git may run, after verifying the worktree's `.git`
    /// file, administrative directory and `config.worktree`, but no submodules. Trusts the main
    /// worktree without that.
    ///
    /// # Errors
    /// With a [`Distrust`] if one of these is wrong or may name a program, or after
    /// [`Repo::refuse_worktrees`].
    pub(crate) fn checkout(&self, path: &Path) -> Result<Checkout> {
        if let Some(key) = &self.program_key {
            let (home, key) = (self.home().to_owned(), key.clone());
            return Err(refused(Distrust::Program { home, key }.into(), path));
        }
        let oid_bytes = self.oid_bytes();
        match self.main.as_deref() == Some(path) {
            true => Ok(Checkout::main(&self.common_dir, path, oid_bytes)),
            false => Checkout::linked(&self.common_dir, path, oid_bytes),
        }
    }

    /// Finds the innermost repository, this or another one, that has a `.git` in the parent
    /// directory of `path` or above. `None` if there is none, or if that repository is bare or
    /// another user's. Verifies nothing and starts no process.
    pub(in crate::git) fn find_enclosing(path: &Path) -> Result<Option<Checkout>> {
        let is_above = |dir: &&Path| dir.join(".git").symlink_metadata().is_ok();
        for dir in path.ancestors().skip(1).filter(is_above) {
            let found = match open_git2(dir) {
                Ok(found) => found,
                // git searches further up, too.
                Err(error) if error.code() == ErrorCode::NotFound => continue,
                // git refuses to run there.
                Err(error) if error.code() == ErrorCode::Owner => return Ok(None),
                Err(error) => {
                    Err(error).with_context(|| format!("could not open '{}'", dir.display()))?
                }
            };
            // A bare repository beside its worktrees has no work tree.
            let is_top = found.workdir().is_some_and(|top| top == dir);
            return Ok(is_top.then(|| Checkout::unverified(dir, found.path(), found.commondir())));
        }
        Ok(None)
    }

    /// Returns the name of the operation in progress in a worktree, without starting git: `merge`,
    /// `rebase`, `cherry-pick`, `revert`, `bisect` or `am`. Between two commits of a `git revert`
    /// of several, returns `cherry-pick`. `None` if there is none.
    pub(crate) fn operation(checkout: &Checkout) -> Result<Option<&'static str>> {
        let path = checkout.path();
        let what = || format!("'{}' is not a worktree", path.display());
        let repo = open_git2(path).with_context(what)?;
        Ok(match repo.state() {
            // Between two picks of a sequence only this directory exists.
            State::Clean if repo.path().join("sequencer").exists() => Some("cherry-pick"),
            State::Clean => None,
            State::Merge => Some("merge"),
            State::Revert | State::RevertSequence => Some("revert"),
            State::Bisect => Some("bisect"),
            State::ApplyMailbox | State::ApplyMailboxOrRebase => Some("am"),
            State::CherryPick | State::CherryPickSequence => Some("cherry-pick"),
            // The remaining states are variants of rebase.
            _ => Some("rebase"),
        })
    }
}

/// Parses a boolean as `git config --type=bool` does (`true`, `yes`, `on`, `1` …), without starting
/// git; `None` if it is invalid.
pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    git2::Config::parse_bool(value).ok()
}

fn realpath(path: &Path) -> Result<PathBuf> {
    let found = path.canonicalize();
    found.with_context(|| format!("could not find '{}'", path.display()))
}

/// The number of times that a repository is opened until an error counts.
const TRIES: usize = 10;

/// Opens a repository with libgit2, again while a file cannot be read: libgit2 asks for the length of
/// a configuration file before it reads it, and fails if git has put a shorter one in its place
/// meanwhile.
fn open_git2(path: &Path) -> Result<Repository, git2::Error> {
    settled(|| Repository::open(path))
}

fn settled(open: impl Fn() -> Result<Repository, git2::Error>) -> Result<Repository, git2::Error> {
    let is_passing = |error: &git2::Error| {
        (error.class(), error.code()) == (ErrorClass::Filesystem, ErrorCode::GenericError)
    };
    let mut opened = open();
    for _ in 1..TRIES {
        if !opened.as_ref().is_err_and(is_passing) {
            break;
        }
        opened = open();
    }
    opened
}
