//! Trial merges of two commits without a worktree: `git merge-tree`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use crate::git::command::exit_error;
use crate::git::records::records;
use crate::git::{Git, ObjectId, Repo};

/// A file with a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) path: PathBuf,
    /// git's term, such as `contents` or `modify/delete`; may be empty.
    pub(crate) kind: String,
}

/// The result of a trial merge.
pub(in crate::git) enum MergeResult {
    Tree(ObjectId),
    Conflicts(Vec<Conflict>),
    /// Conflicts that merge drivers resolve.
    Drivers(Vec<Conflict>),
}

impl MergeResult {
    /// Merges two commits without files, refs or merge drivers: `git merge-tree --write-tree
    /// --name-only -z <ours> <theirs>`. Returns the tree or the conflicts, as `Drivers` if all have
    /// a merge driver. Attributes are those of `ours` (before git 2.41, of the main worktree).
    pub(in crate::git) fn compute(repo: &Repo, ours: &ObjectId, theirs: &ObjectId) -> Result<Self> {
        let git = Git::reading(repo.home()).words("merge-tree --write-tree --name-only -z");
        let git = git.args([ours, theirs]);
        // git before 2.41 ignores it and uses the attributes of the main worktree.
        let git = git.env("GIT_ATTR_SOURCE", ours);
        let (code, output) = repo.drivers().disable_in(git).outcome()?;
        let mut fields = records(&output.stdout)?;
        let tree = fields.next().unwrap_or_default();
        if code == 0 && !tree.is_empty() {
            return Ok(Self::Tree(String::from_utf8(tree.to_vec())?.into()));
        }
        let files = match code {
            1 => parse_conflicts(&mut fields, [ours, theirs])?,
            _ => Vec::new(),
        };
        // Other failures have the same exit code, but no files.
        if files.is_empty() {
            return Err(exit_error("git merge-tree", code, &output.stderr));
        }
        let paths: Vec<&Path> = files.iter().map(|file| &*file.path).collect();
        Ok(match repo.drivers().can_merge(repo.home(), ours, &paths)? {
            true => Self::Drivers(files),
            false => Self::Conflicts(files),
        })
    }
}

/// Parses the conflicting files from the output of `git merge-tree -z`: paths up to an empty field,
/// then messages, each with a number of paths, the paths, an untranslated kind and a sentence.
pub(in crate::git) fn parse_conflicts<'a>(
    fields: &mut impl Iterator<Item = &'a [u8]>,
    sides: [&ObjectId; 2],
) -> Result<Vec<Conflict>> {
    let mut files: Vec<Conflict> = Vec::new();
    for file in fields.by_ref().take_while(|file| !file.is_empty()) {
        let path = conflict_path(file, sides);
        if files.iter().all(|file| file.path != path) {
            let kind = String::new();
            files.push(Conflict { path, kind });
        }
    }
    while let Some(count) = fields.next().filter(|count| !count.is_empty()) {
        let count: usize = std::str::from_utf8(count)?.parse()?;
        let about = fields.by_ref().take(count);
        let about: Vec<PathBuf> = about.map(|file| conflict_path(file, sides)).collect();
        let kind = fields.next();
        let kind = kind.context("`git merge-tree` printed an incomplete message")?;
        fields.next();
        let kind = kind.strip_prefix(b"CONFLICT (");
        let kind = kind.and_then(|kind| kind.strip_suffix(b")"));
        let Some(kind) = kind else { continue };
        for file in &mut files {
            if file.kind.is_empty() && about.contains(&file.path) {
                file.kind = String::from_utf8_lossy(kind).into_owned();
            }
        }
    }
    Ok(files)
}

/// Returns the path of a conflicting file, without the suffix `~<commit>` that git adds if the
/// other side has a directory there.
fn conflict_path(file: &[u8], sides: [&ObjectId; 2]) -> PathBuf {
    let mut added = sides.iter().map(|side| format!("~{side}"));
    let plain = added.find_map(|side| file.strip_suffix(side.as_bytes()));
    plain.unwrap_or(file).to_path_lossy().into_owned()
}
