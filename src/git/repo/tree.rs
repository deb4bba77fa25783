//! Trees: their differences by path, files in them, and trees that are made from others.

use std::collections::btree_map::{self, BTreeMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;
use git2::{ErrorCode, ObjectType, Oid, Tree, TreeBuilder};

use super::Repo;
use super::tree_changes::{TreeChange, ensure_depth, is_tree};
use crate::git::ObjectId;
use crate::git::conflicts::touched::Touched;
use crate::git::ls_tree::EntryKind;

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct TreeFile {
    pub(in crate::git) object: ObjectId,
    pub(in crate::git) kind: EntryKind,
}

/// The changes in one directory of a tree: what is at each name, and what is below.
type Level<'a> = BTreeMap<&'a [u8], Node<'a>>;

#[derive(Default)]
struct Node<'a> {
    file: Option<&'a TreeFile>,
    below: Vec<(&'a [u8], Option<&'a TreeFile>)>,
}

/// A directory that is being written.
struct OpenTree<'a> {
    /// Its name in the directory above.
    name: &'a [u8],
    builder: TreeBuilder<'a>,
    /// The changes that are left to be made.
    changes: btree_map::IntoIter<&'a [u8], Node<'a>>,
}

impl Repo {
    /// Writes a blob and returns its name.
    pub(in crate::git) fn write_blob(&self, bytes: &[u8]) -> Result<ObjectId> {
        Ok(self.git2.blob(bytes)?.to_string().into())
    }

    /// Returns the content of a blob.
    pub(crate) fn read_blob(&self, blob: &ObjectId) -> Result<Vec<u8>> {
        Ok(self.git2.find_blob(self.oid(blob)?)?.content().to_vec())
    }

    /// Returns the object of the file or link at `path` in a tree; `None` if there is none.
    pub(crate) fn blob_at(&self, tree: &ObjectId, path: &Path) -> Result<Option<ObjectId>> {
        Ok(self.find_path(tree, path)?.map(|file| file.object))
    }

    /// Returns the content of the file or link at `path` in a tree; `None` if there is none.
    pub(in crate::git) fn read_path(
        &self,
        tree: &ObjectId,
        path: &Path,
    ) -> Result<Option<Vec<u8>>> {
        let entry = match self.tree(tree)?.get_path(path) {
            Ok(entry) if entry.kind() == Some(ObjectType::Blob) => entry,
            Ok(_) => return Ok(None),
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(self.git2.find_blob(entry.id())?.content().to_vec()))
    }

    /// Returns the file, link or submodule at `path` in a tree; `None` if there is none.
    pub(in crate::git) fn find_path(
        &self,
        tree: &ObjectId,
        path: &Path,
    ) -> Result<Option<TreeFile>> {
        let entry = match self.tree(tree)?.get_path(path) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mode = format!("{:06o}", entry.filemode());
        let kind = EntryKind::of_mode(mode.as_bytes()).context("an entry without a mode")?;
        let object = entry.id().to_string().into();
        Ok((kind != EntryKind::Directory).then_some(TreeFile { object, kind }))
    }

    /// Writes the tree `base` with files added, replaced or, for `None`, removed, and returns its
    /// name. A removal of what is not there changes nothing; a file that takes the place of a
    /// directory, or the reverse, replaces it. Fails for a path that is deeper than git goes.
    pub(in crate::git) fn update_tree(
        &self,
        base: &ObjectId,
        files: &BTreeMap<PathBuf, Option<TreeFile>>,
    ) -> Result<ObjectId> {
        for path in files.keys() {
            ensure_depth(path.ancestors().skip(2).count())?;
        }
        let files = files.iter();
        let files = files.map(|(path, file)| (path.as_os_str().as_bytes(), file.as_ref()));
        match self.write_tree(&self.tree(base)?, files.collect())? {
            Some(tree) => Ok(tree.to_string().into()),
            None => self.empty_tree(),
        }
    }

    /// Writes the tree `base` with changed files; `None` if it would be empty.
    fn write_tree(
        &self,
        base: &Tree,
        files: Vec<(&[u8], Option<&TreeFile>)>,
    ) -> Result<Option<Oid>> {
        // Calls inside one another would need more stack than a thread has.
        let mut open = vec![self.open_tree(b"", Some(base), files)?];
        while let Some(tree) = open.last_mut() {
            if let Some((name, node)) = tree.changes.next() {
                if let Some(below) = self.change_entry(tree, name, node)? {
                    open.push(below);
                }
                continue;
            }
            let written = match tree.builder.len() {
                0 => None,
                _ => Some(tree.builder.write()?),
            };
            let name = tree.name;
            open.pop();
            let Some(parent) = open.last_mut() else {
                return Ok(written);
            };
            if let Some(written) = written {
                parent.builder.insert(name, written, 0o040_000)?;
            } else if parent.builder.get(name)?.is_some_and(|old| is_tree(&old)) {
                parent.builder.remove(name)?;
            }
        }
        Ok(None)
    }

