//! Makes an existing worktree a task, or reconnects a moved or forgotten worktree with its task.

mod lock;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use self::lock::{find_stale_lock, release_stale_lock};
use super::branch_uses::BranchUses;
use super::damage::Damage;
use super::other_machine::ensure_not_elsewhere;
use super::start::branch::{ChosenBranch, configured_target, fork_point, resolve_branch};
use super::start::plan::{Origin, Start};
use super::start::preparation::head_branch;
use super::start::{branch, ensure_new_id, ensure_no_task, start_locked};
use crate::agent::{own_worktrees, prompt};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Transaction, Worktree, admin, worktree};
use crate::lifecycle::cleanup::worktree::ensure_idle;
use crate::lifecycle::gate::scratch::is_scratch;
use crate::store::{self, Store};
use crate::system::clock::this_second;
use crate::task::record::VERSION;
use crate::task::{BranchName, Phase, RefName, Rest, Task, TaskId};
use crate::ui::{quoted, shown, word};

/// A worktree to adopt.
pub(crate) struct Adoption<'a> {
    pub(crate) flux: &'a Flux,
    pub(crate) store: &'a Store,
    pub(crate) worktrees: &'a [Worktree],
    /// The path as the user gave it.
    pub(crate) path: &'a Path,
    /// The agent's name; none for the one that made the worktree, or else the configured one.
    pub(crate) agent: Option<&'a str>,
    /// The merge target.
    pub(crate) into: Option<&'a str>,
    /// The id; none derives it from the description or the branch.
    pub(crate) name: Option<&'a str>,
    pub(crate) description: &'a [u8],
}

/// Makes the existing worktree of a planned start a task: writes the record, the base ref and the
/// configuration of the branch; then unlocks the worktree if an agent that has ended has locked it.
/// Opens no pane and starts no agent. Rolls back if a step fails, or on ^C.
pub(crate) fn adopt(flux: &Flux, start: &mut Start, worktrees: &[Worktree]) -> Result<()> {
    let mut entries = worktrees.iter();
    let entry = entries.find(|entry| entry.path == start.task.worktree);
    let stale = entry.map(find_stale_lock).transpose()?.flatten();
    let lock = flux.lock_task(&start.task.id)?;
    start_locked(flux, start, lock)?;
    if let (Some(entry), Some(stale)) = (entry, stale) {
        release_stale_lock(flux, entry, &stale);
    }
    Ok(())
}

