//! Conflicts between changes that are not merged yet, without a trace in the repository: objects
//! are written to a quarantine, and no index, file or ref changes.

pub(crate) mod carry;
pub(crate) mod hunks;
pub(crate) mod merge_batch;
pub(crate) mod quarantine;
pub(crate) mod relevant;
pub(crate) mod touched;
pub(crate) mod work;
