//! A worktree that is there, with its branch, made a task.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::checked_out::BranchUses;
use super::start::branch::{Chosen, origin};
use super::start::claim::exists;
use super::start::plan::{Origin, Start};
use super::start::under_lock;
use crate::agent::prompt;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Worktree, admin, refs};
use crate::lifecycle::cleanup::worktree::ensure_idle;
use crate::settings::table;
use crate::store::Store;
use crate::system::clock::seconds;
use crate::task::record::VERSION;
use crate::task::{BranchName, Existing, Phase, RefName, Rest, Task, TaskId};
use crate::ui::{quoted, shown, word};

/// A worktree that is to become a task.
pub(crate) struct Adoption<'a> {
    pub(crate) flux: &'a Flux,
    pub(crate) store: &'a Store,
    pub(crate) worktrees: &'a [Worktree],
    /// Where the user says that it is.
    pub(crate) path: &'a Path,
    /// The agent's name, if it is not the one that is configured.
    pub(crate) agent: Option<&'a str>,
    /// The branch that it is to be merged into.
    pub(crate) into: Option<&'a str>,
    /// The id, if it is not to be made from the description or the branch.
    pub(crate) name: Option<&'a str>,
    pub(crate) description: &'a [u8],
}

/// Makes a task of a worktree. Nothing is started.
///
/// # Errors
/// When the id is taken or a step fails: then there is no task, and nothing has changed.
pub(crate) fn adopt(flux: &Flux, start: &mut Start) -> Result<()> {
    let lock = flux.lock_task(&start.task.id)?;
    under_lock(flux, start, lock).map(drop)
}

/// The path without links, whose directory may be gone while its own is there still.
///
/// # Errors
/// When there is no current directory.
pub(crate) fn real(path: &Path) -> Result<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let whole = std::path::absolute(path).context("could not tell where that is")?;
    let parent = whole.parent().and_then(|parent| parent.canonicalize().ok());
    Ok(match (parent, whole.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => whole,
    })
}

