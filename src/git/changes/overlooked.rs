//! Files that git was told to overlook, so that `git status` calls their changes none:
//! `git update-index --assume-unchanged`, `--skip-worktree`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Result, bail};

use crate::git::Checkout;
use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::changes::{Change, Head, Ignored};
use crate::git::checkout::found_at;
use crate::git::records::records;

/// What takes the one mark and the other off a file.
const ASSUMED: &str = "--no-assume-unchanged";
const SKIPPED: &str = "--no-skip-worktree";

/// The files of one worktree that are overlooked, each followed by a NUL.
#[derive(Default)]
pub(in crate::git) struct Overlooked {
    assumed: Vec<u8>,
    skipped: Vec<u8>,
}

impl Overlooked {
    /// Those of a worktree, but for what a sparse checkout leaves out:
    /// `git ls-files -v -z`
    ///
    /// # Errors
    /// When git fails, or it cannot be told whether one of them is there.
    pub(in crate::git) fn of(checkout: &Checkout) -> Result<Self> {
        let mut found = Self::default();
        // It is rare, and told without a process.
        let index = checkout.look_at_index();
        if index.is_some_and(|index| !index.overlooks) {
            return Ok(found);
        }
        let out = checkout.reading("ls-files -v -z").output()?;
        for record in records(&out)? {
            let &[tag, _, ref path @ ..] = record else {
                bail!("`git ls-files` printed a short record");
            };
            let (assumed, skipped) = (tag.is_ascii_lowercase(), matches!(tag, b'S' | b's'));
            if !assumed && !skipped {
                continue;
            }
            let file = checkout.path().join(OsStr::from_bytes(path));
            if skipped && found_at(&file)?.is_none() {
                continue;
            }
            if assumed {
                found.assumed.extend([path, b"\0"].concat());
            }
            if skipped {
                found.skipped.extend([path, b"\0"].concat());
            }
        }
        Ok(found)
    }

    /// Takes the marks off an index.
    ///
    /// # Errors
    /// When git fails.
    pub(in crate::git) fn reveal(&self, index: &ScratchIndex<'_>) -> Result<()> {
        for (option, paths) in [(ASSUMED, &self.assumed), (SKIPPED, &self.skipped)] {
            if !paths.is_empty() {
                let git = index.git("update-index").args([option, "-z", "--stdin"]);
                git.input(paths.as_slice()).run()?;
            }
        }
        Ok(())
    }
}

/// [`Head::and_changes`] with those that git was told to overlook, which are marked.
///
/// # Errors
/// As there.
pub(crate) fn all_changes(checkout: &Checkout, ignored: Ignored) -> Result<(Head, Vec<Change>)> {
    let overlooked = Overlooked::of(checkout)?;
    if overlooked.assumed.is_empty() && overlooked.skipped.is_empty() {
        return Head::and_changes(checkout, ignored);
    }
    let index = ScratchIndex::copy_of(checkout)?;
    overlooked.reveal(&index)?;
    let (head, mut changes) = Head::seen_with(checkout, ignored, Some(&index))?;
    let assumed: HashSet<&[u8]> = overlooked.assumed.split(|&b| b == 0).collect();
    let skipped: HashSet<&[u8]> = overlooked.skipped.split(|&b| b == 0).collect();
    for change in &mut changes {
        let path = change.path.as_os_str().as_bytes();
        let mark = assumed.contains(path).then_some(ASSUMED);
        change.overlooked = mark.or(skipped.contains(path).then_some(SKIPPED));
    }
    Ok((head, changes))
}
