//! Prepares new tasks: checks all that can fail before anything exists.

use std::ffi::OsString;
use std::iter;

use anyhow::Result;

use super::agent_launch::{ChosenAgent, load_setup};
use super::branch::{
    self, ChosenBranch, ensure_can_create, ensure_unused, ensure_valid_name, worktree_path,
};
use super::plan::{NewPane, Origin, Start, choose_place};
use super::with_changes;
use super::{OTHER_ID_HINT, ensure_new_id};
use crate::agent::{Agent, prompt};
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::{Git, ObjectId, Worktree, worktree};
use crate::lifecycle::branch_uses::ensure_main_is_known;
use crate::run::launch::Setup;
use crate::store::Store;
use crate::system::clock::this_second;
use crate::task::record::VERSION;
use crate::task::{BranchName, Bytes, Layout, Phase, RefName, Rest, Task, TaskId};
use crate::tmux::Placement;

/// The options of `git flux run`.
pub(crate) struct Request {
    pub(crate) start_point: StartPoint,
    /// The id; none derives it from the description.
    pub(crate) name: Option<String>,
    /// The agents' names; empty for the configured one.
    pub(crate) agents: Vec<String>,
    /// The number of tasks per agent.
    pub(crate) count: usize,
    pub(crate) agent_args: Vec<OsString>,
    pub(crate) has_template: bool,
    /// Copies the user's uncommitted changes.
    pub(crate) takes_changes: bool,
    pub(crate) layout: Option<Layout>,
}

/// The start point of a task.
pub(crate) enum StartPoint {
    Head,
    Commit(String),
    /// An existing local or remote branch.
    Branch(BranchName),
}

/// New tasks, without their description.
pub(crate) struct Preparation<'a> {
    flux: &'a Flux,
    request: &'a Request,
    pub(crate) store: Store,
    worktrees: Vec<Worktree>,
    base: ObjectId,
    into: Option<BranchName>,
    /// The existing branch to work on.
    branch: Option<ChosenBranch>,
    /// The agent of each task.
    agents: Vec<ChosenAgent>,
    ready: Setup,
}

