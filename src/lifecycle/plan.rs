//! What a cleanup would do, as a value: computed before anything changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::into::Wanted;
use super::observe;
use super::{Flux, Into, ensure_not_elsewhere};
use crate::agent::launch::{Running, in_front};
use crate::failure::{CONFLICTS, Failure};
use crate::git::{
    Change, MergePlan, Repo, Style, Worktree, admin, changes, forward, snapshot, worktree,
};
use crate::interrupt;
use crate::store::{Store, Stored};
use crate::task::{State, Task};
use crate::tmux::pane;
use crate::ui::{quoted, shown, word};

/// Everything observed of a task that is to be removed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) task: Task,
    pub(crate) oid: String,
    /// The branch's tip.
    pub(crate) tip: String,
    /// Uncommitted files: what `git status` shows.
    pub(crate) uncommitted: Vec<Change>,
    /// Ignored files, which stay in the trash.
    pub(crate) ignored: Vec<Change>,
    /// None if the branch is to be dropped.
    pub(crate) into: Option<Into>,
    /// Its agent runs, whatever else may be wrong with it.
    pub(crate) alive: bool,
    /// A program that runs in the pane, though the agent has ended.
    pub(crate) busy: Option<u32>,
    /// We were started in the task's own pane: it is closed last.
    pub(crate) inside: bool,
    /// The worktree's directory is gone already.
    pub(crate) missing: bool,
    /// It is on another file system than the trash: it cannot be moved there.
    pub(crate) abroad: bool,
}

impl Plan {
    /// Observes a task. What is wrong with it, and cannot be asked about, is an error.
    ///
    /// # Errors
    /// When a check fails, or could not be made: unknown is never clean.
    pub(crate) fn make(
        flux: &Flux,
        store: &Store,
        stored: &Stored,
        wanted: Wanted<'_>,
    ) -> Result<Self> {
        let id = &stored.id;
        let task = stored.readable()?.clone();
        let worktrees = worktree::list(flux.repo.home())?;
        let state = observe::state(flux, store, &task, &worktrees);
        if matches!(state, State::Unknown | State::Starting | State::Removing) {
            return Err(Failure::new(format!("'{id}' is {}", state.name()))
                .hint(format!("git flux status {id}"))
                .into());
        }
        let tip = store.tip(&task.branch).with_context(|| {
            Failure::new(format!("the branch '{}' of '{id}' is gone", task.branch))
                .hint(format!("git -C {} reflog", quoted(&task.worktree)))
                .hint(format!(
                    "git branch {} <the last commit of it>",
                    word(&task.branch)
                ))
        })?;
        let missing = !fs_exists(&task)?;
        check_worktree(flux, &task, &worktrees, missing)?;
        let all = if missing {
            Vec::new()
        } else {
            changes(&task.worktree, true)?
        };
        let (ignored, uncommitted): (Vec<_>, Vec<_>) = all.into_iter().partition(Change::ignored);
        let into = match wanted {
            Wanted::Nothing => None,
            Wanted::Merge { into, style } => {
                let how = (into, style);
                Some(Into::find(flux, store, &task, tip, how, &worktrees)?)
            }
        };
        let abroad = !missing && flux.is_abroad(&task.worktree)?;
        // Whether tmux answers is settled before anything is stopped.
        let panes = observe::Panes::of(std::iter::once(&task))?;
        let run = flux.run_dir(id);
        let running = run.running()?;
        let alive = running.as_ref().is_some_and(Running::alive) && run.exit()?.is_none();
        let busy = match &task.target {
            Some(target) if !alive && panes.has(&task) => in_front(target.pane_pid),
            _ => None,
        };
        if !alive
            && run.exit()?.is_none()
            && let Some(orphan) = running.and_then(|running| running.orphan(&task.worktree))
        {
            return Err(Failure::new(format!(
                "the launcher of '{id}' is gone, but its agent is still alive (process {orphan})"
            ))
            .hint(format!("kill {orphan}"))
            .into());
        }
        let inside = task.target.as_ref().is_some_and(pane::is_ours);
        Ok(Self {
            tip: tip.to_owned(),
            oid: stored.oid.clone(),
            task,
            uncommitted,
            ignored,
            into,
            alive,
            busy,
            inside,
            missing,
            abroad,
        })
    }

