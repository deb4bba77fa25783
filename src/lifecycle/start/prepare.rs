//! Everything that can fail of a new task, settled before anything exists.

use std::ffi::OsString;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::branch::{self, Chosen};
use super::changes::changes;
use super::claim::exists;
use super::free::{ensure_free, ensure_name, ensure_no_files, worktree_of};
use super::plan::{AgentRun, NewPane, Origin, Start, Work, place};
use super::prompt::{filled, template};
use super::setup;
use crate::agent::{Agent, Prompt, prompt};
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

/// An agent, as it was asked for.
#[derive(Clone)]
struct Named {
    name: String,
    agent: Agent,
    program: PathBuf,
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
    chosen: Option<Chosen>,
    /// The agent of each task.
    agents: Vec<Named>,
    template: Option<Vec<u8>>,
}

/// What new tasks are about.
struct Subject<'a> {
    description: &'a [u8],
    title: String,
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
        let chosen = match &request.start_point {
            StartPoint::Branch(name) => Some(branch::choose(flux, &store, &worktrees, name)?),
            StartPoint::Head | StartPoint::Commit(_) => None,
        };
        let (base, into) = match &chosen {
            Some(chosen) => branch::origin(flux, &store, chosen, head.as_deref())?,
            None => base(flux, &store, &request.start_point, head)?,
        };
        let agents = agents(flux, request)?;
        let is_filled = agents.iter().any(|one| one.agent.prompt != Prompt::Shown);
        let template = if is_filled && request.has_template {
            Some(template(flux)?)
        } else {
            None
        };
        Ok(Self {
            flux,
            request,
            store,
            worktrees,
            base,
            into,
            chosen,
            agents,
            template,
        })
    }

    /// How many tasks there will be.
    pub(crate) fn count(&self) -> usize {
        self.agents.len()
    }

    /// Settles the rest, for each task.
    ///
    /// # Errors
    /// When the description is empty, or a name or place is taken.
    pub(crate) fn starts(&self, description: &[u8]) -> Result<Vec<Start>> {
        let title = prompt::title(description);
        if title.is_empty() {
            return Err(Failure::new("there is no task: the description is empty")
                .hint("git flux run \"<what is to be done>\"")
                .code(USAGE)
                .into());
        }
        let ids = self.ids(description)?;
        let ready = setup::configured(self.flux)?;
        let subject = Subject {
            description,
            title,
            ready,
        };
        let mut starts = Vec::new();
        for (id, agent) in ids.into_iter().zip(&self.agents) {
            starts.push(self.start(&subject, id, agent.clone())?);
        }
        // The last, for it writes objects.
        if self.request.takes_changes {
            self.carry(&mut starts)?;
        }
        Ok(starts)
    }

    /// The ids of the tasks: one as it is, of several each with its number.
    fn ids(&self, description: &[u8]) -> Result<Vec<TaskId>> {
        let name = match &self.request.name {
            Some(name) => name.clone(),
            None => {
                let text = String::from_utf8_lossy(description);
                TaskId::from_description(&text, &mut rand::rng()).to_string()
            }
        };
        if self.count() == 1 {
            return Ok(vec![name.parse()?]);
        }
        (1..=self.count())
            .map(|n| format!("{name}-{n}").parse())
            .collect::<Result<_, _>>()
            .map_err(Into::into)
    }

    fn start(&self, subject: &Subject<'_>, id: TaskId, named: Named) -> Result<Start> {
        self.store.ensure_not_foreign(&self.flux.repo, &id)?;
        if self.store.tasks.iter().any(|stored| stored.id == id) {
            return Err(exists(&id).into());
        }
        let (task, place) = self.task(subject, id, named.name)?;
        let template = self.template.as_deref();
        let template = template.filter(|_| named.agent.prompt != Prompt::Shown);
        let agent = AgentRun {
            prompt: filled(self.flux, &task, subject.description, template),
            agent: named.agent,
            program: named.program,
        };
        Ok(Start {
            task,
            description: subject.description.to_vec(),
            origin: Origin::New {
                carried: None,
                upstream: self.chosen.as_ref().and_then(|one| one.upstream.clone()),
            },
            pane: Some(NewPane {
                place,
                work: Work::Agent(agent),
                ready: subject.ready.clone(),
                init: None,
            }),
        })
    }

    /// The record of a task, and where it is to run.
    fn task(&self, subject: &Subject<'_>, id: TaskId, agent: String) -> Result<(Task, Place)> {
        let flux = self.flux;
        let (branch, into) = self.branch(&id)?;
        let worktree = worktree_of(flux, &id)?;
        let place = self.place(&id, &worktree)?;
        let task = Task {
            version: VERSION,
            id,
            title: subject.title.clone(),
            phase: Phase::Starting,
            agent,
            agent_args: self.request.agent_args.iter().cloned().map(Bytes).collect(),
            branch,
            base: self.base.clone(),
            into,
            worktree,
            directory: flux.repo.directory().map(|path| Bytes(path.into())),
            created: seconds(),
            port: None,
            target: None,
            removal: None,
            restored: None,
            existing: self.chosen.as_ref().map(|chosen| chosen.existing.clone()),
            carried: None,
            rest: Rest::default(),
        };
        Ok((task, place))
    }

    /// The branch of a task, and the one that it is merged into.
    fn branch(&self, id: &TaskId) -> Result<(BranchName, Option<BranchName>)> {
        let (flux, store) = (self.flux, &self.store);
        if let Some(chosen) = &self.chosen {
            return Ok((chosen.name.clone(), self.into.clone()));
        }
        let branch = BranchName::new(format!("{}{id}", flux.settings.branch_prefix()));
        ensure_name(flux, &branch)?;
        ensure_free(flux, store, &branch)?;
        let into = branch::target(flux, store, &branch, self.into.as_ref())?;
        Ok((branch, into))
    }

    /// Where a task is to run, once the place for its worktree is known to be free.
    fn place(&self, id: &TaskId, worktree: &Path) -> Result<Place> {
        let flux = self.flux;
        let free = ensure_no_files(worktree, &self.worktrees);
        free.and_then(|()| place(flux, id, self.request.layout))
            .or_else(|error| {
                // Another run of the same name may have made it a moment ago.
                let now = Store::load(&flux.repo, &flux.settings)?;
                let is_taken = now.tasks.iter().any(|stored| stored.id == *id);
                Err(if is_taken { exists(id).into() } else { error })
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

/// The branch that is checked out where the user stands.
fn head(flux: &Flux, worktrees: &[Worktree]) -> Result<Option<RefName>> {
    let here = worktrees
        .iter()
        .find(|entry| Some(entry.path.as_path()) == flux.repo.current());
    // Nobody stands in the worktree of a bare repository.
    match here {
        Some(entry) => Ok(entry.branch.clone()),
        None => flux.repo.head(),
    }
}

/// The agents that are to be started, one for each task.
fn agents(flux: &Flux, request: &Request) -> Result<Vec<Named>> {
    let named: Vec<&str> = match request.agents.as_slice() {
        [] => vec![flux.settings.agent()],
        named => named.iter().map(String::as_str).collect(),
    };
    if matches!(request.start_point, StartPoint::Branch(_)) && named.len() * request.count > 1 {
        return Err(Failure::new(
            "a branch can be checked out once, and several tasks are asked for",
        )
        .hint("leave out --branch, or start one")
        .code(USAGE)
        .into());
    }
    let mut agents = Vec::new();
    for name in named {
        let (agent, program) = flux.settings.find_agent(name)?;
        let name = name.to_owned();
        let one = Named {
            name,
            agent,
            program,
        };
        agents.extend(iter::repeat_n(one, request.count));
    }
    Ok(agents)
}

/// The commit to start from, and the branch it is on: where the work goes back to.
fn base(
    flux: &Flux,
    store: &Store,
    start_point: &StartPoint,
    head: Option<RefName>,
) -> Result<(ObjectId, Option<BranchName>)> {
    let name = match start_point {
        StartPoint::Commit(rev) => Some(rev),
        StartPoint::Head | StartPoint::Branch(_) => None,
    };
    let Some(base) = flux.repo.resolve(name.map_or("HEAD", String::as_str))? else {
        return Err(match name {
            Some(rev) => Failure::new(format!("'{rev}' does not name a commit"))
                .hint("git log --oneline --all"),
            None => Failure::new("there is no commit yet")
                .hint("git commit --allow-empty -m 'Initial commit'"),
        }
        .into());
    };
    let full = match name {
        None => head,
        // A tag of that name would come first; at the same commit it makes no difference.
        Some(rev) if store.tip(rev) == Some(&base) => Some(BranchName::new(rev).full()),
        Some(rev) => {
            let dir = flux.repo.current().unwrap_or(flux.repo.home());
            Git::reading(dir, "rev-parse")
                .args(["--verify", "--quiet", "--symbolic-full-name"])
                .args(["--end-of-options", rev])
                .answer()?
                .map(RefName::new)
        }
    };
    let branch = full.as_ref().and_then(RefName::branch);
    let branch = branch.as_ref().map(|branch| store.resolve(branch));
    Ok((base, branch.transpose()?.map(BranchName::new)))
}

#[cfg(test)]
mod tests;
