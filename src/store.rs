//! Tasks in refs: `refs/flux/tasks/<id>`, a tree of `task.json` and `prompt.md`.
//!
//! The record says what was meant. What a person may edit stands in git config,
//! in the section of the task's branch, and wins over the record.

mod config;
mod foreign;
mod stored;
mod symbolic;

use std::fmt::Display;
use std::iter;
use std::path::{self, Path};

use anyhow::{Result, bail};

pub(crate) use self::config::{remove_config, trust, write_config};
pub(crate) use self::foreign::{is_ours, own_parts};
pub(crate) use self::stored::{ARCHIVE, EVENTS, RECORD, SCREEN, Stored, TASKS, base_ref, task_ref};
use self::stored::{BASES, PROMPT};

use crate::failure::{Failure, nearest};
use crate::git::refs::{self, Refs};
use crate::git::{Lock, Repo, Transaction};
use crate::settings::{Settings, table};
use crate::task::{BranchName, HEADS, ObjectId, Task, TaskId};

/// All tasks and branches, as they were at one moment.
#[derive(Debug)]
pub(crate) struct Store {
    refs: Refs,
    /// The tasks of this repository.
    pub(crate) tasks: Vec<Stored>,
    /// Records that came from elsewhere.
    pub(crate) foreign: Vec<Stored>,
}

impl Store {
    /// `git for-each-ref refs/flux/tasks refs/flux/base refs/heads`
    ///
    /// # Errors
    /// When git fails. A record that cannot be read spoils itself alone.
    pub(crate) fn load(repo: &Repo, settings: &Settings) -> Result<Self> {
        Self::of(repo, settings, Self::refs(repo.home())?)
    }

