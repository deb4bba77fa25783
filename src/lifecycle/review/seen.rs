//! Notes what the user has looked at, in `refs/flux/seen/<id>`.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::TaskReview;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::Transaction;
use crate::store::{Store, seen_ref, task_ref};

/// The time for which what is unseen is shown after the last task that was looked at is gone.
const SHOWN_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Returns whether unseen files are shown in this repository: the user has looked at one of its
/// tasks, such a task was removed in the last 30 days, or `flux.landUnseen` is false.
pub(crate) fn is_used(flux: &Flux, store: &Store) -> bool {
    let changed = || flux.repo.marks().last_change("seen");
    let is_recent = || changed().is_some_and(|at| at.elapsed().is_ok_and(|age| age < SHOWN_FOR));
    let has_seen = || {
        store
            .readable()
            .any(|task| store.seen(&flux.repo, &task.id).is_some())
    };
    !flux.settings.lands_unseen().unwrap_or(true) || is_recent() || has_seen()
}

impl TaskReview<'_> {
    /// Notes that the user has seen the task as it was when this [`TaskReview`] was made. Waits for
    /// the task's lock.
    ///
    /// # Errors
    /// If the task was removed, or another command has noted something else meanwhile; nothing has
    /// changed then.
    pub(crate) fn mark_seen(&self) -> Result<()> {
        let (flux, id) = (self.flux, &self.id);
        let quarantine = self.quarantine.get()?;
        let tip = &self.work.tip;
        let seen = quarantine
            .objects()
            .write_commit(&self.unseen.present, &[tip])?;
        let lock = flux.lock_task(id)?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let record = &store.find(&flux.repo, id)?.oid;
        if store.seen(&flux.repo, id) == Some(&seen) {
            return Ok(());
        }
        let again = format!("to see what is left: git flux review {id}");
        let what = format!(
            "this review of '{id}' was not noted: another review of '{id}' was noted meanwhile"
        );
        let is_same = store.seen_object(id) == self.before.as_ref();
        ensure!(is_same, Failure::new(what).hint(again));
        quarantine.keep(&seen, tip, &lock)?;
        let name = seen_ref(id);
        let refs = Transaction::default().verify(&task_ref(id), record);
        let refs = match &self.before {
            None => refs.create(&name, &seen),
            Some(before) => refs.update(&name, &seen, before),
        };
        refs.commit(&flux.repo, &format!("flux review: {id}"), &lock)?;
        // Best effort: the ref says it.
        drop(flux.run_dir(id).note_seen());
        Ok(())
    }
}