impl Adoption<'_> {
    /// Settles everything that can fail before the task exists.
    ///
    /// # Errors
    /// When the worktree cannot become a task, or the id is taken.
    pub(crate) fn prepare(&self) -> Result<Start> {
        let (flux, store) = (self.flux, self.store);
        let entry = self.find()?;
        let branch = self.branch(entry)?;
        self.ensure_alone(entry, &branch)?;
        let tip = store.tip(&branch).with_context(|| {
            let path = quoted(&entry.path);
            Failure::new(format!("there is no commit on '{branch}' yet")).hint(format!(
                "git -C {path} commit --allow-empty -m 'Initial commit'"
            ))
        })?;
        if let Some(agent) = self.agent {
            flux.settings.find_agent(agent)?;
        }
        let chosen = Chosen {
            name: branch,
            existing: Existing {
                tip: tip.to_owned(),
                made: false,
                adopted: true,
                rest: Rest::default(),
            },
            upstream: None,
        };
        Ok(Start {
            task: self.task(entry, chosen)?,
            description: self.description.to_vec(),
            origin: Origin::Worktree,
            pane: None,
        })
    }

    /// The record of the task.
    fn task(&self, entry: &Worktree, chosen: Chosen) -> Result<Task> {
        let (id, title) = self.id(&chosen.name)?;
        let into = match self.into(&chosen.name)? {
            Some(into) => Some(into),
            None => self.standing(entry)?,
        };
        let (base, into) = origin(self.flux, self.store, &chosen, into.as_deref())?;
        let agent = self.agent.unwrap_or(self.flux.settings.agent());
        Ok(Task {
            version: VERSION,
            id,
            title,
            phase: Phase::Starting,
            agent: agent.to_owned(),
            agent_args: Vec::new(),
            branch: chosen.name,
            base,
            into,
            worktree: entry.path.clone(),
            directory: None,
            created: seconds(),
            port: None,
            target: None,
            removal: None,
            restored: None,
            existing: Some(chosen.existing),
            carried: None,
            rest: Rest::default(),
        })
    }

    /// The branch that is checked out in the worktree.
    fn branch(&self, entry: &Worktree) -> Result<BranchName> {
        if let Some(name) = &entry.branch {
            let other = || BranchName::new(name.as_str());
            return Ok(name.branch().unwrap_or_else(other));
        }
        // A rebase puts the branch aside.
        ensure_idle(&self.flux.repo.checkout(&entry.path)?)?;
        let path = quoted(&entry.path);
        let shown = shown(&entry.path);
        Err(Failure::new(format!("'{shown}' has no branch checked out"))
            .hint(format!("git -C {path} switch -c <branch>"))
            .into())
    }

    /// The id of the task, and its title.
    fn id(&self, branch: &str) -> Result<(TaskId, String)> {
        let title = match prompt::title(self.description) {
            title if title.is_empty() => branch.to_owned(),
            title => title,
        };
        let id: TaskId = match self.name {
            Some(name) => name.parse()?,
            None => TaskId::from_description(&title, &mut rand::rng()),
        };
        let store = self.store;
        store.ensure_not_foreign(&self.flux.repo, &id)?;
        if store.tasks.iter().any(|stored| stored.id == id) {
            return Err(exists(&id).into());
        }
        Ok((id, title))
    }

    /// The branch that the user names to merge it into.
    fn into(&self, branch: &str) -> Result<Option<BranchName>> {
        let Some(into) = self.into else {
            return Ok(None);
        };
        let store = self.store;
        let into = store.resolve(refs::short(into))?;
        if store.tip(into).is_none() {
            return Err(Failure::new(format!("there is no branch '{into}'"))
                .hint("git branch")
                .into());
        }
        if into == branch {
            return Err(Failure::new(format!("'{branch}' cannot be merged into itself")).into());
        }
        let settings = &self.flux.settings;
        let configured = settings.of_branch(branch, &table::BRANCH_INTO);
        // The configuration goes before what a record says.
        match configured.or_else(|| settings.into()) {
            Some(other) if store.resolve(refs::short(other))? != into => Err(Failure::new(
                format!("'{branch}' is configured to go to '{other}'"),
            )
            .hint(format!(
                "git config branch.{}.fluxInto {}",
                word(branch),
                word(into)
            ))
            .into()),
            _ => Ok(Some(BranchName::new(into))),
        }
    }

    /// The branch the user stands on; in the worktree itself that of the main worktree.
    fn standing(&self, entry: &Worktree) -> Result<Option<BranchName>> {
        let current = self.flux.repo.current();
        let is_inside = current == Some(entry.path.as_path());
        let here = if is_inside {
            self.worktrees.first()
        } else {
            let mut all = self.worktrees.iter();
            all.find(|other| Some(other.path.as_path()) == current)
        };
        match here {
            Some(here) => Ok(here.branch.as_ref().and_then(RefName::branch)),
            // Of a bare repository and of a submodule git does not list it.
            None if !is_inside => Ok(self.flux.repo.head()?.as_ref().and_then(RefName::branch)),
            None => Ok(None),
        }
    }

    /// # Errors
    /// When the branch is another task's, or checked out or in use in another worktree as well.
    fn ensure_alone(&self, entry: &Worktree, branch: &str) -> Result<()> {
        let store = self.store;
        let mut tasks = store.tasks.iter().filter_map(|one| one.task.as_ref().ok());
        if let Some(task) = tasks.find(|task| task.branch == branch) {
            let id = &task.id;
            return Err(
                Failure::new(format!("'{branch}' is the branch of the task '{id}'"))
                    .hint(format!("git flux attach {id}"))
                    .into(),
            );
        }
        store.ensure_known(&self.flux.settings, branch)?;
        let uses = BranchUses::find(self.flux, store, self.worktrees, branch)?;
        let uses = uses.except(&entry.path);
        match uses.worktree() {
            Some(other) => Err(Failure::new(format!(
                "'{branch}' is checked out in '{}' as well",
                shown(other)
            ))
            .hint(format!("git -C {} switch -c <branch>", quoted(&entry.path)))
            .into()),
            None => uses.ensure_none(),
        }
    }

    /// The worktree, if it can become a task.
    fn find(&self) -> Result<&Worktree> {
        let given = shown(self.path);
        let real = real(self.path)?;
        let mut all = self.worktrees.iter();
        let is_it =
            |path: &Path| path == real || path.canonicalize().is_ok_and(|path| path == real);
        let Some(entry) = all.find(|entry| is_it(&entry.path)) else {
            let failure = Failure::new(if real.exists() {
                format!("'{given}' is not a worktree of this repository")
            } else {
                format!("there is nothing at '{given}'")
            });
            return Err(failure
                .hint("git worktree list")
                .hint(format!("git worktree add {} <branch>", quoted(self.path)))
                .into());
        };
        if entry.bare {
            return Err(Failure::new(format!("'{given}' is a bare repository"))
                .hint("git worktree list")
                .into());
        }
        if self.worktrees.first() == Some(entry) || real == self.flux.repo.home() {
            return Err(Failure::new(format!("'{given}' is the main worktree"))
                .hint("to take its changes along: git flux run --with-changes \"<what is to be done>\"")
                .into());
        }
        self.ensure_there(entry, &real)?;
        self.ensure_unlocked(entry)?;
        let is_of = |task: &Task| task.worktree == entry.path;
        let mut tasks = self.store.tasks.iter();
        match tasks.find(|stored| stored.task.as_ref().is_ok_and(is_of)) {
            Some(stored) => Err(Failure::new(format!(
                "'{given}' is the worktree of the task '{}'",
                stored.id
            ))
            .hint(format!("git flux attach {}", stored.id))
            .into()),
            None => Ok(entry),
        }
    }

    /// Fails if the worktree is gone, or something else stands at its place.
    fn ensure_there(&self, entry: &Worktree, real: &Path) -> Result<()> {
        let common_dir = self.flux.repo.common_dir();
        let is_missing = !real.exists();
        if !is_missing && admin::is_ours(common_dir, &entry.path)? {
            return Ok(());
        }
        let again = match admin::moved_beside(common_dir, &entry.path) {
            Some(moved) => format!("git worktree repair {}", quoted(&moved)),
            None if is_missing => "git worktree prune".to_owned(),
            None => "git worktree repair".to_owned(),
        };
        let given = shown(self.path);
        Err(
            Failure::new(format!("the worktree '{given}' is not there any more"))
                .hint(again)
                .into(),
        )
    }

    fn ensure_unlocked(&self, entry: &Worktree) -> Result<()> {
        let Some(reason) = &entry.locked else {
            return Ok(());
        };
        let reason = match reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let given = shown(self.path);
        Err(
            Failure::new(format!("the worktree '{given}' is locked{reason}"))
                .hint(format!("git worktree unlock {}", quoted(self.path)))
                .into(),
        )
    }
}

#[cfg(test)]
mod tests;