    /// Whether something has to be stopped: an agent that runs, or what runs in its
    /// pane by now, unless it is who called.
    pub(crate) fn must_stop(&self) -> bool {
        (self.alive || self.busy.is_some()) && !self.inside
    }

    /// What is to be stopped.
    pub(crate) fn stopped(&self) -> String {
        let id = &self.task.id;
        match self.busy {
            Some(pid) => format!("a program in the pane of '{id}' (process {pid})"),
            None => format!("the agent of '{id}'"),
        }
    }

    /// How many commits would be merged.
    pub(crate) fn commits(&self) -> usize {
        self.into.as_ref().map_or(0, |into| into.merge.commits())
    }

    /// The plan as it will be once what is uncommitted is committed.
    ///
    /// # Errors
    /// When the commit cannot be foreseen.
    pub(crate) fn once_committed(&self, flux: &Flux) -> Result<Self> {
        let tip = snapshot::foresee(flux.repo.common_dir(), &self.task.worktree, &self.tip)?;
        let mut plan = self.clone();
        if let Some(into) = &mut plan.into {
            into.merge = MergePlan::make(&flux.repo, &into.tip, &tip, into.style)?;
        }
        plan.tip = tip;
        Ok(plan)
    }

    /// Fails where the task cannot be merged as it was asked for: with exit code 3
    /// where both sides changed the same.
    ///
    /// # Errors
    /// The conflicts, file by file.
    pub(crate) fn ensure_mergeable(&self) -> Result<()> {
        let Some(Into {
            branch,
            merge,
            style,
            ..
        }) = &self.into
        else {
            return Ok(());
        };
        let id = &self.task.id;
        let files = match merge {
            MergePlan::Conflicts { files } => files,
            MergePlan::Moved { by } => {
                return Err(Failure::new(format!(
                    "'{branch}' has moved: it has commits ({by}) that '{}' has not, and cannot be fast-forwarded to it",
                    self.task.branch
                ))
                .hint(format!("git flux cleanup {id} --rebase"))
                .into());
            }
            MergePlan::UpToDate(_)
            | MergePlan::FastForward { .. }
            | MergePlan::Commit { .. }
            | MergePlan::Rebase { .. } => return Ok(()),
        };
        // What a merge resolves, a rebase meets again.
        let verb = match style {
            Style::Rebase => "rebase",
            Style::Merge | Style::Squash | Style::FastForward => "merge",
        };
        let list: Vec<String> = files
            .iter()
            .map(|file| match file.kind.as_str() {
                "" => format!("'{}'", shown(&file.path)),
                kind => format!("'{}' ({kind})", shown(&file.path)),
            })
            .collect();
        Err(Failure::new(format!(
            "'{}' and '{branch}' conflict in {}; nothing was touched",
            self.task.branch,
            list.join(", ")
        ))
        .hint(format!(
            "resolve it in the task's worktree: git -C {} {verb} {}",
            quoted(&self.task.worktree),
            word(branch)
        ))
        .hint(format!("then: git flux cleanup {id}"))
        .code(CONFLICTS)
        .into())
    }

    /// Fails where moving the target would be refused, by files of the user's in
    /// its worktree or by an operation that uses it: known before the agent is stopped.
    ///
    /// # Errors
    /// What is in the way.
    pub(crate) fn ensure_free(&self, flux: &Flux) -> Result<()> {
        let Some(Into {
            branch,
            tip,
            worktree,
            merge,
            ..
        }) = &self.into
        else {
            return Ok(());
        };
        let Some(tree) = merge.tree(&flux.repo, &self.tip)? else {
            return Ok(());
        };
        let Some(worktree) = worktree else {
            return forward::ensure_unused(flux.repo.home(), branch, tip).with_context(|| {
                Failure::new(format!(
                    "the branch '{branch}' is in use and cannot be moved"
                ))
                .hint("git worktree list")
                .hint(format!("git flux cleanup {}", self.task.id))
            });
        };
        ensure_unlocked(branch, worktree)?;
        let touched = flux.repo.differing(&flux.repo.tree_of(tip)?, &tree)?;
        let collides = |change: &&Change| {
            let there = worktree.join(&change.path);
            let is_dir = there.symlink_metadata().is_ok_and(|found| found.is_dir());
            // A directory that is ignored or untracked as a whole is in the way only
            // with the very file that the merge brings.
            let within = |path: &PathBuf| {
                path.starts_with(&change.path)
                    && (!is_dir || worktree.join(path).symlink_metadata().is_ok())
            };
            touched
                .iter()
                .any(|path| within(path) || change.path.starts_with(path))
        };
        let in_the_way: Vec<String> = changes(worktree, true)?
            .iter()
            .filter(collides)
            .map(|change| format!("'{}'", shown(&change.path)))
            .collect();
        if in_the_way.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the merge would overwrite {} in the worktree of '{branch}'",
            in_the_way.join(", ")
        ))
        .hint(format!(
            "commit, stash or move them: git -C {} status --ignored",
            quoted(worktree)
        ))
        .hint(format!("git flux cleanup {}", self.task.id))
        .into())
    }
}

