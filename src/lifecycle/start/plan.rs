//! A start that is to be made: everything that can be settled is.

use anyhow::Result;

use super::trust::Init;
use crate::agent::AgentCommand;
use crate::context::Flux;
use crate::git::ObjectId;
use crate::git::transplant::Stash;
use crate::lifecycle::archive::Archived;
use crate::run::launch::Ready;
use crate::store::Stored;
use crate::task::{Exit, Layout, Task, TaskId};
use crate::tmux::Place;
use crate::tmux::open::Opened;
use crate::tmux::target::{self, Wanted};

/// A task about to start.
pub(crate) struct Start {
    pub(crate) task: Task,
    /// What the user asked for, kept in the record.
    pub(crate) description: Vec<u8>,
    pub(crate) origin: Origin,
    /// The pane that is opened for it; none if nothing is to run.
    pub(crate) pane: Option<NewPane>,
}

/// What there is of a task before it starts.
pub(crate) enum Origin {
    /// Nothing.
    New {
        /// The user's own changes, which go along.
        carried: Option<Stash>,
        /// The branch of a remote that its branch is to follow.
        upstream: Option<String>,
    },
    /// What cleanup has kept of it.
    Archive(Box<Archived>),
    /// A worktree with its branch, which become its own.
    Worktree,
    /// All of it but its pane: its record is this object.
    Task(ObjectId),
}

/// A pane that is to be opened.
pub(crate) struct NewPane {
    pub(crate) place: Place,
    /// What runs in it; none for a shell alone.
    pub(crate) agent: Option<AgentCommand>,
    /// What makes the worktree ready for its agent, and starts that.
    pub(crate) ready: Ready,
    /// What of the repository's own runs before that.
    pub(crate) init: Option<Init>,
}

/// A task that has started.
pub(crate) struct Started {
    pub(crate) task: Task,
    pub(crate) opened: Opened,
    /// Why there is no agent, if it could not be executed.
    pub(crate) exit: Option<Exit>,
    /// When its launcher began, in seconds since 1970.
    pub(crate) since: Option<u64>,
}

impl Start {
    /// Returns the start of what runs for a task that is there.
    ///
    /// # Errors
    /// When its record cannot be read.
    pub(in crate::lifecycle) fn again(stored: &Stored, pane: NewPane) -> Result<Self> {
        Ok(Self {
            task: stored.readable()?.clone(),
            description: Vec::new(),
            origin: Origin::Task(stored.oid.clone()),
            pane: Some(pane),
        })
    }

    /// Returns the entry of the archive that the task comes back from.
    pub(super) fn archived(&self) -> Option<&Archived> {
        match &self.origin {
            Origin::Archive(from) => Some(from),
            _ => None,
        }
    }

    /// Returns the commit that its branch stands at when it starts.
    pub(super) fn tip(&self) -> &ObjectId {
        self.archived().map_or(self.task.start(), |from| &from.tip)
    }

    /// Returns the commit whose scripts make its worktree ready; none where it is ready, or nothing
    /// is to be ready for an agent.
    pub(crate) fn setup_commit(&self) -> Option<&ObjectId> {
        let is_ready = match &self.origin {
            Origin::New { .. } => false,
            // One that comes back with its ignored files is as ready as it was.
            Origin::Archive(from) => from.trash.is_some(),
            Origin::Worktree | Origin::Task(_) => true,
        };
        (!is_ready && self.has_agent()).then(|| self.tip())
    }

    /// Returns whether changes of the user's own go along.
    pub(crate) fn takes_changes(&self) -> bool {
        self.task.carried.is_some()
    }

    /// Returns whether an agent is started.
    pub(super) fn has_agent(&self) -> bool {
        self.pane.as_ref().is_some_and(|pane| pane.agent.is_some())
    }
}

impl NewPane {
    /// Returns a pane with a shell alone.
    pub(in crate::lifecycle) fn shell(place: Place) -> Self {
        Self {
            place,
            agent: None,
            ready: Ready::default(),
            init: None,
        }
    }
}

/// Decides where a task is to run: in `layout` if one was asked for, else as it is configured.
///
/// # Errors
/// When there is no such place.
pub(crate) fn place(flux: &Flux, id: &TaskId, layout: Option<Layout>) -> Result<Place> {
    let wanted = match (layout, flux.settings.layout()?) {
        (Some(layout), _) => Wanted::Demanded(layout),
        (None, Some(layout)) => Wanted::Preferred(layout),
        (None, None) => Wanted::Any,
    };
    let session = target::session_name(&flux.repo.project(), id);
    target::choose(wanted, session)
}
