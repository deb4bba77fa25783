//! Administrative directories of linked worktrees: `<git-common-dir>/worktrees/<name>/`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::git::ObjectId;
use crate::git::checkout::distrust::{Distrust, read_small, trusted};
use crate::git::checkout::gitfile::{
    linked_dir, list_dir, lstat, normalize, parse_gitfile, read_gitfile, read_or_empty, resolve_in,
};
use crate::git::identity::is_same_place;
use crate::git::worktree::entries::{self, Worktree};
use crate::system::none_if_missing;
use crate::system::regular_file::{open_file, read_file};
use crate::system::wait_until;
use crate::task::RefName;

/// Copies a regular file with its modification time. With a later time, a copied index would hide
/// changes that were made to files in the second in which git wrote the index.
pub(crate) fn copy_with_time(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = open_file(from)?;
    let time = file.metadata()?.modified()?;
    let mut copy = File::create(to)?;
    io::copy(&mut file, &mut copy)?;
    copy.set_modified(time)
}

/// Returns whether the directory at `path` is a linked worktree of this repository, as
/// [`verified_dir`] verifies: `false` if one of its git files is wrong, and for the main worktree.
/// Fails if `path` does not exist.
pub(crate) fn is_ours(common_dir: &Path, path: &Path) -> Result<bool> {
    Ok(trusted(verified_dir(common_dir, path))?.is_some())
}

/// Returns the administrative directory of the worktree at `path`, if both name each other and git
/// would find this repository from there. An agent, or a copy of the repository, can make any of
/// these files wrong.
///
/// # Errors
/// With a [`Distrust`] that names the first wrong file.
pub(in crate::git) fn verified_dir(common_dir: &Path, path: &Path) -> Result<PathBuf> {
    let admin = find_linked_dir(common_dir, path)?;
    ensure_valid(&admin, common_dir, path).map(|()| admin)
}

/// Returns the administrative directory of this repository that the `.git` file in the directory
/// `path` names. Fails with a [`Distrust`] if the file is missing or names something else.
fn find_linked_dir(common_dir: &Path, path: &Path) -> Result<PathBuf> {
    let what = || format!("could not access '{}'", path.display());
    let is_dir = path.symlink_metadata().with_context(what)?.is_dir();
    let link = path.join(".git");
    // A `.git` directory is a separate repository.
    let found = lstat(&link)?;
    if !is_dir || !found.is_some_and(|found| found.is_file()) {
        return Err(Distrust::GitFile(link).into());
    }
    let text = read_small(&link)?.unwrap_or_default();
    let worktrees = common_dir.join("worktrees");
    let named = parse_gitfile(path, &text).map(|named| normalize(&named));
    let named = named.and_then(|named| Some((worktrees.join(named.file_name()?), named)));
    let Some((admin, _)) = named.filter(|(admin, named)| is_same_place(named, admin)) else {
        return Err(Distrust::GitFile(link).into());
    };
    for dir in [&worktrees, &admin] {
        match none_if_missing(dir.symlink_metadata()) {
            Ok(Some(found)) if found.is_dir() => {}
            // git removes an administrative directory, and with the last one `worktrees`.
            Ok(None) => return Err(Distrust::GitFile(link).into()),
            _ => return Err(Distrust::FileType(dir.clone()).into()),
        }
    }
    Ok(admin)
}

/// The time in which git writes a `HEAD` that it has made.
const HEAD_TIMEOUT: Duration = Duration::from_millis(200);

/// Reads the `HEAD` file of a worktree; waits up to 200 ms while it is empty, because
/// `git worktree add` creates it before writing it. `None` if it is missing.
pub(super) fn read_head(head: &Path) -> Result<Option<Vec<u8>>> {
    read_head_within(HEAD_TIMEOUT, head)
}

fn read_head_within(timeout: Duration, head: &Path) -> Result<Option<Vec<u8>>> {
    let read = || match read_small(head)? {
        Some(text) if text.is_empty() => Ok(None),
        text => Ok(Some(text)),
    };
    Ok(wait_until(timeout, HEAD_TIMEOUT / 20, read)?.unwrap_or(Some(Vec::new())))
}

