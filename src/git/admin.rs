//! What git keeps of a linked worktree, in `<git-common-dir>/worktrees/<name>/`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where git keeps the repositories of the submodules that were ever checked out in
/// the worktree at `path`, if any was.
///
/// # Errors
/// When it cannot be told.
pub(super) fn modules(common_dir: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let Some(admin) = dir_of(common_dir, path)? else {
        return Ok(None);
    };
    let modules = admin.join("modules");
    let there = fs::exists(&modules).context("could not look for submodules")?;
    Ok(there.then_some(modules))
}

/// The index of the worktree at `path`.
///
/// # Errors
/// When it is not a worktree.
pub(crate) fn index(common_dir: &Path, path: &Path) -> Result<PathBuf> {
    let admin = dir_of(common_dir, path)?;
    let admin = admin.with_context(|| format!("'{}' is not a worktree", path.display()))?;
    Ok(admin.join("index"))
}

/// Copies an index with its time. git compares that with the times of files, in whole
/// seconds, to know which of them it must look into: with a later one it would miss
/// what was changed in the second in which the index was written.
///
/// # Errors
/// When it cannot be copied.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let time = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    fs::File::options()
        .append(true)
        .open(to)?
        .set_modified(time)
}

/// Whether the directory at `path` is this repository's worktree: git keeps it
/// under that path, and it says so itself. A copied repository names the worktrees
/// of the original, and what stands at the path may be somebody's clone by now.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_ours(common_dir: &Path, path: &Path) -> Result<bool> {
    let what = || format!("could not look at '{}'", path.display());
    if !path.symlink_metadata().with_context(what)?.is_dir() {
        return Ok(false);
    }
    let file = match fs::read(path.join(".git")) {
        Ok(file) => file,
        // A repository, or nothing at all.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::IsADirectory | io::ErrorKind::NotFound
            ) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(error).with_context(what),
    };
    let Some(named) = file.trim_ascii_end().strip_prefix(b"gitdir: ") else {
        return Ok(false);
    };
    let named = normal(&path.join(OsStr::from_bytes(named)));
    let Some(name) = named.file_name() else {
        return Ok(false);
    };
    let admin = common_dir.join("worktrees").join(name);
    let real = |dir: &Path| dir.canonicalize().ok();
    let here = named == admin || (real(&named).is_some() && real(&named) == real(&admin));
    Ok(here && is_of(&admin, path).with_context(what)?)
}

/// Returns whether git has an entry of a worktree at `path`.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn has_entry(common_dir: &Path, path: &Path) -> Result<bool> {
    Ok(dir_of(common_dir, path)?.is_some())
}

/// Returns whether the directory at `path` says that it is a worktree of this repository, of
/// which git has no entry: that was pruned while the directory was away, by a git in a container, say.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_forgotten(common_dir: &Path, path: &Path) -> Result<bool> {
    let named = named_by(path);
    let parent = named.as_deref().and_then(Path::parent);
    let worktrees = common_dir.join("worktrees");
    let real = |dir: &Path| dir.canonicalize().ok();
    let here = parent.is_some_and(|parent| {
        // With the last of them git removes the directory, too.
        parent == worktrees || (real(parent).is_some() && real(parent) == real(&worktrees))
    });
    Ok(here && path.is_dir() && !has_entry(common_dir, path)?)
}

/// The entry that the `.git` file of the directory at `path` names, if it is one.
fn named_by(path: &Path) -> Option<PathBuf> {
    let link = path.join(".git");
    if !link.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let file = fs::read(link).ok()?;
    let named = file.trim_ascii_end().strip_prefix(b"gitdir: ")?;
    Some(normal(&path.join(OsStr::from_bytes(named))))
}

/// Returns the directory beside `path` that was moved from there without git's knowledge, if
/// there is one.
pub(crate) fn moved_beside(common_dir: &Path, path: &Path) -> Option<PathBuf> {
    let entry = dir_of(common_dir, path).ok()?;
    let entry = entry.unwrap_or_else(|| {
        let name = path.file_name().unwrap_or_default();
        common_dir.join("worktrees").join(name)
    });
    let beside = fs::read_dir(path.parent()?).ok()?.flatten();
    let mut beside = beside.map(|found| found.path());
    beside.find(|found| {
        let is_moved = || matches!(has_entry(common_dir, found), Ok(false));
        named_by(found).is_some_and(|named| named == entry) && is_moved()
    })
}

