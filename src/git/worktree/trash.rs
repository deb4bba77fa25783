//! Worktrees that are moved away whole, and put back.

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
use crate::git::checkout::links;
use crate::git::records::records;
use crate::git::worktree::{admin, submodules, tool_files};
use crate::git::{Checkout, Git, Lock, ObjectId, Repo};
use crate::sanitize::quoted;
use crate::system::optional;
use crate::system::regular_file::read_file;

/// Moves the worktree at `path` with everything in it to `trash`, and its index
/// beside it; then git forgets the worktree: `git worktree remove <path>`, which
/// accepts that the directory is gone and touches no other entry. Across file
/// systems, where nothing can be moved, git removes it in place if nothing is in
/// it but files of `commit`. Returns whether anything is in the trash now.
///
/// # Errors
/// When it fails: then the worktree is where it was.
pub(crate) fn move_to_trash(
    repo: &Repo,
    removed: &RemovedWorktree<'_>,
    lock: &Lock,
) -> Result<bool> {
    let RemovedWorktree { path, trash, .. } = *removed;
    let what = || {
        format!(
            "could not move '{}' to '{}'",
            path.display(),
            trash.display()
        )
    };
    fs::create_dir_all(trash).with_context(what)?;
    if let Some(admin) = admin::find_dir(repo.common_dir(), path)? {
        copy_admin_files(repo, &admin, path, trash)?;
    }
    let there = fs::exists(path).context("could not look at the worktree")?;
    if there {
        match fs::rename(path, trash.join("worktree")) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                return removed.remove_in_place(repo, lock).map(|()| false);
            }
            moved => moved.with_context(what)?,
        }
    }
    unregister(repo, path, trash).map(|()| there)
}

/// A worktree that goes.
pub(crate) struct RemovedWorktree<'a> {
    pub(crate) path: &'a Path,
    /// What its branch stands at, if that is known.
    pub(crate) commit: Option<&'a ObjectId>,
    /// Where it is kept.
    pub(crate) trash: &'a Path,
}

impl RemovedWorktree<'_> {
    /// Removes it where it is: `git worktree remove <path>`.
    ///
    /// # Errors
    /// When it holds anything but files of its commit, or git fails.
    fn remove_in_place(&self, repo: &Repo, lock: &Lock) -> Result<()> {
        let checkout = repo.checkout(self.path)?;
        let untouched = |commit| is_untouched(&checkout, commit);
        if !self.commit.map_or(Ok(false), untouched)? {
            let what = "is on another file system and holds files that are nowhere else";
            bail!("'{}' {what}", self.path.display());
        }
        // git removes no worktree with submodules; none of them is checked out.
        if let Some(admin) = admin::find_dir(repo.common_dir(), self.path)? {
            submodules::move_to_trash(&admin, self.trash)?;
        }
        stop_monitor(repo.common_dir(), checkout.git_dir());
        let git = Git::new(repo.home(), "worktree remove").arg(self.path);
        git.holding(lock)?.run()
    }
}

/// Removes what git keeps of a worktree by moving it into the directory `aside`: no name of a
/// place is unless_distrusted, as `git worktree remove` has to, and nothing is lost. Its daemon ends. Returns
/// whether there was anything.
///
/// # Errors
/// When it cannot be moved.
pub(in crate::git) fn move_entry(admin: Option<PathBuf>, aside: &Path) -> Result<bool> {
    let Some(admin) = admin else {
        return Ok(false);
    };
    if let Some(common_dir) = admin.ancestors().nth(2) {
        stop_monitor(common_dir, &admin);
    }
    let what = || format!("could not move '{}'", admin.display());
    fs::rename(&admin, aside.join("entry")).with_context(what)?;
    // git removes the directory of all entries with the last one.
    if let Some(worktrees) = admin.parent() {
        fs::remove_dir(worktrees).ok();
    }
    Ok(true)
}

/// Moves what git keeps here of a worktree at `path`, which is not this repository's, to `trash`.
/// Returns whether there was anything.
///
/// # Errors
/// When it cannot be moved.
pub(crate) fn move_entry_of(common_dir: &Path, path: &Path, trash: &Path) -> Result<bool> {
    move_entry(admin::find_dir(common_dir, path)?, trash)
}

/// Lets git forget a worktree that was moved to `trash`: what it keeps of it, and of its
/// submodules, goes there too.
///
/// # Errors
/// When it cannot be moved.
pub(crate) fn unregister(repo: &Repo, path: &Path, trash: &Path) -> Result<()> {
    let admin = admin::find_moved_dir(repo.common_dir(), path, trash)?;
    if let Some(admin) = &admin {
        submodules::move_to_trash(admin, trash)?;
    }
    move_entry(admin, trash).map(drop)
}

/// Moves what git keeps of the submodules of the worktree at `path`, and what other tools keep there,
/// back to `trash`.
///
/// # Errors
/// When it cannot be moved.
pub(crate) fn save_admin_files(common_dir: &Path, path: &Path, trash: &Path) -> Result<()> {
    let Some(admin) = admin::find_dir(common_dir, path)? else {
        return Ok(());
    };
    submodules::move_to_trash(&admin, trash)?;
    tool_files::move_files(&admin, &trash.join("entry"))
}

/// The log of `HEAD`, as it is called in the trash.
pub(crate) const HEAD_LOG: &str = "HEAD.log";

/// What is kept of a removed worktree beside its files: the name in the trash,
/// the name in its administrative directory.
const ADMIN_FILES: [(&str, &str); 4] = [
    ("index", "index"),
    ("config.worktree", "config.worktree"),
    ("sparse-checkout", "info/sparse-checkout"),
    (HEAD_LOG, "logs/HEAD"),
];