impl<'a> Preparation<'a> {
    /// Checks all that `git flux run` needs before it asks for the description: branch, start
    /// commit, merge target, agents and setup. Creates nothing.
    pub(crate) fn new(flux: &'a Flux, store: Store, request: &'a Request) -> Result<Self> {
        let worktrees = worktree::list(flux.repo.home())?;
        ensure_main_is_known(flux, &worktrees)?;
        let head = head_branch(flux, &worktrees)?;
        let branch = match &request.start_point {
            StartPoint::Branch(name) => Some(branch::choose(flux, &store, &worktrees, name)?),
            StartPoint::Head | StartPoint::Commit(_) => None,
        };
        let (base, into) = match (&branch, &request.start_point) {
            (Some(branch), _) => branch::fork_point(flux, &store, branch, head.as_ref())?,
            (None, start) => resolve_base(flux, &store, start, head)?,
        };
        Ok(Self {
            flux,
            request,
            store,
            worktrees,
            base,
            into,
            branch,
            agents: choose_agents(flux, request)?,
            ready: load_setup(flux)?,
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.agents.len()
    }

    /// Plans the start of each new task with this description. Fails if the description is empty,
    /// or an id, branch or path is taken. Creates nothing but git objects for `--with-changes`.
    pub(crate) fn plan_starts(&self, description: &[u8]) -> Result<Vec<Start>> {
        if prompt::title_of(description).is_empty() {
            return Err(Failure::new("the description is empty")
                .hint("to start a task: git flux run \"<description>\"")
                .code(USAGE)
                .into());
        }
        let starts = iter::zip(self.choose_ids(description)?, &self.agents);
        let starts = starts.map(|(id, chosen)| self.plan_start(description, id, chosen));
        let mut starts: Vec<Start> = starts.collect::<Result<_>>()?;
        // Last, because it writes objects.
        if self.request.takes_changes {
            self.add_changes(&mut starts)?;
        }
        Ok(starts)
    }

    /// Returns the ids of the new tasks: the given name, else one derived from the description;
    /// with `-1`, `-2` … after it if there are several. Fails if an id is invalid; does not check
    /// whether tasks have these ids already.
    fn choose_ids(&self, description: &[u8]) -> Result<Vec<TaskId>> {
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

    fn plan_start(&self, description: &[u8], id: TaskId, chosen: &ChosenAgent) -> Result<Start> {
        let flux = self.flux;
        ensure_new_id(flux, &self.store, &id)?;
        let task = self.create_task(description, id, &chosen.agent)?;
        let place = self.choose_place(&task)?;
        let agent = chosen.command(flux, &task, description);
        Ok(Start {
            task,
            description: description.to_vec(),
            origin: Origin::New {
                carried: None,
                upstream: self.branch.as_ref().and_then(|b| b.upstream.clone()),
            },
            pane: Some(NewPane {
                place,
                agent: Some(agent),
                ready: self.ready.clone(),
                init: None,
            }),
        })
    }

    fn create_task(&self, description: &[u8], id: TaskId, agent: &Agent) -> Result<Task> {
        let flux = self.flux;
        let (branch, into) = self.choose_branch(&id)?;
        Ok(Task {
            version: VERSION,
            worktree: worktree_path(flux, &id)?,
            id,
            title: prompt::title_of(description),
            phase: Phase::Starting,
            agent: agent.name.clone(),
            agent_args: self.request.agent_args.iter().cloned().map(Bytes).collect(),
            branch,
            base: self.base.clone(),
            into,
            directory: flux.repo.prefix().map(|path| Bytes(path.into())),
            created: this_second(),
            port: None,
            target: None,
            removal: None,
            restored_from: None,
            existing: self.branch.as_ref().map(|branch| branch.existing.clone()),
            stash: None,
            landing: None,
            rest: Rest::default(),
        })
    }

    /// Returns the branch of a new task and its merge target, if any. The branch is the one of
    /// `--branch`, or `<flux.branchPrefix><id>`, which must be valid and unused. Creates nothing.
    fn choose_branch(&self, id: &TaskId) -> Result<(BranchName, Option<BranchName>)> {
        let (flux, store) = (self.flux, &self.store);
        if let Some(branch) = &self.branch {
            return Ok((branch.name.clone(), self.into.clone()));
        }
        let branch = BranchName::new(format!("{}{id}", flux.settings.branch_prefix()));
        ensure_valid_name(flux, &branch)?;
        ensure_can_create(flux, store, &branch)?;
        let into = branch::merge_target(flux, store, &branch, self.into.as_ref())?;
        Ok((branch, into))
    }

    /// Chooses where to open the pane of a new task. Fails if something other than an empty
    /// directory is at the path of the task's worktree, or another command has just created the
    /// task. Opens nothing.
    fn choose_place(&self, task: &Task) -> Result<Placement> {
        let (flux, id) = (self.flux, &task.id);
        let free = ensure_unused(&task.worktree, &self.worktrees);
        free.and_then(|()| choose_place(flux, id, self.request.layout, Some(OTHER_ID_HINT)))
            .or_else(|error| {
                // Another `run` of this id may have created it just now.
                ensure_new_id(flux, &Store::load(&flux.repo, &flux.settings)?, id)?;
                Err(error)
            })
    }

    /// Adds the uncommitted changes of the current worktree, if any, to each planned start, without
    /// ignored files. Fails if they do not apply to the commit that the tasks start from.
    fn add_changes(&self, starts: &mut [Start]) -> Result<()> {
        let named = match &self.request.start_point {
            StartPoint::Head => None,
            StartPoint::Commit(name) => Some(name.as_str()),
            StartPoint::Branch(name) => Some(&**name),
        };
        let onto = starts.first().map_or(&self.base, Start::tip);
        let changes = with_changes::find(self.flux, onto, named)?;
        for start in starts {
            start.task.stash = changes.as_ref().map(|changes| changes.snapshot.clone());
            if let Origin::New { carried, .. } = &mut start.origin {
                carried.clone_from(&changes);
            }
        }
        Ok(())
    }
}

/// Returns the branch that the current worktree has checked out; outside a worktree, the one that
/// the repository's HEAD names. `None` if HEAD is detached.
pub(crate) fn head_branch(flux: &Flux, worktrees: &[Worktree]) -> Result<Option<BranchName>> {
    let current = flux.repo.current();
    // A bare repository has no current worktree.
    let head = match worktrees.iter().find(|entry| Some(&*entry.path) == current) {
        Some(entry) => entry.branch.clone(),
        None => flux.repo.head()?,
    };
    Ok(head.as_ref().and_then(RefName::branch))
}

fn choose_agents(flux: &Flux, request: &Request) -> Result<Vec<ChosenAgent>> {
    let named: Vec<&str> = match request.agents.as_slice() {
        [] => vec![flux.settings.agent()],
        named => named.iter().map(String::as_str).collect(),
    };
    if matches!(request.start_point, StartPoint::Branch(_)) && named.len() * request.count > 1 {
        let what = "--branch can start only one task";
        return Err(Failure::new(what)
            .hint("leave out --branch, or start one task")
            .code(USAGE)
            .into());
    }
    let mut agents = Vec::new();
    for name in named {
        let chosen = ChosenAgent::find(flux, name, request.has_template)?;
        agents.extend(iter::repeat_n(chosen, request.count));
    }
    Ok(agents)
}

/// Returns the commit that `--base` names, and the branch if it names one, resolved if symbolic.
/// Without `--base`, returns the commit of HEAD, and `head`. Fails if there is no such commit.
fn resolve_base(
    flux: &Flux,
    store: &Store,
    start: &StartPoint,
    head: Option<BranchName>,
) -> Result<(ObjectId, Option<BranchName>)> {
    let rev = match start {
        StartPoint::Commit(rev) => Some(rev),
        StartPoint::Head | StartPoint::Branch(_) => None,
    };
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
        // A tag of that name takes precedence, but names the same commit.
        Some(rev) if store.tip(&BranchName::new(rev)) == Some(&base) => Some(BranchName::new(rev)),
        Some(rev) => {
            let dir = flux.repo.current().unwrap_or(flux.repo.home());
            let full = Git::reading(dir).words("rev-parse --verify --quiet");
            let full = full.args(["--symbolic-full-name", "--end-of-options", rev]);
            full.answer()?.and_then(|name| RefName::new(name).branch())
        }
    };
    let branch = branch.map(|branch| branch::resolve_branch(store, &branch));
    Ok((base, branch.transpose()?))
}

#[cfg(test)]
mod tests;
