//! Linked worktrees.

pub(crate) mod admin;
pub(crate) mod entries;
pub(in crate::git) mod entry;
pub(crate) mod fsmonitor;
pub(crate) mod hide;
pub(crate) mod in_use;
pub(crate) mod keep;
pub(crate) mod own;
pub(crate) mod submodules;
pub(crate) mod tool_files;
pub(in crate::git) mod untouched;

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

pub(crate) use self::entries::list;
pub(crate) use self::entry::Worktree;
pub(crate) use self::untouched::is_untouched;
use super::checkout::NO_HOOKS;
use super::command::records::as_records;
use super::command::records::paths;
use super::{Checkout, Git, Lock, ObjectId, Repo};
use crate::system::optional;
use crate::task::RefName;

/// The branch checked out in a worktree, as `refs/heads/…`; none if there is none:
/// `git symbolic-ref --quiet HEAD`.
///
/// # Errors
/// When git fails.
pub(crate) fn branch(checkout: &Checkout) -> Result<Option<RefName>> {
    let args = ["--quiet", "HEAD"];
    let name = checkout.reading("symbolic-ref").args(args).answer()?;
    Ok(name.map(RefName::new))
}

/// Registers a worktree at `path` with `branch` checked out, without files:
/// `git worktree add --no-checkout <path> <branch>`.
///
/// The caller holds the repository's lock. Hooks are kept off, since there are
/// no files yet; [`post_checkout`](super::hooks::post_checkout) runs them when there are.
///
/// # Errors
/// When git refuses.
pub(crate) fn register(home: &Path, path: &Path, branch: &str, lock: &Lock) -> Result<()> {
    let add = Git::new(home, "worktree").config(NO_HOOKS);
    let add = add.args(["add", "--quiet", "--no-checkout"]);
    add.arg(path).arg(branch).holding(lock)?.run()
}

/// Registers the directory at `path` again, of which git has no entry any more, with `branch`
/// checked out: its files stay as they are, its index becomes that of the branch. `scratch` is
/// a directory of ours. The caller holds the repository's lock.
///
/// # Errors
/// When git refuses.
pub(crate) fn register_again(
    repo: &Repo,
    path: &Path,
    branch: &str,
    scratch: &Path,
    lock: &Lock,
) -> Result<()> {
    let what = || format!("could not register '{}' again", path.display());
    // git calls the entry like the directory that it is made for.
    let twin = scratch.join(path.file_name().with_context(what)?);
    clear(repo, &twin)?;
    register(repo.home(), &twin, branch, lock)?;
    tool_files::link_keys(repo.common_dir(), &twin)?;
    let entry = admin::dir_of(repo.common_dir(), &twin)?.with_context(what)?;
    let mut link = OsString::from("gitdir: ");
    link.push(&entry);
    link.push("\n");
    // What is there by now may be a link to a file of the user's.
    let file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(path)
        .with_context(what)?;
    file.as_file()
        .write_all(link.as_bytes())
        .with_context(what)?;
    file.persist(path.join(".git")).with_context(what)?;
    let repair = Git::new(repo.home(), "worktree").arg("repair").arg(path);
    repair.holding(lock)?.run()?;
    fs::remove_dir_all(scratch).with_context(what)?;
    let reset = repo
        .checkout(path)?
        .git("reset")
        .args(["--quiet", "--mixed"]);
    reset.holding(lock)?.run()
}

/// Lets a branch follow that of a remote: `git branch --set-upstream-to=<upstream> <branch>`.
/// The caller holds the repository's lock.
///
/// # Errors
/// When git refuses.
pub(crate) fn follow(home: &Path, branch: &str, upstream: &str, lock: &Lock) -> Result<()> {
    let upstream = format!("--set-upstream-to={upstream}");
    Git::new(home, "branch")
        .args(["--quiet", &upstream, branch])
        .holding(lock)?
        .run()
}

/// Writes the files of a registered worktree: `git reset --hard --no-recurse-submodules`.
///
/// # Errors
/// When git fails: a filter, a full disk, an interruption.
pub(crate) fn fill(checkout: &Checkout, lock: &Lock) -> Result<()> {
    let args = ["--hard", "--no-recurse-submodules"];
    checkout.git("reset").args(args).holding(lock)?.loud().run()
}

