//! A tree that is carried from one base to another, as its changes are by a rebase.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};

use super::merge_batch::{MergeBatch, NoResult, TrialMerge, TrialResult};
use super::quarantine::Quarantine;
use crate::git::ObjectId;
use crate::git::drivers::Drivers;

/// A tree to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carry {
    pub(crate) tree: ObjectId,
    /// The tree of the base that it was made from.
    pub(crate) from: ObjectId,
    /// The tree of the base that it is carried to.
    pub(crate) to: ObjectId,
}

/// A carried tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) tree: ObjectId,
    /// The files in which the changes conflict with those of the base. The tree has them as the new
    /// base has them.
    pub(crate) conflicts: Vec<PathBuf>,
    /// Renamed directories were not detected, because git dies of that.
    pub(crate) is_approximate: bool,
}

impl Carry {
    /// Returns the carried tree if no merge is needed, because two of the trees `tree`, `from` and
    /// `to` are equal; otherwise `None`.
    pub(crate) fn known(&self) -> Option<Carried> {
        let tree = if self.from == self.to {
            &self.tree
        } else if self.tree == self.from || self.tree == self.to {
            &self.to
        } else {
            return None;
        };
        Some(Carried {
            tree: tree.clone(),
            conflicts: Vec::new(),
            is_approximate: false,
        })
    }
}

impl Quarantine {
    /// Merges the tree `carry.to` into `carry.tree` with the base `carry.from` and the attributes
    /// of the commit `attributes`: `git merge-tree`. Files that conflict or need a merge driver are
    /// those of `carry.to`.
    pub(crate) fn carry(
        &self,
        carry: &Carry,
        drivers: &Drivers,
        attributes: &ObjectId,
    ) -> Result<Carried> {
        if let Some(known) = carry.known() {
            return Ok(known);
        }
        let merge = self.merge_of(carry)?;
        let batch = MergeBatch {
            quarantine: self,
            drivers,
            attributes,
        };
        let answer = batch
            .ask_without_drivers(std::slice::from_ref(&merge))?
            .pop();
        let result = match answer.context("`git merge-tree` printed no answer")? {
            Ok(result) => result,
            Err(NoResult::Killed) => return Err(anyhow!("`git merge-tree` was killed")),
            Err(NoResult::Refused(why) | NoResult::Inexact(why)) => return Err(anyhow!(why)),
        };
        self.carried(carry, result)
    }

    /// Writes the two commits whose merge carries a tree.
    pub(crate) fn merge_of(&self, carry: &Carry) -> Result<TrialMerge> {
        let objects = self.objects();
        let root = objects.write_commit(&carry.from, &[])?;
        Ok(TrialMerge {
            ours: objects.write_commit(&carry.tree, &[&root])?,
            theirs: objects.write_commit(&carry.to, &[&root])?,
        })
    }

