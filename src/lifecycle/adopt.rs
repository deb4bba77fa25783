//! A worktree that is there, with its branch, made a task, or that of its task again: it was moved, or git has
//! forgotten it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::broken::Broken;
use super::checked_out::BranchUses;
use super::other_machine::ensure_not_elsewhere;
use super::start::branch::{ChosenBranch, configured_into, origin, resolved};
use super::start::plan::{Origin, Start};
use super::start::prepare::head;
use super::start::{branch, ensure_new, under_lock};
use crate::agent::prompt;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Transaction, Worktree, admin, worktree};
use crate::lifecycle::cleanup::worktree::{ensure_idle, ensure_unlocked};
use crate::store::{self, Store, Stored};
use crate::system::clock::seconds;
use crate::task::record::VERSION;
use crate::task::{BranchName, Phase, RefName, Rest, Task, TaskId};
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

impl<'a> Adoption<'a> {
    /// Settles everything that can fail before the task exists.
    ///
    /// # Errors
    /// When the worktree cannot become a task, or the id is taken.
    pub(crate) fn prepare(&self) -> Result<Start> {
        let entry = self.find()?;
        let branch = self.branch(entry)?;
        self.ensure_alone(entry, &branch)?;
        let tip = self.store.tip(&branch).with_context(|| {
            let path = quoted(&entry.path);
            let hint = format!("git -C {path} commit --allow-empty -m 'Initial commit'");
            Failure::new(format!("there is no commit on '{branch}' yet")).hint(hint)
        })?;
        if let Some(agent) = self.agent {
            self.flux.settings.find_agent(agent)?;
        }
        let mut chosen = ChosenBranch::new(branch, tip, None);
        chosen.existing.adopted = true;
        Ok(Start {
            task: self.task(entry, chosen)?,
            description: self.description.to_vec(),
            origin: Origin::Worktree,
            pane: None,
        })
    }

    /// Returns the record of the task.
    fn task(&self, entry: &Worktree, chosen: ChosenBranch) -> Result<Task> {
        let (id, title) = self.id(&chosen.name)?;
        let into = match self.into(&chosen.name)? {
            Some(into) => Some(into),
            None => self.standing(entry)?,
        };
        let (base, into) = origin(self.flux, self.store, &chosen, into.as_ref())?;
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

    /// Returns the branch that is checked out in the worktree.
    fn branch(&self, entry: &Worktree) -> Result<BranchName> {
        if let Some(name) = &entry.branch {
            return Ok(BranchName::typed(name));
        }
        // A rebase puts the branch aside.
        ensure_idle(&self.flux.repo.checkout(&entry.path)?)?;
        let path = shown(&entry.path);
        let failure = Failure::new(format!("'{path}' has no branch checked out"));
        Err(failure.hint(switch(entry)).into())
    }

    /// Returns the id of the task, and its title.
    fn id(&self, branch: &BranchName) -> Result<(TaskId, String)> {
        let title = match prompt::title(self.description) {
            title if title.is_empty() => branch.to_string(),
            title => title,
        };
        let id = match self.name {
            Some(name) => name.parse()?,
            None => TaskId::from_description(&title, &mut rand::rng()),
        };
        ensure_new(self.flux, self.store, &id)?;
        Ok((id, title))
    }

    /// Returns the branch that the user names to merge it into.
    fn into(&self, branch: &BranchName) -> Result<Option<BranchName>> {
        let Some(into) = self.into else {
            return Ok(None);
        };
        let store = self.store;
        let into = resolved(store, &BranchName::typed(into))?;
        if store.tip(&into).is_none() {
            let failure = Failure::new(format!("there is no branch '{into}'"));
            return Err(failure.hint("git branch").into());
        }
        if into == *branch {
            return Err(Failure::new(format!("'{branch}' cannot be merged into itself")).into());
        }
        // The configuration goes before what a record says.
        match configured_into(&self.flux.settings, branch) {
            Some(other) if resolved(store, &other)? != into => {
                let (branch_word, into) = (word(branch), word(&into));
                let what = format!("'{branch}' is configured to go to '{other}'");
                let hint = format!("git config branch.{branch_word}.fluxInto {into}");
                Err(Failure::new(what).hint(hint).into())
            }
            _ => Ok(Some(into)),
        }
    }

    /// Returns the branch the user stands on; in the worktree itself that of the main worktree.
    fn standing(&self, entry: &Worktree) -> Result<Option<BranchName>> {
        let current = self.flux.repo.current();
        if current == Some(&*entry.path) {
            let main = self.worktrees.first().and_then(|main| main.branch.as_ref());
            return Ok(main.and_then(RefName::branch));
        }
        head(self.flux, self.worktrees)
    }

    /// Fails if the branch is another task's, or checked out or in use in another worktree as well.
    fn ensure_alone(&self, entry: &Worktree, branch: &BranchName) -> Result<()> {
        let is_of = |task: &Task| task.branch == *branch;
        self.ensure_no_task(is_of, &format!("'{branch}' is the branch"))?;
        self.store.ensure_known(&self.flux.settings, branch)?;
        let uses = BranchUses::find(self.flux, self.store, self.worktrees, branch)?;
        let uses = uses.except(&entry.path);
        let Some(other) = uses.worktree() else {
            return uses.ensure_none();
        };
        let what = format!("'{branch}' is checked out in '{}' as well", shown(other));
        Err(Failure::new(what).hint(switch(entry)).into())
    }

    /// Fails if `what` is that of a task.
    fn ensure_no_task(&self, is_of: impl Fn(&Task) -> bool, what: &str) -> Result<()> {
        let mut tasks = self.store.tasks.iter();
        let Some(stored) = tasks.find(|stored| stored.task.as_ref().is_ok_and(&is_of)) else {
            return Ok(());
        };
        let failure = Failure::new(format!("{what} of the task '{}'", stored.id));
        let hint = format!("git flux attach {}", stored.id);
        Err(failure.hint(hint).into())
    }

    /// Returns the worktree, if it can become a task.
    fn find(&self) -> Result<&'a Worktree> {
        let given = shown(self.path);
        let real = real(self.path);
        let is_it =
            |path: &Path| path == real || path.canonicalize().is_ok_and(|path| path == real);
        let list = "git worktree list";
        let entry = self.worktrees.iter().find(|entry| is_it(&entry.path));
        let entry = entry.with_context(|| {
            let failure = Failure::new(if real.exists() {
                format!("'{given}' is not a worktree of this repository")
            } else {
                format!("there is nothing at '{given}'")
            });
            let add = format!("git worktree add {} <branch>", quoted(self.path));
            failure.hint(list).hint(add)
        })?;
        if entry.is_bare {
            let failure = Failure::new(format!("'{given}' is a bare repository"));
            return Err(failure.hint(list).into());
        }
        if self.worktrees.first() == Some(entry) || real == self.flux.repo.home() {
            return Err(Failure::new(format!("'{given}' is the main worktree"))
                .hint("to take its changes along: git flux run --with-changes \"<description>\"")
                .into());
        }
        self.ensure_there(entry, &real)?;
        ensure_unlocked(entry)?;
        let is_of = |task: &Task| task.worktree == entry.path;
        self.ensure_no_task(is_of, &format!("'{given}' is the worktree"))?;
        Ok(entry)
    }

