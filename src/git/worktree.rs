//! Linked worktrees.

pub(crate) mod admin;
pub(crate) mod entries;
pub(crate) mod exclude;
pub(crate) mod in_use;
pub(crate) mod submodules;
pub(crate) mod tool_files;
pub(crate) mod trash;
pub(crate) mod worktree_refs;

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

pub(crate) use self::entries::{Worktree, list};
pub(crate) use self::trash::is_untouched;
use super::checkout::NO_HOOKS;
use super::{Checkout, Git, Lock, ObjectId, Repo};
use crate::system::optional;
use crate::task::{BranchName, RefName};

/// The branch checked out in a worktree, as `refs/heads/…`; none if there is none:
/// `git symbolic-ref --quiet HEAD`.
///
/// # Errors
/// When git fails.
pub(crate) fn read_branch(checkout: &Checkout) -> Result<Option<RefName>> {
    let head = checkout.reading("symbolic-ref --quiet HEAD").answer()?;
    Ok(head.map(RefName::new))
}

/// Registers a worktree at `path` with `branch` checked out, without files:
/// `git worktree add --no-checkout <path> <branch>`.
///
/// The caller holds the repository's lock. Hooks are kept off, since there are
/// no files yet; [`post_checkout`](super::hooks::post_checkout) runs them when there are.
///
/// # Errors
/// When git refuses.
pub(crate) fn register(home: &Path, path: &Path, branch: &BranchName, lock: &Lock) -> Result<()> {
    let add = Git::new(home, "worktree").config(NO_HOOKS);
    let add = add.words("add --quiet --no-checkout").arg(path).arg(branch);
    add.holding(lock)?.run()
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
    branch: &BranchName,
    scratch: &Path,
    lock: &Lock,
) -> Result<()> {
    let what = || format!("could not register '{}' again", path.display());
    // git calls the entry like the directory that it is made for.
    let twin = scratch.join(path.file_name().with_context(what)?);
    remove_temporary(repo, &twin)?;
    register(repo.home(), &twin, branch, lock)?;
    tool_files::link_git_crypt_keys(repo.common_dir(), &twin)?;
    let entry = admin::find_dir(repo.common_dir(), &twin)?.with_context(what)?;
    let link = [b"gitdir: ", entry.as_os_str().as_bytes(), b"\n"].concat();
    // What is there by now may be a link to a file of the user's.
    let mode = Permissions::from_mode(0o644);
    let file = tempfile::Builder::new().permissions(mode).tempfile_in(path);
    let file = file.with_context(what)?;
    file.as_file().write_all(&link).with_context(what)?;
    file.persist(path.join(".git")).with_context(what)?;
    let repair = Git::new(repo.home(), "worktree").arg("repair").arg(path);
    repair.holding(lock)?.run()?;
    fs::remove_dir_all(scratch).with_context(what)?;
    let reset = repo.checkout(path)?.git("reset --quiet --mixed");
    reset.holding(lock)?.run()
}

/// Lets a branch follow that of a remote: `git branch --set-upstream-to=<upstream> <branch>`.
/// The caller holds the repository's lock.
///
/// # Errors
/// When git refuses.
pub(crate) fn set_upstream(
    home: &Path,
    branch: &BranchName,
    upstream: &str,
    lock: &Lock,
) -> Result<()> {
    let upstream = format!("--set-upstream-to={upstream}");
    let git = Git::new(home, "branch").args(["--quiet", &upstream, branch]);
    git.holding(lock)?.run()
}

/// Writes the files of a registered worktree: `git reset --hard --no-recurse-submodules`.
///
/// # Errors
/// When git fails: a filter, a full disk, an interruption.
pub(crate) fn check_out_files(checkout: &Checkout, lock: &Lock) -> Result<()> {
    let reset = checkout.git("reset --hard --no-recurse-submodules");
    reset.holding(lock)?.inherit_stderr().run()
}

