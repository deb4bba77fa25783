//! Ignored things of the checkout (`node_modules`, `.venv`, `.env`), which hooks look for.
//!
//! They are links, and kept out of `git add` and `git status` by an `info/exclude` of its own, since
//! `node_modules/` in a `.gitignore` does not mean a link. What leads back into the checkout would
//! have hooks look at files from before the merge: such things are made anew, or not shown.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::checkout_paths::names_checkout;
use super::files::{make_dir, write as write_file};
use crate::git::command::records::records;
use crate::git::regular_file::read_file;
use crate::git::worktree::hide::pattern;
use crate::git::{Checkout, Git, ObjectId};

/// Links them into the worktree at `path`: `git ls-files --others --ignored --exclude-standard
/// --directory -z`. A directory in which one of `commits` has files is one there too: git would put
/// such a file in the place of a link. Returns those that are left out.
///
/// # Errors
/// When git fails or a link cannot be made.
pub(super) fn link(
    checkout: &Checkout,
    path: &Path,
    commits: [&ObjectId; 2],
) -> Result<Vec<LeftOut>> {
    let list = checkout.reading("ls-files").args(["--others", "--ignored"]);
    let list = list.args(["--exclude-standard", "--directory", "-z"]);
    let out = list.output()?;
    let names: Vec<&[u8]> = records(&out)?.collect();
    let linker = Linker {
        from: checkout.path(),
        to: path,
        tracked: tracked(checkout, &names, commits)?,
    };
    let mut left_out = Vec::new();
    let mut exclude = Vec::new();
    for record in names {
        let name = Path::new(OsStr::from_bytes(
            record.strip_suffix(b"/").unwrap_or(record),
        ));
        let there = linker.from.join(name);
        if there.symlink_metadata().is_err() || !linker.has_room(name)? {
            continue;
        }
        if names_checkout(&there, linker.from) {
            left_out.push(LeftOut::NamesCheckout(name.to_owned()));
            continue;
        }
        linker.put(name)?;
        exclude.extend([&pattern(name)[..], b"\n"].concat());
    }
    if !exclude.is_empty() {
        let file = path.join(".git/info/exclude");
        let before = match file.symlink_metadata() {
            Ok(_) => read_file(&file).context("could not read info/exclude")?,
            Err(_) => Vec::new(),
        };
        write_file(&file, &[&before[..], b"\n", &exclude].concat())?;
        left_out.extend(remove_visible(path)?);
    }
    Ok(left_out)
}

/// Removes the links that `git add` would stage all the same, since a `.gitignore` says that they are
/// not ignored, unlike the directories that they stand for: `git ls-files --others --exclude-standard
/// --directory -z`.
fn remove_visible(path: &Path) -> Result<Vec<LeftOut>> {
    let args = ["--others", "--exclude-standard", "--directory", "-z"];
    let out = Git::reading(path, "ls-files").args(args).output()?;
    let mut removed = Vec::new();
    for record in records(&out)? {
        let record = record.strip_suffix(b"/").unwrap_or(record);
        let name = Path::new(OsStr::from_bytes(record));
        let link = path.join(name);
        let is_dir = link.symlink_metadata().is_ok_and(|found| found.is_dir());
        match is_dir {
            true => fs::remove_dir_all(&link),
            false => fs::remove_file(&link),
        }
        .with_context(|| format!("could not remove '{}'", link.display()))?;
        removed.push(LeftOut::NotIgnored(name.to_owned()));
    }
    Ok(removed)
}

/// An ignored thing of the checkout that hooks do not see.
#[derive(Debug)]
pub(crate) enum LeftOut {
    /// It names the checkout by its path.
    NamesCheckout(PathBuf),
    /// A link in its place would not be ignored.
    NotIgnored(PathBuf),
}

/// The directories, of those and below them, in which the commits have files: `git ls-tree -r -z
/// --name-only --full-tree <commit>`
fn tracked(
    checkout: &Checkout,
    names: &[&[u8]],
    commits: [&ObjectId; 2],
) -> Result<HashSet<PathBuf>> {
    let mut tracked = HashSet::new();
    if !names.iter().any(|name| name.ends_with(b"/")) {
        return Ok(tracked);
    }
    for commit in commits {
        let args = ["-r", "-z", "--name-only", "--full-tree", commit];
        for file in records(&checkout.reading("ls-tree").args(args).output()?)? {
            let dirs = Path::new(OsStr::from_bytes(file)).ancestors().skip(1);
            for dir in dirs {
                if !tracked.insert(dir.to_owned()) {
                    break;
                }
            }
        }
    }
    Ok(tracked)
}

/// How an entry of a directory is shown to hooks.
#[derive(Clone, Copy)]
enum Shown {
    /// As a link to it.
    Link,
    /// As a directory with its entries in it.
    Entries(fn(&OsStr) -> Self),
    /// As a copy: it looks for other files beside where it is itself.
    Copy,
}

impl Shown {
    /// How the entry called `name` at `there` is shown.
    fn of(there: &Path, name: &OsStr) -> Self {
        let is_composers = || there.join("composer/autoload_real.php").exists();
        match name.as_bytes() {
            b"node_modules" if there.is_dir() => Self::Entries(in_node_modules),
            b"vendor" if is_composers() => Self::Entries(in_vendor),
            // Yarn's.
            b".pnp.cjs" | b".pnp.js" | b".pnp.loader.mjs" | b".pnp.data.json" => Self::Copy,
            _ => Self::Link,
        }
    }
}

/// Packages of the same repository are links from here to where they are: they have to lead to
/// what is merged.
fn in_node_modules(name: &OsStr) -> Shown {
    match name.as_bytes() {
        b".bin" | [b'@', ..] => Shown::Entries(|_| Shown::Link),
        _ => Shown::Link,
    }
}

/// PHP looks for the classes of the repository beside the file that says which there are.
fn in_vendor(name: &OsStr) -> Shown {
    match name.as_bytes() {
        b"autoload.php" => Shown::Copy,
        b"composer" | b"bin" => Shown::Entries(|_| Shown::Copy),
        _ => Shown::Link,
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
            let Component::Normal(part) = part else {
                return Ok(false);
            };
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

    fn put(&self, name: &Path) -> Result<()> {
        let shown = Shown::of(&self.from.join(name), name.file_name().unwrap_or_default());
        self.put_by(name, shown)
    }

    fn put_by(&self, name: &Path, shown: Shown) -> Result<()> {
        let (there, here) = (self.from.join(name), self.to.join(name));
        let what = || format!("could not link '{}'", there.display());
        let found = there.symlink_metadata().with_context(what)?;
        match shown {
            _ if found.is_symlink() => {
                let target = fs::read_link(&there).with_context(what)?;
                let target = self.moved(&target, there.parent().unwrap_or(self.from));
                symlink(target, &here).with_context(what)
            }
            Shown::Link if found.is_dir() && self.tracked.contains(name) => {
                self.put_by(name, Shown::Entries(|_| Shown::Link))
            }
            Shown::Entries(shown) if found.is_dir() => {
                make_dir(&here)?;
                let entries = fs::read_dir(&there).with_context(what)?;
                for entry in entries {
                    let entry: DirEntry = entry.with_context(what)?;
                    let below = entry.file_name();
                    self.put_by(&name.join(&below), shown(&below))?;
                }
                Ok(())
            }
            Shown::Copy if found.is_file() => fs::copy(&there, &here).map(drop).with_context(what),
            _ => symlink(&there, &here).with_context(what),
        }
    }

    /// Where a link in `dir` leads: the same text, but for one that names the checkout by its path,
    /// or that leads out of it.
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