/// Fails with a [`Distrust`] if a file in the administrative directory `admin` of the worktree at
/// `path` is wrong: `gitdir`, `commondir`, `HEAD` or `index`.
fn ensure_valid(admin: &Path, common_dir: &Path, path: &Path) -> Result<()> {
    if !is_dir_of(admin, path).with_context(|| format!("could not access '{}'", path.display()))? {
        return Err(Distrust::GitDir(admin.join("gitdir")).into());
    }
    let common = admin.join("commondir");
    let named = trusted(read_small(&common))?.flatten();
    if !is_same_place(&resolve_in(admin, &named.unwrap_or_default()), common_dir) {
        return Err(Distrust::CommonDir(common).into());
    }
    // git would block on a pipe.
    let head = admin.join("HEAD");
    for file in [&head, &admin.join("index")] {
        if file.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(Distrust::FileType(file.clone()).into());
        }
    }
    // A symbolic link (core.preferSymlinkRefs) is left to git. A crash may empty the file.
    if !head.is_symlink() {
        let says = read_head(&head)?.unwrap_or_default();
        if !says.starts_with(b"ref: ") && says.len() < 40 {
            return Err(Distrust::Head(head).into());
        }
    }
    Ok(())
}

/// Returns the common directory of the repository to which the `.git` file in the directory `path`
/// leads. `None` if that is this repository, or no repository.
pub(crate) fn find_other_repository(common_dir: &Path, path: &Path) -> Option<PathBuf> {
    let admin = read_gitfile(path)?.canonicalize().ok()?;
    let other = admin.parent()?.parent()?;
    let is_repository = other.join("HEAD").exists() && other.join("objects").exists();
    (is_repository && !is_same_place(other, common_dir)).then(|| other.to_owned())
}

/// Returns whether git has a linked worktree registered at `path`, which need not exist: the
/// `gitdir` of an administrative directory names `path`. `false` for the main worktree.
pub(crate) fn has_entry(common_dir: &Path, path: &Path) -> Result<bool> {
    Ok(find_dir(common_dir, path)?.is_some())
}

/// Returns whether the worktree that was at `path`, with `branch`, may exist at another path: git
/// has an entry of it, wherever it was moved, or one that cannot be read.
pub(crate) fn may_exist_elsewhere(
    common_dir: &Path,
    path: &Path,
    branch: &RefName,
) -> Result<bool> {
    let entries =
        list_dir(&common_dir.join("worktrees")).context("could not list the worktrees")?;
    // git names an entry after the worktree's first directory, and keeps that name.
    let may_be = |admin: &PathBuf| {
        let entry = entries::read_entry(admin);
        let is_it = |it: Worktree| it.path == path || it.branch.as_ref() == Some(branch);
        admin.file_name() == path.file_name() || entry.is_none_or(is_it)
    };
    Ok(entries.iter().any(may_be) || has_entry(common_dir, path)?)
}

/// Returns whether the existing directory at `path` has a `.git` file for this repository, but git
/// has no worktree registered there any more, as after `git worktree prune` in a container without
/// `path`.
pub(crate) fn was_pruned(common_dir: &Path, path: &Path) -> Result<bool> {
    // git removes `worktrees` with the last entry, so compare its path.
    let named = linked_dir(path);
    let named = named.as_deref().and_then(Path::parent);
    let is_here = named.is_some_and(|dir| {
        let repository = dir.parent().filter(|_| dir.ends_with("worktrees"));
        repository.is_some_and(|repository| is_same_place(repository, common_dir))
    });
    Ok(is_here && path.is_dir() && !has_entry(common_dir, path)?)
}

/// Returns whether the directory at `path` is a worktree with `branch` that was moved there without
/// git, so that `git worktree repair <path>` fixes it.
pub(crate) fn is_misplaced(common_dir: &Path, path: &Path, branch: &RefName) -> bool {
    let worktrees = common_dir.join("worktrees");
    let named = linked_dir(path).filter(|named| named.parent() == Some(&worktrees));
    let entry = named.as_deref().and_then(entries::read_entry);
    entry.is_some_and(|entry| {
        let is_elsewhere = entry.path != path && linked_dir(&entry.path) != named;
        is_elsewhere && entry.branch.as_ref() == Some(branch)
    })
}

