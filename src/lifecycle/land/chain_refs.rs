//! Refs that keep the commits of a landing from `git gc`: `refs/flux/land/<run>/<n>`.

use anyhow::Result;

use super::progress::ProgressMarks;
use crate::context::Flux;
use crate::git::{Lock, Transaction, refs};
use crate::task::{ObjectId, RefName};

/// The part of the names of refs and marks.
const CLASS: &str = "land";

/// The refs of one chain.
#[derive(Debug)]
pub(super) struct ChainRefs(Vec<(RefName, ObjectId)>);

impl ChainRefs {
    /// Creates a ref for each commit, in one transaction. `lock` is the lock of landings.
    pub(super) fn create(flux: &Flux, commits: &[&ObjectId], lock: &Lock) -> Result<Self> {
        let run = format!("{:08x}", rand::random::<u32>());
        let name = |n: usize| RefName::new(format!("refs/flux/{CLASS}/{run}/{n}"));
        let refs = commits.iter().zip(1..);
        let refs: Vec<_> = refs
            .map(|(commit, n)| (name(n), (*commit).clone()))
            .collect();
        let mut created = Transaction::default();
        for (name, commit) in &refs {
            created = created.create(name, commit);
        }
        if !refs.is_empty() {
            created.commit(&flux.repo, "flux land", lock)?;
        }
        Ok(Self(refs))
    }

    /// Deletes the refs, in one transaction.
    pub(super) fn delete(self, flux: &Flux, lock: &Lock) -> Result<()> {
        delete(flux, &self.0, lock)
    }
}

fn delete(flux: &Flux, refs: &[(RefName, ObjectId)], lock: &Lock) -> Result<()> {
    if refs.is_empty() {
        return Ok(());
    }
    let mut deleted = Transaction::default();
    for (name, commit) in refs {
        deleted = deleted.delete(name, commit);
    }
    deleted.commit(&flux.repo, "flux land", lock)
}

/// Returns whether killed landings have left refs. Changes nothing.
pub(in crate::lifecycle) fn are_left(flux: &Flux) -> Result<bool> {
    let marks = flux.repo.marks().list(CLASS)?;
    Ok(!marks.is_empty() && !Lock::is_held(&flux.landing_lock()))
}

/// Waits for the lock of landings and takes it, and deletes what a killed landing has left. An
/// earlier [`sweep`] may have failed to, while a git that outlived that landing held the lock.
/// Fails on ^C.
pub(crate) fn lock(flux: &Flux) -> Result<Lock> {
    let lock = flux.lock_land()?;
    if let Err(error) = sweep_under(flux, &lock) {
        flux.ui.warn_of(&error);
    }
    Ok(lock)
}

/// Deletes what a killed landing has left, as [`sweep_under`] does. Does nothing while another
/// landing runs.
pub(crate) fn sweep(flux: &Flux) -> Result<()> {
    if flux.repo.marks().list(CLASS)?.is_empty() {
        return Ok(());
    }
    // Another landing may have begun since.
    match flux.try_lock_land()? {
        Some(lock) => sweep_under(flux, &lock),
        None => Ok(()),
    }
}

/// Deletes the refs that killed landings have left, the marks of these refs, and the marks of tasks
/// that were being landed. `lock` is the lock of landings. Leaves fetched refs alone. Starts git
/// only if there are marks of refs.
fn sweep_under(flux: &Flux, lock: &Lock) -> Result<()> {
    ProgressMarks::sweep(flux);
    let marks = flux.repo.marks();
    for run in marks.list(CLASS)? {
        let found = refs::list(flux.repo.home(), &[&run])?;
        let is_made =
            |(name, object): &(RefName, ObjectId)| marks.has_made(name, object) == Some(true);
        let made: Vec<_> = found.into_iter().filter(is_made).collect();
        delete(flux, &made, lock)?;
        marks.remove(&run)?;
    }
    Ok(())
}