impl<'a> Adoption<'a> {
    /// Plans how an existing worktree becomes a task, and changes nothing. Fails if it is missing,
    /// locked, bare, the main worktree or a task's, has no branch or commit, or its branch or the
    /// id is taken. Checks the agent only if one is given.
    pub(crate) fn prepare(&self) -> Result<Start> {
        let entry = self.find_worktree()?;
        let branch = self.branch(entry)?;
        self.ensure_branch_unused(entry, &branch)?;
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
            task: self.create_task(entry, chosen)?,
            description: self.description.to_vec(),
            origin: Origin::Worktree,
            pane: None,
        })
    }

    fn create_task(&self, entry: &Worktree, chosen: ChosenBranch) -> Result<Task> {
        let (id, title) = self.choose_id(&chosen.name)?;
        let into = match self.given_target(&chosen.name)? {
            Some(into) => Some(into),
            None => self.default_target(entry)?,
        };
        let (base, into) = fork_point(self.flux, self.store, &chosen, into.as_ref())?;
        let maker = || own_worktrees::maker(&entry.path);
        let agent = self.agent.or_else(maker);
        let agent = agent.unwrap_or(self.flux.settings.agent());
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
            created: this_second(),
            port: None,
            target: None,
            removal: None,
            restored_from: None,
            existing: Some(chosen.existing),
            stash: None,
            landing: None,
            rest: Rest::default(),
        })
    }

    fn branch(&self, entry: &Worktree) -> Result<BranchName> {
        if let Some(name) = &entry.branch {
            return Ok(BranchName::typed(name));
        }
        // A rebase detaches HEAD.
        ensure_idle(&self.flux.repo.checkout(&entry.path)?)?;
        let path = shown(&entry.path);
        let failure = Failure::new(format!("'{path}' has no branch checked out"));
        Err(failure.hint(switch_command(entry)).into())
    }

    /// Returns the id and title of the new task. The title is the first line of the description,
    /// else the branch. The id is the given name, else derived from the title; fails if a task has
    /// it.
    fn choose_id(&self, branch: &BranchName) -> Result<(TaskId, String)> {
        let title = match prompt::title_of(self.description) {
            title if title.is_empty() => branch.to_string(),
            title => title,
        };
        let id = match self.name {
            Some(name) => name.parse()?,
            None => TaskId::from_description(&title, &mut rand::rng()),
        };
        ensure_new_id(self.flux, self.store, &id)?;
        Ok((id, title))
    }

    /// Returns the merge target that the user gave with `--into`; `None` without the option. Fails
    /// if that branch does not exist, is the task's own, or differs from the one that git config
    /// names, if any.
    fn given_target(&self, branch: &BranchName) -> Result<Option<BranchName>> {
        let Some(into) = self.into else {
            return Ok(None);
        };
        let store = self.store;
        let into = resolve_branch(store, &BranchName::typed(into))?;
        if store.tip(&into).is_none() {
            let failure = Failure::new(format!("there is no branch '{into}'"));
            return Err(failure.hint("git branch").into());
        }
        if into == *branch {
            let failure = Failure::new(format!("'{branch}' cannot be merged into itself"));
            return Err(failure.hint("git branch").into());
        }
        // Git config takes precedence over the record.
        match configured_target(&self.flux.settings, branch) {
            Some(other) if resolve_branch(store, &other)? != into => {
                let (branch_word, into) = (word(branch), word(&into));
                let what = format!("'{branch}' is configured to be merged into '{other}'");
                let hint = format!("git config branch.{branch_word}.fluxInto {into}");
                Err(Failure::new(what).hint(hint).into())
            }
            _ => Ok(Some(into)),
        }
    }

    /// Returns the branch that is checked out in the current worktree or, outside one, that the
    /// repository's HEAD names. If the current worktree is the one to adopt, returns the branch of
    /// the main worktree. `None` for a detached HEAD.
    fn default_target(&self, entry: &Worktree) -> Result<Option<BranchName>> {
        let current = self.flux.repo.current();
        if current == Some(&*entry.path) {
            let main = self.worktrees.first().and_then(|main| main.branch.as_ref());
            return Ok(main.and_then(RefName::branch));
        }
        head_branch(self.flux, self.worktrees)
    }

    /// Fails if a task has `branch`, also one whose record cannot be read, or if a worktree other
    /// than the one to adopt has it checked out or uses it in a rebase or bisect.
    fn ensure_branch_unused(&self, entry: &Worktree, branch: &BranchName) -> Result<()> {
        let matches = |task: &Task| task.branch == *branch;
        ensure_no_task(self.store, matches, &format!("'{branch}' is the branch"))?;
        self.store
            .ensure_task_readable(&self.flux.settings, branch)?;
        let uses = BranchUses::find(self.flux, self.store, self.worktrees, branch)?;
        let uses = uses.except(&entry.path);
        let Some(other) = uses.worktree() else {
            return uses.ensure_none();
        };
        let places = format!("'{}' and '{}'", shown(&entry.path), shown(other));
        let what = format!("'{branch}' is checked out twice: in {places}");
        let hint = format!("to switch one to a new branch: {}", switch_command(entry));
        Err(Failure::new(what).hint(hint).into())
    }

    /// Returns git's entry of the worktree at the given path. Fails if git lists none there, or if
    /// it is bare, the main worktree, missing, a task's, or locked, unless by an agent that has ended.
    fn find_worktree(&self) -> Result<&'a Worktree> {
        let given = shown(self.path);
        let real = real_path(self.path);
        let is_real = |path: PathBuf| path == real;
        let is_same = |path: &Path| path == real || path.canonicalize().is_ok_and(is_real);
        let list = "to see the worktrees: git worktree list";
        let entry = self.worktrees.iter().find(|entry| is_same(&entry.path));
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
                .hint("to start a task with its changes: git flux run --with-changes \"<description>\"")
                .into());
        }
        if is_scratch(entry) {
            let failure = Failure::new(format!("'{given}' is the worktree for gates"));
            return Err(failure.hint(list).into());
        }
        self.ensure_exists(entry, &real)?;
        let matches = |task: &Task| task.worktree == entry.path;
        ensure_no_task(self.store, matches, &format!("'{given}' is the worktree"))?;
        // A task's worktree is locked while its agent runs, and its record says more.
        let branch = entry.branch.as_ref().and_then(RefName::branch);
        if let Some(branch) = branch {
            let settings = &self.flux.settings;
            self.store.ensure_task_readable(settings, &branch)?;
        }
        find_stale_lock(entry)?;
        Ok(entry)
    }

    /// Fails if the directory of a worktree that git lists is missing, or is not that worktree any
    /// more. The hint is the command that repairs it.
    fn ensure_exists(&self, entry: &Worktree, real: &Path) -> Result<()> {
        let common_dir = self.flux.repo.common_dir();
        if real.exists() && admin::is_ours(common_dir, &entry.path)? {
            return Ok(());
        }
        let repair = match admin::find_moved_beside(common_dir, &entry.path) {
            Some(moved) => format!("git worktree repair {}", quoted(&moved)),
            None if real.exists() => "git worktree repair".to_owned(),
            None => "git worktree prune".to_owned(),
        };
        let what = format!("the worktree '{}' is missing", shown(self.path));
        Err(Failure::new(what).hint(repair).into())
    }
}

