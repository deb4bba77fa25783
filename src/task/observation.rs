//! Observations of a task and reports of its agent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{Exit, Phase, Target};

/// The activity that an agent reports by a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Activity {
    Starting,
    Working,
    Waiting,
    Done,
    Failed,
    Interrupted,
    /// Its program has ended; the launcher reports it.
    Exited,
}

/// The reason why an agent waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum WaitReason {
    /// The user must allow an action.
    Permission,
    /// The user must answer a question.
    Question,
}

/// The last report of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) activity: Activity,
    pub(crate) why: Option<WaitReason>,
    pub(crate) at: Timestamp,
}

/// The activity that an agent shows in the title of its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Title {
    Working,
    Idle,
    /// Idle, with a question open.
    Asking,
}

/// The activity that an agent's session file records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionActivity {
    Working,
    /// Its turn is over, and a command that it has started still runs.
    Background,
    Waiting(Option<WaitReason>),
    Idle,
}

/// The state that an agent's session file records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionState {
    pub(crate) activity: SessionActivity,
    pub(crate) at: Timestamp,
    /// The conversation continues in another process, which input to the pane does not reach.
    pub(crate) is_handed_over: bool,
}

/// The relation of an agent's output to its activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OutputPattern {
    /// It paints all the time while it works.
    WhileWorking,
    /// It paints nothing while it is idle, and is alone in its window.
    NotWhileIdle,
    #[default]
    Unknown,
}

/// The source of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Source {
    Lock,
    Record,
    Worktree,
    Branch,
    /// The exit that the launcher recorded.
    Exit,
    /// The launcher's process.
    Process,
    Hook,
    /// The agent's session file.
    Session,
    Title,
    /// The file of the agent's conversation.
    Transcript,
    /// The time of the last output.
    Activity,
    #[default]
    None,
}

/// The source that a state was concluded from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) source: Source,
    /// The start of the state, if known.
    pub(crate) since: Option<Timestamp>,
    /// Inferred, not reported.
    pub(crate) is_inferred: bool,
}

/// The place of a task's worktree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Location {
    /// The path in the record.
    Here,
    /// It belongs to the repository that this one was copied from.
    Elsewhere,
    #[default]
    Gone,
}

/// The state of a launcher, as the files of its run show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Presence {
    /// There are no such files.
    #[default]
    Never,
    /// They cannot be read.
    Unreadable,
    Gone,
    /// It was started on another machine, and may be alive there.
    OtherMachine,
    /// It is alive where this process cannot see it.
    Elsewhere,
    /// It is alive, and its agent has not started yet.
    InSetup,
    /// It is alive, and has started a wrapper that has not recorded the start of the agent.
    InQueue,
    Alive,
}

/// The observation of one task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observation {
    /// The phase in its record.
    pub(crate) phase: Phase,
    /// A live command holds the task's lock.
    pub(crate) is_locked: bool,
    pub(crate) worktree: Location,
    pub(crate) has_branch: bool,
    pub(crate) launcher: Presence,
    /// The start of the launcher, of the wrapper that waits to start the agent, or of the agent that
    /// a wrapper has started.
    pub(crate) started: Option<Timestamp>,
    pub(crate) exit: Option<Exit>,
    /// The last report of this run by a hook.
    pub(crate) last_report: Option<Report>,
    /// By its last report its turn is over and a command still runs; it paints nothing meanwhile.
    pub(crate) is_in_background: bool,
    pub(crate) session: Option<SessionState>,
    /// The last report in the transcript.
    pub(crate) from_transcript: Option<Report>,
    pub(crate) title: Option<Title>,
    /// The text of the title.
    pub(crate) raw_title: Option<String>,
    /// The pane, with the present names of session and window.
    pub(crate) target: Option<Target>,
    /// The last output in its window.
    pub(crate) last_output: Option<Timestamp>,
    /// The last key that was pressed in the task's own session, or the last time that a client was
    /// attached to it. `None` if the pane is not in such a session.
    pub(crate) last_key: Option<Timestamp>,
    pub(crate) output_pattern: OutputPattern,
    /// The time of the observation.
    pub(crate) now: Timestamp,
}