/// Finds the directory beside `path` to which the worktree at `path` was moved without git; `None`
/// if there is none or an error occurs.
pub(crate) fn find_moved_beside(common_dir: &Path, path: &Path) -> Option<PathBuf> {
    let entry = find_dir(common_dir, path).ok()?;
    let entry = entry.or_else(|| Some(common_dir.join("worktrees").join(path.file_name()?)))?;
    let mut beside = list_dir(path.parent()?).ok()?.into_iter();
    beside.find(|found| {
        linked_dir(found).as_ref() == Some(&entry)
            && matches!(has_entry(common_dir, found), Ok(false))
    })
}

/// Finds in `dir` the worktree that was at `path` before it was moved together with the repository:
/// it has the same name, and its `.git` file names a directory that no longer exists. `None` if
/// there is none.
pub(crate) fn find_moved_into(common_dir: &Path, dir: &Path, path: &Path) -> Option<PathBuf> {
    let found = dir.join(path.file_name()?);
    let entry = find_dir(common_dir, path).ok()??;
    let named = linked_dir(&found)?;
    let alike = named.file_name() == entry.file_name() && !named.exists();
    (alike && found != path).then_some(found)
}

/// Returns the last commit in the `HEAD` reflog file of the worktree at `path`; `None` without a
/// worktree registered there, or without that file, as with reftables.
pub(crate) fn last_head(common_dir: &Path, path: &Path) -> Result<Option<ObjectId>> {
    // If a checked out branch is deleted, the reflog ends with the null object.
    let is_commit = |name: &Vec<u8>| name.iter().any(|&b| b != b'0');
    let last = read_reflog(common_dir, path)?.into_iter().rfind(is_commit);
    Ok(last.and_then(|name| ObjectId::parse(&name)))
}

/// Reads the new object of each entry in the `HEAD` reflog file of the worktree at `path`, oldest
/// first; empty without that file, as with reftables, or without a worktree registered there.
fn read_reflog(common_dir: &Path, path: &Path) -> Result<Vec<Vec<u8>>> {
    let Some(admin) = find_dir(common_dir, path)? else {
        return Ok(Vec::new());
    };
    let log = read_or_empty(&admin.join("logs/HEAD"))?;
    let lines = log.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    let new = lines.map(|line| line.split(|&b| b == b' ').nth(1).unwrap_or_default());
    Ok(new.map(<[u8]>::to_vec).collect())
}

/// Returns whether `trash` has the worktree that was at `path`, moved there by a command that was
/// killed before or just after it unregistered the worktree.
pub(crate) fn was_moved_to(common_dir: &Path, path: &Path, trash: &Path) -> Result<bool> {
    let file = none_if_missing(read_file(&trash.join("worktree").join(".git")));
    let Some(file) = file.context("could not read the removed worktree")? else {
        return Ok(false);
    };
    let named = Path::new(OsStr::from_bytes(file.trim_ascii_end())).file_name();
    let admin = find_dir(common_dir, path)?;
    Ok(admin.is_none_or(|admin| admin.file_name() == named))
}

/// Returns whether the `HEAD` reflog file of the worktree at `path` has any other commit than
/// `commit`: perhaps nothing else leads to such a commit. `false` without that file, as with
/// reftables.
pub(crate) fn has_head_moved(common_dir: &Path, path: &Path, commit: &ObjectId) -> Result<bool> {
    let heads = read_reflog(common_dir, path)?;
    Ok(heads.iter().any(|head| head != commit.as_bytes()))
}

/// Returns whether the repository has administrative directories of linked worktrees; `true` also
/// if their directory cannot be read.
pub(crate) fn has_any(common_dir: &Path) -> bool {
    !list_dir(&common_dir.join("worktrees")).is_ok_and(|entries| entries.is_empty())
}

