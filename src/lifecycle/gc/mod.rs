//! Housekeeping: deletes what has expired and what killed commands have left.

mod find;
mod garbage;

use std::time::Instant;

use anyhow::{Context as _, Error, Result, bail};

pub(crate) use self::find::find;
pub(crate) use self::garbage::Garbage;
use super::archive::expire::TIME_LIMIT;
use super::recover::recover;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::Lock;
use crate::interrupt;
use crate::store::Store;
use crate::ui;

/// Recovers interrupted tasks, and deletes what is no longer needed; calls `tell` after each.
/// Returns the errors of single deletions. Waits while another process does this.
///
/// # Errors
/// If a setting is invalid, with nothing deleted, or if interrupted.
pub(crate) fn collect(flux: &Flux, tell: &mut dyn FnMut(&Garbage)) -> Result<Vec<Error>> {
    let lock = flux.lock_expire()?;
    lock.touch().context("could not note the time")?;
    let store = Store::load(&flux.repo, &flux.settings)?;
    // The recovery deletes some of it without a word.
    let found = find(flux, &store)?;
    recover(flux, &store)?;
    delete(flux, &found, None, tell)
}

/// Deletes the garbage in `found`, in order, but begins with none after the time `end`; then marks
/// and pins that are no longer needed. Returns the errors of single deletions. Fails on ^C, and if
/// a directory of git flux was replaced by a link.
fn delete(
    flux: &Flux,
    found: &[Garbage],
    end: Option<Instant>,
    tell: &mut dyn FnMut(&Garbage),
) -> Result<Vec<Error>> {
    let mut errors = Vec::new();
    let is_late = || end.is_some_and(|end| Instant::now() > end);
    for one in found.iter().take_while(|_| !is_late()) {
        interrupt::check()?;
        // It may have taken long until here.
        flux.ensure_directories()?;
        match one.delete(flux) {
            Ok(true) => tell(one),
            Ok(false) => {}
            Err(error) => errors.push(error),
        }
    }
    errors.extend(flux.sweep_archive_marks()?);
    errors.extend(flux.release_stash_pins().err());
    Ok(errors)
}

impl Flux {
    /// Deletes what is no longer needed, in the background: begins nothing after ten minutes, and
    /// does nothing while another process does this. Prints all errors, then fails if there were any.
    pub(crate) fn expire(&self) -> Result<()> {
        let end = Instant::now() + TIME_LIMIT;
        let Some(lock) = Lock::try_acquire(&self.expire_lock(), self.repo.sharing()?)? else {
            return Ok(());
        };
        lock.touch().context("could not note the time")?;
        let found = find(self, &Store::load(&self.repo, &self.settings)?)?;
        let errors = delete(self, &found, Some(end), &mut |_| ())?;
        drop(lock);
        if errors.is_empty() {
            return Ok(());
        }
        errors.iter().for_each(ui::show);
        bail!(Failure::new("not everything could be deleted").hint("git flux gc"))
    }
}
