//! What could not be deleted of the trash: it is named, with the way out.

use std::path::PathBuf;

use anyhow::Result;

use super::archive::{expire, trash};
use super::owner::other_owner;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::Lock;

/// Returns what could not be deleted whole.
///
/// # Errors
/// When the trash cannot be read.
pub(crate) fn find(flux: &Flux) -> Result<Vec<Failure>> {
    // What another git flux deletes right now is no leftover.
    if Lock::is_held(&flux.expire_lock()) {
        return Ok(Vec::new());
    }
    let mut left = places(flux)?;
    left.sort();
    let failure = |place: &PathBuf| {
        Failure::new(format!("'{}' could not be deleted", place.display())).hint(trash::rid(place))
    };
    Ok(left.iter().map(failure).collect())
}

fn places(flux: &Flux) -> Result<Vec<PathBuf>> {
    let mut left = expire::entries(&flux.trash())?;
    left.retain(|place| trash::is_going(place) && other_owner(place).is_none());
    Ok(left)
}

/// Deletes again what could not be deleted. Returns for each that stays the file at fault.
///
/// # Errors
/// When the trash cannot be read.
pub(crate) fn clear(flux: &Flux) -> Result<Vec<anyhow::Error>> {
    let left = places(flux)?;
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let Some(_lock) = Lock::attempt(&flux.expire_lock(), flux.repo.sharing()?)? else {
        return Ok(Vec::new());
    };
    let left = left.into_iter();
    Ok(left
        .filter_map(|place| trash::clear(&place).err())
        .collect())
}
