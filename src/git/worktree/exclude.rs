//! Worktrees inside of another work tree, whose `git status` and `git add` are not to see them.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;
use tempfile::NamedTempFile;

use crate::git::checkout::gitfile::{list_dir, read_or_empty};
use crate::git::{Checkout, Repo};
use crate::system::regular_file::{REGULAR, ensure_file, read_file};

/// The line before each of ours in `info/exclude`.
const COMMENT: &[u8] = b"# a worktree of git flux";

/// Returns whether `git worktree add` has to make the directory in which `worktree` is to be.
pub(crate) fn is_dir_missing(worktree: &Path) -> bool {
    worktree.parent().is_some_and(|dir| !dir.exists())
}

/// Hides a worktree from the work tree that it lies in, unless it is ignored there already, by a line
/// in `info/exclude`: `git check-ignore -q`. It names the directory that the worktree is in, if that was
/// made for it, as `is_new` says. The caller holds the lock of its repository.
///
/// # Errors
/// When it stays visible.
pub(crate) fn add(worktree: &Path, is_new: bool) -> Result<()> {
    let Some(around) = Repo::find_enclosing(worktree)? else {
        return Ok(());
    };
    // A name that begins with a colon would be more than a name.
    let name = Path::new(".").join(worktree.strip_prefix(around.path())?);
    let asked = around.reading("check-ignore --quiet --").arg(name);
    if asked.answer()?.is_some() {
        return Ok(());
    }
    let dir = worktree.parent().filter(|_| is_new);
    add_line(&around, dir.unwrap_or(worktree))
}

/// Takes away what [`hide`] has added, and a directory that was made for worktrees with the last of
/// them.
///
/// # Errors
/// When something stays.
pub(crate) fn remove(worktree: &Path) -> Result<()> {
    let Some(around) = Repo::find_enclosing(worktree)? else {
        return Ok(());
    };
    remove_line(&around, worktree)?;
    let dir = worktree.parent().filter(|dir| dir.is_dir());
    let Some(dir) = dir else { return Ok(()) };
    if !list_dir(dir)?.is_empty() || !remove_line(&around, dir)? {
        return Ok(());
    }
    match fs::remove_dir(dir) {
        // Somebody has just put something there.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.with_context(|| format!("could not remove '{}'", dir.display())),
    }
}

/// `$GIT_COMMON_DIR/info/exclude`
fn exclude_file(around: &Checkout) -> PathBuf {
    around.common_dir().join("info/exclude")
}

/// The lines in `info/exclude` for a path.
fn lines_for(around: &Checkout, path: &Path) -> Result<Vec<u8>> {
    let pattern = pattern(path.strip_prefix(around.path())?);
    Ok([COMMENT, b"\n", &pattern, b"/\n"].concat())
}

/// Adds the mark and the pattern of a path to `info/exclude`, in one write: what others add
/// meanwhile stays.
fn add_line(around: &Checkout, path: &Path) -> Result<()> {
    let file = exclude_file(around);
    let lines = lines_for(around, path)?;
    let old = read_or_empty(&file)?;
    let is_whole = old.is_empty() || old.ends_with(b"\n");
    let end = if is_whole { &b""[..] } else { b"\n" };
    let add = || -> io::Result<()> {
        fs::create_dir_all(around.common_dir().join("info"))?;
        let mut options = OpenOptions::new();
        let options = options.append(true).create(true).custom_flags(REGULAR);
        let mut file = options.open(&file)?;
        ensure_file(&file)?;
        file.write_all(&[end, &lines].concat())
    };
    add().with_context(|| format!("could not write '{}'", file.display()))
}

/// Removes each pattern of a path with the mark before it. Returns whether there was any.
fn remove_line(around: &Checkout, path: &Path) -> Result<bool> {
    let file = exclude_file(around);
    // A link is the user's, and none of ours is in it.
    let old = read_file(&file).unwrap_or_default();
    let new = without_lines(&old, &lines_for(around, path)?);
    if new == old {
        return Ok(false);
    }
    let write = || -> io::Result<()> {
        let mode = file.metadata()?.permissions();
        let mut part = NamedTempFile::new_in(around.common_dir().join("info"))?;
        part.write_all(&new)?;
        part.as_file().set_permissions(mode)?;
        part.persist(&file)?;
        Ok(())
    };
    write().with_context(|| format!("could not write '{}'", file.display()))?;
    Ok(true)
}

/// Returns `text` without the lines `ours`, wherever they stand.
fn without_lines(text: &[u8], ours: &[u8]) -> Vec<u8> {
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
            |text: &str| String::from_utf8(without_lines(text.as_bytes(), b"#\n/a/\n")).unwrap();
        assert_eq!(without_lines("#\n/a/\n"), "");
        assert_eq!(without_lines("x\n#\n/a/\n/b/\n#\n/a/\n"), "x\n/b/\n");
        for other in ["##\n/a/\n", "#\n/a/b\n", "/a/\n", "#\n/a/", "#\n\n/a/\n"] {
            assert_eq!(without_lines(other), other);
        }
    }
}
