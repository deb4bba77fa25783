//! Ignored files of the checkout (`node_modules`, `.venv`, `.env`), which hooks may need.
//!
//! The scratch worktree has links to them. `info/exclude` names these, because `node_modules/` in
//! a `.gitignore` does not match a link. Files that lead back into the checkout would show hooks
//! its state before the merge: they are copied, or skipped.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::checkout_paths::names_checkout;
use super::repository::{make_dir, write as write_file};
use crate::git::worktree::exclude::pattern;
use crate::git::{Checkout, Git, ObjectId};
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;

/// An ignored file of the checkout that hooks do not see.
#[derive(Debug)]
pub(crate) enum Skipped {
    /// Contains the path of the checkout.
    NamesCheckout(PathBuf),
    /// A link of this name would not be ignored.
    NotIgnored(PathBuf),
}

/// Links the ignored files of the worktree `from` into the one at `to`, lists them in
/// `info/exclude` there, and returns those that it skips. Copies files that look for others beside
/// themselves. Makes a directory in which one of `commits` has files, because git would replace a
/// link.
pub(super) fn link(from: &Checkout, to: &Path, commits: [&ObjectId; 2]) -> Result<Vec<Skipped>> {
    let names = list_untracked(from.reading().words("ls-files --ignored"))?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let linker = Linker {
        from: from.path(),
        to,
        tracked: list_tracked_dirs(from, commits)?,
    };
    let (mut skipped, mut exclude) = (Vec::new(), Vec::new());
    for name in names {
        let path = linker.from.join(&name);
        if path.symlink_metadata().is_err() || !linker.make_parents(&name)? {
            continue;
        }
        if names_checkout(&path, linker.from) {
            skipped.push(Skipped::NamesCheckout(name));
            continue;
        }
        linker.mirror(&name, 1)?;
        exclude.extend([b"\n", &pattern(&name)[..]].concat());
    }
    let file = to.join(".git/info/exclude");
    let before = none_if_missing(read_file(&file)).context("could not read info/exclude")?;
    let before = before.unwrap_or_default();
    write_file(&file, &[&before[..], &exclude, b"\n"].concat())?;
    skipped.extend(remove_unignored(to)?);
    Ok(skipped)
}

/// Runs the given `git ls-files` command and returns what it lists: untracked files, or ignored
/// ones if it has `--ignored`, and whole directories without tracked files. Adds `--others
/// --exclude-standard --directory -z`.
fn list_untracked(git: Git) -> Result<Vec<PathBuf>> {
    let args = ["--others", "--exclude-standard", "--directory", "-z"];
    let names = git.args(args).paths()?;
    let trim_slash = |name: &PathBuf| name.components().collect();
    Ok(names.iter().map(trim_slash).collect())
}

/// Deletes the links and copies in the worktree at `path` that `git add` would stage, because a
/// `.gitignore` excludes the directory but not a link of its name. Returns their names.
fn remove_unignored(path: &Path) -> Result<Vec<Skipped>> {
    let names = list_untracked(Git::reading(path).words("ls-files"))?;
    for name in &names {
        let link = path.join(name);
        match link.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            true => fs::remove_dir_all(&link),
            false => fs::remove_file(&link),
        }
        .with_context(|| format!("could not remove '{}'", link.display()))?;
    }
    Ok(names.into_iter().map(Skipped::NotIgnored).collect())
}

/// Lists all directories in the trees of both commits:
/// `git ls-tree -d -r -z --name-only --full-tree <commit>`
fn list_tracked_dirs(checkout: &Checkout, commits: [&ObjectId; 2]) -> Result<HashSet<PathBuf>> {
    let mut tracked = HashSet::new();
    for commit in commits {
        let args = ["-d", "-r", "-z", "--name-only", "--full-tree", commit];
        tracked.extend(checkout.reading().words("ls-tree").args(args).paths()?);
    }
    Ok(tracked)
}

/// The way in which an ignored file is put into the scratch worktree.
#[derive(PartialEq, Eq)]
enum Mirror {
    Link,
    /// A directory with its entries, each mirrored.
    Entries,
    /// A copy, for a file that looks for others beside itself.
    Copy,
}

impl Mirror {
    /// Chooses between link, directory and copy for the file at `path`; `names` are the parts of
    /// its path from the ignored file or directory on, such as `node_modules`, `.bin`.
    fn of(path: &Path, names: &[&[u8]]) -> Self {
        match names {
            // Packages of the repository are links in here. They must lead to the merged files.
            [b"node_modules"] | [b"node_modules", b".bin" | [b'@', ..]] => Self::Entries,
            // PHP looks for the repository's classes relative to the autoload files.
            [b"vendor"] if path.join("composer/autoload_real.php").exists() => Self::Entries,
            [b"vendor", b"composer" | b"bin"] => Self::Entries,
            [b"vendor", b"autoload.php"] | [b"vendor", b"composer" | b"bin", _] => Self::Copy,
            // Yarn
            [b".pnp.cjs" | b".pnp.js" | b".pnp.loader.mjs" | b".pnp.data.json"] => Self::Copy,
            _ => Self::Link,
        }
    }
}

/// Mirrors ignored files from one worktree in another.
struct Linker<'a> {
    from: &'a Path,
    to: &'a Path,
    /// The directories of the commits that are merged.
    tracked: HashSet<PathBuf>,
}

impl Linker<'_> {
    /// Makes the directories above the path `name` in the scratch worktree. Returns whether nothing
    /// is at the path; `false` also if the branch has a file or link in place of one of the
    /// directories.
    fn make_parents(&self, name: &Path) -> Result<bool> {
        let mut dir = self.to.to_owned();
        for part in name.parent().into_iter().flat_map(Path::components) {
            dir.push(part);
            match dir.symlink_metadata() {
                Ok(found) if found.is_dir() => {}
                // The branch has a file or a link of this name.
                Ok(_) => return Ok(false),
                Err(_) => make_dir(&dir)?,
            }
        }
        Ok(self.to.join(name).symlink_metadata().is_err())
    }

    /// Puts the ignored file or directory `name` into the scratch worktree as a link, a copy or a
    /// directory with its entries. `depth` is the number of parts of `name` from the ignored entry
    /// itself on.
    fn mirror(&self, name: &Path, depth: usize) -> Result<()> {
        let (from, to) = (self.from.join(name), self.to.join(name));
        let what = || format!("could not link '{}'", from.display());
        let found = from.symlink_metadata().with_context(what)?;
        let names: Vec<&[u8]> = name.iter().map(OsStr::as_bytes).collect();
        match Mirror::of(&from, &names[names.len().saturating_sub(depth)..]) {
            _ if found.is_symlink() => {
                let target = fs::read_link(&from).with_context(what)?;
                let target = self.translate_target(&target, from.parent().unwrap_or(self.from));
                symlink(target, &to).with_context(what)
            }
            Mirror::Copy if found.is_file() => fs::copy(&from, &to).map(drop).with_context(what),
            kind if found.is_dir() && (kind == Mirror::Entries || self.tracked.contains(name)) => {
                make_dir(&to)?;
                for entry in fs::read_dir(&from).with_context(what)? {
                    let below = entry.with_context(what)?.file_name();
                    self.mirror(&name.join(below), depth + 1)?;
                }
                Ok(())
            }
            _ => symlink(&from, &to).with_context(what),
        }
    }

    /// Returns the target for a copy of a symbolic link that is in `dir`. A path into the checkout
    /// changes to the scratch worktree, a relative path out of the checkout becomes absolute;
    /// others stay.
    fn translate_target(&self, target: &Path, dir: &Path) -> PathBuf {
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