/// Waits a moment for another git that writes the index of the target's worktree.
fn ensure_unlocked(branch: &str, worktree: &Path) -> Result<()> {
    let lock = Repo::git_dir(worktree)?.join("index.lock");
    let begun = Instant::now();
    while fs::exists(&lock).context("could not look for a lock")? {
        interrupt::check()?;
        if begun.elapsed() > Duration::from_secs(5) {
            return Err(Failure::new(format!(
                "another git is at work in the worktree of '{branch}', or was killed there"
            ))
            .hint(format!("if none is: rm {}", quoted(&lock)))
            .into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn fs_exists(task: &Task) -> Result<bool> {
    fs::exists(&task.worktree)
        .with_context(|| format!("could not look at '{}'", task.worktree.display()))
}

fn check_worktree(flux: &Flux, task: &Task, worktrees: &[Worktree], missing: bool) -> Result<()> {
    let (id, path, pasted) = (&task.id, shown(&task.worktree), quoted(&task.worktree));
    ensure_not_elsewhere(worktrees, task)?;
    let foreign = || {
        Failure::new(format!(
            "'{path}' is not a worktree of this repository any more"
        ))
        .hint("git worktree list")
        .hint(format!("git worktree repair {pasted}"))
    };
    let Some(entry) = worktrees.iter().find(|entry| entry.path == task.worktree) else {
        // Neither directory nor entry: there is nothing to look at.
        return if missing {
            Ok(())
        } else {
            Err(foreign().into())
        };
    };
    if !missing && !admin::is_ours(flux.repo.common_dir(), &task.worktree)? {
        return Err(foreign().into());
    }
    if let Some(inner) = worktrees
        .iter()
        .find(|other| other.path != task.worktree && other.path.starts_with(&task.worktree))
    {
        let inner = quoted(&inner.path);
        return Err(Failure::new(format!(
            "there is another worktree inside that of '{id}': {inner}"
        ))
        .hint(format!("git worktree remove {inner}"))
        .hint(format!("git worktree move {inner} <somewhere else>"))
        .into());
    }
    if let Some(reason) = &entry.locked {
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        return Err(
            Failure::new(format!("the worktree '{path}' is locked{reason}"))
                .hint(format!("git worktree unlock {pasted}"))
                .into(),
        );
    }
    if !missing && let Some(operation) = Repo::operation(&task.worktree)? {
        return Err(
            Failure::new(format!("a {operation} is in progress in '{path}'"))
                .hint(format!("finish or abort it: git -C {pasted} status"))
                .into(),
        );
    }
    if entry.branch.as_deref() != Some(&task.branch_ref()) {
        return Err(Failure::new(format!(
            "'{path}' does not have '{}' checked out",
            task.branch
        ))
        .hint(format!("git -C {pasted} switch {}", word(&task.branch)))
        .into());
    }
    if admin::has_submodules(flux.repo.common_dir(), &task.worktree)? {
        return Err(Failure::new(format!(
            "the worktree of '{id}' has submodules of its own, whose commits may be nowhere else"
        ))
        .hint(format!(
            "push them, then: git -C {pasted} submodule deinit --all"
        ))
        .hint(format!(
            "rm -r \"$(git -C {pasted} rev-parse --git-path modules)\""
        ))
        .into());
    }
    Ok(())
}
