//! What is in the trash or the archive and cannot be restored: it is named, with the way out.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use super::{Flux, expire, trash};
use crate::git::{Lock, refs};
use crate::store::{ARCHIVE, RECORD};
use crate::task::Task;
use crate::ui::word;

/// Something that is left.
pub(crate) struct Leftover {
    pub(crate) what: String,
    /// The commands that keep it or get rid of it.
    pub(crate) hints: Vec<String>,
    /// Whether it could not be read.
    pub(crate) unread: bool,
}

/// Returns what cannot be restored: what could not be deleted whole, and archives whose record
/// cannot be read.
///
/// # Errors
/// When git fails, or the trash cannot be read.
pub(crate) fn find(flux: &Flux) -> Result<Vec<Leftover>> {
    let mut found = unreadable(flux)?;
    // What another git flux deletes right now is no leftover.
    if Lock::is_held(&flux.expire_lock()) {
        return Ok(found);
    }
    let mut left = expire::entries(&flux.trash())?;
    left.retain(|place| trash::is_going(place));
    left.sort();
    found.extend(left.iter().map(|place| Leftover {
        what: format!("'{}' could not be deleted", place.display()),
        hints: vec![trash::rid(place)],
        unread: false,
    }));
    Ok(found)
}

fn unreadable(flux: &Flux) -> Result<Vec<Leftover>> {
    let refs = refs::list(flux.repo.home(), &[ARCHIVE])?;
    let names = refs
        .keys()
        .filter_map(|name| name.strip_prefix(ARCHIVE)?.split_once('/'));
    let names: BTreeSet<&str> = names.map(|(name, _)| name).collect();
    let mut found = Vec::new();
    for name in names {
        let part = |part: &str| refs.get(&format!("{ARCHIVE}{name}/{part}"));
        let read = || {
            let record = part("task").context("it has none")?;
            let task = Task::from_json(&flux.repo.read_file(record, RECORD)?)?;
            part("tip").context("it has no commit").map(|_| task)
        };
        let Err(error) = read() else { continue };
        let below = word(&format!("{ARCHIVE}{name}"));
        let commits =
            part("tip").map(|tip| format!("its commits: git branch {} {tip}", word(name)));
        let delete = format!(
            "to delete it: git for-each-ref --format='delete %(refname)' {below} | git update-ref --stdin"
        );
        found.push(Leftover {
            what: format!("the record of the removed task '{name}' cannot be read: {error:#}"),
            hints: commits.into_iter().chain([delete]).collect(),
            unread: true,
        });
    }
    Ok(found)
}

/// Deletes again what could not be deleted.
///
/// # Errors
/// The file at fault, of the first.
pub(crate) fn clear(flux: &Flux) -> Vec<anyhow::Error> {
    let Ok(Some(_lock)) = Lock::attempt(&flux.expire_lock()) else {
        return Vec::new();
    };
    let left = expire::entries(&flux.trash()).unwrap_or_default();
    let left = left.iter().filter(|place| trash::is_going(place));
    left.filter_map(|place| trash::clear(place).err()).collect()
}
