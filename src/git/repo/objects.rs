//! Objects and history.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;
use git2::{Commit, ErrorCode, Oid, Signature, Time, Tree};

use super::Repo;
use super::history::History;
use crate::git::{ObjectId, Sharing};
use crate::system::optional;

/// The longest file of a record, in bytes: it is read as a whole.
const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;

impl Repo {
    /// Writes a tree of these files, in place of those in the tree `old` or beside them, and
    /// returns its name.
    ///
    /// # Errors
    /// When the object database cannot be written, or there is no such tree.
    pub(crate) fn write_record(
        &self,
        old: Option<&ObjectId>,
        files: &[(&str, &[u8])],
    ) -> Result<ObjectId> {
        let what = || "could not write the task's record";
        let old = old.map(|old| self.tree(old)).transpose();
        let old = old.with_context(what)?;
        let mut tree = self.git2.treebuilder(old.as_ref())?;
        for (name, bytes) in files {
            ensure!(
                bytes.len() <= MAX_FILE_BYTES,
                "'{name}' of the record is too long"
            );
            let blob = self.git2.blob(bytes).with_context(what)?;
            self.share(blob).with_context(what)?;
            tree.insert(*name, blob, 0o100_644)?;
        }
        let tree = tree.write().with_context(what)?;
        self.share(tree).with_context(what)?;
        Ok(named(tree))
    }

    /// Gives an object that was written the permissions that git itself gives: libgit2 follows
    /// the umask alone, and a directory of objects is used by all.
    fn share(&self, oid: Oid) -> Result<()> {
        let sharing = self.sharing()?;
        if sharing == Sharing::Umask {
            return Ok(());
        }
        let hex = oid.to_string();
        let (dir, file) = hex.split_at(2);
        let dir = self.common_dir().join("objects").join(dir);
        for path in [dir.join(file), dir] {
            // Otherwise it is in a pack already, or in another repository.
            optional(sharing.adjust(&path))?;
        }
        Ok(())
    }

    /// Reads a file in the top level of a tree.
    ///
    /// # Errors
    /// When there is no such tree or file, or it is longer than [`MAX_FILE_BYTES`].
    pub(crate) fn read_file(&self, tree: &ObjectId, name: &str) -> Result<Vec<u8>> {
        let found = self.find_file(tree, name)?;
        found.with_context(|| format!("the record has no '{name}'"))
    }

    /// Reads a file in the top level of a tree, if it is there.
    ///
    /// # Errors
    /// When there is no such tree, or the file is longer than [`MAX_FILE_BYTES`].
    pub(crate) fn find_file(&self, tree: &ObjectId, name: &str) -> Result<Option<Vec<u8>>> {
        let tree = self.tree(tree)?;
        let Some(entry) = tree.get_name(name) else {
            return Ok(None);
        };
        let (length, _) = self.git2.odb()?.read_header(entry.id())?;
        ensure!(
            length <= MAX_FILE_BYTES,
            "'{name}' of the record is too long"
        );
        let blob = self.git2.find_blob(entry.id())?;
        Ok(Some(blob.content().to_vec()))
    }

    /// Returns whether the object is here.
    pub(crate) fn has_object(&self, name: &ObjectId) -> bool {
        let odb = self.git2.odb().ok();
        let oid = self.oid(name).ok();
        odb.zip(oid).is_some_and(|(odb, oid)| odb.exists(oid))
    }

    /// Whether the tree of a commit may have `name` at its top: whether it has, where that can
    /// be told without git, which would fetch what is missing.
    pub(crate) fn may_have_path(&self, commit: &ObjectId, name: &str) -> bool {
        let tree = self.commit(commit).and_then(|commit| Ok(commit.tree()?));
        tree.map_or(true, |tree| tree.get_name(name).is_some())
    }

