//! Words: what a task is, on paper. Pure, no input or output.

pub(crate) mod check;
pub(crate) mod exit;
pub(crate) mod finding;
pub(crate) mod id;
pub(crate) mod names;
pub(crate) mod record;
pub(crate) mod seen;
pub(crate) mod status;
pub(crate) mod tmux;
pub(crate) mod version;

pub(crate) use exit::{Exit, How};
pub(crate) use id::TaskId;
pub(crate) use names::{BranchName, HEADS, ObjectId, RefName};
pub(crate) use record::{Bytes, Existing, Layout, Merged, Phase, Removal, Rest, Target, Task};
pub(crate) use seen::{Found, Habit, Heard, Said, Source, Title, Why};
pub(crate) use status::{Changes, Divergence, State, Status, Unlooked};
pub(crate) use tmux::{PaneId, SessionId, SessionName, WindowId};
