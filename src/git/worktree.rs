//! Linked worktrees.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::checkout::NO_HOOKS;
use super::command::records;
use super::others::{as_records, paths};
use super::patience::patiently;
use super::scratch_index::ScratchIndex;
use super::{Checkout, Git, Lock, Repo, admin, entries, fsmonitor, tool_files};
use crate::system::optional;
use crate::system::regular_file::read_file;

/// One entry of `git worktree list --porcelain -z`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    /// `refs/heads/…`, if a branch is checked out.
    pub(crate) branch: Option<String>,
    pub(crate) bare: bool,
    /// `HEAD` names no commit.
    pub(super) unborn: bool,
    /// The reason, empty if none was given.
    pub(crate) locked: Option<String>,
}

impl Worktree {
    /// Whether it has `branch` (`refs/heads/…`) checked out, or is one that a
    /// killed git left half made.
    pub(crate) fn is_of(&self, branch: &str) -> bool {
        match &self.branch {
            Some(name) => name == branch,
            None => self.unborn && !self.bare,
        }
    }
}

/// `git worktree list --porcelain -z`: the main worktree first, each place once. `home` is
/// [`Repo::home`].
///
/// # Errors
/// When git fails.
pub(crate) fn list(home: &Path) -> Result<Vec<Worktree>> {
    entries::ensure_no_pipe(home)?;
    let git = || Git::reading(home, "worktree").args(["list", "--porcelain", "-z"]);
    let mut worktrees = parse(&patiently(git)?)?;
    // git takes the parent of `.git` for it, whatever core.worktree says, and in a submodule the repository.
    if let Some(main) = worktrees.first_mut() {
        main.path = home.to_owned();
    }
    Ok(entries::true_ones(worktrees))
}

/// # Errors
/// When it is not a list of worktrees, or not all of one.
pub(super) fn parse(out: &[u8]) -> Result<Vec<Worktree>> {
    let odd = "`git worktree list` printed something unknown";
    // An entry ends with an empty line, and there is always one.
    let entries = out.strip_suffix(b"\0\0").context(odd)?;
    let mut worktrees: Vec<Worktree> = Vec::new();
    for line in entries.split(|&b| b == 0) {
        let (key, value) = match line.iter().position(|&b| b == b' ') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[..0]),
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        match (key, worktrees.last_mut()) {
            (b"worktree", _) => worktrees.push(Worktree {
                path: OsString::from_vec(value.to_vec()).into(),
                ..Worktree::default()
            }),
            (_, None) => bail!(odd),
            (b"branch", Some(entry)) => entry.branch = Some(text()),
            (b"bare", Some(entry)) => entry.bare = true,
            (b"HEAD", Some(entry)) => entry.unborn = value.iter().all(|&b| b == b'0'),
            (b"locked", Some(entry)) => entry.locked = Some(text()),
            // Newer gits may say more.
            _ => {}
        }
    }
    Ok(worktrees)
}

/// The branch checked out in a worktree, as `refs/heads/…`; none if there is none:
/// `git symbolic-ref --quiet HEAD`.
///
/// # Errors
/// When git fails.
pub(crate) fn branch(checkout: &Checkout) -> Result<Option<String>> {
    let args = ["--quiet", "HEAD"];
    checkout.reading("symbolic-ref").args(args).answer()
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
    entries::set_aside(admin::dir_of(repo.common_dir(), path)?, aside.path())?;
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

/// Whether a worktree holds nothing but files of `commit`, also
/// when its index was never written: `git read-tree` and `git status` on an index of our own.
/// A submodule that is checked out is more than that.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_untouched(checkout: &Checkout, commit: &str) -> Result<bool> {
    for link in Repo::links(checkout, commit)? {
        if Checkout::nested(&checkout.path().join(link))?.is_some() {
            return Ok(false);
        }
    }
    let index = ScratchIndex::empty(checkout)?;
    index.git("read-tree").arg(commit).run()?;
    let ignored = ["--untracked-files=all", "--ignored=traditional"];
    let status = index
        .git("status")
        .args(["--porcelain", "-z"])
        .args(ignored);
    let status = status.args(["--ignore-submodules=dirty", "--no-renames"]);
    let out = status.output()?;
    for record in records(&out)? {
        let (code, file) = record.split_at(record.len().min(3));
        let untouched = match code {
            // What a checkout that was cut off has not written yet is missing …
            [_, b'D', _] | [b'D', ..] => true,
            // … or not whole.
            b" M " => is_beginning(checkout, commit, OsStr::from_bytes(file))?,
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
fn is_beginning(checkout: &Checkout, commit: &str, file: &OsStr) -> Result<bool> {
    let found = checkout.path().join(file);
    if !found.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(false);
    }
    let mut object = OsString::from(format!("{commit}:"));
    object.push(file);
    let cat = checkout.reading("cat-file").arg("--filters");
    let whole = cat.arg(object).output()?;
    let found = read_file(&found).context("could not read a file of the worktree")?;
    Ok(whole.starts_with(&found))
}

/// Restores what a snapshot holds in a worktree that has its parent checked out:
/// `git stash apply --index <snapshot>`.
///
/// # Errors
/// When git fails.
pub(crate) fn apply(checkout: &Checkout, snapshot: &str, lock: &Lock) -> Result<()> {
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
fn write_left_out(checkout: &Checkout, snapshot: &str, lock: &Lock) -> Result<()> {
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
    entries::set_aside(admin, aside.path())?;
    aside.close().with_context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_every_kind_of_path() {
        let out = b"worktree /a\0bare\0\0worktree /b c\nd\xff\0HEAD 1\0branch refs/heads/x\0locked why not\0\0\
                    worktree /e\0HEAD 1\0detached\0locked\0\0";
        let entries = parse(out).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(entries[0].bare);
        assert_eq!(entries[1].path.as_os_str().as_bytes(), b"/b c\nd\xff");
        assert_eq!(entries[1].branch.as_deref(), Some("refs/heads/x"));
        assert_eq!(entries[1].locked.as_deref(), Some("why not"));
        assert_eq!(
            (entries[2].branch.as_deref(), entries[2].locked.as_deref()),
            (None, Some(""))
        );
        for length in 0..out.len() {
            let cut = parse(&out[..length]);
            assert!(
                cut.is_err() || out[..length].ends_with(b"\0\0"),
                "{length} bytes"
            );
        }
        assert!(parse(b"HEAD 1\0\0").is_err());
    }
}
