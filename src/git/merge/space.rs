//! The room that a merge needs on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::git::ls_tree::list_files;
use crate::git::{Checkout, ObjectId};
use crate::system::disk::bytes_left;

/// The free space from which a merge is not measured: that takes time, and it will fit.
const PLENTY: u128 = 1 << 30;

/// The space for refs and logs.
const MARGIN: u128 = 128 << 10;

/// The size of a block, of which a file takes whole ones.
const BLOCK: u64 = 4 << 10;

/// Fails if the disk of a worktree has no room for the files that differ in `new`: git would write some
/// of them, then fail, and could not take them back. Asks git for their sizes only if less than
/// 1 GiB is left. Changes nothing.
pub(crate) fn ensure_space(worktree: &Checkout, old: &ObjectId, new: &ObjectId) -> Result<()> {
    let path = worktree.path();
    let Some(left) = bytes_left(path).filter(|left| *left < PLENTY) else {
        return Ok(());
    };
    let before: BTreeMap<PathBuf, ObjectId> = list_files(path, old)?
        .into_iter()
        .map(|entry| (entry.path, entry.object))
        .collect();
    let files = list_files(path, new)?.into_iter();
    let changed = files.filter(|entry| before.get(&entry.path) != Some(&entry.object));
    let sizes = changed.map(|entry| u128::from(entry.size.next_multiple_of(BLOCK)));
    let index = fs::metadata(worktree.git_dir().join("index"));
    let index = index.map_or(0, |index| u128::from(index.len()));
    if left < sizes.sum::<u128>() + index + MARGIN {
        let what = "no space is left on the disk of";
        bail!("{what} '{}' for the merge", path.display());
    }
    Ok(())
}
