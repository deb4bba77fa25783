//! What can be seen of a task from outside, and heard of its agent.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{Exit, Target};

/// What an agent has said of itself, by a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Said {
    Starting,
    Working,
    Waiting,
    Done,
    Failed,
    Interrupted,
    /// Its program has ended: the launcher says so.
    Exited,
}

/// What an agent waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Why {
    /// A yes or no to what it is about to do.
    Permission,
    /// An answer to what it has asked.
    Question,
}

/// The last that an agent has said, and when: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) said: Said,
    pub(crate) why: Option<Why>,
    pub(crate) at: u64,
}

/// What the title that an agent gives its terminal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Title {
    Working,
    Idle,
    /// Idle, and it asks for something.
    Asking,
}

/// What an agent's own file says that its session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Working,
    /// Its turn is over, and a command that it has started still runs.
    Background,
    Waiting(Option<Why>),
    Idle,
}

/// What an agent's own file says of its session, and since when: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) doing: Doing,
    pub(crate) at: u64,
    /// The conversation has been handed over to another process: what is typed on the pane does
    /// not reach it.
    pub(crate) is_handed_over: bool,
}

/// How what an agent shows goes with what it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It paints all the time while it is at work.
    Busy,
    /// It paints nothing while it has nothing to do, and has its window for itself.
    Quiet,
    #[default]
    Unknown,
}

/// Where a state was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Source {
    Lock,
    Record,
    Worktree,
    Branch,
    /// The launcher saw its agent end.
    Exit,
    /// The launcher's process.
    Process,
    /// The agent's own word.
    Hook,
    /// The file in which the agent keeps what its session does.
    Session,
    Title,
    /// The conversation that the agent keeps in a file.
    Transcript,
    /// When something was last shown.
    Activity,
    #[default]
    None,
}

/// How a state was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) source: Source,
    /// Since when it is so, in seconds since 1970, where that is known.
    pub(crate) since: Option<u64>,
    /// Whether it may as well be otherwise.
    pub(crate) guess: bool,
}

/// Where the worktree of a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Location {
    /// Where the record says.
    Here,
    /// It belongs to another repository: this one is a copy of that.
    Elsewhere,
    #[default]
    Gone,
}

/// What the files of a run tell of its launcher.
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
    /// It is alive, and what runs before its agent does still.
    InSetup,
    Alive,
}

/// What was seen of one task from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// A live command holds the task's lock.
    pub(crate) locked: bool,
    pub(crate) worktree: Location,
    pub(crate) branch: bool,
    pub(crate) launcher: Presence,
    /// When the launcher started, in seconds since 1970.
    pub(crate) started: Option<u64>,
    pub(crate) exit: Option<Exit>,
    /// What the agent of this run has said last.
    pub(crate) heard: Option<Heard>,
    /// What it said last is that its turn is over, and that what it has started still runs: it
    /// paints nothing meanwhile.
    pub(crate) in_background: bool,
    /// What it keeps in a file of its session.
    pub(crate) session: Option<Session>,
    /// The last that stands in the conversation that it keeps.
    pub(crate) written: Option<Heard>,
    pub(crate) title: Option<Title>,
    /// The title itself, in the agent's own words.
    pub(crate) shown: Option<String>,
    /// Its pane, with the names that session and window have now.
    pub(crate) target: Option<Target>,
    /// When its window last showed something, in seconds since 1970.
    pub(crate) stirred: Option<u64>,
    /// What can be concluded from that.
    pub(crate) habit: Habit,
    /// The time of looking, in milliseconds since 1970.
    pub(crate) now: u64,
}