/// Returns the directory in `dir` that was moved there from `path`, together with the repository:
/// it has its name, and names an entry like that of `path` in a repository that is not there.
pub(crate) fn moved_into(common_dir: &Path, dir: &Path, path: &Path) -> Option<PathBuf> {
    let found = dir.join(path.file_name()?);
    let entry = dir_of(common_dir, path).ok()??;
    let named = named_by(&found)?;
    let alike = named.file_name() == entry.file_name() && !named.exists();
    (alike && found != path).then_some(found)
}

/// Returns the commit that the log of the worktree at `path` ends with, if it has one.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn last_head(common_dir: &Path, path: &Path) -> Result<Option<String>> {
    let Some(admin) = dir_of(common_dir, path)? else {
        return Ok(None);
    };
    let log = match fs::read(admin.join("logs/HEAD")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        log => log.with_context(|| format!("could not read the log of '{}'", path.display()))?,
    };
    // Where a branch is deleted under a worktree, its log says that it stands at none.
    let new = |line: &[u8]| line.split(|&b| b == b' ').nth(1).map(<[u8]>::to_vec);
    let is_commit = |name: &Vec<u8>| name.iter().any(|&b| b != b'0');
    let mut lines = log.split(|&b| b == b'\n').filter_map(new).filter(is_commit);
    Ok(lines
        .next_back()
        .and_then(|name| String::from_utf8(name).ok()))
}

/// Whether what lies in `trash` is the worktree that was at `path`: moved there
/// by a command that was killed before git forgot the worktree, or just after.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn was_moved_to(common_dir: &Path, path: &Path, trash: &Path) -> Result<bool> {
    let file = match fs::read(trash.join("worktree").join(".git")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.context("could not look into the trash")?,
    };
    let named = Path::new(OsStr::from_bytes(file.trim_ascii_end())).file_name();
    let admin = dir_of(common_dir, path)?;
    Ok(admin.is_none_or(|admin| admin.file_name() == named))
}

/// Whether the HEAD of the worktree at `path` has ever stood at another commit than this, as
/// far as its log tells: there may be work that nothing else names.
///
/// # Errors
/// When its log cannot be read.
pub(crate) fn has_moved(common_dir: &Path, path: &Path, commit: &str) -> Result<bool> {
    let Some(admin) = dir_of(common_dir, path)? else {
        return Ok(false);
    };
    let log = match fs::read(admin.join("logs/HEAD")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        log => log.with_context(|| format!("could not read the log of '{}'", path.display()))?,
    };
    let moved = |line: &[u8]| line.split(|&b| b == b' ').nth(1) != Some(commit.as_bytes());
    let mut lines = log.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    Ok(lines.any(moved))
}

/// Whether git may know any worktree but the main one.
pub(crate) fn any(common_dir: &Path) -> bool {
    match fs::read_dir(common_dir.join("worktrees")) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The administrative directory of the worktree at `path`, which itself may be
/// away: the one whose `gitdir` file names it.
///
/// # Errors
/// When it cannot be told whether there is one.
pub(super) fn dir_of(common_dir: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let what = || {
        format!(
            "could not look for what git keeps of the worktree '{}'",
            path.display()
        )
    };
    let entries = match fs::read_dir(common_dir.join("worktrees")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.with_context(what)?,
    };
    for entry in entries {
        let admin = entry.with_context(what)?.path();
        if is_of(&admin, path).with_context(what)? {
            return Ok(Some(admin));
        }
    }
    Ok(None)
}

/// Whether an administrative directory is that of the worktree at `path`.
fn is_of(admin: &Path, path: &Path) -> io::Result<bool> {
    let file = match fs::read(admin.join("gitdir")) {
        // One that is just being made or removed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(false);
        }
        file => file?,
    };
    let file = Path::new(OsStr::from_bytes(file.strip_suffix(b"\n").unwrap_or(&file)));
    // With relative paths it is relative to the administrative directory.
    Ok(normal(&admin.join(file)) == path.join(".git"))
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