    /// The refs that it is made of, in the repository of `dir`.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn refs(dir: &Path) -> Result<Refs> {
        refs::read(dir, &[TASKS, BASES, HEADS])
    }

    /// Takes the tasks from these refs. What seems foreign is looked at again: its record may have
    /// changed since the refs were listed, and its mark with it.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn of(repo: &Repo, settings: &Settings, mut refs: Refs) -> Result<Self> {
        loop {
            let store = Self::sorted(repo, settings, refs);
            if store.foreign.is_empty() {
                return Ok(store);
            }
            refs = Self::refs(repo.home())?;
            let stands = |one: &Stored| refs.objects.get(&task_ref(&one.id)) == Some(&one.oid);
            if store.foreign.iter().all(stands) {
                return Ok(store);
            }
        }
    }

    fn sorted(repo: &Repo, settings: &Settings, refs: Refs) -> Self {
        let (mut tasks, mut foreign) = (Vec::new(), Vec::new());
        let marks = repo.marks();
        for (name, oid) in &refs.objects {
            let id = name.strip_prefix(TASKS).map(str::parse::<TaskId>);
            let Some(Ok(id)) = id else { continue };
            let task = read(repo, &id, oid).map(|task| configured(task, settings, &refs));
            let ours = foreign::is_ours(&marks, settings, &id, oid, task.as_ref().ok());
            let oid = oid.clone();
            let of = if ours { &mut tasks } else { &mut foreign };
            of.push(Stored { id, oid, task });
        }
        Self {
            refs,
            tasks,
            foreign,
        }
    }

    /// Fails if a branch is that of a task whose record cannot be read; only the configuration
    /// tells that.
    ///
    /// # Errors
    /// Says what is wrong with the record.
    pub(crate) fn ensure_known(&self, settings: &Settings, branch: &str) -> Result<()> {
        let id = settings.of_branch(branch, &table::TASK);
        let mut tasks = self.tasks.iter();
        let stored = tasks.find(|stored| Some(stored.id.as_str()) == id);
        stored.map_or(Ok(()), |stored| stored.readable().map(drop))
    }

    /// Returns the tasks whose records can be read.
    pub(crate) fn readable(&self) -> impl Iterator<Item = &Task> {
        self.tasks
            .iter()
            .filter_map(|stored| stored.task.as_ref().ok())
    }

    /// The tip of a branch.
    pub(crate) fn tip(&self, branch: &str) -> Option<&ObjectId> {
        self.refs.objects.get([HEADS, branch].concat().as_str())
    }

    /// Returns whether there was this ref of a task or base.
    pub(crate) fn has_ref(&self, name: &str) -> bool {
        self.refs.objects.contains_key(name)
    }

    /// A branch that lies below `branch` as a directory, or the reverse: git cannot have both.
    pub(crate) fn in_the_way(&self, branch: &str) -> Option<&str> {
        let names = self.refs.objects.keys();
        let mut heads = names.filter_map(|name| name.strip_prefix(HEADS));
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        heads.find(|other| below(branch, other) || below(other, branch))
    }

    /// The task with this very id.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(&self, repo: &Repo, id: &TaskId) -> Result<&Stored> {
        self.ensure_not_foreign(repo, id)?;
        let found = self.tasks.iter().find(|stored| stored.id == *id);
        found.ok_or_else(|| none("task", id).hint("git flux list").into())
    }

    /// Fails if the record of this very id came from elsewhere.
    ///
    /// # Errors
    /// As it says.
    pub(crate) fn ensure_not_foreign(&self, repo: &Repo, id: &TaskId) -> Result<()> {
        let Some(stored) = self.foreign.iter().find(|stored| stored.id == *id) else {
            return Ok(());
        };
        let task = stored.task.as_ref().ok();
        let has_branch = task.is_some_and(|task| self.tip(&task.branch).is_some());
        Err(stored.refusal(repo, has_branch).into())
    }

    /// The task that `name` means: its id, the beginning or a part of one and no other, its branch or its worktree.
    /// `verb` is what is to be done with it.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(crate) fn meant(&self, repo: &Repo, name: &str, verb: &str) -> Result<&Stored> {
        if let Ok(id) = name.parse() {
            self.ensure_not_foreign(repo, &id)?;
        }
        if self.tasks.is_empty() {
            let hint = "git flux run \"<description>\"";
            return Err(none("task", name).hint(hint).into());
        }
        let ids: Vec<&str> = self.tasks.iter().map(|stored| stored.id.as_str()).collect();
        let is_id = ids.iter().any(|id| id.starts_with(name));
        match self.at(name) {
            Some(stored) if !is_id => Ok(stored),
            _ => Ok(&self.tasks[meant("task", name, &ids, verb)?]),
        }
    }

    /// The task whose branch or worktree is called so. A worktree is a path with a `/` in it, or `.`.
    fn at(&self, name: &str) -> Option<&Stored> {
        let is_path = name.contains('/') || name == "." || name == "..";
        let path = is_path.then(|| path::absolute(name).ok()).flatten();
        let path = path.map(|path| path.canonicalize().unwrap_or(path));
        let is_it = |task: &Task| {
            task.branch == BranchName::typed(name) || path.as_ref() == Some(&task.worktree)
        };
        let mut tasks = self.tasks.iter();
        tasks.find(|stored| stored.task.as_ref().is_ok_and(is_it))
    }
}

/// How many names an error lists.
const LISTED: usize = 8;

/// Which of `known` a `name` means: all of it, or the beginning of it and of no other, or else a part of it
/// and of no other; returns its place.
/// `what` these are, and `verb` what is to be done with the one.
///
/// # Errors
/// When there is none, with those that are like it, or more than one.
pub(crate) fn meant(what: &str, name: &str, known: &[&str], verb: &str) -> Result<usize> {
    if let Some(exact) = known.iter().position(|known| *known == name) {
        return Ok(exact);
    }
    let all = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let named = |at: &usize| !name.is_empty() && is(known[*at]);
        (0..known.len()).filter(named).collect()
    };
    let mut found = all(&|known| known.starts_with(name));
    if found.is_empty() {
        found = all(&|known| known.contains(name));
    }
    let list = |names: &[&str]| {
        let more = if names.len() > LISTED { ", …" } else { "" };
        names[..names.len().min(LISTED)].join(", ") + more
    };
    if let [one] = found.as_slice() {
        return Ok(*one);
    }
    if found.is_empty() {
        let near = nearest(name, known.iter().copied()).into_iter();
        let hints = near.map(|near| format!("git flux {verb} {near}"));
        let all = format!("the {what}s are: {}", list(known));
        return Err(none(what, name).hints(hints).hint(all).into());
    }
    let names: Vec<&str> = found.iter().map(|at| known[*at]).collect();
    let failure = Failure::new(format!("'{name}' is ambiguous"));
    let hint = format!("it could be: {}", list(&names));
    Err(failure.hint(hint).into())
}