    /// The history, to be asked about many commits.
    pub(crate) fn history(&self) -> History<'_> {
        History::new(self)
    }

    /// How many commits `ours` has that `theirs` has not, and the reverse, whatever the clocks said.
    ///
    /// # Errors
    /// When one of them is missing.
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

    fn tree(&self, name: &ObjectId) -> Result<Tree<'_>> {
        Ok(self.git2.find_tree(self.oid(name)?)?)
    }

    /// The parents of a commit.
    ///
    /// # Errors
    /// When the commit is missing.
    pub(crate) fn parents_of(&self, commit: &ObjectId) -> Result<Vec<ObjectId>> {
        let commit = self.commit(commit)?;
        Ok(commit.parent_ids().map(named).collect())
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// When the commit is missing.
    pub(crate) fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId> {
        Ok(named(self.commit(commit)?.tree_id()))
    }

    /// The tree of nothing.
    ///
    /// # Errors
    /// When the object database cannot be written.
    pub(crate) fn empty_tree(&self) -> Result<ObjectId> {
        let tree = self.git2.treebuilder(None)?.write()?;
        self.share(tree)?;
        Ok(named(tree))
    }

    /// The newest commit that two have in common, one of them if there are more.
    ///
    /// # Errors
    /// When one of the commits is missing.
    pub(crate) fn merge_base(&self, one: &ObjectId, two: &ObjectId) -> Result<Option<ObjectId>> {
        match self.git2.merge_base(self.oid(one)?, self.oid(two)?) {
            Ok(base) => Ok(Some(named(base))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a commit that is nobody's work, only to be compared with: the same
    /// each time, so that many do not pile up.
    ///
    /// # Errors
    /// When the object database cannot be written, or an object is missing.
    pub(crate) fn write_commit(&self, tree: &ObjectId, parents: &[&ObjectId]) -> Result<ObjectId> {
        let nobody = Signature::new("git flux", "git-flux@localhost", &Time::new(0, 0))?;
        let tree = self.tree(tree)?;
        let parents = parents.iter().map(|name| self.commit(name));
        let parents: Vec<Commit> = parents.collect::<Result<_>>()?;
        let parents: Vec<&Commit> = parents.iter().collect();
        let message = "comparison";
        let git2 = &self.git2;
        let oid = git2.commit(None, &nobody, &nobody, message, &tree, &parents)?;
        self.share(oid)?;
        Ok(named(oid))
    }

    /// The paths in which two trees differ.
    ///
    /// # Errors
    /// When one of them is missing.
    pub(crate) fn changed_paths(
        &self,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<BTreeSet<PathBuf>> {
        self.changed_paths_of_trees(Some(&self.tree(old)?), &self.tree(new)?)
    }

    fn changed_paths_of_trees(&self, old: Option<&Tree>, new: &Tree) -> Result<BTreeSet<PathBuf>> {
        let diff = self.git2.diff_tree_to_tree(old, Some(new), None)?;
        let deltas = diff.deltas();
        let files = deltas.flat_map(|delta| [delta.old_file(), delta.new_file()]);
        let paths = files.filter_map(|file| Some(file.path_bytes()?.to_path_lossy().into_owned()));
        Ok(paths.collect())
    }

    /// How many files a snapshot in the layout of `git stash` has: staged, changed and untracked.
    ///
    /// # Errors
    /// When a commit is missing.
    pub(crate) fn count_files_of_snapshot(&self, snapshot: &ObjectId) -> Result<usize> {
        let parents = self.parents_of(snapshot)?;
        let Some((tip, others)) = parents.split_first() else {
            return Ok(0);
        };
        let tip = self.tree_of(tip)?;
        let mut files = self.changed_paths(&tip, &self.tree_of(snapshot)?)?;
        if let Some(index) = others.first() {
            files.extend(self.changed_paths(&tip, &self.tree_of(index)?)?);
        }
        if let Some(untracked) = others.get(1) {
            files.extend(self.changed_paths_of_trees(None, &self.commit(untracked)?.tree()?)?);
        }
        Ok(files.len())
    }

    /// Whether a commit of `target` that `tip` has not changes a file that `tip`
    /// has changed since `base`.
    ///
    /// # Errors
    /// When a commit is missing.
    pub(crate) fn overlaps(
        &self,
        base: &ObjectId,
        tip: &ObjectId,
        target: &ObjectId,
    ) -> Result<bool> {
        let ours = self.changed_paths(&self.tree_of(base)?, &self.tree_of(tip)?)?;
        let mut walk = self.git2.revwalk()?;
        walk.push(self.oid(target)?)?;
        walk.hide(self.oid(tip)?)?;
        for oid in walk {
            let commit = self.git2.find_commit(oid?)?;
            // A merge has no changes of its own.
            let (1, Ok(parent)) = (commit.parent_count(), commit.parent(0)) else {
                continue;
            };
            let theirs = self.changed_paths_of_trees(Some(&parent.tree()?), &commit.tree()?)?;
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
