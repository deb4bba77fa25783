//! The differences between two trees, without reading the directories that are in both. libgit2's
//! own comparison reads them all.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use git2::{ObjectType, Oid, Tree, TreeEntry};

use super::Repo;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeChange {
    Added(NewEntry),
    Deleted,
    Modified(NewEntry),
    /// A directory of the old tree that is not in the new one.
    Emptied,
}

/// A file of the new tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewEntry {
    mode: i32,
    object: Oid,
}

/// The number of directories inside one another that git itself goes into: `core.maxTreeDepth`.
const MAX_DEPTH: usize = 2048;

/// A directory in two trees, and how many of its entries are compared.
struct TreePair<'a> {
    path: PathBuf,
    trees: [Option<Tree<'a>>; 2],
    compared: [usize; 2],
}

/// An entry that differs in two trees.
struct ChangedEntry {
    change: TreeChange,
    path: PathBuf,
    /// A directory in each of the two trees.
    below: Option<[Option<Oid>; 2]>,
}

impl Repo {
    /// Lists the paths that differ between two trees, at any depth, and the directories of `old`
    /// that `new` does not have; for `None`, a tree is empty. A renamed file counts as deleted and
    /// added: `git diff-tree -r --no-renames`
    ///
    /// # Errors
    /// If a tree cannot be read, or differs more than 2048 directories below the top: git itself goes no
    /// deeper.
    pub(super) fn tree_changes(
        &self,
        old: Option<&Tree>,
        new: Option<&Tree>,
    ) -> Result<Vec<(TreeChange, PathBuf)>> {
        let mut changes = Vec::new();
        // A crafted tree is deeper than the stack of a thread.
        let mut pairs = vec![TreePair::new(PathBuf::new(), [old.cloned(), new.cloned()])];
        while let Some(pair) = pairs.last_mut() {
            let Some(ChangedEntry {
                change,
                path,
                below,
            }) = pair.next_change()
            else {
                pairs.pop();
                continue;
            };
            let Some([old, new]) = below else {
                changes.push((change, path));
                continue;
            };
            if change == TreeChange::Deleted {
                changes.push((TreeChange::Emptied, path.clone()));
            }
            ensure_depth(pairs.len())?;
            let read = |oid: Option<Oid>| oid.map(|oid| self.git2.find_tree(oid)).transpose();
            pairs.push(TreePair::new(path, [read(old)?, read(new)?]));
        }
        Ok(changes)
    }
}

/// Fails if there are more directories inside one another than git goes into.
pub(super) fn ensure_depth(depth: usize) -> Result<()> {
    ensure!(
        depth <= MAX_DEPTH,
        "a tree has more than {MAX_DEPTH} directories inside one another"
    );
    Ok(())
}