/// Copies a file, or moves it where it cannot be read.
fn transfer(from: &Path, to: &Path) -> io::Result<()> {
    match admin::copy_with_time(from, to) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => fs::rename(from, to),
        copied => copied,
    }
}

/// Copies what git keeps of the worktree at `path`. The index whole: a split one leans on
/// files that go with the worktree (`git update-index --no-split-index`).
fn copy_admin_files(repo: &Repo, admin: &Path, path: &Path, trash: &Path) -> Result<()> {
    for (name, file) in ADMIN_FILES {
        let kept = optional(transfer(&admin.join(file), &trash.join(name)));
        kept.with_context(|| format!("could not keep the {name}"))?;
    }
    let is_part = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default();
        name.as_bytes().starts_with(b"sharedindex.")
    };
    if list_dir(admin)?.iter().any(is_part) && path.exists() {
        let checkout = repo.checkout(path)?;
        let index = ScratchIndex::at(&checkout, trash.join("index"));
        index.git("update-index --no-split-index").run()?;
    }
    Ok(())
}

/// Puts what [`take`] has moved away back to `path`, where a worktree is registered
/// that has no files yet: files, index, what it checks out sparsely, and what other tools keep there.
///
/// # Errors
/// When it fails: what is not back is still in the trash.
pub(crate) fn restore(common_dir: &Path, path: &Path, trash: &Path) -> Result<()> {
    let what = || format!("could not put '{}' back", path.display());
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
    // It names the entry that git has made for it now.
    let link = path.join(".git");
    let aside = trash.join("gitfile");
    let copied = fs::copy(&link, &aside).and_then(|_| fs::rename(&aside, files.join(".git")));
    if copied.is_err() {
        drop(fs::remove_file(&aside));
    }
    copied.with_context(what)?;
    fs::remove_file(link).with_context(what)?;
    // git's own directory, empty now; if anything else is in it by now, this fails.
    fs::remove_dir(path).with_context(what)?;
    fs::rename(files, path).with_context(what)
}

/// Whether a worktree holds nothing but files of `commit`, also
/// when its index was never written: `git read-tree` and `git status` on an index of our own.
/// A submodule that is checked out is more than that.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_untouched(checkout: &Checkout, commit: &ObjectId) -> Result<bool> {
    let index = ScratchIndex::empty(checkout)?;
    index.git("read-tree").arg(commit).run()?;
    for link in links(index.git("ls-files --stage -z"))? {
        if Checkout::nested(&checkout.path().join(link))?.is_some() {
            return Ok(false);
        }
    }
    let status = index.git("status --porcelain -z --untracked-files=all");
    let status = status.words("--ignored=traditional --ignore-submodules=dirty --no-renames");
    let out = status.output()?;
    for record in records(&out)? {
        let (code, file) = record.split_at(record.len().min(3));
        let untouched = match code {
            // What a checkout that was cut off has not written yet is missing …
            [_, b'D', _] | [b'D', ..] => true,
            // … or not whole.
            b" M " => is_truncated_copy(checkout, commit, OsStr::from_bytes(file))?,
            _ => false,
        };
        if !untouched {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file is the beginning of what the commit has there, and no more:
/// `git cat-file --filters <commit>:<file>`.
fn is_truncated_copy(checkout: &Checkout, commit: &ObjectId, file: &OsStr) -> Result<bool> {
    let found = checkout.path().join(file);
    if !found.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(false);
    }
    let object = [OsStr::new(&format!("{commit}:")), file].join(OsStr::new(""));
    let whole = checkout.reading("cat-file --filters").arg(object);
    let whole = whole.output()?;
    let found = read_file(&found).context("could not read a file of the worktree")?;
    Ok(whole.starts_with(&found))
}

/// How long a daemon may take to end.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(3);

/// Stops the daemon of the worktree whose git directory is `admin`, if one listens there:
/// `git fsmonitor--daemon stop`. Where its files are does not matter. Best effort: what listens
/// there may be anything.
pub(crate) fn stop_monitor(common_dir: &Path, admin: &Path) {
    let socket = admin.join("fsmonitor--daemon.ipc");
    let is_socket = |found: fs::Metadata| found.file_type().is_socket();
    if !socket.symlink_metadata().is_ok_and(is_socket) {
        return;
    }
    let place = Checkout::unverified(admin, admin, common_dir);
    let git = place.reading("fsmonitor--daemon").arg("stop");
    drop(git.with_timeout(DAEMON_TIMEOUT).outcome());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, subcommand: &str, args: &[&str]) {
        let git = Git::new(dir, subcommand).config("user.name=a");
        git.config("user.email=a@b").args(args).run().unwrap();
    }

    #[test]
    fn a_worktree_is_touched_by_any_file_that_is_not_of_the_commit() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        let (main, linked) = (dir.join("main"), dir.join("linked"));
        git(&dir, "init", &["--quiet", "main"]);
        fs::write(main.join("file"), "one\ntwo\n").unwrap();
        fs::write(main.join("other"), "other\n").unwrap();
        fs::write(main.join(".gitignore"), "*.log\n").unwrap();
        git(&main, "add", &["."]);
        git(&main, "commit", &["--quiet", "-m", "one"]);
        git(&main, "worktree", &["add", "--quiet", "../linked"]);
        let repo = Repo::open_at(&main.join(".git")).unwrap();
        let head = Git::reading(&main, "rev-parse").arg("HEAD");
        let commit = ObjectId::from(head.line().unwrap());
        let checkout = repo.checkout(&linked).unwrap();
        let untouched = || is_untouched(&checkout, &commit).unwrap();
        assert!(untouched());
        // As a checkout that was cut off leaves them.
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
