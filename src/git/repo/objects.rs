//! Objects and history.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use git2::{Commit, ErrorCode, ObjectType, Oid, Signature, Time, Tree};

use super::Repo;
use super::history::History;
use super::tree_changes::TreeChange;
use crate::git::{ObjectId, Sharing};
use crate::system::none_if_missing;
use crate::task::RecordFile;

/// The maximum size of a file in a record.
const MAX_BYTES: usize = 64 * 1024 * 1024;

impl Repo {
    /// Writes a tree object and returns its name: the tree `old`, or an empty one, with `files`
    /// added to the top level or replaced there. Fails if a file is longer than 64 MiB.
    pub(crate) fn write_record(
        &self,
        old: Option<&ObjectId>,
        files: &[(RecordFile, &[u8])],
    ) -> Result<ObjectId> {
        let what = || "could not write the task's record";
        let old = old.map(|old| self.tree(old)).transpose();
        let old = old.with_context(what)?;
        let mut tree = self.git2.treebuilder(old.as_ref())?;
        for (file, bytes) in files {
            let name = file.into_str();
            ensure!(
                bytes.len() <= MAX_BYTES,
                "'{name}' of the record is too long"
            );
            let blob = self.git2.blob(bytes).with_context(what)?;
            self.share_object(blob).with_context(what)?;
            tree.insert(name, blob, 0o100_644)?;
        }
        let tree = tree.write().with_context(what)?;
        self.share_object(tree).with_context(what)?;
        Ok(named(tree))
    }

    /// Returns the name of a blob with these bytes, as SHA-1, without writing it: `git hash-object
    /// --no-filters`
    pub(crate) fn hash(bytes: &[u8]) -> Result<ObjectId> {
        Ok(named(Oid::hash_object(ObjectType::Blob, bytes)?))
    }

    /// Returns the name that a blob with this content would have, without writing it: `git
    /// hash-object`
    pub(crate) fn hash_blob(&self, content: &[u8]) -> Result<ObjectId> {
        let format = self.git2.object_format();
        let oid = Oid::hash_object_ext(ObjectType::Blob, content, format);
        Ok(named(oid.context("could not compute a hash")?))
    }

    /// Sets the permissions of `core.sharedRepository` on the file of a loose object and on its
    /// directory, since libgit2 does not. Does nothing without that setting, or for a packed
    /// object.
    fn share_object(&self, oid: Oid) -> Result<()> {
        let sharing = self.sharing()?;
        if sharing == Sharing::Umask {
            return Ok(());
        }
        let hex = oid.to_string();
        let (dir, file) = hex.split_at(2);
        let dir = self.common_dir().join("objects").join(dir);
        for path in [dir.join(file), dir] {
            // A missing file means that the object is in a pack or an alternate.
            none_if_missing(sharing.adjust(&path))?;
        }
        Ok(())
    }

    /// Returns the content of `file` in the top level of a tree object; fails if it is missing or
    /// longer than 64 MiB.
    pub(crate) fn read_file(&self, tree: &ObjectId, file: RecordFile) -> Result<Vec<u8>> {
        let found = self.find_file(tree, file)?;
        found.with_context(|| format!("the record has no '{}'", file.into_str()))
    }

    /// Returns the content of `file` in the top level of a tree object; `None` if the tree has no
    /// such entry.
    ///
    /// # Errors
    /// If an object cannot be read, or the file is longer than [`MAX_BYTES`].
    pub(crate) fn find_file(&self, tree: &ObjectId, file: RecordFile) -> Result<Option<Vec<u8>>> {
        let (tree, name) = (self.tree(tree)?, file.into_str());
        let Some(entry) = tree.get_name(name) else {
            return Ok(None);
        };
        let (length, _) = self.git2.odb()?.read_header(entry.id())?;
        ensure!(length <= MAX_BYTES, "'{name}' of the record is too long");
        let blob = self.git2.find_blob(entry.id())?;
        Ok(Some(blob.content().to_vec()))
    }

    /// Returns whether the repository, with its alternates, has the object; `false` also if the
    /// name is invalid or the object database unreadable. Fetches nothing in a partial clone.
    pub(crate) fn has_object(&self, name: &ObjectId) -> bool {
        let odb = self.git2.odb().ok();
        let oid = self.oid(name).ok();
        odb.zip(oid).is_some_and(|(odb, oid)| odb.exists(oid))
    }

    /// Returns whether the root directory of a commit has an entry `name`; `true` also if the
    /// commit or its tree cannot be read, as in a partial clone, where only git can fetch them.
    pub(crate) fn may_have_path(&self, commit: &ObjectId, name: &str) -> bool {
        let tree = self.commit(commit).and_then(|commit| Ok(commit.tree()?));
        tree.map_or(true, |tree| tree.get_name(name).is_some())
    }

