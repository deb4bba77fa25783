//! Removed worktrees in the trash, and their restoration.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::failure::Failure;
use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::checkout::gitfile::list_dir;
use crate::git::checkout::list_gitlinks;
use crate::git::records::records;
use crate::git::worktree::{admin, submodules, tool_files};
use crate::git::{Checkout, Git, Lock, ObjectId, Repo};
use crate::sanitize::quoted;
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;

/// A worktree to remove.
pub(crate) struct RemovedWorktree<'a> {
    pub(crate) path: &'a Path,
    /// The commit of its branch, if known.
    pub(crate) commit: Option<&'a ObjectId>,
    /// Its directory in the trash.
    pub(crate) trash: &'a Path,
}

impl RemovedWorktree<'_> {
    /// Moves the worktree, its index and its administrative directory to the trash. Across file
    /// systems, git removes the worktree instead, if the worktree has only files of its commit.
    /// Returns `false` in that case, and if the files were missing.
    ///
    /// # Errors
    /// If the files cannot be moved, they stay. If a later step fails, the worktree may still be
    /// registered.
    pub(crate) fn move_to_trash(&self, repo: &Repo, lock: &Lock) -> Result<bool> {
        let Self { path, trash, .. } = *self;
        let (from, to) = (path.display(), trash.display());
        let what = || format!("could not move '{from}' to '{to}'");
        fs::create_dir_all(trash).with_context(what)?;
        if let Some(admin) = admin::find_dir(repo.common_dir(), path)? {
            copy_admin_files(repo, &admin, path, trash)?;
        }
        let exists = fs::exists(path).with_context(|| format!("could not access '{from}'"))?;
        if exists {
            match fs::rename(path, trash.join("worktree")) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    return self.remove_in_place(repo, lock).map(|()| false);
                }
                moved => moved.with_context(what)?,
            }
        }
        unregister(repo, path, trash).map(|()| exists)
    }

    /// Removes the worktree without a copy of its files in the trash: `git worktree remove <path>`.
    /// Moves the repositories of its submodules to the trash.
    ///
    /// # Errors
    /// If the worktree has files that are not in its commit, or the commit is unknown.
    fn remove_in_place(&self, repo: &Repo, lock: &Lock) -> Result<()> {
        let checkout = repo.checkout(self.path)?;
        let untouched = |commit| is_untouched(&checkout, commit);
        if !self.commit.map_or(Ok(false), untouched)? {
            let what =
                "is not on the repository's file system and has uncommitted or ignored files";
            bail!("'{}' {what}", self.path.display());
        }
        // git removes no worktree with submodules, even if none is checked out.
        if let Some(admin) = admin::find_dir(repo.common_dir(), self.path)? {
            submodules::move_to_trash(&admin, self.trash)?;
        }
        stop_monitor(repo.common_dir(), checkout.git_dir());
        let git = Git::new(repo.home()).words("worktree remove");
        git.arg(self.path).holding(lock)?.run()
    }
}

/// Stops the file system monitor of a worktree and moves its administrative directory, if there is
/// one, to `aside/entry`. Unlike `git worktree remove`, trusts no path in there. Returns whether
/// there was one.
pub(in crate::git) fn move_entry(admin: Option<PathBuf>, aside: &Path) -> Result<bool> {
    let Some(admin) = admin else {
        return Ok(false);
    };
    if let Some(common_dir) = admin.ancestors().nth(2) {
        stop_monitor(common_dir, &admin);
    }
    let what = || format!("could not move '{}'", admin.display());
    fs::rename(&admin, aside.join("entry")).with_context(what)?;
    // git removes `worktrees` with the last entry.
    if let Some(worktrees) = admin.parent() {
        fs::remove_dir(worktrees).ok();
    }
    Ok(true)
}

/// Moves the administrative directory that names `path`, where this repository has no worktree any
/// more, to `trash/entry`, as [`move_entry`] does. Returns whether there was such a directory.
pub(crate) fn move_entry_of(common_dir: &Path, path: &Path, trash: &Path) -> Result<bool> {
    move_entry(admin::find_dir(common_dir, path)?, trash)
}

