//! Marks: records of the refs below `refs/flux` that this repository made.
//!
//! `git clone --mirror` and `git fetch '+refs/*:refs/*'` copy refs of other repositories, even over
//! ours. Marks are not copied: a mark is a file in `<git-common-dir>/flux/marks`, with refs and the
//! objects that they may point to. It is written before a ref changes, so that refs of a killed
//! command have marks, too. Marks without refs do no harm.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use crate::git::checkout::gitfile::list_dir;
use crate::git::{ObjectId, Sharing};
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;
use crate::task::RefName;

/// The prefix of all refs of git flux.
pub(crate) const FLUX_REFS: &str = "refs/flux/";

/// The first line of a mark. A mark of another version is invalid.
const HEADER: &str = "version 1\n";

/// A ref and an object that it may point to.
pub(in crate::git) type RefValue = (RefName, ObjectId);

/// The marks of a repository.
#[derive(Clone, Debug)]
pub(crate) struct Marks(PathBuf);

/// The mark of a task or archive entry, for the refs `refs/flux/<class>/<name>` and below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The inode of `<git-common-dir>/flux` at creation, which differs in a copied repository.
    inode: Option<u64>,
    values: Vec<RefValue>,
}

impl Mark {
    /// Returns whether this mark, a record of refs below `refs/flux` that this repository made,
    /// lists the ref `name` with this object.
    pub(crate) fn has(&self, name: &RefName, object: &ObjectId) -> bool {
        self.values.iter().any(|(n, o)| n == name && o == object)
    }

    /// Returns the objects that this mark, a record of refs that this repository made, lists for
    /// the ref `name`, the latest last: usually one, two during a change.
    pub(crate) fn objects<'a>(&'a self, name: &'a RefName) -> impl Iterator<Item = &'a ObjectId> {
        let of = move |(n, object): &'a RefValue| (n == name).then_some(object);
        self.values.iter().filter_map(of)
    }
}

impl Marks {
    /// Returns access to the mark files in `<flux_dir>/marks`, which record the refs below
    /// `refs/flux` made in this repository. Reads nothing yet.
    pub(crate) fn new(flux_dir: &Path) -> Self {
        Self(flux_dir.join("marks"))
    }

    /// Reads the mark file, a record of refs made in this repository, of the task or archive entry
    /// to which the ref `name` belongs. `None` if there is no such file; fails if the file has
    /// another version or is unreadable.
    pub(crate) fn find(&self, name: &RefName) -> Result<Option<Mark>> {
        let Some(path) = self.path(name) else {
            return Ok(None);
        };
        let what = || format!("could not read the mark of '{name}'");
        let Some(text) = none_if_missing(read_file(&path)).with_context(what)? else {
            return Ok(None);
        };
        let text = String::from_utf8(text).with_context(what)?;
        let mut mark = Mark::default();
        for line in text.strip_prefix(HEADER).with_context(what)?.lines() {
            match line.split_once(' ') {
                Some(("home", inode)) => mark.inode = inode.parse().ok(),
                Some((object, name)) => {
                    let object = object.to_owned().into();
                    mark.values.push((RefName::new(name), object));
                }
                None => {}
            }
        }
        Ok(Some(mark))
    }

    /// Returns whether the ref `name` was made in this directory, not in a repository of which this
    /// is a copy. `false` also without a readable mark file for it, and after a move to another
    /// file system.
    pub(crate) fn is_original(&self, name: &RefName) -> bool {
        let home = self.find(name).ok().flatten().and_then(|mark| mark.inode);
        home.is_some() && home == self.inode()
    }

    fn inode(&self) -> Option<u64> {
        fs::metadata(self.0.parent()?).ok().map(|dir| dir.ino())
    }

    /// Returns whether this repository made, not fetched, the ref `name` with this object. `None`
    /// if the ref has no mark file, as in git flux 0.1.0; `false` if that file is unreadable.
    pub(crate) fn has_made(&self, name: &RefName, object: &ObjectId) -> Option<bool> {
        match self.find(name) {
            Ok(mark) => mark.map(|mark| mark.has(name, object)),
            Err(_) => Some(false),
        }
    }

    /// Lists the tasks or archive entries that have a mark file, for the class `tasks` or
    /// `archive`, as refs `refs/flux/<class>/<name>`, which need not exist. Leaves out hidden files
    /// and names that are not UTF-8.
    pub(crate) fn list(&self, class: &str) -> Result<Vec<RefName>> {
        let entries = list_dir(&self.0.join(class)).context("could not list the marks")?;
        let names = entries.iter().filter_map(|path| path.file_name()?.to_str());
        let names = names.filter(|name| !name.starts_with('.'));
        let name = |name| RefName::new(format!("{FLUX_REFS}{class}/{name}"));
        Ok(names.map(name).collect())
    }

    /// Returns the time when a ref of this class, such as `tasks`, was last made or deleted here;
    /// `None` if none ever was.
    pub(crate) fn last_change(&self, class: &str) -> Option<SystemTime> {
        fs::metadata(self.0.join(class)).ok()?.modified().ok()
    }

    /// Adds the values `made`, which git is about to give to refs, to the mark files, which record
    /// refs made in this repository. Ignores refs that are not below `refs/flux`.
    pub(in crate::git) fn prepare(&self, made: &[RefValue], sharing: Sharing) -> Result<()> {
        self.change(made, sharing, |values| {
            // Move the latest value to the end.
            values.retain(|value| !made.contains(value));
            values.extend_from_slice(made);
        })
    }

