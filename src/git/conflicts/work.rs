//! The tree of a worktree with its uncommitted and untracked files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use super::quarantine::Quarantine;
use crate::failure::Failure;
use crate::git::changes::snapshot;
use crate::git::checkout::gitfile::lstat;
use crate::git::ls_tree::EntryKind;
use crate::git::repo::tree::TreeFile;
use crate::git::{Change, Checkout, ObjectId};
use crate::sanitize::shown;

/// The size in bytes above which a file is not compared: each look at a task would write it to
/// the directory for temporary files.
const LARGE_FILE_BYTES: u64 = 100 << 20;

impl Quarantine {
    /// Returns the tree that a commit of all files of a worktree would have: the tree of its commit
    /// `head` with `changes`, which [`full_status`](crate::git::full_status) has listed. Writes to
    /// the quarantine alone, with one `git hash-object`; makes a snapshot as
    /// [`snapshot::preview_commit_with_hidden`] does where that is not enough, as with changed
    /// submodules. Fails if a file has more than 100 MiB.
    pub(crate) fn write_work(
        &self,
        checkout: &Checkout,
        head: &ObjectId,
        changes: &[Change],
    ) -> Result<ObjectId> {
        let checkout = self.redirect(checkout);
        ensure_small(&checkout, changes)?;
        if !changes.iter().any(needs_index)
            && let Ok(tree) = self.update(&checkout, head, changes)
        {
            return Ok(tree);
        }
        let commit = snapshot::preview_commit_with_hidden(&checkout, head)?;
        self.objects().tree_of(&commit)
    }

    fn update(&self, checkout: &Checkout, head: &ObjectId, changes: &[Change]) -> Result<ObjectId> {
        let mut kinds: BTreeMap<PathBuf, Option<EntryKind>> = BTreeMap::new();
        for change in changes.iter().filter(|change| !change.is_ignored()) {
            let kind = match change.is_untracked() {
                true => Some(kind_of(&checkout.path().join(&change.path))?),
                false => change.kind,
            };
            // A file that was removed from the index may be there, untracked.
            if kind.is_some() || !kinds.contains_key(&change.path) {
                kinds.insert(change.path.clone(), kind);
            }
        }
        let is_file = |(_, kind): &(&PathBuf, &Option<EntryKind>)| {
            matches!(kind, Some(EntryKind::File | EntryKind::Executable))
        };
        let hashed: Vec<&PathBuf> = kinds.iter().filter(is_file).map(|(path, _)| path).collect();
        let mut hashes = write_files(checkout, &hashed)?.into_iter();
        let mut files = BTreeMap::new();
        for (path, kind) in &kinds {
            let object = match kind {
                None => None,
                Some(EntryKind::Link) => {
                    let target = fs::read_link(checkout.path().join(path))?;
                    Some(self.objects().write_blob(target.as_os_str().as_bytes())?)
                }
                Some(_) => Some(hashes.next().context("too few objects")?),
            };
            let file = object.zip(*kind);
            let file = file.map(|(object, kind)| TreeFile { object, kind });
            files.insert(path.clone(), file);
        }
        let base = self.objects().tree_of(head)?;
        self.objects().update_tree(&base, &files)
    }
}

/// Fails if one of the files is too large to compare.
fn ensure_small(checkout: &Checkout, changes: &[Change]) -> Result<()> {
    for change in changes.iter().filter(|change| !change.is_ignored()) {
        let found = lstat(&checkout.path().join(&change.path))?;
        if found.is_some_and(|found| found.is_file() && found.len() > LARGE_FILE_BYTES) {
            let what = format!("the file '{}' is too large to compare", shown(&change.path));
            bail!(Failure::new(what).hint("move such files, or add them to .gitignore"));
        }
    }
    Ok(())
}

/// Returns whether a change can only be added by `git add`: of a submodule or nested repository, or
/// of a file whose name `git hash-object` cannot read.
fn needs_index(change: &Change) -> bool {
    let name = change.path.as_os_str().as_bytes();
    let is_other = matches!(change.kind, Some(EntryKind::Other | EntryKind::Directory));
    // git unquotes names, and takes a line that ends in CR LF without both.
    let is_odd = name.contains(&b'\n') || name.starts_with(b"\"") || name.ends_with(b"\r");
    change.is_submodule || change.is_repository() || is_other || is_odd
}

/// Returns the kind of an untracked file as `git add` sees it. Fails if it is gone, or neither a
/// file nor a link.
fn kind_of(path: &Path) -> Result<EntryKind> {
    let found = lstat(path)?.context("a file is gone")?;
    Ok(match found.file_type() {
        kind if kind.is_symlink() => EntryKind::Link,
        kind if kind.is_file() && found.mode() & 0o100 != 0 => EntryKind::Executable,
        kind if kind.is_file() => EntryKind::File,
        _ => bail!("'{}' is no file", path.display()),
    })
}

/// Writes files of a worktree as objects, through their filters except LFS, and returns their
/// names: `git hash-object -w --stdin-paths`
fn write_files(checkout: &Checkout, files: &[&PathBuf]) -> Result<Vec<ObjectId>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for file in files {
        // git would follow a link, and wait for a FIFO.
        match kind_of(&checkout.path().join(file))? {
            EntryKind::Link => bail!("'{}' is no file any more", file.display()),
            _ => names.extend([file.as_os_str().as_bytes(), b"\n"].concat()),
        }
    }
    let git = snapshot::without_lfs(checkout.reading().words("hash-object -w --stdin-paths"));
    let out = git.input(names).output()?;
    let hashes: Option<Vec<_>> = out.lines().map(ObjectId::parse).collect();
    let hashes = hashes.filter(|hashes| hashes.len() == files.len());
    hashes.context("`git hash-object` printed no object name")
}
