//! The start of a task, planned before anything exists.

use anyhow::Result;
use jiff::Timestamp;

use super::init_scripts::InitScripts;
use crate::agent::AgentCommand;
use crate::context::Flux;
use crate::git::ObjectId;
use crate::git::transplant::Stash;
use crate::lifecycle::archive::Archived;
use crate::run::launch::Setup;
use crate::store::StoredTask;
use crate::task::{Exit, Layout, Task, TaskId};
use crate::tmux::Placement;
use crate::tmux::opened_pane::OpenedPane;
use crate::tmux::placement::{self, LayoutRequest};

/// A task about to start.
pub(crate) struct Start {
    pub(crate) task: Task,
    /// The user's description, stored in the record.
    pub(crate) description: Vec<u8>,
    pub(crate) origin: Origin,
    /// The pane to open, if any.
    pub(crate) pane: Option<NewPane>,
}

/// The parts of a task that exist before it starts.
pub(crate) enum Origin {
    /// Nothing.
    New {
        /// The user's uncommitted changes (`--with-changes`).
        carried: Option<Stash>,
        /// The upstream of its branch.
        upstream: Option<String>,
    },
    /// An entry of the archive.
    Archive(Box<Archived>),
    /// A worktree with its branch.
    Worktree,
    /// All but the pane: its record is this object.
    Task(ObjectId),
}

/// A pane to open.
pub(crate) struct NewPane {
    pub(crate) place: Placement,
    /// The agent to run; none for a shell.
    pub(crate) agent: Option<AgentCommand>,
    /// The configured setup and wrapper.
    pub(crate) ready: Setup,
    /// The repository's own setup scripts, which run first.
    pub(crate) init: Option<InitScripts>,
}

/// A task that has started.
pub(crate) struct Started {
    pub(crate) task: Task,
    pub(crate) opened: OpenedPane,
    /// The error, if the agent could not be executed.
    pub(crate) exit: Option<Exit>,
    /// The start of its launcher, or of the wrapper that waits to start the agent.
    pub(crate) since: Option<Timestamp>,
    pub(crate) is_queued: bool,
}

impl Start {
    /// Returns the planned start of an agent or a shell in `pane` for an existing task. Fails if
    /// the task's record cannot be read. Starts nothing.
    pub(in crate::lifecycle) fn for_existing(stored: &StoredTask, pane: NewPane) -> Result<Self> {
        Ok(Self {
            task: stored.readable()?.clone(),
            description: Vec::new(),
            origin: Origin::Task(stored.oid.clone()),
            pane: Some(pane),
        })
    }

    pub(super) fn archived(&self) -> Option<&Archived> {
        match &self.origin {
            Origin::Archive(from) => Some(from),
            _ => None,
        }
    }

    /// Returns the commit that the task's branch has at the start; of a removed task, the one that
    /// it had at the removal.
    pub(super) fn tip(&self) -> &ObjectId {
        self.archived()
            .map_or(self.task.start_commit(), |from| &from.tip)
    }

    /// Returns the commit whose `.worktree-init` scripts set the worktree up. `None` if the
    /// worktree is set up already, or no agent starts.
    pub(crate) fn setup_commit(&self) -> Option<&ObjectId> {
        let is_ready = match &self.origin {
            Origin::New { .. } => false,
            // A worktree from the trash has its ignored files.
            Origin::Archive(from) => from.trash.is_some(),
            Origin::Worktree | Origin::Task(_) => true,
        };
        (!is_ready && self.has_agent()).then(|| self.tip())
    }

    /// Returns whether the new task gets the user's uncommitted changes (`--with-changes`). `false`
    /// also if there are none.
    pub(crate) fn takes_changes(&self) -> bool {
        self.task.stash.is_some()
    }

    pub(super) fn has_agent(&self) -> bool {
        self.pane.as_ref().is_some_and(|pane| pane.agent.is_some())
    }
}

impl NewPane {
    /// Returns the plan of a pane at `place` that runs only a shell, without an agent. Opens
    /// nothing.
    pub(in crate::lifecycle) fn shell(place: Placement) -> Self {
        Self {
            place,
            agent: None,
            ready: Setup::default(),
            init: None,
        }
    }
}

/// Chooses where to open the pane of a task: as `layout` says, else as `flux.layout` says if
/// possible, else in a pane or window inside tmux, a session outside. Fails without tmux, if
/// `layout` is impossible, or if the task's session exists, with the hint `other_name`. Opens
/// nothing.
pub(crate) fn choose_place(
    flux: &Flux,
    id: &TaskId,
    layout: Option<Layout>,
    other_name: Option<&str>,
) -> Result<Placement> {
    let wanted = match (layout, flux.settings.layout()?) {
        (Some(layout), _) => LayoutRequest::Required(layout),
        (None, Some(layout)) => LayoutRequest::Preferred(layout),
        (None, None) => LayoutRequest::Any,
    };
    let session = placement::session_name(&flux.repo.project(), id);
    placement::choose(wanted, session, other_name)
}