/// Unregisters a worktree whose files were moved from `path` to `trash`: moves its administrative
/// directory, if there is one, and the repositories of its submodules there, too.
pub(crate) fn unregister(repo: &Repo, path: &Path, trash: &Path) -> Result<()> {
    let admin = admin::find_moved_dir(repo.common_dir(), path, trash)?;
    if let Some(admin) = &admin {
        submodules::move_to_trash(admin, trash)?;
    }
    move_entry(admin, trash).map(drop)
}

/// Moves the repositories of submodules from the administrative directory of the worktree at `path`
/// to `trash`, and the files of other tools to `trash/entry`, if that exists. Does nothing without
/// that administrative directory.
pub(crate) fn save_admin_files(common_dir: &Path, path: &Path, trash: &Path) -> Result<()> {
    let Some(admin) = admin::find_dir(common_dir, path)? else {
        return Ok(());
    };
    submodules::move_to_trash(&admin, trash)?;
    tool_files::move_files(&admin, &trash.join("entry"))
}

/// The name of the `HEAD` reflog in the trash.
pub(crate) const HEAD_LOG: &str = "HEAD.log";

/// The administrative files kept in the trash: name there, name in the administrative directory.
const ADMIN_FILES: [(&str, &str); 4] = [
    ("index", "index"),
    ("config.worktree", "config.worktree"),
    ("sparse-checkout", "info/sparse-checkout"),
    (HEAD_LOG, "logs/HEAD"),
];

/// Copies a regular file with its modification time; moves it if it may not be read.
fn transfer(from: &Path, to: &Path) -> io::Result<()> {
    match admin::copy_with_time(from, to) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => fs::rename(from, to),
        copied => copied,
    }
}

/// Copies the index, `config.worktree`, `sparse-checkout` and `HEAD` reflog of the worktree at
/// `path` to `trash`, those that exist. Joins a split index there, whose parts are removed with the
/// worktree: `git update-index --no-split-index`.
fn copy_admin_files(repo: &Repo, admin: &Path, path: &Path, trash: &Path) -> Result<()> {
    for (name, file) in ADMIN_FILES {
        let kept = none_if_missing(transfer(&admin.join(file), &trash.join(name)));
        kept.with_context(|| format!("could not save {name}"))?;
    }
    let is_part = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default();
        name.as_bytes().starts_with(b"sharedindex.")
    };
    if list_dir(admin)?.iter().any(is_part) && path.exists() {
        let checkout = repo.checkout(path)?;
        let index = ScratchIndex::at(&checkout, trash.join("index"));
        index.git().words("update-index --no-split-index").run()?;
    }
    Ok(())
}

/// Moves the files and submodules of a removed worktree from `trash` back to `path`, where a
/// worktree without files is registered, and copies its index and other administrative files there.
///
/// # Errors
/// On failure, what was not moved yet is still in the trash.
pub(crate) fn restore(common_dir: &Path, path: &Path, trash: &Path) -> Result<()> {
    let what = || format!("could not restore '{}'", path.display());
    let files = trash.join("worktree");
    if !files.symlink_metadata().with_context(what)?.is_dir() {
        let failure = Failure::new(format!("'{}' is a link", files.display()));
        return Err(failure.hint(format!("rm {}", quoted(&files))).into());
    }
    let admin = admin::find_dir(common_dir, path)?.with_context(what)?;
    for (name, file) in ADMIN_FILES {
        let kept = trash.join(name);
        if fs::exists(&kept).with_context(what)? {
            let place = admin.join(file);
            fs::create_dir_all(place.parent().with_context(what)?).with_context(what)?;
            transfer(&kept, &place).with_context(what)?;
        }
    }
    submodules::restore(&admin, trash)?;
    tool_files::move_files(&trash.join("entry"), &admin)?;
    // The new `.git` file names the new administrative directory.
    let link = path.join(".git");
    let aside = trash.join("gitfile");
    let copied = fs::copy(&link, &aside).and_then(|_| fs::rename(&aside, files.join(".git")));
    if copied.is_err() {
        drop(fs::remove_file(&aside));
    }
    copied.with_context(what)?;
    fs::remove_file(link).with_context(what)?;
    // Fails if the directory is not empty.
    fs::remove_dir(path).with_context(what)?;
    fs::rename(files, path).with_context(what)
}