    /// Fails if the worktree is gone, or something else stands at its place.
    fn ensure_there(&self, entry: &Worktree, real: &Path) -> Result<()> {
        let common_dir = self.flux.repo.common_dir();
        if real.exists() && admin::is_ours(common_dir, &entry.path)? {
            return Ok(());
        }
        let again = match admin::find_moved_beside(common_dir, &entry.path) {
            Some(moved) => format!("git worktree repair {}", quoted(&moved)),
            None if real.exists() => "git worktree repair".to_owned(),
            None => "git worktree prune".to_owned(),
        };
        let what = format!("the worktree '{}' is not there any more", shown(self.path));
        Err(Failure::new(what).hint(again).into())
    }
}

/// Returns the task that the directory at `path` is the worktree of, where the task does not
/// find it: git has forgotten it, or has it at another place than the record.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn strayed<'a>(
    flux: &Flux,
    store: &'a Store,
    worktrees: &[Worktree],
    path: &Path,
) -> Result<Option<&'a Stored>> {
    let common = flux.repo.common_dir();
    let find = |is_of: &dyn Fn(&Task) -> bool| {
        let mut tasks = store.tasks.iter();
        tasks.find(|stored| stored.task.as_ref().is_ok_and(is_of))
    };
    if admin::was_pruned(common, path)? {
        return Ok(find(&|task| task.worktree == path));
    }
    let entry = worktrees.iter().find(|entry| entry.path == path);
    let Some(branch) = entry.and_then(|entry| entry.branch.as_ref()) else {
        return Ok(None);
    };
    let Some(stored) = find(&|task| task.branch_ref() == *branch && task.worktree != path) else {
        return Ok(None);
    };
    let own = &stored.readable()?.worktree;
    let has_own = own.exists() && admin::is_ours(common, own)?;
    Ok((!has_own && admin::is_ours(common, path)?).then_some(stored))
}

/// Makes the directory at `path` the worktree of a task again.
///
/// # Errors
/// When the task has changed meanwhile, or git refuses.
pub(crate) fn rejoin(flux: &Flux, id: &TaskId, path: &Path) -> Result<()> {
    let lock = flux.lock_task(id)?;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    ensure_not_elsewhere(flux, task)?;
    let worktrees = worktree::list(flux.repo.home())?;
    let found = strayed(flux, &store, &worktrees, path)?;
    if found.is_none_or(|found| found.id != *id) {
        let failure = Failure::new(format!("'{id}' changed meanwhile"));
        return Err(failure.hint(format!("git flux status {id}")).into());
    }
    if task.worktree != path {
        let task = Task {
            worktree: path.to_owned(),
            ..task.clone()
        };
        let none = Transaction::default();
        return store::advance(&flux.repo, &stored.oid, &task, none, &lock).map(drop);
    }
    if store.tip(&task.branch).is_none() {
        return Err(Broken::without_branch(flux, task)?.failure().into());
    }
    let scratch = flux.run_dir(id).scratch();
    // What a killed command has registered there is ours.
    let twin = scratch.join(path.file_name().unwrap_or_default());
    let uses = BranchUses::of_git(flux, &worktrees, &task.branch)?;
    uses.except(path).except(&twin).ensure_none()?;
    let _guard = flux.lock_repo()?;
    worktree::register_again(&flux.repo, path, &task.branch, &scratch, &lock)
        .with_context(|| format!("could not make '{}' a worktree again", shown(path)))
}

/// Returns the command that makes a branch for a worktree.
fn switch(entry: &Worktree) -> String {
    format!("git -C {} switch -c <branch>", quoted(&entry.path))
}

/// Returns the path without links, whose directory may be gone.
pub(crate) fn real(path: &Path) -> PathBuf {
    branch::real(path).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests;
