//! Linked worktrees.

pub(crate) mod admin;
pub(crate) mod detached;
pub(crate) mod entries;
pub(crate) mod exclude;
pub(crate) mod in_use;
pub(crate) mod submodules;
pub(crate) mod tool_files;
pub(crate) mod trash;
pub(crate) mod worktree_lock;
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
use crate::system::none_if_missing;
use crate::task::{BranchName, RefName};

/// Returns the ref that `HEAD` of a worktree names, `None` if it is detached:
/// `git symbolic-ref --quiet HEAD`
pub(crate) fn head(checkout: &Checkout) -> Result<Option<RefName>> {
    let head = checkout.reading().words("symbolic-ref --quiet HEAD");
    Ok(head.answer()?.map(RefName::new))
}

/// Adds a worktree at `path` with `branch` checked out, but without files: `git worktree add
/// --no-checkout <path> <branch>`.
///
/// The caller holds the repository's lock (`Flux::lock_repo`). Runs no hooks, since there are no
/// files yet; [`post_checkout`](super::hooks::post_checkout) runs them later.
pub(crate) fn register(home: &Path, path: &Path, branch: &BranchName, lock: &Lock) -> Result<()> {
    let add = Git::new(home).words("worktree").config(NO_HOOKS);
    let add = add.words("add --quiet --no-checkout").arg(path).arg(branch);
    add.holding(lock)?.run()
}

/// Adds the existing directory at `path` as a worktree again, with `branch` checked out. Keeps the
/// directory's files, but replaces `.git`, and resets the index. Makes and deletes the directory
/// `scratch`. The caller holds the repository's lock (`Flux::lock_repo`).
pub(crate) fn register_again(
    repo: &Repo,
    path: &Path,
    branch: &BranchName,
    scratch: &Path,
    lock: &Lock,
) -> Result<()> {
    let what = || format!("could not register '{}' again", path.display());
    // git names the administrative directory after the worktree.
    let twin = scratch.join(path.file_name().with_context(what)?);
    remove_temporary(repo, &twin)?;
    register(repo.home(), &twin, branch, lock)?;
    tool_files::link_crypt_keys(repo.common_dir(), &twin)?;
    let entry = admin::find_dir(repo.common_dir(), &twin)?.with_context(what)?;
    let link = [b"gitdir: ", entry.as_os_str().as_bytes(), b"\n"].concat();
    // `.git` may be a symbolic link to a file of the user's, so replace it.
    let mode = Permissions::from_mode(0o644);
    let file = tempfile::Builder::new().permissions(mode).tempfile_in(path);
    let file = file.with_context(what)?;
    file.as_file().write_all(&link).with_context(what)?;
    file.persist(path.join(".git")).with_context(what)?;
    let repair = Git::new(repo.home()).words("worktree repair").arg(path);
    repair.holding(lock)?.run()?;
    fs::remove_dir_all(scratch).with_context(what)?;
    let reset = repo.checkout(path)?.git().words("reset --quiet --mixed");
    reset.holding(lock)?.run()
}

/// Sets the upstream of a local branch: `git branch --set-upstream-to=<upstream> <branch>`. The
/// caller holds the repository's lock (`Flux::lock_repo`).
pub(crate) fn set_upstream(
    home: &Path,
    branch: &BranchName,
    upstream: &str,
    lock: &Lock,
) -> Result<()> {
    let git = Git::new(home).words("branch --quiet");
    let git = git.arg(format!("--set-upstream-to={upstream}")).arg(branch);
    git.holding(lock)?.run()
}

/// Writes the index and all files of `HEAD` in a new worktree, and overwrites tracked files that
/// are there: `git reset --hard --no-recurse-submodules`
pub(crate) fn check_out_files(checkout: &Checkout, lock: &Lock) -> Result<()> {
    let reset = checkout.git().words("reset --hard --no-recurse-submodules");
    reset.holding(lock)?.inherit_stderr().run()
}

