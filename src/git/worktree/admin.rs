//! What git keeps of a linked worktree, in `<git-common-dir>/worktrees/<name>/`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::git::ObjectId;
use crate::git::checkout::distrust::Distrust;
use crate::git::checkout::gitfile::{link_of, named_by, normal};
use crate::git::checkout::small_file::read_small;
use crate::git::same::is_same_place;
use crate::git::worktree::entry;
use crate::system::optional;
use crate::system::regular_file::{open_file, read_file};

/// Where git keeps the repositories of the submodules that were ever checked out in
/// the worktree at `path`, if any was.
///
/// # Errors
/// When it cannot be told.
pub(in crate::git) fn modules(common_dir: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let Some(admin) = dir_of(common_dir, path)? else {
        return Ok(None);
    };
    let modules = admin.join("modules");
    let there = fs::exists(&modules).context("could not look for submodules")?;
    Ok(there.then_some(modules))
}

/// Copies an index with its time. git compares that with the times of files, in whole
/// seconds, to know which of them it must look into: with a later one it would miss
/// what was changed in the second in which the index was written.
///
/// # Errors
/// When it cannot be copied.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = open_file(from)?;
    let time = file.metadata()?.modified()?;
    let mut copy = fs::File::create(to)?;
    io::copy(&mut file, &mut copy)?;
    copy.set_modified(time)
}

/// Whether the directory at `path` is this repository's worktree, as [`of`] finds it.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_ours(common_dir: &Path, path: &Path) -> Result<bool> {
    match of(common_dir, path) {
        Ok(_) => Ok(true),
        Err(error) if error.is::<Distrust>() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The administrative directory of this repository's worktree at `path`: git keeps it under that
/// path, it says so itself, and git would find this repository from there and no other. A copied
/// repository names the worktrees of the original, what stands at the path may be somebody's
/// clone by now, and an agent can write each of these files.
///
/// # Errors
/// With a [`Distrust`] when something is not as git makes it.
pub(in crate::git) fn of(common_dir: &Path, path: &Path) -> Result<PathBuf> {
    let admin = named_entry(common_dir, path)?;
    ensure_whole(&admin, common_dir, path)?;
    Ok(admin)
}

/// Returns the entry of this repository that the `.git` file at `path` names.
fn named_entry(common_dir: &Path, path: &Path) -> Result<PathBuf> {
    let what = || format!("could not look at '{}'", path.display());
    let link = path.join(".git");
    if !path.symlink_metadata().with_context(what)?.is_dir() {
        return Err(Distrust::Link(link).into());
    }
    // A directory is a repository of its own.
    let file = match optional(link.symlink_metadata()).with_context(what)? {
        Some(found) if found.is_file() => read_small(&link)?.unwrap_or_default(),
        _ => return Err(Distrust::Link(link).into()),
    };
    let named = file.trim_ascii_end().strip_prefix(b"gitdir: ");
    let named = named.map(|named| normal(&path.join(OsStr::from_bytes(named))));
    let worktrees = common_dir.join("worktrees");
    let named = named.and_then(|named| Some((worktrees.join(named.file_name()?), named)));
    let Some((admin, _)) = named.filter(|(admin, named)| is_same_place(named, admin)) else {
        return Err(Distrust::Link(link).into());
    };
    for dir in [&worktrees, &admin] {
        match optional(dir.symlink_metadata()) {
            Ok(Some(found)) if found.is_dir() => {}
            // git removes an entry with its directory, and that of all entries with the last one.
            Ok(None) => return Err(Distrust::Link(link).into()),
            _ => return Err(Distrust::Odd(dir.clone()).into()),
        }
    }
    Ok(admin)
}

/// Fails if something in the entry of the worktree at `path` is not as git makes it.
fn ensure_whole(admin: &Path, common_dir: &Path, path: &Path) -> Result<()> {
    let gitdir = admin.join("gitdir");
    if !is_of(admin, path).with_context(|| format!("could not look at '{}'", path.display()))? {
        return Err(Distrust::Back(gitdir).into());
    }
    let common = admin.join("commondir");
    let named = match read_small(&common) {
        Ok(named) => named.unwrap_or_default(),
        Err(error) if error.is::<Distrust>() => Vec::new(),
        Err(error) => return Err(error),
    };
    let named = normal(&admin.join(OsStr::from_bytes(named.trim_ascii_end())));
    if !is_same_place(&named, common_dir) {
        return Err(Distrust::Common(common).into());
    }
    // git would wait for what a pipe says.
    for name in ["HEAD", "index"] {
        let file = admin.join(name);
        if file.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(Distrust::Odd(file).into());
        }
    }
    if !entry::has_head(admin)? {
        return Err(Distrust::Head(admin.join("HEAD")).into());
    }
    Ok(())
}

/// Returns the common directory of the other repository that the directory at `path` says to be
/// a worktree of, if there is one.
pub(crate) fn other_repository(common_dir: &Path, path: &Path) -> Option<PathBuf> {
    let admin = link_of(path)?.canonicalize().ok()?;
    let other = admin.parent()?.parent()?;
    let is_repository = other.join("HEAD").exists() && other.join("objects").exists();
    (is_repository && !is_same_place(other, common_dir)).then(|| other.to_owned())
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
    // With the last entry git removes the directory of all.
    let repository = |named: &Path| {
        Some((
            named.parent()?.file_name()?.to_owned(),
            named.ancestors().nth(2)?.to_owned(),
        ))
    };
    let named = named_by(path).as_deref().and_then(repository);
    let here = named.is_some_and(|(dir, repository)| {
        dir == "worktrees" && is_same_place(&repository, common_dir)
    });
    Ok(here && path.is_dir() && !has_entry(common_dir, path)?)
}