/// Removes a worktree that nothing but its checkout was ever in:
/// `git worktree remove --force --force <path>`.
///
/// # Errors
/// When git fails.
fn discard(home: &Path, path: &Path, lock: &Lock) -> Result<()> {
    // Twice: git itself locks a worktree that is being made.
    let remove = Git::new(home, "worktree").args(["remove", "--force", "--force"]);
    remove.arg(path).holding(lock)?.run()
}

/// Removes a temporary worktree of our own, whatever a killed command left of it.
///
/// # Errors
/// When something of it stays.
pub(crate) fn clear(repo: &Repo, path: &Path) -> Result<()> {
    let what = || format!("could not remove '{}'", path.display());
    // In this order: as long as anything is left of it, the directory is.
    let aside = aside(repo)?;
    keep::set_entry_aside(admin::dir_of(repo.common_dir(), path)?, aside.path())?;
    optional(fs::remove_dir_all(path)).with_context(what)?;
    aside.close().with_context(what)
}

/// Makes a directory for what is to be deleted: in the trash, where what a killed command
/// leaves of it expires, or beside it where nothing can be made there.
fn aside(repo: &Repo) -> Result<TempDir> {
    let trash = repo.flux_dir().join("trash");
    let what = || format!("could not make a directory in '{}'", trash.display());
    repo.sharing()?.make_dir(&trash).with_context(what)?;
    let make = |place: &Path| tempfile::Builder::new().prefix(".going-").tempdir_in(place);
    make(&trash)
        .or_else(|error| make(&repo.flux_dir()).map_err(|_| error))
        .with_context(what)
}

/// Restores what a snapshot holds in a worktree that has its parent checked out:
/// `git stash apply --index <snapshot>`.
///
/// # Errors
/// When git fails.
pub(crate) fn apply(checkout: &Checkout, snapshot: &ObjectId, lock: &Lock) -> Result<()> {
    // It goes through `git apply`, which must not mend what was staged.
    let apply = checkout.git("stash").config("apply.whitespace=nowarn");
    let apply = apply.args(["apply", "--quiet", "--index", snapshot]);
    apply.holding(lock)?.run()?;
    let sparse = checkout.git_dir().join("info/sparse-checkout");
    match fs::exists(sparse).context("could not look for a sparse checkout")? {
        true => write_left_out(checkout, snapshot, lock),
        false => Ok(()),
    }
}

/// Writes the files of a snapshot that `git stash apply` does not, since they lie outside
/// of a sparse checkout: `git restore --ignore-skip-worktree-bits --source=<snapshot> <files>`.
fn write_left_out(checkout: &Checkout, snapshot: &ObjectId, lock: &Lock) -> Result<()> {
    let diff = checkout
        .reading("diff-tree")
        .args(["-r", "-z", "--name-only"]);
    let diff = diff.args(["--no-renames", "--diff-filter=d"]);
    let changed = diff.arg(format!("{snapshot}^1")).arg(snapshot).output()?;
    let mut files = paths(&changed)?;
    files.retain(|file| {
        matches!(
            optional(checkout.path().join(file).symlink_metadata()),
            Ok(None)
        )
    });
    if files.is_empty() {
        return Ok(());
    }
    checkout
        .git("restore")
        .args(["--quiet", "--worktree", "--ignore-skip-worktree-bits"])
        .arg(format!("--source={snapshot}"))
        .args(["--pathspec-from-file=-", "--pathspec-file-nul"])
        .env("GIT_LITERAL_PATHSPECS", "1")
        .input(as_records(&files))
        .holding(lock)?
        .run()
}

/// Removes a worktree that nothing but its checkout was ever in, and its entry. Both are moved away
/// first, so that no link is followed which an agent puts in its place meanwhile; across file
/// systems git removes it: `git worktree remove --force --force <path>`. That there is none is no error.
///
/// # Errors
/// When something of it stays.
pub(crate) fn forget(repo: &Repo, path: &Path, lock: &Lock) -> Result<()> {
    let what = || format!("could not remove the worktree '{}'", path.display());
    let admin = admin::dir_of(repo.common_dir(), path)?;
    let aside = aside(repo)?;
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        match fs::rename(path, aside.path().join("worktree")) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                if let Some(admin) = &admin {
                    fsmonitor::stop(repo.common_dir(), admin);
                }
                return discard(repo.home(), path, lock);
            }
            moved => drop(optional(moved).with_context(what)?),
        }
    }
    keep::set_entry_aside(admin, aside.path())?;
    aside.close().with_context(what)
}
