//! Marks: which refs below `refs/flux` this repository has made.
//!
//! Refs travel: `git clone --mirror` and `git fetch '+refs/*:refs/*'` bring those of others, also
//! under names of ours. A mark does not: it is a file in `<git-common-dir>/flux/marks`, which names
//! refs and the objects that they may stand at. It is written before a ref changes, so that what a
//! killed command has made is marked too; what it names and is not there does no harm.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::git::checkout::gitfile::list_dir;
use crate::git::{ObjectId, Sharing};
use crate::system::optional;
use crate::system::regular_file::read_file;
use crate::task::RefName;

/// Every ref of git flux.
pub(crate) const FLUX_REFS: &str = "refs/flux/";

/// The first line of a mark. A mark of another version vouches for nothing.
const HEADER: &str = "version 1\n";

/// A ref and an object that it may stand at.
pub(in crate::git) type RefValue = (RefName, ObjectId);

/// The marks of a repository.
#[derive(Clone, Debug)]
pub(crate) struct Marks(PathBuf);

/// The mark of one task or one archive entry: the refs `refs/flux/<class>/<name>` and below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The inode of `<git-common-dir>/flux` when it was first written: a copy has another.
    home: Option<u64>,
    values: Vec<RefValue>,
}

impl Mark {
    /// Returns whether the ref may stand at this object.
    pub(crate) fn has(&self, name: &RefName, object: &ObjectId) -> bool {
        self.values.iter().any(|(n, o)| n == name && o == object)
    }

    /// Returns the objects that the ref may stand at, the latest last.
    pub(crate) fn objects<'a>(&'a self, name: &'a RefName) -> impl Iterator<Item = &'a ObjectId> {
        let of = move |(n, object): &'a RefValue| (n == name).then_some(object);
        self.values.iter().filter_map(of)
    }
}

impl Marks {
    /// The marks in this `<git-common-dir>/flux`.
    pub(crate) fn new(flux_dir: &Path) -> Self {
        Self(flux_dir.join("marks"))
    }

    /// Returns the mark that a ref belongs to, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or is no mark of this version.
    pub(crate) fn find(&self, name: &RefName) -> Result<Option<Mark>> {
        let Some(path) = self.path(name) else {
            return Ok(None);
        };
        let what = || format!("could not read the mark of '{name}'");
        let Some(text) = optional(read_file(&path)).with_context(what)? else {
            return Ok(None);
        };
        let text = String::from_utf8(text).with_context(what)?;
        let mut mark = Mark::default();
        for line in text.strip_prefix(HEADER).with_context(what)?.lines() {
            match line.split_once(' ') {
                Some(("home", inode)) => mark.home = inode.parse().ok(),
                Some((object, name)) => {
                    let object = object.to_owned().into();
                    mark.values.push((RefName::new(name), object));
                }
                None => {}
            }
        }
        Ok(Some(mark))
    }

    /// Returns whether the ref was made in this very repository, and not in one of which it is a
    /// copy. One that was moved to another file system counts as a copy.
    pub(crate) fn is_original(&self, name: &RefName) -> bool {
        let home = self.find(name).ok().flatten().and_then(|mark| mark.home);
        home.is_some() && home == self.home()
    }

    fn home(&self) -> Option<u64> {
        fs::metadata(self.0.parent()?).ok().map(|dir| dir.ino())
    }

    /// Returns whether this repository has made the ref, which stands at `object`. None if it has
    /// no mark, as what git flux 0.1.0 made. A mark that cannot be read vouches for nothing.
    pub(crate) fn has_made(&self, name: &RefName, object: &ObjectId) -> Option<bool> {
        match self.find(name) {
            Ok(mark) => mark.map(|mark| mark.has(name, object)),
            Err(_) => Some(false),
        }
    }