    /// Adds, replaces or removes the file `name` in the directory `tree`. If the changes are below
    /// `name`, returns the directory of this name with these changes instead.
    fn change_entry<'a>(
        &'a self,
        tree: &mut OpenTree<'a>,
        name: &'a [u8],
        node: Node<'a>,
    ) -> Result<Option<OpenTree<'a>>> {
        let old = tree.builder.get(name)?.map(|old| (old.id(), old.kind()));
        let old_tree = match old {
            Some((oid, Some(ObjectType::Tree))) => Some(self.git2.find_tree(oid)?),
            _ => None,
        };
        if let Some(file) = node.file {
            let mode = mode_of(file.kind).context("a directory is no file")?;
            tree.builder.insert(name, self.oid(&file.object)?, mode)?;
        } else if !node.below.is_empty() || old_tree.is_some() {
            return self
                .open_tree(name, old_tree.as_ref(), node.below)
                .map(Some);
        } else if old.is_some() {
            tree.builder.remove(name)?;
        }
        Ok(None)
    }

    fn open_tree<'a>(
        &'a self,
        name: &'a [u8],
        base: Option<&Tree>,
        files: Vec<(&'a [u8], Option<&'a TreeFile>)>,
    ) -> Result<OpenTree<'a>> {
        Ok(OpenTree {
            name,
            builder: self.git2.treebuilder(base)?,
            changes: split(files).into_iter(),
        })
    }

    /// Returns which paths differ between two trees, and which directories of `old` are not in
    /// `new` any more. A renamed file counts as deleted and added.
    pub(crate) fn touched(&self, old: &ObjectId, new: &ObjectId) -> Result<Touched> {
        let mut touched = Touched::default();
        if old == new {
            return Ok(touched);
        }
        let (old, new) = (self.tree(old)?, self.tree(new)?);
        for (change, path) in self.tree_changes(Some(&old), Some(&new))? {
            match change {
                TreeChange::Added => touched.added.push(path),
                TreeChange::Deleted => touched.deleted.push(path),
                TreeChange::Modified => touched.modified.push(path),
                TreeChange::Emptied => touched.emptied.push(path),
            }
        }
        Ok(touched)
    }
}

fn mode_of(kind: EntryKind) -> Option<i32> {
    match kind {
        EntryKind::File => Some(0o100_644),
        EntryKind::Executable => Some(0o100_755),
        EntryKind::Link => Some(0o120_000),
        EntryKind::Other => Some(0o160_000),
        EntryKind::Directory => None,
    }
}

/// Groups changed files by the first part of their paths: the file of this name, and the files
/// below it.
fn split<'a>(files: Vec<(&'a [u8], Option<&'a TreeFile>)>) -> Level<'a> {
    let mut level = Level::new();
    for (path, file) in files {
        match path.split_once_str("/") {
            Some((name, rest)) => level.entry(name).or_default().below.push((rest, file)),
            // A removal is an entry without a file.
            None => level.entry(path).or_default().file = file,
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{Git, ls_tree};

    fn paths(repo: &Repo, tree: &ObjectId) -> String {
        let dir = repo.common_dir();
        let entries = ls_tree::list_files(dir, tree).unwrap();
        let entry =
            |entry: &ls_tree::TreeEntry| format!("{:?} {}", entry.kind, entry.path.display());
        entries.iter().map(entry).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn update_tree_adds_replaces_and_removes() {
        let temp = tempfile::tempdir().unwrap();
        Git::new(temp.path())
            .words("init --quiet --bare")
            .run()
            .unwrap();
        let repo = Repo::open_at(temp.path()).unwrap();
        let blob = repo.write_blob(b"text").unwrap();
        let tree = |base: &ObjectId, files: &[(&str, Option<EntryKind>)]| {
            let file = |kind: Option<EntryKind>| {
                let object = blob.clone();
                kind.map(|kind| TreeFile { object, kind })
            };
            let files = files.iter();
            let files = files.map(|(path, kind)| (PathBuf::from(path), file(*kind)));
            repo.update_tree(base, &files.collect()).unwrap()
        };
        let (file, link) = (Some(EntryKind::File), Some(EntryKind::Link));
        let empty = repo.empty_tree().unwrap();
        let base = [("a/b/c", file), ("a/d", file), ("e", file), ("f/g", file)];
        let base = tree(&empty, &base);
        assert_eq!(
            paths(&repo, &base),
            "File a/b/c, File a/d, File e, File f/g"
        );
        let changes = [
            ("a/b/c", None),
            ("a/none", None),
            ("none/none", None),
            ("a/d/none", None),
            ("e", None),
            ("e/h", Some(EntryKind::Executable)),
            ("f", link),
            ("f/g", None),
        ];
        let new = tree(&base, &changes);
        assert_eq!(paths(&repo, &new), "File a/d, Executable e/h, Link f");
        let touched = repo.touched(&base, &new).unwrap();
        assert_eq!(touched.emptied, ["a/b", "f"].map(PathBuf::from));
        assert_eq!(touched.deleted, ["a/b/c", "e", "f/g"].map(PathBuf::from));
        assert_eq!(touched.added, ["e/h", "f"].map(PathBuf::from));
        let all = ["a/d", "e/h", "f"].map(|path| (path, None));
        assert_eq!(tree(&new, &all), empty);
        let text = repo.read_path(&new, Path::new("a/d")).unwrap();
        assert_eq!(text.as_deref(), Some(&b"text"[..]));
        assert_eq!(repo.read_path(&new, Path::new("a")).unwrap(), None);
        assert_eq!(repo.read_path(&new, Path::new("x/y")).unwrap(), None);
    }
}