/// Returns whether the directory at `path` names an entry with `branch` (`refs/heads/…`) checked out,
/// which in turn names a place that knows nothing of it: `git worktree repair <path>` sets that right.
pub(crate) fn is_misplaced(common_dir: &Path, path: &Path, branch: &str) -> bool {
    let named =
        named_by(path).filter(|named| named.parent() == Some(&common_dir.join("worktrees")));
    let entry = named.as_deref().and_then(entry::read);
    entry.is_some_and(|entry| {
        let is_elsewhere = entry.path != path && named_by(&entry.path) != named;
        is_elsewhere && entry.branch.as_deref() == Some(branch)
    })
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
pub(crate) fn last_head(common_dir: &Path, path: &Path) -> Result<Option<ObjectId>> {
    let Some(admin) = dir_of(common_dir, path)? else {
        return Ok(None);
    };
    let log = log_of(&admin, path)?;
    // Where a branch is deleted under a worktree, its log says that it stands at none.
    let new = |line: &[u8]| line.split(|&b| b == b' ').nth(1).map(<[u8]>::to_vec);
    let is_commit = |name: &Vec<u8>| name.iter().any(|&b| b != b'0');
    let mut lines = log.split(|&b| b == b'\n').filter_map(new).filter(is_commit);
    Ok(lines
        .next_back()
        .and_then(|name| String::from_utf8(name).ok())
        .map(ObjectId::from))
}

/// Whether what lies in `trash` is the worktree that was at `path`: moved there
/// by a command that was killed before git forgot the worktree, or just after.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn was_moved_to(common_dir: &Path, path: &Path, trash: &Path) -> Result<bool> {
    let file = optional(read_file(&trash.join("worktree").join(".git")));
    let Some(file) = file.context("could not look into the trash")? else {
        return Ok(false);
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
    let log = log_of(&admin, path)?;
    let moved = |line: &[u8]| line.split(|&b| b == b' ').nth(1) != Some(commit.as_bytes());
    let mut lines = log.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    Ok(lines.any(moved))
}

/// Reads the log of `HEAD` of the worktree at `path`; it is empty if there is none.
fn log_of(admin: &Path, path: &Path) -> Result<Vec<u8>> {
    let log = optional(read_file(&admin.join("logs/HEAD")))
        .with_context(|| format!("could not read the log of '{}'", path.display()))?;
    Ok(log.unwrap_or_default())
}

/// Whether git may know any worktree but the main one.
pub(crate) fn any(common_dir: &Path) -> bool {
    match optional(fs::read_dir(common_dir.join("worktrees"))) {
        Ok(entries) => entries.is_some_and(|mut entries| entries.next().is_some()),
        Err(_) => true,
    }
}

/// The administrative directory of the worktree at `path`, which itself may be
/// away: the one whose `gitdir` file names it.
///
/// # Errors
/// When it cannot be told whether there is one.
pub(in crate::git) fn dir_of(common_dir: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let what = || {
        format!(
            "could not look for what git keeps of the worktree '{}'",
            path.display()
        )
    };
    let entries = optional(fs::read_dir(common_dir.join("worktrees"))).with_context(what)?;
    let mut found = Vec::new();
    for entry in entries.into_iter().flatten() {
        let admin = entry.with_context(what)?.path();
        if is_of(&admin, path).with_context(what)? {
            found.push(admin);
        }
    }
    // An agent can have its own entry name the worktree of another task: that names its entry.
    let named = named_by(path).and_then(|named| Some(named.file_name()?.to_owned()));
    let is_named = |admin: &PathBuf| admin.file_name() == named.as_deref();
    match found.iter().position(is_named) {
        Some(at) => Ok(Some(found.swap_remove(at))),
        None if found.len() > 1 => bail!(
            "git has {} entries of a worktree at '{}'",
            found.len(),
            path.display()
        ),
        None => Ok(found.pop()),
    }
}

/// The administrative directory of the worktree that was at `path` and lies in `trash` now.
///
/// # Errors
/// When it cannot be told whether there is one.
pub(in crate::git) fn of_moved(
    common_dir: &Path,
    path: &Path,
    trash: &Path,
) -> Result<Option<PathBuf>> {
    let named = named_by(&trash.join("worktree"));
    let name = named.as_deref().and_then(Path::file_name);
    let admin = name.map(|name| common_dir.join("worktrees").join(name));
    match admin {
        Some(admin) if is_of(&admin, path)? => Ok(Some(admin)),
        _ => dir_of(common_dir, path),
    }
}

/// Whether an administrative directory is that of the worktree at `path`.
fn is_of(admin: &Path, path: &Path) -> Result<bool> {
    let file = match read_small(&admin.join("gitdir")) {
        // One that is just being made or removed, or spoilt.
        Ok(None) => return Ok(false),
        Err(error) if error.is::<Distrust>() => return Ok(false),
        Ok(Some(file)) => file,
        Err(error) => return Err(error),
    };
    let file = Path::new(OsStr::from_bytes(file.strip_suffix(b"\n").unwrap_or(&file)));
    // With relative paths it is relative to the administrative directory.
    Ok(normal(&admin.join(file)) == path.join(".git"))
}