/// Deletes a temporary worktree with its files and administrative directory, also if a killed
/// command left it incomplete. Does nothing if neither exists.
pub(crate) fn remove_temporary(repo: &Repo, path: &Path) -> Result<()> {
    let what = || format!("could not remove '{}'", path.display());
    // The directory goes last, so that an interrupted removal is found again.
    let deleted = make_deletion_dir(repo)?;
    trash::move_entry(admin::find_dir(repo.common_dir(), path)?, deleted.path())?;
    none_if_missing(fs::remove_dir_all(path)).with_context(what)?;
    deleted.close().with_context(what)
}

/// Makes a directory `.going-<random>` for files to delete, removed on drop: in
/// `<git-common-dir>/flux/trash`, where leftovers of a killed command expire, or in
/// `<git-common-dir>/flux` if that is not writable.
fn make_deletion_dir(repo: &Repo) -> Result<TempDir> {
    let trash = repo.flux_dir().join("trash");
    let what = || format!("could not make a directory in '{}'", trash.display());
    repo.sharing()?.make_dir(&trash).with_context(what)?;
    let make = |place: &Path| tempfile::Builder::new().prefix(".going-").tempdir_in(place);
    let made = make(&trash).or_else(|error| make(&repo.flux_dir()).map_err(|_| error));
    made.with_context(what)
}

/// Applies a snapshot commit in a worktree that has the snapshot's parent checked out:
/// `git stash apply --index <snapshot>`. Then also writes the changed files outside a sparse
/// checkout, which git skips.
pub(crate) fn apply_snapshot(checkout: &Checkout, snapshot: &ObjectId, lock: &Lock) -> Result<()> {
    // `git stash` uses `git apply`, which must not fix white space.
    let apply = checkout.git().config("apply.whitespace=nowarn");
    let apply = apply.words("stash apply --quiet --index").arg(snapshot);
    apply.holding(lock)?.run()?;
    let sparse = checkout.git_dir().join("info/sparse-checkout");
    if fs::exists(&sparse).with_context(|| format!("could not access '{}'", sparse.display()))? {
        write_sparse_files(checkout, snapshot, lock)?;
    }
    Ok(())
}

/// Writes the changed files of a snapshot commit that are missing in the worktree because they are
/// outside its sparse checkout:
/// `git restore --ignore-skip-worktree-bits --source=<snapshot> <files>`
fn write_sparse_files(checkout: &Checkout, snapshot: &ObjectId, lock: &Lock) -> Result<()> {
    let diff = checkout.reading().words("diff-tree -r -z --name-only");
    let diff = diff.words("--no-renames --diff-filter=d");
    let mut files = diff.args([&format!("{snapshot}^1"), &**snapshot]).paths()?;
    let found = |file: &PathBuf| checkout.path().join(file).symlink_metadata();
    files.retain(|file| matches!(none_if_missing(found(file)), Ok(None)));
    if files.is_empty() {
        return Ok(());
    }
    let git = checkout.git().words("restore --quiet --worktree");
    let git = git.arg("--ignore-skip-worktree-bits");
    let git = git.arg(format!("--source={snapshot}")).with_paths(&files);
    git.holding(lock)?.run()
}

/// Deletes the worktree at `path` with all its files and its administrative directory, if they
/// exist. Moves both away first, so that no symbolic link is followed that an agent puts there.
/// Across file systems: `git worktree remove --force --force <path>`.
pub(crate) fn remove(repo: &Repo, path: &Path, lock: &Lock) -> Result<()> {
    let what = || format!("could not remove the worktree '{}'", path.display());
    let admin = admin::find_dir(repo.common_dir(), path)?;
    let deleted = make_deletion_dir(repo)?;
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        match fs::rename(path, deleted.path().join("worktree")) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                if let Some(admin) = &admin {
                    trash::stop_monitor(repo.common_dir(), admin);
                }
                // Twice: git locks a worktree while it adds it.
                let git = Git::new(repo.home()).words("worktree remove --force --force");
                return git.arg(path).holding(lock)?.run();
            }
            moved => drop(none_if_missing(moved).with_context(what)?),
        }
    }
    trash::move_entry(admin, deleted.path())?;
    deleted.close().with_context(what)
}
