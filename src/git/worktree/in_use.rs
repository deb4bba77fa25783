//! Uses of branches that `git worktree list` does not show: rebases, bisects and names that the
//! file system treats as equal.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::git::checkout::distrust::{read_small, refused};
use crate::git::checkout::gitfile::list_dir;
use crate::git::identity::is_same_file;
use crate::git::worktree::{admin, entries};
use crate::git::{Git, Repo, Worktree};
use crate::system::regular_file::read_file;
use crate::task::{BranchName, RefName};

/// Returns the name below `refs/heads` that keeps git from creating `branch`: its own if its file
/// is a symbolic ref, even a dangling one; on a case-insensitive file system, that of an existing
/// file or directory that differs only in case, such as `Fix` for `fix/a`. Otherwise `None`.
pub(crate) fn stored_name(common_dir: &Path, branch: &BranchName) -> Result<Option<String>> {
    let mut dir = common_dir.join("refs/heads");
    let mut found = Vec::new();
    for part in branch.split('/') {
        let path = dir.join(part);
        if path.symlink_metadata().is_err() {
            break;
        }
        let is_same = |name: &String| name == part || is_same_file(&dir.join(name), &path);
        let names = list_dir(&dir)?.into_iter();
        let names = names.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        let mut same: Vec<String> = names.filter(is_same).collect();
        let other = same.pop().filter(|_| !same.iter().any(|name| name == part));
        found.push(other.unwrap_or_else(|| part.to_owned()));
        dir = path;
    }
    let found = found.join("/");
    if *branch != *found {
        return Ok((!branch.starts_with(&found)).then_some(found));
    }
    // `dir` is the file of the branch, or an empty directory left by git.
    let is_symbolic = dir.is_symlink() || read_file(&dir).is_ok_and(|f| f.starts_with(b"ref:"));
    Ok(is_symbolic.then_some(found))
}

/// An operation of several steps in a worktree.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// The branches that it moves or returns to.
    pub(crate) refs: Vec<RefName>,
}

/// Lists the rebases and bisects in progress in all worktrees, with the branches that they move or
/// return to, from the files that git keeps about them.
pub(crate) fn list_operations(repo: &Repo) -> Result<Vec<Operation>> {
    let mut found = Vec::new();
    let mut add = |admin: &Path, path: &Path| -> Result<()> {
        for (name, refs) in read_operations(admin).map_err(|error| refused(error, path))? {
            let path = path.to_owned();
            found.push(Operation { name, path, refs });
        }
        Ok(())
    };
    add(repo.common_dir(), repo.home())?;
    for admin in list_dir(&repo.common_dir().join("worktrees"))? {
        // An incomplete worktree is just being added.
        if let Some(entry) = entries::read_entry(&admin) {
            add(&admin, &entry.path)?;
        }
    }
    Ok(found)
}

fn read_operations(admin: &Path) -> Result<Vec<(&'static str, Vec<RefName>)>> {
    let text = |name: &str| -> Result<String> {
        let text = read_small(&admin.join(name))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
    };
    // Three lines for each ref: its name, old value and new value.
    let updated = text("rebase-merge/update-refs")?;
    let updated = updated.lines().step_by(3).map(RefName::new);
    let heads = ["rebase-merge/head-name", "rebase-apply/head-name"].map(text);
    let heads: Vec<String> = heads.into_iter().collect::<Result<_>>()?;
    let mut rebased: Vec<RefName> = heads.into_iter().map(RefName::new).chain(updated).collect();
    rebased.retain(|name| name.starts_with("refs/"));
    let mut bisected = vec![BranchName::new(text("BISECT_START")?).full()];
    bisected.retain(|name| !name.ends_with('/'));
    let found = [("rebase", rebased), ("bisect", bisected)].into_iter();
    Ok(found.filter(|(_, refs)| !refs.is_empty()).collect())
}

/// Returns the ref that `HEAD` of the main worktree or bare repository names, `None` if it is
/// detached: `git symbolic-ref --quiet HEAD`
pub(crate) fn read_main_head(home: &Path) -> Result<Option<RefName>> {
    let head = Git::reading(home).words("symbolic-ref --quiet HEAD");
    Ok(head.answer()?.map(RefName::new))
}

/// Returns the scope (such as `local`) and value of `core.bare`, `None` if it is not set:
/// `git config --show-scope --type=bool --get core.bare`
pub(crate) fn read_core_bare(home: &Path) -> Result<Option<(String, bool)>> {
    let git = Git::reading(home).words("config --show-scope --type=bool --get core.bare");
    let answer = git.answer()?;
    let answer = answer.as_deref().and_then(|line| line.split_once('\t'));
    Ok(answer.map(|(scope, value)| (scope.to_owned(), value == "true")))
}

impl Repo {
    /// Returns whether git treats the repository as bare although its git directory has an index,
    /// which belongs to a worktree.
    pub(crate) fn is_bare_with_index(&self, worktrees: &[Worktree]) -> Result<bool> {
        let bare = self.home() == self.common_dir() || worktrees.first().is_some_and(|m| m.is_bare);
        let index = self.common_dir().join("index");
        let what = || format!("could not access '{}'", index.display());
        Ok(bare && fs::exists(&index).with_context(what)?)
    }

    /// Returns the path of a linked worktree's `HEAD` file if that names neither a branch nor a
    /// commit, as after a crash that emptied it. Otherwise, and while git is adding the worktree,
    /// `None`.
    pub(crate) fn find_damaged_head(&self, entry: &Worktree) -> Result<Option<PathBuf>> {
        if entry.is_bare || entry.branch.is_some() || !entry.is_unborn {
            return Ok(None);
        }
        let Some(admin) = admin::find_dir(self.common_dir(), &entry.path)? else {
            return Ok(None);
        };
        let head = admin.join("HEAD");
        let text = admin::read_head(&head).map_err(|error| refused(error, &entry.path))?;
        // git writes the null object first.
        let is_null = |text: &[u8]| text.len() >= 40 && text.iter().all(|&b| b == b'0');
        let is_new = text.is_none_or(|text| is_null(text.trim_ascii_end()));
        Ok((!is_new).then_some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_name_returns_the_name_of_an_existing_file() {
        let temp = tempfile::tempdir().unwrap();
        let heads = temp.path().join("refs/heads");
        fs::create_dir_all(heads.join("feature/empty")).unwrap();
        fs::write(heads.join("feature/a"), "ref: refs/heads/b\n").unwrap();
        fs::write(heads.join("feature/new"), "0".repeat(40)).unwrap();
        let stored = |branch: &str| stored_name(temp.path(), &BranchName::new(branch)).unwrap();
        assert_eq!(stored("feature/a").as_deref(), Some("feature/a"));
        let free = "feature/b feature/a-b other/a feat feature/empty feature/new";
        for free in free.split(' ') {
            assert_eq!(stored(free), None, "{free}");
        }
    }
}
