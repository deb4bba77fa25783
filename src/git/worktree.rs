//! Linked worktrees.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::command::patiently;
use super::{Git, Lock};

/// One entry of `git worktree list --porcelain -z`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    /// `refs/heads/…`, if a branch is checked out.
    pub(crate) branch: Option<String>,
    pub(crate) bare: bool,
    /// The reason, empty if none was given.
    pub(crate) locked: Option<String>,
}

/// `git worktree list --porcelain -z`: the main worktree first.
///
/// # Errors
/// When git fails.
pub(crate) fn list(dir: &Path) -> Result<Vec<Worktree>> {
    let git = || Git::reading(dir, ["worktree", "list", "--porcelain", "-z"]);
    Ok(parse(&patiently(git)?))
}

fn parse(out: &[u8]) -> Vec<Worktree> {
    let mut worktrees: Vec<Worktree> = Vec::new();
    for line in out.split(|&b| b == 0) {
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
            (b"branch", Some(entry)) => entry.branch = Some(text()),
            (b"bare", Some(entry)) => entry.bare = true,
            (b"locked", Some(entry)) => entry.locked = Some(text()),
            _ => {}
        }
    }
    worktrees
}

/// Registers a worktree at `path` with `branch` checked out, without files:
/// `git worktree add --no-checkout <path> <branch>`.
///
/// The caller holds the repository's lock. Hooks are kept off, since there are
/// no files yet; [`post_checkout`] runs them when there are.
///
/// # Errors
/// When git refuses.
pub(crate) fn register(common_dir: &Path, path: &Path, branch: &str, lock: &Lock) -> Result<()> {
    let args: [&OsStr; 8] = [
        OsStr::new("-c"),
        OsStr::new("core.hooksPath=/dev/null"),
        OsStr::new("worktree"),
        OsStr::new("add"),
        OsStr::new("--quiet"),
        OsStr::new("--no-checkout"),
        path.as_os_str(),
        OsStr::new(branch),
    ];
    Git::new(common_dir, args).holding(lock)?.run()
}

/// Writes the files of a registered worktree: `git reset --hard --no-recurse-submodules`.
///
/// # Errors
/// When git fails: a filter, a full disk, an interruption.
pub(crate) fn fill(path: &Path, lock: &Lock) -> Result<()> {
    Git::new(path, ["reset", "--hard", "--no-recurse-submodules"])
        .holding(lock)?
        .loud()
        .run()
}

/// `git hook run --ignore-missing post-checkout -- <null> <head> 1`, as `git worktree add` would.
///
/// # Errors
/// When the hook fails.
pub(crate) fn post_checkout(path: &Path, head: &str, lock: &Lock) -> Result<()> {
    let null = "0".repeat(head.len());
    Git::new(
        path,
        [
            "hook",
            "run",
            "--ignore-missing",
            "post-checkout",
            "--",
            &null,
            head,
            "1",
        ],
    )
    .holding(lock)?
    .loud()
    .run()
}

/// Removes a worktree that nothing but its checkout was ever in:
/// `git worktree remove --force --force <path>`.
///
/// # Errors
/// When git fails.
fn discard(common_dir: &Path, path: &Path, lock: &Lock) -> Result<()> {
    // Twice: git itself locks a worktree that is being made.
    let args = ["worktree", "remove", "--force", "--force"].map(OsStr::new);
    Git::new(common_dir, args.into_iter().chain([path.as_os_str()]))
        .holding(lock)?
        .run()
}

/// Removes a temporary worktree of our own, whatever a killed command left of it.
///
/// # Errors
/// When something of it stays.
pub(crate) fn clear(common_dir: &Path, path: &Path, lock: &Lock) -> Result<()> {
    // In this order: as long as anything is left of it, the directory is.
    let removed = discard(common_dir, path, lock);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("could not remove '{}'", path.display()));
        }
        _ if removed.is_ok() => return Ok(()),
        _ => {}
    }
    forget(common_dir, path, lock)
}

/// Whether the worktree at `path` holds nothing but files of `commit`, also
/// when its index was never written: `git read-tree` and `git status` on an index of our own.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_untouched(path: &Path, commit: &str, scratch: &Path) -> Result<bool> {
    let index = scratch.join("index");
    Git::new(path, ["read-tree", commit])
        .env("GIT_INDEX_FILE", &index)
        .run()?;
    let args = [
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=all",
        "--ignored=traditional",
        "--no-renames",
    ];
    let out = Git::reading(path, args)
        .env("GIT_INDEX_FILE", &index)
        .output();
    fs::remove_file(&index).context("could not remove a temporary index")?;
    // What a checkout that was cut off has not written yet is missing, no more.
    let out = out?;
    let mut records = out.split(|&b| b == 0).filter(|r| !r.is_empty());
    Ok(records.all(|record| record.starts_with(b" D ") || record.starts_with(b"D")))
}

