//! Lines in `info/exclude` that hide worktrees from the work tree around them.

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

/// The comment before each pattern of git flux in `info/exclude`.
const COMMENT: &[u8] = b"# a worktree of git flux";

/// Returns whether the parent directory of `worktree` does not exist.
pub(crate) fn is_parent_missing(worktree: &Path) -> bool {
    worktree.parent().is_some_and(|dir| !dir.exists())
}

/// Excludes a worktree, or its parent directory if that `is_new`, in `info/exclude` of the
/// repository whose work tree is around it. Does nothing if there is no such repository, or if it
/// ignores the worktree: `git check-ignore -q`. The caller holds the lock of the task's repository.
pub(crate) fn add(worktree: &Path, is_new: bool) -> Result<()> {
    let Some(around) = Repo::find_enclosing(worktree)? else {
        return Ok(());
    };
    // A leading colon would be pathspec magic.
    let name = Path::new(".").join(worktree.strip_prefix(around.path())?);
    let asked = around.reading().words("check-ignore --quiet --").arg(name);
    if asked.answer()?.is_some() {
        return Ok(());
    }
    let dir = worktree.parent().filter(|_| is_new);
    add_line(&around, dir.unwrap_or(worktree))
}

/// Removes the lines for a worktree that [`add`] added to `info/exclude`. If the worktree's parent
/// directory has such lines, too, and is empty now, removes these lines and the directory.
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
        // A file was added meanwhile.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.with_context(|| format!("could not remove '{}'", dir.display())),
    }
}

/// Returns the path of `info/exclude` in the common directory of the repository `around`.
fn exclude_file(around: &Checkout) -> PathBuf {
    around.common_dir().join("info/exclude")
}

/// Returns the two lines in `info/exclude` for a directory: the comment and the pattern.
fn lines_for(around: &Checkout, path: &Path) -> Result<Vec<u8>> {
    let pattern = pattern(path.strip_prefix(around.path())?);
    Ok([COMMENT, b"\n", &pattern, b"/\n"].concat())
}

/// Appends the lines for a directory to `info/exclude` of the repository `around`, in one write, so
/// that concurrent changes are kept. Makes the file if it is missing.
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

/// Removes the lines for a directory from `info/exclude` of the repository `around`. Returns
/// whether there were any; `false` also if the file is unreadable or a link.
fn remove_line(around: &Checkout, path: &Path) -> Result<bool> {
    let file = exclude_file(around);
    // A symbolic link is the user's and has no line of git flux.
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

/// Splits the text of `info/exclude` into the user's lines, the last one with a newline, and those
/// that [`add`] added.
pub(crate) fn split_own(text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut others, mut own) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (part, pattern) = match line == COMMENT {
            true => (&mut own, lines.next()),
            false => (&mut others, None),
        };
        for line in [Some(line), pattern].into_iter().flatten() {
            part.extend([line, b"\n"].concat());
        }
    }
    (others, own)
}

/// Returns `text` without the lines `ours`, at each place where all of them are whole lines of
/// `text`, one after another.
fn without_lines(text: &[u8], ours: &[u8]) -> Vec<u8> {
    let (mut text, ours) = ([b"\n", text].concat(), [b"\n", ours].concat());
    let mut at = 0;
    while let Some(found) = text[at..].find(&ours) {
        at += found;
        text.drain(at + 1..at + ours.len());
    }
    text.split_off(1)
}

/// Returns the `.gitignore` pattern that matches only the path `name`, from the top of the work
/// tree; a newline in it matches any character. The leading slash makes `#` literal.
pub(in crate::git) fn pattern(name: &Path) -> Vec<u8> {
    let mut pattern = vec![b'/'];
    for &byte in name.as_os_str().as_bytes() {
        match byte {
            // A newline has no escape.
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
    fn pattern_escapes_special_characters() {
        let pattern = |name: &str| String::from_utf8(pattern(Path::new(name))).unwrap();
        assert_eq!(pattern("trees/a b "), "/trees/a\\ b\\ ");
        assert_eq!(pattern("#!/[a]*?\\\n"), "/#!/\\[a]\\*\\?\\\\?");
    }

    #[test]
    fn split_own_tells_lines_of_git_flux_from_the_users() {
        let text = "*.log\n# a worktree of git flux\n/a/\n\n# mine\n/b";
        let (others, own) = split_own(text.as_bytes());
        assert_eq!(others, b"*.log\n\n# mine\n/b\n");
        assert_eq!(own, b"# a worktree of git flux\n/a/\n");
    }

    #[test]
    fn without_lines_removes_only_whole_lines() {
        let without_ours =
            |text: &str| String::from_utf8(without_lines(text.as_bytes(), b"#\n/a/\n")).unwrap();
        assert_eq!(without_ours("#\n/a/\n"), "");
        assert_eq!(without_ours("x\n#\n/a/\n/b/\n#\n/a/\n"), "x\n/b/\n");
        for other in ["##\n/a/\n", "#\n/a/b\n", "/a/\n", "#\n/a/", "#\n\n/a/\n"] {
            assert_eq!(without_ours(other), other);
        }
    }
}