    /// Returns the `<class>/<name>` of all marks of a class.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(crate) fn list(&self, class: &str) -> Result<Vec<String>> {
        let entries = list_dir(&self.0.join(class)).context("could not list the marks")?;
        let names = entries.iter().filter_map(|path| path.file_name()?.to_str());
        let names = names.filter(|name| !name.starts_with('.'));
        Ok(names.map(|name| format!("{class}/{name}")).collect())
    }

    /// Marks what refs are about to stand at, beside what they stand at now.
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub(in crate::git) fn prepare(&self, made: &[RefValue], sharing: Sharing) -> Result<()> {
        self.change(made, sharing, |values| {
            // The latest last.
            values.retain(|stand| !made.contains(stand));
            values.extend_from_slice(made);
        })
    }

    /// Forgets what refs do not stand at any more, after they have changed. Best effort: what a
    /// mark names beside that is an object that the ref of this repository did stand at.
    pub(in crate::git) fn commit(&self, made: &[RefValue], deleted: &[RefValue], sharing: Sharing) {
        let touched = [made, deleted].concat();
        let stays = |stand: &RefValue| {
            made.contains(stand) || touched.iter().all(|(name, _)| *name != stand.0)
        };
        drop(self.change(&touched, sharing, |values| values.retain(stays)));
    }

    /// Forgets what was announced and has not come. Best effort, as [`Marks::commit`].
    pub(in crate::git) fn abort(&self, unmade: &[RefValue], sharing: Sharing) {
        let is_made = |stand: &RefValue| !unmade.contains(stand);
        drop(self.change(unmade, sharing, |values| values.retain(is_made)));
    }

    /// Removes the mark of `<class>/<name>`, of which no ref is left. The caller holds the task's lock.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&self, owner: &str) -> Result<()> {
        let what = || format!("could not remove the mark of '{owner}'");
        optional(fs::remove_file(self.0.join(owner))).with_context(what)?;
        Ok(())
    }

    /// `<class>/<name>` of `refs/flux/<class>/<name>[/…]`
    fn owner(name: &RefName) -> Option<&str> {
        let rest = name.strip_prefix(FLUX_REFS)?;
        let (class, below) = rest.split_once('/')?;
        let owner = below.split('/').next()?;
        Some(&rest[..class.len() + 1 + owner.len()])
    }

    /// Returns where the mark of a ref is.
    pub(crate) fn path(&self, name: &RefName) -> Option<PathBuf> {
        Some(self.0.join(Self::owner(name)?))
    }

    /// Changes each mark that one of `stands` belongs to.
    fn change(
        &self,
        values: &[RefValue],
        sharing: Sharing,
        change: impl Fn(&mut Vec<RefValue>),
    ) -> Result<()> {
        let mut owners: Vec<&str> = values.iter().filter_map(|(n, _)| Self::owner(n)).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            let before = self.find(&RefName::new([FLUX_REFS, owner].concat()))?;
            let mut mark = before.clone().unwrap_or_default();
            change(&mut mark.values);
            // Of other owners' refs this mark says nothing.
            let is_own = |(name, _): &RefValue| Self::owner(name) == Some(owner);
            mark.values.retain(is_own);
            match mark.values.is_empty() {
                true if before.is_some() => self.remove(owner)?,
                false if before.as_ref() != Some(&mark) => self.write(owner, &mark, sharing)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&self, owner: &str, mark: &Mark, sharing: Sharing) -> Result<()> {
        let what = || format!("could not write the mark of '{owner}'");
        let path = self.0.join(owner);
        let dir = path.parent().with_context(what)?;
        for dir in [&self.0, dir] {
            sharing.make_dir(dir).with_context(what)?;
        }
        let mut text = HEADER.to_owned();
        if let Some(home) = mark.home.or_else(|| self.home()) {
            text += &format!("home {home}\n");
        }
        for (name, object) in &mark.values {
            text += &format!("{object} {name}\n");
        }
        sharing.write(&path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(name: &str, object: &str) -> RefValue {
        (
            RefName::new(format!("{FLUX_REFS}{name}")),
            object.to_owned().into(),
        )
    }

    #[test]
    fn a_ref_is_vouched_for_before_and_after_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        let has_made = |object: &str| {
            marks.has_made(
                &RefName::new("refs/flux/tasks/a"),
                &object.to_owned().into(),
            )
        };
        assert_eq!(has_made("1"), None);
        marks
            .prepare(
                &[stand("tasks/a", "1"), stand("base/a", "9")],
                Sharing::Umask,
            )
            .unwrap();
        marks
            .prepare(&[stand("tasks/a", "2")], Sharing::Umask)
            .unwrap();
        assert_eq!(
            [has_made("1"), has_made("2"), has_made("9")],
            [Some(true), Some(true), Some(false)]
        );
        marks.commit(&[stand("tasks/a", "2")], &[], Sharing::Umask);
        assert_eq!([has_made("1"), has_made("2")], [Some(false), Some(true)]);
        marks
            .prepare(&[stand("tasks/a", "3")], Sharing::Umask)
            .unwrap();
        marks.abort(&[stand("tasks/a", "3")], Sharing::Umask);
        assert_eq!([has_made("2"), has_made("3")], [Some(true), Some(false)]);
        marks.commit(&[], &[stand("tasks/a", "2")], Sharing::Umask);
        assert_eq!(has_made("2"), None);
        assert_eq!(
            marks.has_made(&RefName::new("refs/flux/base/a"), &"9".to_owned().into()),
            Some(true)
        );
        assert_eq!(marks.list("tasks").unwrap(), [] as [&str; 0]);
        assert_eq!(marks.list("base").unwrap(), ["base/a"]);
    }

    #[test]
    fn the_parts_of_an_entry_have_one_mark() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        let parts = [
            stand("archive/a.1/tip", "1"),
            stand("archive/a.1/refs/worktree/x", "2"),
        ];
        marks.prepare(&parts, Sharing::Umask).unwrap();
        assert_eq!(marks.list("archive").unwrap(), ["archive/a.1"]);
        assert!(marks.is_original(&RefName::new("refs/flux/archive/a.1")));
        // In a copy it is not, whatever becomes of the mark there.
        let copy = tempfile::tempdir().unwrap();
        let there = Marks::new(copy.path());
        fs::create_dir_all(copy.path().join("marks/archive")).unwrap();
        let file = "marks/archive/a.1";
        fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
        there
            .prepare(&[stand("archive/a.1/base", "3")], Sharing::Umask)
            .unwrap();
        assert!(!there.is_original(&RefName::new("refs/flux/archive/a.1")));
        let mark = marks
            .find(&RefName::new("refs/flux/archive/a.1"))
            .unwrap()
            .unwrap();
        assert!(parts.iter().all(|(name, object)| mark.has(name, object)));
        assert!(!mark.has(&parts[0].0, &"2".to_owned().into()));
    }

    #[test]
    fn what_is_no_mark_vouches_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        marks
            .prepare(&[stand("tasks/a", "1")], Sharing::Umask)
            .unwrap();
        for text in [
            "",
            "version 2\n1 refs/flux/tasks/a\n",
            "1 refs/flux/tasks/a\n",
            "version 1",
        ] {
            fs::write(dir.path().join("marks/tasks/a"), text).unwrap();
            assert_eq!(
                marks.has_made(&RefName::new("refs/flux/tasks/a"), &"1".to_owned().into()),
                Some(false),
                "{text:?}"
            );
        }
    }
}
