//! Files whose changes `git status` hides: `git update-index --assume-unchanged`,
//! `--skip-worktree`.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use bstr::ByteSlice as _;

use crate::git::Checkout;
use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::changes::{Change, Head, Ignored};
use crate::git::checkout::gitfile::lstat;
use crate::git::checkout::index::IndexSummary;
use crate::git::records::{join_records, records};

/// The options that clear the flags.
const NO_ASSUME_UNCHANGED: &str = "--no-assume-unchanged";
const NO_SKIP_WORKTREE: &str = "--no-skip-worktree";

/// The files of a worktree that have one of the flags.
#[derive(Default)]
pub(in crate::git) struct HiddenFiles {
    assumed: HashSet<PathBuf>,
    skipped: HashSet<PathBuf>,
}

impl HiddenFiles {
    /// Lists the assume-unchanged files of a worktree, and those skip-worktree files that exist
    /// there: `git ls-files -v -z`
    pub(in crate::git) fn list(checkout: &Checkout) -> Result<Self> {
        Self::list_existing(checkout, checkout.read_index())
    }

    /// Lists the files as [`Self::list`] does, with `index` as [`Checkout::read_index`] has just
    /// returned it.
    fn list_existing(checkout: &Checkout, index: Option<IndexSummary>) -> Result<Self> {
        let mut found = Self::list_with(checkout, index)?;
        let mut existing = HashSet::new();
        for path in found.skipped {
            if lstat(&checkout.path().join(&path))?.is_some() {
                existing.insert(path);
            } else {
                found.assumed.remove(&path);
            }
        }
        found.skipped = existing;
        Ok(found)
    }

    /// Lists the assume-unchanged and skip-worktree files of a worktree, also those that do not exist
    /// there: `git ls-files -v -z`
    pub(in crate::git) fn list_all(checkout: &Checkout) -> Result<Self> {
        Self::list_with(checkout, checkout.read_index())
    }

    fn list_with(checkout: &Checkout, index: Option<IndexSummary>) -> Result<Self> {
        let mut found = Self::default();
        // The flags are rare; reading the index saves a process.
        if index.is_some_and(|index| !index.hides_changes) {
            return Ok(found);
        }
        let out = checkout.reading().words("ls-files -v -z").output()?;
        for record in records(&out)? {
            let &[tag, _, ref path @ ..] = record else {
                bail!("`git ls-files` printed an incomplete record");
            };
            let path = path.to_path_lossy().into_owned();
            if tag.is_ascii_lowercase() {
                found.assumed.insert(path.clone());
            }
            if matches!(tag, b'S' | b's') {
                found.skipped.insert(path);
            }
        }
        Ok(found)
    }

    pub(in crate::git) fn is_empty(&self) -> bool {
        self.assumed.is_empty() && self.skipped.is_empty()
    }

    /// Clears the assume-unchanged and skip-worktree flags of the listed files in `index`:
    /// `git update-index --no-assume-unchanged`, `git update-index --no-skip-worktree`
    pub(in crate::git) fn reveal(&self, index: &ScratchIndex<'_>) -> Result<()> {
        for (option, paths) in [
            (NO_ASSUME_UNCHANGED, &self.assumed),
            (NO_SKIP_WORKTREE, &self.skipped),
        ] {
            if !paths.is_empty() {
                let git = index.git().words("update-index").arg(option);
                let git = git.words("-z --stdin");
                git.input(join_records(paths)).run()?;
            }
        }
        Ok(())
    }
}

/// Returns what [`Head::status`] does, with the changes of assume-unchanged and existing
/// skip-worktree files, which have [`Change::unhide_option`] set. Leaves the worktree's index
/// unchanged.
pub(crate) fn full_status(checkout: &Checkout, ignored: Ignored) -> Result<(Head, Vec<Change>)> {
    let index = checkout.read_index();
    let hidden = HiddenFiles::list_existing(checkout, index)?;
    status_revealing(checkout, ignored, index, &hidden)
}

/// Returns what [`full_status`] does, for a worktree that should have all files: skip-worktree files
/// that do not exist count as deleted.
pub(crate) fn whole_status(checkout: &Checkout, ignored: Ignored) -> Result<(Head, Vec<Change>)> {
    let index = checkout.read_index();
    let hidden = HiddenFiles::list_with(checkout, index)?;
    status_revealing(checkout, ignored, index, &hidden)
}

fn status_revealing(
    checkout: &Checkout,
    ignored: Ignored,
    summary: Option<IndexSummary>,
    hidden: &HiddenFiles,
) -> Result<(Head, Vec<Change>)> {
    if hidden.is_empty() {
        return Head::status_with_index(checkout, ignored, summary, None);
    }
    let index = ScratchIndex::copy_of(checkout)?;
    hidden.reveal(&index)?;
    let (head, mut changes) = Head::status_with_index(checkout, ignored, summary, Some(&index))?;
    for change in &mut changes {
        let mark = hidden
            .assumed
            .contains(&change.path)
            .then_some(NO_ASSUME_UNCHANGED);
        let skipped = hidden.skipped.contains(&change.path);
        change.unhide_option = mark.or(skipped.then_some(NO_SKIP_WORKTREE));
    }
    Ok((head, changes))
}