/// Returns whether a worktree has only files of `commit`, some perhaps missing or cut off after an
/// interrupted checkout: no other files, even ignored ones, and no checked out submodules. Does not
/// use the worktree's index, which may be missing.
pub(crate) fn is_untouched(checkout: &Checkout, commit: &ObjectId) -> Result<bool> {
    let index = ScratchIndex::empty(checkout)?;
    index.git().words("read-tree").arg(commit).run()?;
    for link in list_gitlinks(index.git().words("ls-files --stage -z"))? {
        if Checkout::nested(&checkout.path().join(link))?.is_some() {
            return Ok(false);
        }
    }
    let status = index.git().words("status --porcelain -z");
    let status = status.arg("--untracked-files=all");
    let status = status.words("--ignored=traditional --ignore-submodules=dirty --no-renames");
    let out = status.output()?;
    for record in records(&out)? {
        let (code, file) = record.split_at(record.len().min(3));
        let untouched = match code {
            // An interrupted checkout leaves files missing …
            [_, b'D', _] | [b'D', ..] => true,
            // … or truncated.
            b" M " => is_truncated_copy(checkout, commit, OsStr::from_bytes(file))?,
            _ => false,
        };
        if !untouched {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether a file of the worktree is equal to the beginning, or all, of the commit's file:
/// `git cat-file --filters <commit>:<file>`. `false` if the worktree's is not a regular file.
fn is_truncated_copy(checkout: &Checkout, commit: &ObjectId, file: &OsStr) -> Result<bool> {
    let found = checkout.path().join(file);
    if !found.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(false);
    }
    let object = [OsStr::new(&format!("{commit}:")), file].join(OsStr::new(""));
    let whole = checkout.reading().words("cat-file --filters").arg(object);
    let whole = whole.output()?;
    let found = read_file(&found).context("could not read a file of the worktree")?;
    Ok(whole.starts_with(&found))
}

/// The time limit for stopping a file system monitor.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(3);

/// Stops the file system monitor of the worktree with the git directory `admin`, if it has one:
/// `git fsmonitor--daemon stop`. Waits at most 3 seconds, and ignores errors: any program may
/// listen on the socket.
pub(crate) fn stop_monitor(common_dir: &Path, admin: &Path) {
    let socket = admin.join("fsmonitor--daemon.ipc");
    let is_socket = |found: fs::Metadata| found.file_type().is_socket();
    if !socket.symlink_metadata().is_ok_and(is_socket) {
        return;
    }
    let place = Checkout::unverified(admin, admin, common_dir);
    let git = place.reading().words("fsmonitor--daemon stop");
    drop(git.with_timeout(DAEMON_TIMEOUT).outcome());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, command: &str) {
        let git = Git::new(dir).args(command.split(' ')).config("user.name=a");
        git.config("user.email=a@b").run().unwrap();
    }

    #[test]
    fn is_untouched_is_false_when_a_file_is_not_in_the_commit() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        let (main, linked) = (dir.join("main"), dir.join("linked"));
        git(&dir, "init --quiet main");
        fs::write(main.join("file"), "one\ntwo\n").unwrap();
        fs::write(main.join("other"), "other\n").unwrap();
        fs::write(main.join(".gitignore"), "*.log\n").unwrap();
        git(&main, "add .");
        git(&main, "commit --quiet -m one");
        git(&main, "worktree add --quiet ../linked");
        let repo = Repo::open_at(&main.join(".git")).unwrap();
        let head = Git::reading(&main).words("rev-parse HEAD");
        let commit = ObjectId::from(head.line().unwrap());
        let checkout = repo.checkout(&linked).unwrap();
        let untouched = || is_untouched(&checkout, &commit).unwrap();
        assert!(untouched());
        // An interrupted checkout.
        fs::remove_file(linked.join("other")).unwrap();
        fs::write(linked.join("file"), "one\n").unwrap();
        assert!(untouched());
        for name in ["untracked", "ignored.log"] {
            fs::write(linked.join(name), "").unwrap();
            assert!(!untouched(), "{name}");
            fs::remove_file(linked.join(name)).unwrap();
        }
        fs::write(linked.join("file"), "one\nthree\n").unwrap();
        assert!(!untouched(), "a change");
    }
}