    /// Returns an empty cache of commits, with which [`History::ahead_behind`] compares many pairs
    /// of commits faster than [`Repo::ahead_behind`].
    pub(crate) fn history(&self) -> History<'_> {
        History::new(self)
    }

    /// Counts the commits that `ours` reaches and `theirs` does not, and the reverse, as `git
    /// rev-list --left-right --count <ours>...<theirs>` does, without starting git.
    pub(crate) fn ahead_behind(
        &self,
        ours: &ObjectId,
        theirs: &ObjectId,
    ) -> Result<(usize, usize)> {
        let (ours, theirs) = (self.oid(ours)?, self.oid(theirs)?);
        Ok(self.git2.graph_ahead_behind(ours, theirs)?)
    }

    fn commit(&self, name: &ObjectId) -> Result<Commit<'_>> {
        Ok(self.git2.find_commit(self.oid(name)?)?)
    }

    pub(super) fn tree(&self, name: &ObjectId) -> Result<Tree<'_>> {
        Ok(self.git2.find_tree(self.oid(name)?)?)
    }

    /// Returns the parents of a commit in their order, none for a root commit.
    pub(crate) fn parents_of(&self, commit: &ObjectId) -> Result<Vec<ObjectId>> {
        let commit = self.commit(commit)?;
        Ok(commit.parent_ids().map(named).collect())
    }

    /// Returns the name of a commit's tree.
    pub(crate) fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId> {
        Ok(named(self.commit(commit)?.tree_id()))
    }

    /// Writes the empty tree object and returns its name.
    pub(crate) fn empty_tree(&self) -> Result<ObjectId> {
        let tree = self.git2.treebuilder(None)?.write()?;
        self.share_object(tree)?;
        Ok(named(tree))
    }

    /// Returns a best common ancestor of two commits, `None` if they have none, as `git merge-base
    /// <one> <two>` does, without starting git.
    pub(crate) fn merge_base(&self, one: &ObjectId, two: &ObjectId) -> Result<Option<ObjectId>> {
        match self.git2.merge_base(self.oid(one)?, self.oid(two)?) {
            Ok(base) => Ok(Some(named(base))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an internal commit without a ref and returns its name. Its author, time and message
    /// are fixed, so that equal trees and parents give the same commit.
    pub(crate) fn write_commit(&self, tree: &ObjectId, parents: &[&ObjectId]) -> Result<ObjectId> {
        let author = Signature::new("git flux", "git-flux@localhost", &Time::new(0, 0))?;
        let tree = self.tree(tree)?;
        let parents = parents.iter().map(|name| self.commit(name));
        let parents: Vec<Commit> = parents.collect::<Result<_>>()?;
        let parents: Vec<&Commit> = parents.iter().collect();
        let message = "comparison";
        let git2 = &self.git2;
        let oid = git2.commit(None, &author, &author, message, &tree, &parents)?;
        self.share_object(oid)?;
        Ok(named(oid))
    }

    /// Lists the paths of files that differ between two trees, at any depth; a renamed file counts
    /// as two.
    pub(crate) fn diff_paths(&self, old: &ObjectId, new: &ObjectId) -> Result<BTreeSet<PathBuf>> {
        self.diff_trees(Some(&self.tree(old)?), &self.tree(new)?)
    }

    fn diff_trees(&self, old: Option<&Tree>, new: &Tree) -> Result<BTreeSet<PathBuf>> {
        let changes = self.tree_changes(old, Some(new))?.into_iter();
        let files = changes.filter(|(change, _)| *change != TreeChange::Emptied);
        Ok(files.map(|(_, path)| path).collect())
    }

    /// Counts the files with staged, unstaged or untracked changes in a snapshot commit with the
    /// layout of `git stash`, each file once.
    pub(crate) fn count_files_of_snapshot(&self, snapshot: &ObjectId) -> Result<usize> {
        let parents = self.parents_of(snapshot)?;
        let Some((tip, others)) = parents.split_first() else {
            return Ok(0);
        };
        let tip = self.tree_of(tip)?;
        let mut files = self.diff_paths(&tip, &self.tree_of(snapshot)?)?;
        if let Some(index) = others.first() {
            files.extend(self.diff_paths(&tip, &self.tree_of(index)?)?);
        }
        if let Some(untracked) = others.get(1) {
            files.extend(self.diff_trees(None, &self.commit(untracked)?.tree()?)?);
        }
        Ok(files.len())
    }

    /// Returns whether a commit in `tip..target`, other than merges and root commits, touches a
    /// path that differs between `base` and `tip`.
    pub(crate) fn overlaps(
        &self,
        base: &ObjectId,
        tip: &ObjectId,
        target: &ObjectId,
    ) -> Result<bool> {
        let ours = self.diff_paths(&self.tree_of(base)?, &self.tree_of(tip)?)?;
        let mut walk = self.git2.revwalk()?;
        walk.push(self.oid(target)?)?;
        walk.hide(self.oid(tip)?)?;
        for oid in walk {
            let commit = self.git2.find_commit(oid?)?;
            // Ignore merges.
            let (1, Ok(parent)) = (commit.parent_count(), commit.parent(0)) else {
                continue;
            };
            let theirs = self.diff_trees(Some(&parent.tree()?), &commit.tree()?)?;
            if !theirs.is_disjoint(&ours) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn named(oid: Oid) -> ObjectId {
    oid.to_string().into()
}