fn none(what: impl Display, name: impl Display) -> Failure {
    Failure::new(format!("there is no {what} '{name}'"))
}

/// Reads the record of a task.
fn read(repo: &Repo, id: &TaskId, oid: &ObjectId) -> Result<Task> {
    let task = Task::from_json(&repo.read_file(oid, RECORD)?)?;
    if task.id != *id {
        bail!("the record is that of '{}'", task.id);
    }
    Ok(task)
}

/// Returns the task with what is configured for its branch.
fn configured(mut task: Task, settings: &Settings, refs: &Refs) -> Task {
    let exists = |branch: &str| refs.objects.contains_key([HEADS, branch].concat().as_str());
    // Renamed by `git branch -m`. What `git branch -c` made is a copy of the user's.
    if !exists(&task.branch)
        && let Some(branch) = settings.branch_of(task.id.as_str())
        && exists(branch)
    {
        task.branch = BranchName::new(branch);
    }
    // That of a branch which is there for more than the task says nothing of the task.
    if let Some(text) = settings.of_branch(&task.branch, &table::DESCRIPTION)
        && task.existing.is_none()
    {
        task.title = text.lines().next().unwrap_or_default().to_owned();
    }
    let into = settings.of_branch(&task.branch, &table::BRANCH_INTO);
    let into = into.or_else(|| settings.into()).map(BranchName::typed);
    if let Some(into) = into.or_else(|| task.into.clone()) {
        task.into = Some(refs.branch_target(&into).unwrap_or(into));
    }
    if let Some(agent) = settings.of_branch(&task.branch, &table::BRANCH_AGENT) {
        agent.clone_into(&mut task.agent);
    }
    task
}

/// The prompt as it was given.
///
/// # Errors
/// When the record is damaged.
pub(crate) fn prompt(repo: &Repo, oid: &ObjectId) -> Result<Vec<u8>> {
    repo.read_file(oid, PROMPT)
}

/// Claims the id: record, base and branch, at `tip`, come to be in one transaction, or none;
/// a branch that is to stay must be there already.
///
/// # Errors
/// When one of them exists.
pub(crate) fn create(
    repo: &Repo,
    task: &Task,
    prompt: &[u8],
    tip: &ObjectId,
    lock: &Lock,
) -> Result<ObjectId> {
    let json = task.to_json()?;
    let files = [(RECORD, json.as_slice()), (PROMPT, prompt)];
    let oid = repo.write_record(None, &files)?;
    let refs = Transaction::default()
        .create(&task_ref(&task.id), &oid)
        .create(&base_ref(&task.id), &task.base);
    let branch = task.branch_ref();
    let refs = if task.keeps_branch() {
        refs.verify(&branch, tip)
    } else {
        refs.create(&branch, tip)
    };
    refs.commit(repo, &format!("flux run: {}", task.id), lock)?;
    Ok(oid)
}

/// Replaces the record that stands at `old`, if everything in `also` holds too.
///
/// # Errors
/// When somebody else has changed it meanwhile.
pub(crate) fn advance(
    repo: &Repo,
    old: &ObjectId,
    task: &Task,
    also: Transaction,
    lock: &Lock,
) -> Result<ObjectId> {
    advance_with(repo, old, task, &[], also, lock)
}

/// The same, and puts `files` beside the record.
///
/// # Errors
/// As [`advance`].
pub(crate) fn advance_with(
    repo: &Repo,
    old: &ObjectId,
    task: &Task,
    files: &[(&str, Vec<u8>)],
    also: Transaction,
    lock: &Lock,
) -> Result<ObjectId> {
    let json = task.to_json()?;
    let files = files.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    let files: Vec<_> = iter::once((RECORD, json.as_slice())).chain(files).collect();
    let new = repo.write_record(Some(old), &files)?;
    let message = format!("flux: {} is {}", task.id, task.phase.into_str());
    also.update(&task_ref(&task.id), &new, old)
        .commit(repo, &message, lock)?;
    Ok(new)
}