/// Removes a temporary worktree of our own, whatever a killed command left of it.
///
/// # Errors
/// When something of it stays.
pub(crate) fn remove_temporary(repo: &Repo, path: &Path) -> Result<()> {
    let what = || format!("could not remove '{}'", path.display());
    // In this order: as long as anything is left of it, the directory is.
    let aside = make_deletion_dir(repo)?;
    trash::move_entry(admin::find_dir(repo.common_dir(), path)?, aside.path())?;
    optional(fs::remove_dir_all(path)).with_context(what)?;
    aside.close().with_context(what)
}

/// Makes a directory for what is to be deleted: in the trash, where what a killed command
/// leaves of it expires, or beside it where nothing can be made there.
fn make_deletion_dir(repo: &Repo) -> Result<TempDir> {
    let trash = repo.flux_dir().join("trash");
    let what = || format!("could not make a directory in '{}'", trash.display());
    repo.sharing()?.make_dir(&trash).with_context(what)?;
    let make = |place: &Path| tempfile::Builder::new().prefix(".going-").tempdir_in(place);
    let made = make(&trash).or_else(|error| make(&repo.flux_dir()).map_err(|_| error));
    made.with_context(what)
}

/// Restores what a snapshot holds in a worktree that has its parent checked out:
/// `git stash apply --index <snapshot>`.
///
/// # Errors
/// When git fails.
pub(crate) fn apply(checkout: &Checkout, snapshot: &ObjectId, lock: &Lock) -> Result<()> {
    // It goes through `git apply`, which must not mend what was staged.
    let apply = checkout.git("stash").config("apply.whitespace=nowarn");
    let apply = apply.words("apply --quiet --index").arg(snapshot);
    apply.holding(lock)?.run()?;
    let sparse = checkout.git_dir().join("info/sparse-checkout");
    if fs::exists(sparse).context("could not look for a sparse checkout")? {
        write_sparse_files(checkout, snapshot, lock)?;
    }
    Ok(())
}

/// Writes the files of a snapshot that `git stash apply` does not, since they lie outside
/// of a sparse checkout: `git restore --ignore-skip-worktree-bits --source=<snapshot> <files>`.
fn write_sparse_files(checkout: &Checkout, snapshot: &ObjectId, lock: &Lock) -> Result<()> {
    let diff = checkout.reading("diff-tree -r -z --name-only --no-renames --diff-filter=d");
    let mut files = diff.args([&format!("{snapshot}^1"), &**snapshot]).paths()?;
    let found = |file: &PathBuf| checkout.path().join(file).symlink_metadata();
    files.retain(|file| matches!(optional(found(file)), Ok(None)));
    if files.is_empty() {
        return Ok(());
    }
    let git = checkout.git("restore --quiet --worktree --ignore-skip-worktree-bits");
    let git = git.arg(format!("--source={snapshot}")).with_paths(&files);
    git.holding(lock)?.run()
}

/// Removes a worktree that nothing but its checkout was ever in, and its entry. Both are moved away
/// first, so that no link is followed which an agent puts in its place meanwhile; across file
/// systems git removes it: `git worktree remove --force --force <path>`. That there is none is no error.
///
/// # Errors
/// When something of it stays.
pub(crate) fn remove(repo: &Repo, path: &Path, lock: &Lock) -> Result<()> {
    let what = || format!("could not remove the worktree '{}'", path.display());
    let admin = admin::find_dir(repo.common_dir(), path)?;
    let aside = make_deletion_dir(repo)?;
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        match fs::rename(path, aside.path().join("worktree")) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                if let Some(admin) = &admin {
                    trash::stop_monitor(repo.common_dir(), admin);
                }
                // Twice: git itself locks a worktree that is being made.
                let git = Git::new(repo.home(), "worktree remove --force --force");
                return git.arg(path).holding(lock)?.run();
            }
            moved => drop(optional(moved).with_context(what)?),
        }
    }
    trash::move_entry(admin, aside.path())?;
    aside.close().with_context(what)
}
