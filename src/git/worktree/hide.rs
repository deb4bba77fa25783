//! Worktrees inside of another work tree, whose `git status` and `git add` are not to see them.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;
use tempfile::NamedTempFile;

use crate::git::checkout::gitfile::{content_of, entries_of};
use crate::git::{Checkout, Repo};
use crate::system::regular_file::{REGULAR, ensure_file, read_file};

/// The ignore file of a directory that was made for worktrees.
const IGNORE: &[u8] = b"# git flux made this directory for worktrees\n*\n";

/// The line before each of ours in `info/exclude`.
const MARK: &[u8] = b"# a worktree of git flux";

/// Returns whether `git worktree add` has to make the directory in which `worktree` is to be.
pub(crate) fn is_dir_missing(worktree: &Path) -> bool {
    worktree.parent().is_some_and(|dir| !dir.exists())
}

/// Hides a worktree from the work tree that it lies in, unless it is ignored there already:
/// `git check-ignore -q`. A directory that was made for it, as `is_new` says, gets a
/// `.gitignore`; any other is the user's, so that its name goes into `info/exclude`. The caller
/// holds the lock of its repository.
///
/// # Errors
/// When it stays visible.
pub(crate) fn hide(worktree: &Path, is_new: bool) -> Result<()> {
    let Some(around) = Repo::enclosing(worktree)? else {
        return Ok(());
    };
    if is_ignored(&around, worktree)? {
        return Ok(());
    }
    match worktree.parent() {
        // Another may have put one there meanwhile.
        Some(dir) if is_new => make_ignore_file(dir).or_else(|_| add_line(&around, worktree)),
        _ => add_line(&around, worktree),
    }
}

/// Takes away what [`hide`] has added, and a directory that is of no use any more.
///
/// # Errors
/// When something stays.
pub(crate) fn forget(worktree: &Path) -> Result<()> {
    let Some(around) = Repo::enclosing(worktree)? else {
        return Ok(());
    };
    remove_line(&around, worktree)?;
    worktree.parent().map_or(Ok(()), remove_dir)
}

fn is_ignored(around: &Checkout, worktree: &Path) -> Result<bool> {
    // A name that begins with a colon would be more than a name.
    let name = Path::new(".").join(worktree.strip_prefix(around.path())?);
    let git = around.reading("check-ignore").args(["--quiet", "--"]);
    Ok(git.arg(name).answer()?.is_some())
}

fn make_ignore_file(dir: &Path) -> Result<()> {
    let file = dir.join(".gitignore");
    let made = OpenOptions::new().write(true).create_new(true).open(&file);
    let written = made.and_then(|mut made| made.write_all(IGNORE));
    written.with_context(|| format!("could not write '{}'", file.display()))
}

/// Returns whether a file is the ignore file of a directory that was made for worktrees.
pub(in crate::git) fn is_ignore_file(path: &Path) -> bool {
    path.ends_with(".gitignore") && read_file(path).is_ok_and(|text| text == IGNORE)
}

/// Removes a directory in which nothing is left but the ignore file that was made with it.
fn remove_dir(dir: &Path) -> Result<()> {
    let ignore = dir.join(".gitignore");
    if !is_ignore_file(&ignore) {
        return Ok(());
    }
    let what = || format!("could not remove '{}'", dir.display());
    if entries_of(dir)?.len() > 1 {
        return Ok(());
    }
    fs::remove_file(&ignore).with_context(what)?;
    match fs::remove_dir(dir) {
        // Somebody has just put something there.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.with_context(what),
    }
}

/// `$GIT_COMMON_DIR/info/exclude`
fn exclude_file(around: &Checkout) -> PathBuf {
    around.common_dir().join("info/exclude")
}

/// Adds the mark and the pattern of a worktree to `info/exclude`, in one write: what others add
/// meanwhile stays.
fn add_line(around: &Checkout, worktree: &Path) -> Result<()> {
    let file = exclude_file(around);
    let what = || format!("could not write '{}'", file.display());
    let pattern = pattern(worktree.strip_prefix(around.path())?);
    let old = content_of(&file)?;
    let is_whole = old.is_empty() || old.ends_with(b"\n");
    let end = if is_whole { &b""[..] } else { b"\n" };
    let add = || -> io::Result<()> {
        fs::create_dir_all(around.common_dir().join("info"))?;
        let mut options = OpenOptions::new();
        let options = options.append(true).create(true).custom_flags(REGULAR);
        let mut file = options.open(&file)?;
        ensure_file(&file)?;
        file.write_all(&[end, MARK, b"\n", &pattern, b"/\n"].concat())
    };
    add().with_context(what)
}

/// Removes each pattern of a worktree with the mark before it.
fn remove_line(around: &Checkout, worktree: &Path) -> Result<()> {
    let file = exclude_file(around);
    let what = || format!("could not write '{}'", file.display());
    // A link is the user's, and none of ours is in it.
    let Ok(old) = read_file(&file) else {
        return Ok(());
    };
    let pattern = pattern(worktree.strip_prefix(around.path())?);
    let new = without(&old, &[MARK, b"\n", &pattern, b"/\n"].concat());
    if new == old {
        return Ok(());
    }
    let write = || -> io::Result<()> {
        let mode = file.metadata()?.permissions();
        let mut part = NamedTempFile::new_in(around.common_dir().join("info"))?;
        part.write_all(&new)?;
        part.as_file().set_permissions(mode)?;
        part.persist(&file)?;
        Ok(())
    };
    write().with_context(what)
}

/// Returns `text` without the lines `ours`, wherever they stand.
fn without(text: &[u8], ours: &[u8]) -> Vec<u8> {
    let (mut text, ours) = ([b"\n", text].concat(), [b"\n", ours].concat());
    let mut at = 0;
    while let Some(found) = text[at..].find(&ours) {
        at += found;
        text.drain(at + 1..at + ours.len());
    }
    text.split_off(1)
}

/// Returns the pattern that matches the path `name` of a work tree, and no other. It begins with a
/// slash, so that a `#` means no more than itself there.
pub(in crate::git) fn pattern(name: &Path) -> Vec<u8> {
    let mut pattern = vec![b'/'];
    for &byte in name.as_os_str().as_bytes() {
        match byte {
            // There is no other way to write it.
            b'\n' => pattern.push(b'?'),
            b'*' | b'?' | b'[' | b'\\' | b' ' => pattern.extend([b'\\', byte]),
            _ => pattern.push(byte),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_escaped() {
        let pattern = |name: &str| String::from_utf8(pattern(Path::new(name))).unwrap();
        assert_eq!(pattern("trees/a b "), "/trees/a\\ b\\ ");
        assert_eq!(pattern("#!/[a]*?\\\n"), "/#!/\\[a]\\*\\?\\\\?");
    }

    #[test]
    fn only_whole_lines_are_taken_away() {
        let without =
            |text: &str| String::from_utf8(without(text.as_bytes(), b"#\n/a/\n")).unwrap();
        assert_eq!(without("#\n/a/\n"), "");
        assert_eq!(without("x\n#\n/a/\n/b/\n#\n/a/\n"), "x\n/b/\n");
        for other in ["##\n/a/\n", "#\n/a/b\n", "/a/\n", "#\n/a/", "#\n\n/a/\n"] {
            assert_eq!(without(other), other);
        }
    }
}
