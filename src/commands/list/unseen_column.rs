//! The column of unseen files.

use std::collections::BTreeMap;

use crate::context::Flux;
use crate::lifecycle::conflicts::ConflictReport;
use crate::lifecycle::review::{UnseenCounts, is_used};
use crate::store::Store;
use crate::task::TaskId;

/// The numbers of unseen files; `None` if nothing is reviewed here.
pub(super) struct UnseenColumn(Option<BTreeMap<TaskId, usize>>);

/// Counts the unseen files of the tasks that `report` has compared; without a report, no number is
/// known. Counts nothing if unseen files are not shown here, as [`is_used`] says.
pub(super) fn count(flux: &Flux, store: &Store, report: Option<&ConflictReport>) -> UnseenColumn {
    if !is_used(flux, store) {
        return UnseenColumn(None);
    }
    let mut found = BTreeMap::new();
    if let Some(report) = report {
        let mut counts = UnseenCounts::load(flux, store, &report.quarantine);
        for (id, work) in &report.works {
            let task = store.readable().find(|task| task.id == *id);
            let count = task.and_then(|task| counts.count(task, work));
            found.extend(count.map(|count| (id.clone(), count)));
        }
        counts.save();
    }
    UnseenColumn(Some(found))
}

impl UnseenColumn {
    /// Returns the number of unseen files of a task; `None` if it is not known, or if unseen files
    /// are not shown here.
    pub(super) fn of(&self, id: &TaskId) -> Option<usize> {
        self.0.as_ref()?.get(id).copied()
    }

    /// Returns the cell of a task, empty if there is nothing unseen.
    pub(super) fn cell(&self, id: &TaskId) -> String {
        match (&self.0, self.of(id)) {
            (None, _) | (_, Some(0)) => String::new(),
            (Some(_), Some(count)) => count.to_string(),
            (Some(_), None) => "?".to_owned(),
        }
    }
}
