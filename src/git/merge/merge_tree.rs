//! What a merge of two commits comes to, without a worktree.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use crate::git::command::exit_error;
use crate::git::records::records;
use crate::git::{Git, ObjectId, Repo};

/// A file that a merge cannot decide about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) path: PathBuf,
    /// git's word for it: `contents`, `modify/delete` …; empty if it has none.
    pub(crate) kind: String,
}

/// What two commits come to.
pub(in crate::git) enum MergeResult {
    Tree(ObjectId),
    Conflicts(Vec<Conflict>),
    /// In these files both have changed the same, and merge drivers decide about them.
    Drivers(Vec<Conflict>),
}

impl MergeResult {
    /// `git merge-tree --write-tree --name-only -z <ours> <theirs>`,
    /// with the attributes of `ours`, whatever is checked out where it runs. No merge driver runs.
    ///
    /// # Errors
    /// When one of the commits is missing or git fails.
    pub(in crate::git) fn compute(repo: &Repo, ours: &ObjectId, theirs: &ObjectId) -> Result<Self> {
        let git = Git::reading(repo.home(), "merge-tree --write-tree --name-only -z");
        let git = git.args([ours, theirs]);
        // git before 2.41 does not know it, and takes those of the main worktree.
        let git = git.env("GIT_ATTR_SOURCE", ours);
        let (code, output) = repo.drivers().without(git).outcome()?;
        let mut fields = records(&output.stdout)?;
        let tree = fields.next().unwrap_or_default();
        if code == 0 && !tree.is_empty() {
            return Ok(Self::Tree(String::from_utf8(tree.to_vec())?.into()));
        }
        let files = match code {
            1 => conflicts(fields, [ours, theirs])?,
            _ => Vec::new(),
        };
        // Without one there was a failure of the same code.
        if files.is_empty() {
            return Err(exit_error("git merge-tree", code, &output.stderr));
        }
        let paths: Vec<&Path> = files.iter().map(|file| &*file.path).collect();
        Ok(match repo.drivers().decide(repo.home(), ours, &paths)? {
            true => Self::Drivers(files),
            false => Self::Conflicts(files),
        })
    }
}

/// The files up to an empty field, then what git says of them: a number of paths,
/// the paths, a kind that is the same in every language, and a sentence.
fn conflicts<'a>(
    mut fields: impl Iterator<Item = &'a [u8]>,
    sides: [&ObjectId; 2],
) -> Result<Vec<Conflict>> {
    let mut files: Vec<Conflict> = Vec::new();
    for file in fields.by_ref().take_while(|file| !file.is_empty()) {
        let path = path(file, sides);
        if files.iter().all(|file| file.path != path) {
            let kind = String::new();
            files.push(Conflict { path, kind });
        }
    }
    while let Some(count) = fields.next().filter(|count| !count.is_empty()) {
        let count: usize = std::str::from_utf8(count)?.parse()?;
        let about = fields.by_ref().take(count);
        let about: Vec<PathBuf> = about.map(|file| path(file, sides)).collect();
        let kind = fields.next();
        let kind = kind.context("`git merge-tree` printed half a message")?;
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

/// The path that a conflict is about: a file where the other side has a directory
/// gets the name of its side added.
fn path(file: &[u8], sides: [&ObjectId; 2]) -> PathBuf {
    let mut added = sides.iter().map(|side| format!("~{side}"));
    let plain = added.find_map(|side| file.strip_suffix(side.as_bytes()));
    plain.unwrap_or(file).to_path_lossy().into_owned()
}