impl<'a> TreePair<'a> {
    fn new(path: PathBuf, trees: [Option<Tree<'a>>; 2]) -> Self {
        let compared = [0; 2];
        Self {
            path,
            trees,
            compared,
        }
    }

    /// Returns the next entry that differs; `None` after the last.
    fn next_change(&mut self) -> Option<ChangedEntry> {
        loop {
            let [old, new] = [0, 1].map(|side| self.trees[side].as_ref()?.get(self.compared[side]));
            let order = match (&old, &new) {
                (Some(old), Some(new)) => compare_names(old, new),
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            let (old, new) = (old.filter(|_| order.is_le()), new.filter(|_| order.is_ge()));
            self.compared[0] += usize::from(old.is_some());
            self.compared[1] += usize::from(new.is_some());
            let (change, entry) = match (&old, &new) {
                (None, None) => return None,
                (Some(old), Some(new)) if is_same(old, new) => continue,
                (Some(_), Some(new)) => (TreeChange::Modified(NewEntry::of(new)), new),
                (Some(old), None) => (TreeChange::Deleted, old),
                (None, Some(new)) => (TreeChange::Added(NewEntry::of(new)), new),
            };
            let path = self.path.join(OsStr::from_bytes(entry.name_bytes()));
            let oids = [&old, &new].map(|entry| entry.as_ref().map(TreeEntry::id));
            let below = is_tree(entry).then_some(oids);
            return Some(ChangedEntry {
                change,
                path,
                below,
            });
        }
    }
}

impl NewEntry {
    fn of(entry: &TreeEntry) -> Self {
        Self {
            mode: entry.filemode(),
            object: entry.id(),
        }
    }

    /// Returns the mode and the object as text.
    pub(super) fn content(self) -> String {
        format!("{:o} {}", self.mode, self.object)
    }
}

pub(super) fn is_tree(entry: &TreeEntry) -> bool {
    entry.kind() == Some(ObjectType::Tree)
}

fn is_same(one: &TreeEntry, two: &TreeEntry) -> bool {
    one.id() == two.id() && one.filemode() == two.filemode()
}

/// Compares two entries by git's order in a tree, in which the name of a directory ends with `/`.
fn compare_names(one: &TreeEntry, two: &TreeEntry) -> Ordering {
    let [one, two] = [one, two].map(|entry| {
        let slash: &[u8] = if is_tree(entry) { b"/" } else { b"" };
        entry.name_bytes().iter().chain(slash)
    });
    one.cmp(two)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;
    use crate::git::conflicts::touched::NewFile;
    use crate::git::ls_tree::{EntryKind, list_files};
    use crate::git::repo::tree::TreeFile;
    use crate::git::{Git, ObjectId};

    /// Paths whose order as files and as directories differs.
    const PATHS: [&str; 8] = ["a", "a-b", "a.c", "a/x", "a/y/z", "a/y0", "a0", "b/c/d"];

    /// Writes a tree with some of these paths.
    fn write_tree(repo: &Repo, seed: usize) -> ObjectId {
        let file = |at: usize| {
            let (text, kind) = match (seed * 31 + at * 17 + 5).pow(3) / 11 % 7 {
                0 | 1 => ("1", EntryKind::File),
                2 => ("2", EntryKind::File),
                3 => ("2", EntryKind::Executable),
                _ => return None,
            };
            let object = repo.write_blob(text.as_bytes()).unwrap();
            Some(TreeFile { object, kind })
        };
        let files = PATHS.iter().enumerate();
        let files = files.map(|(at, path)| (PathBuf::from(path), file(at)));
        let empty = repo.empty_tree().unwrap();
        repo.update_tree(&empty, &files.collect()).unwrap()
    }

    fn directories(repo: &Repo, tree: &ObjectId) -> BTreeSet<PathBuf> {
        let files = list_files(repo.common_dir(), tree).unwrap();
        let above = files.iter().flat_map(|file| file.path.ancestors().skip(1));
        above.map(Path::to_owned).collect()
    }

    #[test]
    fn tree_changes_are_those_of_diff_tree() {
        let temp = tempfile::tempdir().unwrap();
        let git = |words| Git::new(temp.path()).words(words);
        git("init --quiet --bare").run().unwrap();
        let repo = Repo::open_at(temp.path()).unwrap();
        let trees: BTreeSet<ObjectId> = (0..40).map(|seed| write_tree(&repo, seed)).collect();
        let above = trees.iter().map(|tree| (tree, directories(&repo, tree)));
        let above: BTreeMap<_, _> = above.collect();
        let pairs = trees
            .iter()
            .flat_map(|old| trees.iter().map(move |new| (old, new)));
        let (mut input, mut found) = (String::new(), BTreeSet::new());
        for (old, new) in pairs.filter(|(old, new)| old != new) {
            let names = format!("{old} {new}");
            input += &format!("{names}\n");
            let [one, two] = [old, new].map(|tree| repo.tree(tree).unwrap());
            let mut emptied = BTreeSet::new();
            for (change, path) in repo.tree_changes(Some(&one), Some(&two)).unwrap() {
                let letter = match change {
                    TreeChange::Added(_) => 'A',
                    TreeChange::Deleted => 'D',
                    TreeChange::Modified(_) => 'M',
                    TreeChange::Emptied => {
                        emptied.insert(path);
                        continue;
                    }
                };
                found.insert(format!("{names} {letter}\t{}", path.display()));
            }
            let gone = above[old].difference(&above[new]).cloned();
            assert_eq!(emptied, gone.collect(), "{names}");
        }
        let git = git("diff-tree --stdin -r --no-renames --name-status").input(input);
        let out = String::from_utf8(git.output().unwrap()).unwrap();
        let mut names = "";
        let mut expected = BTreeSet::new();
        for line in out.lines() {
            match line.contains('\t') {
                true => drop(expected.insert(format!("{names} {line}"))),
                false => names = line,
            }
        }
        assert_eq!(found, expected);
        assert!(found.len() > 1_000, "{} changes", found.len());
    }

    /// Writes a tree with a file in `depth` directories inside one another.
    fn write_deep_tree(repo: &Repo, depth: usize) -> ObjectId {
        let blob = repo.write_blob(b"text").unwrap();
        let (mut oid, mut mode) = (repo.oid(&blob).unwrap(), 0o100_644);
        for _ in 0..=depth {
            let mut builder = repo.git2.treebuilder(None).unwrap();
            builder.insert("d", oid, mode).unwrap();
            (oid, mode) = (builder.write().unwrap(), 0o040_000);
        }
        oid.to_string().into()
    }

    #[test]
    fn tree_changes_and_update_tree_go_as_deep_as_git_does() {
        let temp = tempfile::tempdir().unwrap();
        let git = Git::new(temp.path()).words("init --quiet --bare");
        git.run().unwrap();
        let repo = Repo::open_at(temp.path()).unwrap();
        let empty = repo.empty_tree().unwrap();
        let deepest = write_deep_tree(&repo, MAX_DEPTH);
        let touched = repo.touched(&empty, &deepest).unwrap();
        let [NewFile { path, .. }] = &touched.added[..] else {
            panic!("{} files", touched.added.len());
        };
        assert_eq!(path.components().count(), MAX_DEPTH + 1);
        let file = repo.find_path(&deepest, path).unwrap();
        let write = |path: PathBuf| {
            let files = BTreeMap::from([(path, file.clone())]);
            repo.update_tree(&empty, &files)
        };
        assert_eq!(write(path.clone()).unwrap(), deepest);
        let why = "a tree has more than 2048 directories inside one another";
        let error = write(path.join("d")).unwrap_err();
        assert_eq!(error.to_string(), why);
        for depth in [MAX_DEPTH + 1, 10_000] {
            let deeper = write_deep_tree(&repo, depth);
            for trees in [[&empty, &deeper], [&deeper, &empty], [&deepest, &deeper]] {
                let error = repo.touched(trees[0], trees[1]).map(drop).unwrap_err();
                assert_eq!(error.to_string(), why, "{depth}");
            }
        }
    }
}