    /// Returns the carried tree for the result of the merge that [`Self::merge_of`] has returned.
    /// Files that conflict are those of `carry.to`.
    pub(crate) fn carried(&self, carry: &Carry, result: TrialResult) -> Result<Carried> {
        let merge = self.merge_of(carry)?;
        let objects = self.objects();
        let is_approximate = result.is_approximate;
        let conflicts: Vec<PathBuf> = result.files.into_iter().map(|file| file.path).collect();
        let mut files = BTreeMap::new();
        for path in &conflicts {
            files.insert(path.clone(), objects.find_path(&carry.to, path)?);
            // git puts a file here if the other side has a directory at its path.
            for side in [&merge.ours, &merge.theirs] {
                let mut beside = path.clone().into_os_string();
                beside.push(format!("~{side}"));
                files.insert(beside.into(), None);
            }
        }
        let tree = objects.update_tree(&result.tree, &files)?;
        Ok(Carried {
            tree,
            conflicts,
            is_approximate,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::git::ls_tree::EntryKind;
    use crate::git::repo::tree::TreeFile;
    use crate::git::{Git, Repo};

    const TEXT: &str = "a\nb\nc\nd\ne\n";

    struct World {
        _temp: tempfile::TempDir,
        repo: Repo,
        quarantine: Quarantine,
    }

    impl World {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            let init = Git::new(temp.path()).words("init --quiet --bare");
            init.run().unwrap();
            let repo = Repo::open_at(&temp.path().canonicalize().unwrap()).unwrap();
            Self {
                quarantine: Quarantine::make(&repo).unwrap(),
                repo,
                _temp: temp,
            }
        }

        fn tree(&self, files: &[(&str, &str)]) -> ObjectId {
            let file = |text: &str| TreeFile {
                object: self.repo.write_blob(text.as_bytes()).unwrap(),
                kind: EntryKind::File,
            };
            let files = files.iter();
            let files = files.map(|(path, text)| (PathBuf::from(path), Some(file(text))));
            let empty = self.repo.empty_tree().unwrap();
            self.repo.update_tree(&empty, &files.collect()).unwrap()
        }

        /// Carries a tree, with a merge driver that is configured for `*.driven`.
        fn carry(&self, [tree, from, to]: [&[(&str, &str)]; 3]) -> Carried {
            let carry = Carry {
                tree: self.tree(tree),
                from: self.tree(from),
                to: self.tree(to),
            };
            let drivers = Drivers {
                names: vec!["mine".to_owned()],
                default: None,
            };
            let attributes = self.tree(&[(".gitattributes", "*.driven merge=mine\n")]);
            let attributes = self.repo.write_commit(&attributes, &[]).unwrap();
            self.quarantine
                .carry(&carry, &drivers, &attributes)
                .unwrap()
        }

        fn read(&self, tree: &ObjectId, path: &str) -> Option<String> {
            let objects = self.quarantine.objects();
            let bytes = objects.read_path(tree, Path::new(path)).unwrap();
            bytes.map(|bytes| String::from_utf8(bytes).unwrap())
        }
    }

    #[test]
    fn carry_merges_without_conflicts() {
        let world = World::new();
        let ours = TEXT.replace('a', "A");
        let to = TEXT.replace('e', "E");
        let carried = world.carry([&[("f", &ours)], &[("f", TEXT)], &[("f", &to), ("g", "g")]]);
        assert_eq!(carried.conflicts, [""; 0].map(PathBuf::from));
        let both = ours.replace('e', "E");
        assert_eq!(world.read(&carried.tree, "f"), Some(both));
        assert_eq!(world.read(&carried.tree, "g").as_deref(), Some("g"));
        // Without a merge: nothing was looked at, or the base is the same.
        let same: &[(&str, &str)] = &[("f", TEXT)];
        let carried = world.carry([same, same, &[("f", &to)]]);
        assert_eq!(carried.tree, world.tree(&[("f", &to)]));
        let carried = world.carry([&[("f", &ours)], same, same]);
        assert_eq!(carried.tree, world.tree(&[("f", &ours)]));
    }

    #[test]
    fn carry_takes_conflicting_files_from_the_new_base() {
        let world = World::new();
        let (ours, to) = (TEXT.replace('c', "ours"), TEXT.replace('c', "to"));
        for name in ["f", "f.driven"] {
            let carried = world.carry([&[(name, &ours)], &[(name, TEXT)], &[(name, &to)]]);
            assert_eq!(carried.conflicts, [PathBuf::from(name)]);
            assert_eq!(carried.tree, world.tree(&[(name, &to)]));
        }
        // One side has deleted the file.
        let other = ("g", "g");
        let carried = world.carry([&[("f", &ours), other], &[("f", TEXT), other], &[other]]);
        assert_eq!(carried.tree, world.tree(&[other]));
        // One side has a directory there.
        let from: &[(&str, &str)] = &[other];
        let carried = world.carry([&[("d", "file"), other], from, &[("d/f", "in it"), other]]);
        assert_eq!(carried.conflicts.len(), 1);
        assert_eq!(carried.tree, world.tree(&[("d/f", "in it"), other]));
    }
}
