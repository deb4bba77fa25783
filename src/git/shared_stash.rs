//! The stash that all worktrees of a repository share: `refs/stash` and its reflog.

use std::path::Path;

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use super::records::records;
use super::{Git, ObjectId};
use crate::task::StashEntry;

/// Lists the entries of the repository's stash, the latest first, none without a stash: `git log -g
/// -z --format='%H %gs' --glob=refs/stas[h]`
pub(crate) fn list(dir: &Path) -> Result<Vec<StashEntry>> {
    let git = Git::reading(dir).words("log -g -z --no-show-signature --no-patch");
    // A name that does not exist is an error, a pattern without a match is none.
    let git = git.args(["--format=%H %gs", "--glob=refs/stas[h]", "--"]);
    let entry = |record| parse(record).context("`git log` printed an unknown line");
    records(&git.output()?)?.map(entry).collect()
}

fn parse(record: &[u8]) -> Option<StashEntry> {
    let (commit, subject) = record.split_once_str(" ")?;
    Some(StashEntry {
        commit: ObjectId::parse(commit)?,
        subject: subject.to_str_lossy().into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, words: &'static str) -> String {
        let git = Git::new(dir).config("user.name=A").config("user.email=a@b");
        git.words(words).line().unwrap()
    }

    #[test]
    fn list_returns_the_entries_with_the_latest_first() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        git(dir, "init -q -b main");
        assert_eq!(list(dir).unwrap(), []);
        git(dir, "commit -q --allow-empty -m first");
        assert_eq!(list(dir).unwrap(), []);
        let file = dir.join("file");
        let mut commits = Vec::new();
        for words in ["stash push -qu", "stash push -qu -m größe"] {
            std::fs::write(&file, words).unwrap();
            git(dir, words);
            commits.insert(0, git(dir, "rev-parse refs/stash"));
        }
        // A branch with a similar name is none.
        git(dir, "branch stash");
        let found = list(dir).unwrap();
        let names: Vec<&str> = found.iter().map(|entry| &*entry.commit).collect();
        assert_eq!(names, commits);
        assert_eq!(found[0].subject, "On main: größe");
        assert!(found[1].subject.starts_with("WIP on main: "));
        git(dir, "stash clear");
        assert_eq!(list(dir).unwrap(), []);
    }

    #[test]
    fn parse_fails_without_an_object_name() {
        let name = "1".repeat(40);
        let parsed = |text: String| parse(text.as_bytes());
        // An entry may have no message.
        assert_eq!(parsed(format!("{name} ")).unwrap().subject, "");
        assert_eq!(parsed(format!("{name} a b")).unwrap().subject, "a b");
        for text in [name.clone(), format!("{} a", &name[1..]), "x y".to_owned()] {
            assert_eq!(parsed(text), None);
        }
    }
}
