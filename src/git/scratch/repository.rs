//! What a scratch repository is made after, and its git directory, but for configuration and hooks.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::hooks::Hooks;
use crate::git::regular_file::read_file;
use crate::git::worktree::tool_files::is_of_git;
use crate::git::{Checkout, Git, ObjectId, Repo};
use crate::system::optional;
use crate::task::{BranchName, RefName};

/// The repository that a scratch repository is made after.
pub(crate) struct Original<'a> {
    pub(crate) repo: &'a Repo,
    /// Where the target is checked out.
    pub(crate) checkout: Option<&'a Checkout>,
    /// The main worktree, whose configuration counts if the target is checked out nowhere; none
    /// if the repository is bare.
    pub(crate) main: Option<&'a Checkout>,
    pub(crate) hooks: &'a Hooks,
    /// Branches, and the commits at which they are to stand, wherever they are by now.
    pub(crate) branches: [(&'a BranchName, &'a ObjectId); 2],
    /// The one of them that is checked out.
    pub(crate) head: &'a BranchName,
    /// Whether the hooks run that `--no-verify` leaves out.
    pub(crate) verify: bool,
}

impl Original<'_> {
    /// Returns the worktree whose configuration counts.
    pub(super) fn place(&self) -> Option<&Checkout> {
        self.checkout.or(self.main)
    }

    pub(super) fn top(&self) -> &Path {
        self.place().map_or(self.repo.home(), Checkout::path)
    }

    pub(super) fn git_dir(&self) -> &Path {
        let common = self.repo.common_dir();
        self.place().map_or(common, Checkout::git_dir)
    }

    /// `git <subcommand>` that runs nothing: what is configured counts as it is.
    pub(super) fn asking(&self, subcommand: &str) -> Git {
        match self.place() {
            Some(checkout) => checkout.with_user_config(subcommand),
            None => Git::reading(self.repo.home(), subcommand),
        }
    }
}

/// What else is git's, or ours, in the one git directory that all worktrees share. What
/// there is besides belongs to a tool (git-lfs, git-annex), which looks for it there.
const SHARED: &str = "branches config description flux gc.pid gitweb hooks objects packed-refs \
    remotes shallow svn";

/// A file of a tool that is larger comes as a link, in bytes.
const LARGE: u64 = 1 << 20;

/// Writes it for a worktree at `path`. Refs are files there, whatever they are in the original.
/// Returns whether there is a tag that is called like a branch of the merge.
///
/// # Errors
/// When something cannot be read or written.
pub(super) fn make(original: &Original<'_>, path: &Path) -> Result<bool> {
    let git_dir = path.join(".git");
    for dir in ["objects/pack", "hooks", "info"] {
        make_dir(&git_dir.join(dir))?;
    }
    point_head(path, &original.head.full())?;
    let objects = alternate(&original.repo.common_dir().join("objects"));
    write(&git_dir.join("objects/info/alternates"), &objects)?;
    let refs = write_refs(original, &git_dir)?;
    let mut has_tag = false;
    for (branch, commit) in original.branches {
        has_tag |= refs.contains(format!("refs/tags/{branch}").as_bytes());
        let file = git_dir.join(&*branch.full());
        write(&file, format!("{commit}\n").as_bytes())?;
    }
    copy_others(original, &git_dir)?;
    Ok(has_tag)
}