/// Returns the administrative directory whose `gitdir` names the worktree at `path`, which need not
/// exist; `None` if there is none. Of several, the one that the worktree's `.git` file names; fails
/// if that names none of them.
pub(in crate::git) fn find_dir(common_dir: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let path_shown = path.display();
    let what = || format!("could not find git's entry of the worktree '{path_shown}'");
    let mut found = Vec::new();
    for admin in list_dir(&common_dir.join("worktrees")).with_context(what)? {
        if is_dir_of(&admin, path).with_context(what)? {
            found.push(admin);
        }
    }
    // An agent can let its `gitdir` name another task's worktree, whose `.git` file decides then.
    let named = entry_name(path);
    let is_named = |admin: &PathBuf| admin.file_name() == named.as_deref();
    match (found.iter().position(is_named), found.len()) {
        (Some(at), _) => Ok(Some(found.swap_remove(at))),
        (None, count @ 2..) => bail!("git has {count} entries of a worktree at '{path_shown}'"),
        (None, _) => Ok(found.pop()),
    }
}

fn entry_name(path: &Path) -> Option<OsString> {
    Some(linked_dir(path)?.file_name()?.to_owned())
}

/// Returns the administrative directory of the worktree that was moved from `path` to
/// `trash/worktree`; `None` if git has no worktree registered at `path`.
pub(in crate::git) fn find_moved_dir(
    common_dir: &Path,
    path: &Path,
    trash: &Path,
) -> Result<Option<PathBuf>> {
    let name = entry_name(&trash.join("worktree"));
    let admin = name.map(|name| common_dir.join("worktrees").join(name));
    match admin {
        Some(admin) if is_dir_of(&admin, path)? => Ok(Some(admin)),
        _ => find_dir(common_dir, path),
    }
}

/// Returns whether the `gitdir` of the administrative directory `admin` names the worktree at
/// `path`; `false` also if `gitdir` is missing or not a regular file.
fn is_dir_of(admin: &Path, path: &Path) -> Result<bool> {
    // It is missing while git adds or removes a worktree, or damaged.
    let Some(file) = trusted(read_small(&admin.join("gitdir")))?.flatten() else {
        return Ok(false);
    };
    let file = Path::new(OsStr::from_bytes(file.strip_suffix(b"\n").unwrap_or(&file)));
    // With worktree.useRelativePaths it is relative to the administrative directory.
    Ok(normalize(&admin.join(file)) == path.join(".git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_moved_into_returns_only_the_worktree_that_moved_with_the_repository() {
        let temp = tempfile::tempdir().unwrap();
        let write = |path: &Path, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let (old, new) = (temp.path().join("old"), temp.path().join("new"));
        let (common, path) = (new.join("repo/.git"), old.join("fix"));
        let gitdir = format!("{}/.git\n", path.display());
        write(&common.join("worktrees/fix/gitdir"), &gitdir);
        let of_other = temp.path().join("other/.git/worktrees/fix");
        write(&of_other.join("gitdir"), "");
        for (named, is_found) in [
            (old.join("repo/.git/worktrees/fix"), true),
            (old.join("repo/.git/worktrees/another"), false),
            // It belongs to a repository that exists.
            (of_other, false),
        ] {
            let text = format!("gitdir: {}\n", named.display());
            write(&new.join("fix/.git"), &text);
            let expected = is_found.then(|| new.join("fix"));
            assert_eq!(find_moved_into(&common, &new, &path), expected, "{text}");
        }
    }

    #[test]
    fn read_head_waits_until_git_has_written_a_new_file() {
        let temp = tempfile::tempdir().unwrap();
        let head = temp.path().join("HEAD");
        assert_eq!(read_head(&head).unwrap(), None);
        std::fs::write(&head, "").unwrap();
        assert_eq!(read_head(&head).unwrap(), Some(Vec::new()));
        let reader = std::thread::spawn({
            let head = head.clone();
            move || read_head_within(Duration::from_secs(60), &head).unwrap()
        });
        std::fs::write(&head, "ref: refs/heads/x\n").unwrap();
        assert_eq!(
            reader.join().unwrap(),
            Some(b"ref: refs/heads/x\n".to_vec())
        );
    }
}
