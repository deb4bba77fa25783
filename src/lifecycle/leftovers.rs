//! What is in the trash or the archive and cannot be restored: it is named, with the way out.

use anyhow::Result;

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
    let mut found = Vec::new();
    for (full, oid) in &refs {
        let name = full
            .strip_prefix(ARCHIVE)
            .and_then(|rest| rest.strip_suffix("/tip"));
        let Some(name) = name else { continue };
        let read = || {
            let record = refs.get(&format!("{ARCHIVE}{name}/task"));
            let record = flux.repo.read_file(record.unwrap_or(oid), RECORD)?;
            Task::from_json(&record)
        };
        let Err(error) = read() else { continue };
        let (branch, below) = (word(name), word(&format!("{ARCHIVE}{name}")));
        found.push(Leftover {
            what: format!("the record of the removed task '{name}' cannot be read: {error:#}"),
            hints: vec![
                format!("its commits: git branch {branch} {full}"),
                format!(
                    "to delete it: git for-each-ref --format='delete %(refname)' {below} | git update-ref --stdin"
                ),
            ],
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
