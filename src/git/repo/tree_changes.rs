//! The differences between two trees, without reading the directories that are in both. libgit2's
//! own comparison reads them all.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use git2::{ObjectType, Tree, TreeEntry};

use super::Repo;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeChange {
    Added,
    Deleted,
    Modified,
    /// A directory of the old tree that is not in the new one.
    Emptied,
}

impl Repo {
    /// Lists the paths that differ between two trees, at any depth, and the directories of `old`
    /// that `new` does not have; for `None`, a tree is empty. A renamed file counts as deleted and
    /// added: `git diff-tree -r --no-renames`
    pub(super) fn tree_changes(
        &self,
        old: Option<&Tree>,
        new: Option<&Tree>,
    ) -> Result<Vec<(TreeChange, PathBuf)>> {
        let mut changes = Vec::new();
        self.add_changes(Path::new(""), [old, new], &mut changes)?;
        Ok(changes)
    }

    fn add_changes(
        &self,
        dir: &Path,
        trees: [Option<&Tree>; 2],
        changes: &mut Vec<(TreeChange, PathBuf)>,
    ) -> Result<()> {
        let [mut old, mut new] = trees.map(|tree| tree.into_iter().flatten().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => compare_names(old, new),
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            let old = old.next_if(|_| order.is_le());
            let new = new.next_if(|_| order.is_ge());
            let (change, entry) = match (&old, &new) {
                (None, None) => return Ok(()),
                (Some(old), Some(new)) if is_same(old, new) => continue,
                (Some(_), Some(new)) => (TreeChange::Modified, new),
                (Some(old), None) => (TreeChange::Deleted, old),
                (None, Some(new)) => (TreeChange::Added, new),
            };
            let path = dir.join(OsStr::from_bytes(entry.name_bytes()));
            if !is_tree(entry) {
                changes.push((change, path));
                continue;
            }
            if change == TreeChange::Deleted {
                changes.push((TreeChange::Emptied, path.clone()));
            }
            let read = |entry: TreeEntry| self.git2.find_tree(entry.id());
            let (old, new) = (old.map(read).transpose()?, new.map(read).transpose()?);
            self.add_changes(&path, [old.as_ref(), new.as_ref()], changes)?;
        }
    }
}

fn is_tree(entry: &TreeEntry) -> bool {
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

    use super::*;
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
                    TreeChange::Added => 'A',
                    TreeChange::Deleted => 'D',
                    TreeChange::Modified => 'M',
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
}