    /// Removes the replaced values of the refs `made`, and all values of the refs `deleted`, from
    /// the mark files after git has changed the refs. Ignores errors: a value left over is one that
    /// the ref had here.
    pub(in crate::git) fn commit(&self, made: &[RefValue], deleted: &[RefValue], sharing: Sharing) {
        let touched = [made, deleted].concat();
        let stays = |value: &RefValue| {
            made.contains(value) || touched.iter().all(|(name, _)| *name != value.0)
        };
        drop(self.change(&touched, sharing, |values| values.retain(stays)));
    }

    /// Removes the values `unmade`, which [`Self::prepare`] has added but git has not given to the
    /// refs, from the mark files. Ignores errors.
    pub(in crate::git) fn abort(&self, unmade: &[RefValue], sharing: Sharing) {
        let is_made = |value: &RefValue| !unmade.contains(value);
        drop(self.change(unmade, sharing, |values| values.retain(is_made)));
    }

    /// Deletes the mark file to which the ref `name` belongs, if the file exists. The caller holds
    /// the task's lock and has deleted all refs that the file records.
    pub(crate) fn remove(&self, name: &RefName) -> Result<()> {
        let owner = Self::owner(name).unwrap_or_default();
        let what = || format!("could not remove the mark of '{owner}'");
        none_if_missing(fs::remove_file(self.0.join(owner))).with_context(what)?;
        Ok(())
    }

    /// Returns the part `<class>/<name>` of a ref `refs/flux/<class>/<name>[/…]`; `None` for any
    /// other ref.
    fn owner(name: &RefName) -> Option<&str> {
        let rest = name.strip_prefix(FLUX_REFS)?;
        let (class, below) = rest.split_once('/')?;
        let owner = below.split('/').next()?;
        Some(&rest[..class.len() + 1 + owner.len()])
    }

    /// Returns the path of the mark file for the ref `name`, which need not exist; `None` if the
    /// ref is not below `refs/flux/<class>/`.
    pub(crate) fn path(&self, name: &RefName) -> Option<PathBuf> {
        Some(self.0.join(Self::owner(name)?))
    }

    /// Applies `change` to the content of every mark file to which one of the refs in `values`
    /// belongs. Writes the files that change and deletes those that become empty.
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
            let name = RefName::new([FLUX_REFS, owner].concat());
            let before = self.find(&name)?;
            let mut mark = before.clone().unwrap_or_default();
            change(&mut mark.values);
            // A mark has only the refs of its owner.
            let is_own = |(name, _): &RefValue| Self::owner(name) == Some(owner);
            mark.values.retain(is_own);
            match mark.values.is_empty() {
                true if before.is_some() => self.remove(&name)?,
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
        if let Some(home) = mark.inode.or_else(|| self.inode()) {
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

    fn flux_ref(name: &str) -> RefName {
        RefName::new([FLUX_REFS, name].concat())
    }

    fn value(name: &str, object: &str) -> RefValue {
        (flux_ref(name), object.to_owned().into())
    }

    impl Marks {
        fn add(&self, values: &[RefValue]) {
            self.prepare(values, Sharing::Umask).unwrap();
        }
    }

    #[test]
    fn has_made_is_true_before_and_after_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        let made = |name: &str, object: &str| {
            let (name, object) = value(name, object);
            marks.has_made(&name, &object)
        };
        let all = || ["1", "2", "3", "9"].map(|object| made("tasks/a", object));
        assert_eq!(all(), [None; 4]);
        marks.add(&[value("tasks/a", "1"), value("base/a", "9")]);
        marks.add(&[value("tasks/a", "2")]);
        let has = |made: [bool; 4]| assert_eq!(all(), made.map(Some));
        has([true, true, false, false]);
        marks.commit(&[value("tasks/a", "2")], &[], Sharing::Umask);
        has([false, true, false, false]);
        marks.add(&[value("tasks/a", "3")]);
        has([false, true, true, false]);
        marks.abort(&[value("tasks/a", "3")], Sharing::Umask);
        has([false, true, false, false]);
        marks.commit(&[], &[value("tasks/a", "2")], Sharing::Umask);
        assert_eq!(all(), [None; 4]);
        assert_eq!(made("base/a", "9"), Some(true));
        assert!(marks.list("tasks").unwrap().is_empty());
        assert_eq!(marks.list("base").unwrap(), ["refs/flux/base/a"]);
    }

    #[test]
    fn refs_of_an_archive_entry_share_a_mark() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        let entry = flux_ref("archive/a.1");
        let values = [
            value("archive/a.1/tip", "1"),
            value("archive/a.1/refs/worktree/x", "2"),
        ];
        marks.add(&values);
        assert_eq!(marks.list("archive").unwrap(), ["refs/flux/archive/a.1"]);
        assert!(marks.is_original(&entry));
        // A change of the mark in a copy does not make the copy the original.
        let copy = tempfile::tempdir().unwrap();
        let copied = Marks::new(copy.path());
        fs::create_dir_all(copy.path().join("marks/archive")).unwrap();
        let file = "marks/archive/a.1";
        fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
        copied.add(&[value("archive/a.1/base", "3")]);
        assert!(!copied.is_original(&entry));
        let mark = marks.find(&entry).unwrap().unwrap();
        assert!(values.iter().all(|(name, object)| mark.has(name, object)));
        assert!(!mark.has(&values[0].0, &values[1].1));
    }

    #[test]
    fn has_made_is_false_when_the_mark_is_invalid() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        let (name, object) = value("tasks/a", "1");
        marks.add(&[(name.clone(), object.clone())]);
        let line = "1 refs/flux/tasks/a\n";
        for text in ["", &format!("version 2\n{line}"), line, "version 1"] {
            fs::write(dir.path().join("marks/tasks/a"), text).unwrap();
            let made = marks.has_made(&name, &object);
            assert_eq!(made, Some(false), "{text:?}");
        }
    }
}