/// Copies logs, `info` and what belongs to tools.
fn copy_others(original: &Original<'_>, git_dir: &Path) -> Result<()> {
    let (common, own) = (original.repo.common_dir(), original.git_dir());
    let log = Path::new("logs").join(&*original.head.full());
    copy(&own.join("logs/HEAD"), &git_dir.join("logs/HEAD"))?;
    copy(&common.join(&log), &git_dir.join(&log))?;
    copy(&common.join("shallow"), &git_dir.join("shallow"))?;
    for dir in [common, own] {
        for entry in entries(&dir.join("info"))? {
            let name = Path::new("info").join(entry.file_name());
            // What is left out is each worktree's own.
            if !name.ends_with("sparse-checkout") || dir == own {
                copy(&entry.path(), &git_dir.join(name))?;
            }
        }
        for entry in entries(dir)? {
            let (name, there) = (entry.file_name(), entry.path());
            let link = git_dir.join(&name);
            let is_known =
                is_of_git(name.as_bytes()) || SHARED.split(' ').any(|known| name == known);
            if is_known || link.symlink_metadata().is_ok() {
                continue;
            }
            // git may write a file of its own of such a name one day.
            if there.is_dir() || there.metadata().is_ok_and(|found| found.len() > LARGE) {
                make_link(&there, &link)?;
            } else {
                copy(&there, &link)?;
            }
        }
    }
    Ok(())
}

/// Has `HEAD` of the worktree at `path` name a ref.
pub(super) fn point_head(path: &Path, name: &RefName) -> Result<()> {
    write(&path.join(".git/HEAD"), format!("ref: {name}\n").as_bytes())
}

/// Writes all refs, and returns their names: `git for-each-ref`
fn write_refs(original: &Original<'_>, git_dir: &Path) -> Result<HashSet<Vec<u8>>> {
    let args = ["--format=%(objectname) %(refname) %(symref)"];
    let found = original.asking("for-each-ref").args(args).output()?;
    let mut names = HashSet::new();
    let mut packed = b"# pack-refs with: sorted \n".to_vec();
    for line in found.lines() {
        let fields: Vec<&[u8]> = line.splitn_str(3, " ").collect();
        let &[object, name, target] = &fields[..] else {
            bail!("`git for-each-ref` printed something unknown");
        };
        names.insert(name.to_owned());
        if target.is_empty() {
            packed.extend([object, b" ", name, b"\n"].concat());
        } else {
            let file = git_dir.join(name.to_path_lossy());
            write(&file, &[b"ref: ", target, b"\n"].concat())?;
        }
    }
    write(&git_dir.join("packed-refs"), &packed)?;
    Ok(names)
}

/// Returns a line of `objects/info/alternates`; one that could be misread is in quotes.
fn alternate(objects: &Path) -> Vec<u8> {
    let path = objects.as_os_str().as_bytes();
    let line = match path.contains(&b'\n') {
        true => c_quoted(path),
        false => path.to_owned(),
    };
    [&line[..], b"\n"].concat()
}

/// Returns a text in quotes, as in C.
pub(super) fn c_quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in text {
        match byte {
            b'\n' => quoted.extend(b"\\n"),
            b'\t' => quoted.extend(b"\\t"),
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

/// Makes a directory and those above it.
pub(super) fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("could not make '{}'", path.display()))
}

pub(super) fn make_link(to: &Path, path: &Path) -> Result<()> {
    symlink(to, path).with_context(|| format!("could not make '{}'", path.display()))
}

/// Writes a file of the repository, in a directory that is made for it if there is none.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    path.parent().map_or(Ok(()), make_dir)?;
    fs::write(path, bytes).with_context(|| format!("could not write '{}'", path.display()))
}

/// Copies a file, or the one that a link leads to, if there is one.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let Some(file) = from.canonicalize().ok().filter(|file| file.is_file()) else {
        return Ok(());
    };
    let bytes = read_file(&file).with_context(|| format!("could not copy '{}'", from.display()))?;
    write(to, &bytes)
}

/// Returns what is in a directory; nothing if there is none.
fn entries(dir: &Path) -> Result<Vec<fs::DirEntry>> {
    let found = optional(fs::read_dir(dir)).and_then(|found| found.into_iter().flatten().collect());
    found.with_context(|| format!("could not read '{}'", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternate_quotes_what_would_be_misread() {
        let line = |path: &str| String::from_utf8(alternate(Path::new(path))).unwrap();
        assert_eq!(line("/a b/\"c\"#"), "/a b/\"c\"#\n");
        assert_eq!(line("/a\n\"\\b"), "\"/a\\n\\\"\\\\b\"\n");
    }
}
