//! Ignored things of the checkout (`node_modules`, `.venv`, `.env`), which hooks look for.
//!
//! They are links, and kept out of `git add` and `git status` by an `info/exclude` of its own, since
//! `node_modules/` in a `.gitignore` does not mean a link. What leads back into the checkout would
//! have hooks look at files from before the merge: such things are made anew, or not shown.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::checkout_paths::names_checkout;
use super::repository::{make_dir, write as write_file};
use crate::git::regular_file::read_file;
use crate::git::worktree::exclude::pattern;
use crate::git::{Checkout, Git, ObjectId};
use crate::system::optional;

/// An ignored thing of the checkout that hooks do not see.
#[derive(Debug)]
pub(crate) enum LeftOut {
    /// It names the checkout by its path.
    NamesCheckout(PathBuf),
    /// A link in its place would not be ignored.
    NotIgnored(PathBuf),
}

/// Links them into the worktree at `to`. A directory in which one of `commits` has files is one
/// there too: git would put such a file in the place of a link. Returns those that are left out.
///
/// # Errors
/// When git fails or a link cannot be made.
pub(super) fn link(from: &Checkout, to: &Path, commits: [&ObjectId; 2]) -> Result<Vec<LeftOut>> {
    let names = untracked(from.reading("ls-files").arg("--ignored"))?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let linker = Linker {
        from: from.path(),
        to,
        tracked: tracked(from, commits)?,
    };
    let (mut left_out, mut exclude) = (Vec::new(), Vec::new());
    for name in names {
        let there = linker.from.join(&name);
        if there.symlink_metadata().is_err() || !linker.has_room(&name)? {
            continue;
        }
        if names_checkout(&there, linker.from) {
            left_out.push(LeftOut::NamesCheckout(name));
            continue;
        }
        linker.put(&name, 1)?;
        exclude.extend([b"\n", &pattern(&name)[..]].concat());
    }
    let file = to.join(".git/info/exclude");
    let before = optional(read_file(&file)).context("could not read info/exclude")?;
    let before = before.unwrap_or_default();
    write_file(&file, &[&before[..], &exclude, b"\n"].concat())?;
    left_out.extend(remove_visible(to)?);
    Ok(left_out)
}

/// Returns untracked files, and directories in which all are:
/// `git ls-files --others --exclude-standard --directory -z`
fn untracked(git: Git) -> Result<Vec<PathBuf>> {
    let args = ["--others", "--exclude-standard", "--directory", "-z"];
    let names = git.args(args).paths()?;
    // Without the slash at the end of a directory.
    let without_slash = |name: &PathBuf| name.components().collect();
    Ok(names.iter().map(without_slash).collect())
}

/// Removes the links that `git add` would stage all the same, since a `.gitignore` says that they are
/// not ignored, unlike the directories that they stand for.
fn remove_visible(path: &Path) -> Result<Vec<LeftOut>> {
    let names = untracked(Git::reading(path, "ls-files"))?;
    for name in &names {
        let link = path.join(name);
        match link.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            true => fs::remove_dir_all(&link),
            false => fs::remove_file(&link),
        }
        .with_context(|| format!("could not remove '{}'", link.display()))?;
    }
    Ok(names.into_iter().map(LeftOut::NotIgnored).collect())
}

/// Returns the directories in which the commits have files: `git ls-tree -d -r -z --name-only
/// --full-tree <commit>`
fn tracked(checkout: &Checkout, commits: [&ObjectId; 2]) -> Result<HashSet<PathBuf>> {
    let mut tracked = HashSet::new();
    for commit in commits {
        let args = ["-d", "-r", "-z", "--name-only", "--full-tree", commit];
        tracked.extend(checkout.reading("ls-tree").args(args).paths()?);
    }
    Ok(tracked)
}

/// How an ignored thing, or what is in it, is shown to hooks.
#[derive(PartialEq, Eq)]
enum Shown {
    /// As a link to it.
    Link,
    /// As a directory with its entries in it.
    Entries,
    /// As a copy: it looks for other files beside where it is itself.
    Copy,
}

impl Shown {
    /// Returns how what is at `there` is shown, by the names from that of the ignored thing on.
    fn of(there: &Path, names: &[&[u8]]) -> Self {
        match names {
            // Packages of the same repository are links from here to where they are: they have to
            // lead to what is merged.
            [b"node_modules"] | [b"node_modules", b".bin" | [b'@', ..]] => Self::Entries,
            // PHP looks for the classes of the repository beside the file that says which there are.
            [b"vendor"] if there.join("composer/autoload_real.php").exists() => Self::Entries,
            [b"vendor", b"composer" | b"bin"] => Self::Entries,
            [b"vendor", b"autoload.php"] | [b"vendor", b"composer" | b"bin", _] => Self::Copy,
            // Yarn's.
            [b".pnp.cjs" | b".pnp.js" | b".pnp.loader.mjs" | b".pnp.data.json"] => Self::Copy,
            _ => Self::Link,
        }
    }
}

/// The worktree that things are in, and the one that they come to.
struct Linker<'a> {
    from: &'a Path,
    to: &'a Path,
    /// The directories in which there are files of the merge.
    tracked: HashSet<PathBuf>,
}

impl Linker<'_> {
    /// Makes the directories above a path, and returns whether there is nothing at it.
    fn has_room(&self, name: &Path) -> Result<bool> {
        let mut dir = self.to.to_owned();
        for part in name.parent().into_iter().flat_map(Path::components) {
            dir.push(part);
            match dir.symlink_metadata() {
                Ok(found) if found.is_dir() => {}
                // Whatever the branch has there leads elsewhere.
                Ok(_) => return Ok(false),
                Err(_) => make_dir(&dir)?,
            }
        }
        Ok(self.to.join(name).symlink_metadata().is_err())
    }

    /// Shows what has this name, the last `depth` parts of which begin with an ignored thing.
    fn put(&self, name: &Path, depth: usize) -> Result<()> {
        let (there, here) = (self.from.join(name), self.to.join(name));
        let what = || format!("could not link '{}'", there.display());
        let found = there.symlink_metadata().with_context(what)?;
        let names: Vec<&[u8]> = name.iter().map(OsStr::as_bytes).collect();
        match Shown::of(&there, &names[names.len().saturating_sub(depth)..]) {
            _ if found.is_symlink() => {
                let target = fs::read_link(&there).with_context(what)?;
                let target = self.moved(&target, there.parent().unwrap_or(self.from));
                symlink(target, &here).with_context(what)
            }
            Shown::Copy if found.is_file() => fs::copy(&there, &here).map(drop).with_context(what),
            shown if found.is_dir() && (shown == Shown::Entries || self.tracked.contains(name)) => {
                make_dir(&here)?;
                for entry in fs::read_dir(&there).with_context(what)? {
                    let below = entry.with_context(what)?.file_name();
                    self.put(&name.join(below), depth + 1)?;
                }
                Ok(())
            }
            _ => symlink(&there, &here).with_context(what),
        }
    }

    /// Returns where a link in `dir` leads: the same text, but for one that names the checkout by its
    /// path, or that leads out of it.
    fn moved(&self, target: &Path, dir: &Path) -> PathBuf {
        if let Ok(below) = target.strip_prefix(self.from) {
            return self.to.join(below);
        }
        let mut place = dir.to_owned();
        for part in target.components() {
            match part {
                Component::ParentDir => drop(place.pop()),
                part => place.push(part),
            }
        }
        match place.starts_with(self.from) {
            true => target.to_owned(),
            false => place,
        }
    }
}
