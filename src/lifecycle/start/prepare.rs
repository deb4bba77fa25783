//! Everything that can fail of a new task, settled before anything exists.

use std::ffi::OsString;
use std::iter;

use anyhow::Result;

use super::branch::{
    self, ChosenBranch, ensure_can_be_new, ensure_name, ensure_no_files, worktree_of,
};
use super::changes::changes;
use super::ensure_new;
use super::launch::{Chosen, configured};
use super::plan::{NewPane, Origin, Start, place};
use crate::agent::{Agent, prompt};
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::{Git, ObjectId, Worktree, worktree};
use crate::lifecycle::checked_out::ensure_main_is_known;
use crate::run::launch::Ready;
use crate::store::Store;
use crate::system::clock::seconds;
use crate::task::record::VERSION;
use crate::task::{BranchName, Bytes, Layout, Phase, RefName, Rest, Task, TaskId};
use crate::tmux::Place;

/// New tasks, as they are asked for.
pub(crate) struct Request {
    pub(crate) start_point: StartPoint,
    /// The id, if it is not to be made from the description.
    pub(crate) name: Option<String>,
    /// The agents' names; none for the one that is configured.
    pub(crate) agents: Vec<String>,
    /// How many tasks each agent gets.
    pub(crate) count: usize,
    pub(crate) agent_args: Vec<OsString>,
    pub(crate) has_template: bool,
    /// Whether the user's own changes go along.
    pub(crate) takes_changes: bool,
    pub(crate) layout: Option<Layout>,
}

/// Where a task starts.
pub(crate) enum StartPoint {
    Head,
    Commit(String),
    /// On a branch that is there, here or on a remote.
    Branch(String),
}

/// What is settled of new tasks before it is known what they are about.
pub(crate) struct Preparation<'a> {
    flux: &'a Flux,
    request: &'a Request,
    pub(crate) store: Store,
    worktrees: Vec<Worktree>,
    base: ObjectId,
    into: Option<BranchName>,
    /// The branch they work on, if it is there already.
    branch: Option<ChosenBranch>,
    /// The agent of each task.
    agents: Vec<Chosen>,
    ready: Ready,
}

impl<'a> Preparation<'a> {
    /// Settles what does not depend on the description.
    ///
    /// # Errors
    /// When something that the tasks need is not there.
    pub(crate) fn new(flux: &'a Flux, store: Store, request: &'a Request) -> Result<Self> {
        let worktrees = worktree::list(flux.repo.home())?;
        ensure_main_is_known(flux, &worktrees)?;
        let head = head(flux, &worktrees)?;
        let branch = match &request.start_point {
            StartPoint::Branch(name) => Some(branch::choose(flux, &store, &worktrees, name)?),
            StartPoint::Head | StartPoint::Commit(_) => None,
        };
        let (base, into) = match (&branch, &request.start_point) {
            (Some(branch), _) => branch::origin(flux, &store, branch, head.as_ref())?,
            (None, StartPoint::Commit(rev)) => base(flux, &store, Some(rev), head)?,
            (None, _) => base(flux, &store, None, head)?,
        };
        Ok(Self {
            flux,
            request,
            store,
            worktrees,
            base,
            into,
            branch,
            agents: agents(flux, request)?,
            ready: configured(flux)?,
        })
    }

    /// Returns how many tasks there will be.
    pub(crate) fn count(&self) -> usize {
        self.agents.len()
    }

    /// Settles the rest, for each task.
    ///
    /// # Errors
    /// When the description is empty, or a name or place is taken.
    pub(crate) fn starts(&self, description: &[u8]) -> Result<Vec<Start>> {
        if prompt::title(description).is_empty() {
            return Err(Failure::new("there is no task: the description is empty")
                .hint("git flux run \"<description>\"")
                .code(USAGE)
                .into());
        }
        let starts = iter::zip(self.ids(description)?, &self.agents);
        let starts = starts.map(|(id, chosen)| self.start(description, id, chosen));
        let mut starts: Vec<Start> = starts.collect::<Result<_>>()?;
        // The last, for it writes objects.
        if self.request.takes_changes {
            self.carry(&mut starts)?;
        }
        Ok(starts)
    }

    /// Returns the ids of the tasks: one as it is, of several each with its number.
    fn ids(&self, description: &[u8]) -> Result<Vec<TaskId>> {
        let name = self.request.name.clone().unwrap_or_else(|| {
            let text = String::from_utf8_lossy(description);
            TaskId::from_description(&text, &mut rand::rng()).to_string()
        });
        if self.count() == 1 {
            return Ok(vec![name.parse()?]);
        }
        let numbered = (1..=self.count()).map(|n| format!("{name}-{n}").parse());
        Ok(numbered.collect::<Result<_, _>>()?)
    }

    fn start(&self, description: &[u8], id: TaskId, chosen: &Chosen) -> Result<Start> {
        let flux = self.flux;
        ensure_new(flux, &self.store, &id)?;
        let task = self.task(description, id, &chosen.agent)?;
        let place = self.place(&task)?;
        let agent = chosen.command(flux, &task, description);
        Ok(Start {
            task,
            description: description.to_vec(),
            origin: Origin::New {
                carried: None,
                upstream: self.branch.as_ref().and_then(|one| one.upstream.clone()),
            },
            pane: Some(NewPane {
                place,
                agent: Some(agent),
                ready: self.ready.clone(),
                init: None,
            }),
        })
    }

