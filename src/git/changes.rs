//! Uncommitted changes of a worktree.

pub(in crate::git) mod assume_unchanged;
pub(crate) mod diff;
pub(crate) mod ls_files;
pub(in crate::git) mod scratch_index;
pub(crate) mod snapshot;
pub(crate) mod transplant;

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use self::scratch_index::ScratchIndex;
use super::Checkout;
use super::ls_tree::EntryKind;
use super::records::records;
use crate::task::Changes;

/// The treatment of ignored files in a list of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ignored {
    LeftOut,
    Included,
}

/// A changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The two letters of `git status --short`.
    pub(crate) code: [u8; 2],
    pub(crate) path: PathBuf,
    /// The kind of a tracked file in the worktree; `None` if it is deleted or not tracked.
    pub(crate) kind: Option<EntryKind>,
    /// A submodule with changes of its own.
    pub(crate) is_submodule: bool,
    /// The option of `git update-index` that makes a hidden file visible in `git status`.
    pub(crate) unhide_option: Option<&'static str>,
}

impl Change {
    pub(crate) fn is_untracked(&self) -> bool {
        self.code == *b"??"
    }

    /// Returns whether the change is an untracked repository inside the worktree, which git does
    /// not enter; `false` for an ignored one.
    pub(crate) fn is_repository(&self) -> bool {
        self.is_untracked() && self.path.as_os_str().as_bytes().ends_with(b"/")
    }

    pub(crate) fn is_ignored(&self) -> bool {
        self.code == *b"!!"
    }

    /// Returns whether the file's name is staged without its content, as after `git add
    /// --intent-to-add`.
    pub(crate) fn is_intent_to_add(&self) -> bool {
        self.code == *b".A"
    }

    pub(crate) fn is_conflicted(&self) -> bool {
        matches!(&self.code, b"DD" | b"AA" | [b'U', _] | [_, b'U'])
    }
}

/// Lists the staged, unstaged, conflicting and untracked files of a worktree, and the ignored ones
/// if `ignored` says so: `git status --porcelain=v2 --untracked-files=all --no-renames`. Leaves out
/// assume-unchanged and skip-worktree files.
///
/// # Errors
/// If git fails or, except in the main worktree, if the configuration of a submodule may name a
/// program.
pub(crate) fn changes(checkout: &Checkout, ignored: Ignored) -> Result<Vec<Change>> {
    Ok(Head::status(checkout, ignored)?.1)
}

/// What `git status --porcelain=v2` prints as the branch of a worktree that has none.
pub(crate) const DETACHED: &str = "(detached)";

/// The commit and branch that are checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) oid: String,
    /// The branch without `refs/heads/`, or [`DETACHED`].
    pub(crate) branch: String,
}

impl Head {
    /// Returns the checked out commit and branch, and the changed files as [`changes`] does, from
    /// one `git status`.
    pub(crate) fn status(dir: &Checkout, ignored: Ignored) -> Result<(Self, Vec<Change>)> {
        Self::status_with_index(dir, ignored, None)
    }

    /// Returns the checked out commit and branch, and the changed files as [`changes`] does,
    /// compared with `index` or, if that is `None`, with the worktree's own index.
    pub(super) fn status_with_index(
        checkout: &Checkout,
        ignored: Ignored,
        index: Option<&ScratchIndex<'_>>,
    ) -> Result<(Self, Vec<Change>)> {
        // git runs in each nested repository. If none was verified, git must not enter one that
        // appears now.
        let nested = match checkout.verify_nested()? {
            true => "--ignore-submodules=none",
            false => "--ignore-submodules=dirty",
        };
        let git = checkout.reading().words("status --porcelain=v2 -z");
        let mut git = git.args(["--branch", "--untracked-files=all", nested, "--no-renames"]);
        if ignored == Ignored::Included {
            git = git.arg("--ignored=traditional");
        }
        if let Some(index) = index {
            git = index.used_by(git);
        }
        let out = git.output()?;
        let header = |name: &[u8]| {
            let mut records = out.split(|&b| b == 0);
            let value = records.find_map(|record| record.strip_prefix(name));
            let value = value.context("`git status` printed no branch header")?;
            anyhow::Ok(value.to_str_lossy().into_owned())
        };
        let head = Self {
            oid: header(b"# branch.oid ")?,
            branch: header(b"# branch.head ")?,
        };
        Ok((head, parse(&out)?))
    }
}

fn parse(out: &[u8]) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for record in records(out)? {
        // The path follows a fixed number of fields and may contain spaces.
        let (code, fields, mode) = match record {
            [b'1', b' ', x, y, b' ', ..] => ([*x, *y], 8, 5),
            [b'u', b' ', x, y, b' ', ..] => ([*x, *y], 10, 6),
            [b'?', b' ', ..] => (*b"??", 1, 0),
            [b'!', b' ', ..] => (*b"!!", 1, 0),
            [b'#', ..] => continue,
            _ => bail!("`git status` printed an unknown record"),
        };
        let path = record.splitn(fields + 1, |&b| b == b' ').nth(fields);
        let path = path.context("`git status` printed an incomplete record")?;
        let mode = record.split(|&b| b == b' ').nth(mode);
        let is_submodule = code[1] != b'.' && fields > 1 && record.get(5) == Some(&b'S');
        changes.push(Change {
            code,
            kind: mode.and_then(EntryKind::of_mode),
            is_submodule,
            unhide_option: None,
            path: path.to_path_lossy().into_owned(),
        });
    }
    Ok(changes)
}

/// Counts changed files by kind and in total, except ignored ones; a file with staged and unstaged
/// changes counts as both, but once in the total.
pub(crate) fn count(changes: &[Change]) -> Changes {
    let mut counts = Changes::default();
    for change in changes {
        match change.code {
            _ if change.is_ignored() => continue,
            _ if change.is_untracked() => counts.untracked += 1,
            _ if change.is_conflicted() => counts.conflicted += 1,
            [staged, unstaged] => {
                counts.staged += usize::from(staged != b'.');
                counts.unstaged += usize::from(unstaged != b'.');
            }
        }
        counts.files += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_all_records_and_names() {
        let out = b"1 M. N... 100644 100644 100644 1 2 a b\n\"c\0\
                    1 .D N... 100644 100644 000000 1 2 gone\0\
                    1 MM N... 100644 100644 160000 1 2 both\0\
                    u UU N... 1 2 3 120000 5 6 7 torn apart\0? \xff new\0! log\0";
        let changes = parse(out).unwrap();
        let paths = changes.iter().map(|change| change.path.to_string_lossy());
        let paths = paths.collect::<Vec<_>>().join("|");
        assert_eq!(paths, "a b\n\"c|gone|both|torn apart|\u{fffd} new|log");
        let expected = Changes {
            staged: 2,
            unstaged: 2,
            untracked: 1,
            conflicted: 1,
            files: 5,
        };
        assert_eq!(count(&changes), expected);
        let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
        let (file, other) = (Some(EntryKind::File), Some(EntryKind::Other));
        assert_eq!(
            kinds,
            [file, None, other, Some(EntryKind::Link), None, None]
        );
        assert!(parse(b"3 what\0").is_err());
        assert!(parse(b"? cut off").is_err());
    }
}