/// Returns the task whose worktree, at `path`, git has pruned; or the task whose branch is checked
/// out at `path` while its recorded path has no worktree of this repository. `None` if there is
/// none whose record can be read.
pub(crate) fn find_displaced<'a>(
    flux: &Flux,
    store: &'a Store,
    worktrees: &[Worktree],
    path: &Path,
) -> Result<Option<&'a Task>> {
    let common = flux.repo.common_dir();
    let mut tasks = store.readable();
    if admin::was_pruned(common, path)? {
        return Ok(tasks.find(|task| task.worktree == path));
    }
    let entry = worktrees.iter().find(|entry| entry.path == path);
    let Some(branch) = entry.and_then(|entry| entry.branch.as_ref()) else {
        return Ok(None);
    };
    let matches = |task: &&Task| task.branch_ref() == *branch && task.worktree != path;
    let Some(task) = tasks.find(matches) else {
        return Ok(None);
    };
    let recorded = &task.worktree;
    let is_valid = recorded.exists() && admin::is_ours(common, recorded)?;
    Ok((!is_valid && admin::is_ours(common, path)?).then_some(task))
}

/// Records `path` as the worktree of the task `id`. If git has pruned the worktree there, registers
/// it again with the task's branch. Fails if [`find_displaced`] no longer finds the task, or if its
/// branch is gone or in use.
pub(crate) fn reconnect(flux: &Flux, id: &TaskId, path: &Path) -> Result<()> {
    let lock = flux.lock_task(id)?;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    ensure_not_elsewhere(flux, task)?;
    let worktrees = worktree::list(flux.repo.home())?;
    let found = find_displaced(flux, &store, &worktrees, path)?;
    if found.is_none_or(|found| found.id != *id) {
        let failure = Failure::new(format!("'{id}' changed meanwhile"));
        return Err(failure
            .hint(format!(
                "to see the state of the task: git flux status {id}"
            ))
            .into());
    }
    if task.worktree != path {
        let task = Task {
            worktree: path.to_owned(),
            ..task.clone()
        };
        let none = Transaction::default();
        return store::update(&flux.repo, &stored.oid, &task, &[], none, &lock).map(drop);
    }
    if store.tip(&task.branch).is_none() {
        return Err(Damage::missing_branch(flux, task)?.failure().into());
    }
    let scratch = flux.run_dir(id).scratch();
    // A killed command may have registered it.
    let temporary = scratch.join(path.file_name().unwrap_or_default());
    let uses = BranchUses::scan(flux, &worktrees, &task.branch)?;
    uses.except(path).except(&temporary).ensure_none()?;
    let _guard = flux.lock_repo()?;
    worktree::register_again(&flux.repo, path, &task.branch, &scratch, &lock)
        .with_context(|| format!("could not make '{}' a worktree again", shown(path)))
}

/// Returns the shell command that creates a branch in a worktree and switches to it:
/// `git -C <path> switch -c <branch>`. Runs nothing.
fn switch_command(entry: &Worktree) -> String {
    format!("git -C {} switch -c <branch>", quoted(&entry.path))
}

/// Returns a path as an absolute one, without `..` and symbolic links. It need not exist. Returns
/// the path unchanged if that fails, as for `..` after a missing part.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    branch::real_path(path).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests;