    /// Returns the record of a task.
    fn task(&self, description: &[u8], id: TaskId, agent: &Agent) -> Result<Task> {
        let flux = self.flux;
        let (branch, into) = self.branch(&id)?;
        Ok(Task {
            version: VERSION,
            worktree: worktree_of(flux, &id)?,
            id,
            title: prompt::title(description),
            phase: Phase::Starting,
            agent: agent.name.clone(),
            agent_args: self.request.agent_args.iter().cloned().map(Bytes).collect(),
            branch,
            base: self.base.clone(),
            into,
            directory: flux.repo.prefix().map(|path| Bytes(path.into())),
            created: seconds(),
            port: None,
            target: None,
            removal: None,
            restored: None,
            existing: self.branch.as_ref().map(|branch| branch.existing.clone()),
            carried: None,
            rest: Rest::default(),
        })
    }

    /// Returns the branch of a task, and the one that it is merged into.
    fn branch(&self, id: &TaskId) -> Result<(BranchName, Option<BranchName>)> {
        let (flux, store) = (self.flux, &self.store);
        if let Some(branch) = &self.branch {
            return Ok((branch.name.clone(), self.into.clone()));
        }
        let branch = BranchName::new(format!("{}{id}", flux.settings.branch_prefix()));
        ensure_name(flux, &branch)?;
        ensure_can_be_new(flux, store, &branch)?;
        let into = branch::target(flux, store, &branch, self.into.as_ref())?;
        Ok((branch, into))
    }

    /// Returns where a task is to run, once the place for its worktree is known to be free.
    fn place(&self, task: &Task) -> Result<Place> {
        let (flux, id) = (self.flux, &task.id);
        let free = ensure_no_files(&task.worktree, &self.worktrees);
        free.and_then(|()| place(flux, id, self.request.layout))
            .or_else(|error| {
                // Another run of the same name may have made it a moment ago.
                ensure_new(flux, &Store::load(&flux.repo, &flux.settings)?, id)?;
                Err(error)
            })
    }

    /// Lets the user's own changes go along with each task.
    fn carry(&self, starts: &mut [Start]) -> Result<()> {
        let named = match &self.request.start_point {
            StartPoint::Head => None,
            StartPoint::Commit(name) | StartPoint::Branch(name) => Some(name.as_str()),
        };
        let onto = starts.first().map_or(&self.base, Start::tip);
        let changes = changes(self.flux, onto, named)?;
        for start in starts {
            start.task.carried = changes.as_ref().map(|changes| changes.snapshot.clone());
            if let Origin::New { carried, .. } = &mut start.origin {
                carried.clone_from(&changes);
            }
        }
        Ok(())
    }
}

/// Returns the branch that is checked out where the user stands.
pub(crate) fn head(flux: &Flux, worktrees: &[Worktree]) -> Result<Option<BranchName>> {
    let current = flux.repo.current();
    // Nobody stands in the worktree of a bare repository.
    let head = match worktrees.iter().find(|entry| Some(&*entry.path) == current) {
        Some(entry) => entry.branch.clone(),
        None => flux.repo.head()?,
    };
    Ok(head.as_ref().and_then(RefName::branch))
}

/// Returns the agents that are to be started, one for each task.
fn agents(flux: &Flux, request: &Request) -> Result<Vec<Chosen>> {
    let named: Vec<&str> = match request.agents.as_slice() {
        [] => vec![flux.settings.agent()],
        named => named.iter().map(String::as_str).collect(),
    };
    if matches!(request.start_point, StartPoint::Branch(_)) && named.len() * request.count > 1 {
        let what = "a branch can be checked out once, and several tasks are asked for";
        return Err(Failure::new(what)
            .hint("leave out --branch, or start one")
            .code(USAGE)
            .into());
    }
    let mut agents = Vec::new();
    for name in named {
        let chosen = Chosen::find(flux, name, request.has_template)?;
        agents.extend(iter::repeat_n(chosen, request.count));
    }
    Ok(agents)
}

/// Returns the commit to start from, and the branch it is on: where the work goes back to.
fn base(
    flux: &Flux,
    store: &Store,
    rev: Option<&String>,
    head: Option<BranchName>,
) -> Result<(ObjectId, Option<BranchName>)> {
    let Some(base) = flux.repo.resolve(rev.map_or("HEAD", String::as_str))? else {
        return Err(match rev {
            Some(rev) => Failure::new(format!("'{rev}' does not name a commit"))
                .hint("git log --oneline --all"),
            None => Failure::new("there is no commit yet")
                .hint("git commit --allow-empty -m 'Initial commit'"),
        }
        .into());
    };
    let branch = match rev {
        None => head,
        // A tag of that name would come first; at the same commit it makes no difference.
        Some(rev) if store.tip(rev) == Some(&base) => Some(BranchName::new(rev)),
        Some(rev) => {
            let dir = flux.repo.current().unwrap_or(flux.repo.home());
            let full = Git::reading(dir, "rev-parse")
                .args(["--verify", "--quiet", "--symbolic-full-name"])
                .args(["--end-of-options", rev])
                .answer()?;
            full.and_then(|name| RefName::new(name).branch())
        }
    };
    let branch = branch.map(|branch| branch::resolved(store, &branch));
    Ok((base, branch.transpose()?))
}

#[cfg(test)]
mod tests;
