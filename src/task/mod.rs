//! The data of a task. Pure, no input or output.

pub(crate) mod check;
pub(crate) mod exit;
pub(crate) mod finding;
pub(crate) mod gate;
pub(crate) mod id;
pub(crate) mod land;
pub(crate) mod names;
mod noted_entry;
pub(crate) mod observation;
pub(crate) mod record;
pub(crate) mod status;
pub(crate) mod tmux;
pub(crate) mod version;

pub(crate) use exit::{Exit, ExitReason};
pub(crate) use gate::{GateState, GateVerdict};
pub(crate) use id::TaskId;
pub(crate) use land::LandState;
pub(crate) use names::{BranchName, HEADS, ObjectId, RefName};
pub(crate) use noted_entry::NotedEntry;
pub(crate) use observation::{
    Activity, Evidence, OutputPattern, Report, Source, Title, WaitReason,
};
pub(crate) use record::{
    Bytes, ExistingBranch, LandRounds, Layout, MergeRecord, Phase, RecordFile, Removal, Rest,
    Target, Task,
};
pub(crate) use status::{Changes, Divergence, GitRefusal, State, Status};
pub(crate) use tmux::{PaneId, SessionId, SessionName, WindowId};