/// Moves the worktree at `path` with everything in it to `trash`, and its index
/// beside it; then git forgets the worktree: `git worktree remove <path>`, which
/// accepts that the directory is gone and touches no other entry. Across file
/// systems, where nothing can be moved, git removes a clean worktree in place.
/// Returns whether anything is in the trash now.
///
/// # Errors
/// When it fails: then the worktree is where it was.
pub(crate) fn trash(common_dir: &Path, path: &Path, trash: &Path, lock: &Lock) -> Result<bool> {
    fs::create_dir_all(trash).with_context(|| format!("could not make '{}'", trash.display()))?;
    let index = index(common_dir, path).ok().filter(|index| index.exists());
    let mut kept = index.is_some();
    if let Some(index) = index {
        fs::copy(index, trash.join("index")).context("could not keep the index")?;
    }
    if path.exists() {
        match fs::rename(path, trash.join("worktree")) {
            Ok(()) => kept = true,
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                // Without force: git refuses if anything in it is nowhere else.
                let args = ["worktree", "remove"].map(OsStr::new);
                let args = args.into_iter().chain([path.as_os_str()]);
                return Git::new(common_dir, args)
                    .holding(lock)?
                    .run()
                    .map(|()| false);
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "could not move '{}' to '{}'",
                        path.display(),
                        trash.display()
                    )
                });
            }
        }
    }
    forget(common_dir, path, lock).map(|()| kept)
}

/// Removes a worktree and its entry, if there is one: `git worktree remove --force --force <path>`.
///
/// # Errors
/// When git fails.
pub(crate) fn forget(common_dir: &Path, path: &Path, lock: &Lock) -> Result<()> {
    let removed = discard(common_dir, path, lock);
    // git says the same of what it does not know and of what it cannot remove.
    if removed.is_err() && list(common_dir)?.iter().all(|entry| entry.path != path) {
        return Ok(());
    }
    removed
}

/// Whether submodules were initialised in the worktree at `path`: their
/// repositories lie in its administrative directory and would go with it.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn has_submodules(common_dir: &Path, path: &Path) -> Result<bool> {
    let modules = admin_dir(common_dir, path)?.join("modules");
    fs::exists(modules).context("could not look for submodules")
}

/// The index of the worktree at `path`.
///
/// # Errors
/// When it is not a worktree.
pub(crate) fn index(common_dir: &Path, path: &Path) -> Result<PathBuf> {
    Ok(admin_dir(common_dir, path)?.join("index"))
}

/// Whether what lies in `trash` is the worktree that was at `path`: moved there
/// by a command that was killed before git forgot the worktree, or just after.
pub(crate) fn was_moved_to(common_dir: &Path, path: &Path, trash: &Path) -> bool {
    let Ok(file) = fs::read(trash.join("worktree").join(".git")) else {
        return false;
    };
    let named = Path::new(OsStr::from_bytes(file.trim_ascii_end())).file_name();
    match admin_dir(common_dir, path) {
        Ok(admin) => admin.file_name() == named,
        Err(_) => true,
    }
}

/// The administrative directory of the worktree at `path`, which itself may be
/// away: the one whose `gitdir` file names it.
fn admin_dir(common_dir: &Path, path: &Path) -> Result<PathBuf> {
    let what = || {
        format!(
            "could not find what git keeps of the worktree '{}'",
            path.display()
        )
    };
    for entry in fs::read_dir(common_dir.join("worktrees")).with_context(what)? {
        let admin = entry.with_context(what)?.path();
        // One that is just being made or removed has no such file.
        let Ok(file) = fs::read(admin.join("gitdir")) else {
            continue;
        };
        let file = Path::new(OsStr::from_bytes(file.strip_suffix(b"\n").unwrap_or(&file)));
        // With relative paths it is relative to the administrative directory.
        if normal(&admin.join(file)) == path.join(".git") {
            return Ok(admin);
        }
    }
    bail!(what())
}

/// The path without `..`, which need not exist.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_every_kind_of_path() {
        let out = b"worktree /a\0bare\0\0worktree /b c\nd\xff\0HEAD 1\0branch refs/heads/x\0locked why not\0\0\
                    worktree /e\0HEAD 1\0detached\0locked\0\0";
        let entries = parse(out);
        assert_eq!(entries.len(), 3);
        assert!(entries[0].bare);
        assert_eq!(entries[1].path.as_os_str().as_bytes(), b"/b c\nd\xff");
        assert_eq!(entries[1].branch.as_deref(), Some("refs/heads/x"));
        assert_eq!(entries[1].locked.as_deref(), Some("why not"));
        assert_eq!(
            (entries[2].branch.as_deref(), entries[2].locked.as_deref()),
            (None, Some(""))
        );
    }
}
