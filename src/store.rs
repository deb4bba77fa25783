//! Tasks in refs: `refs/flux/tasks/<id>`, a tree of `task.json` and `prompt.md`.
//!
//! What users may edit is in git config, in the section of the task's branch, and overrides the
//! record.

mod config;
mod foreign;
mod stored;
mod symbolic;

use std::fmt::Display;
use std::iter;
use std::path::{self, Path};

use anyhow::{Result, bail};

pub(crate) use self::config::{add_trust, configure_file, remove_config, write_config};
pub(crate) use self::foreign::{is_ours, own_parts};
pub(crate) use self::stored::{ARCHIVE, StoredTask, TASKS, base_ref, seen_ref, task_ref};
use self::stored::{BASES, SEEN};

use crate::failure::{Failure, Verb, nearest};
use crate::git::refs::{self, Refs};
use crate::git::{Lock, Repo, Transaction};
use crate::settings::{Settings, table};
use crate::task::{BranchName, HEADS, ObjectId, RecordFile, RefName, Task, TaskId};

/// All tasks and branches at one moment.
#[derive(Debug)]
pub(crate) struct Store {
    refs: Refs,
    /// The tasks of this repository.
    pub(crate) tasks: Vec<StoredTask>,
    /// Records of other repositories.
    pub(crate) foreign: Vec<StoredTask>,
}

impl Store {
    /// Reads all tasks and branches, and applies the loaded `settings` to the tasks: `git
    /// for-each-ref refs/flux/tasks refs/flux/base refs/flux/seen refs/heads`. A record that cannot
    /// be read, or was fetched, does not affect the others.
    pub(crate) fn load(repo: &Repo, settings: &Settings) -> Result<Self> {
        Self::from_refs(repo, settings, Self::read_refs(repo.home())?)
    }

    /// Reads the refs of all tasks and branches in the repository of `dir`: `git for-each-ref
    /// refs/flux/tasks refs/flux/base refs/flux/seen refs/heads`.
    pub(crate) fn read_refs(dir: &Path) -> Result<Refs> {
        refs::read(dir, &[TASKS, BASES, SEEN, HEADS])
    }

    /// Reads all tasks whose records are in `refs`. While a record seems to be from another
    /// repository, reads the refs again until the record stays the same, because a command in this
    /// repository may be writing it.
    pub(crate) fn from_refs(repo: &Repo, settings: &Settings, mut refs: Refs) -> Result<Self> {
        loop {
            let store = Self::split_foreign(repo, settings, refs);
            if store.foreign.is_empty() {
                return Ok(store);
            }
            refs = Self::read_refs(repo.home())?;
            let is_same = |it: &StoredTask| refs.objects.get(&task_ref(&it.id)) == Some(&it.oid);
            if store.foreign.iter().all(is_same) {
                return Ok(store);
            }
        }
    }

    fn split_foreign(repo: &Repo, settings: &Settings, refs: Refs) -> Self {
        let (mut tasks, mut foreign) = (Vec::new(), Vec::new());
        let marks = repo.marks();
        for (name, oid) in &refs.objects {
            let id = name.strip_prefix(TASKS).map(str::parse::<TaskId>);
            let Some(Ok(id)) = id else { continue };
            let task = read_record(repo, &id, oid).map(|task| apply_config(task, settings, &refs));
            let ours = foreign::is_ours(&marks, settings, &id, oid, task.as_ref().ok());
            let oid = oid.clone();
            let of = if ours { &mut tasks } else { &mut foreign };
            of.push(StoredTask { id, oid, task });
        }
        Self {
            refs,
            tasks,
            foreign,
        }
    }

    /// Fails if git config says that `branch` belongs to a task whose record cannot be read.
    /// Succeeds for a branch of any other task or of none.
    pub(crate) fn ensure_task_readable(
        &self,
        settings: &Settings,
        branch: &BranchName,
    ) -> Result<()> {
        let id = settings.branch_value(branch, &table::TASK);
        let mut tasks = self.tasks.iter();
        let stored = tasks.find(|stored| Some(stored.id.as_str()) == id);
        stored.map_or(Ok(()), |stored| stored.readable().map(drop))
    }

    /// Returns the tasks of this repository whose records can be read. Omits tasks whose record was
    /// fetched from another repository.
    pub(crate) fn readable(&self) -> impl Iterator<Item = &Task> {
        self.tasks
            .iter()
            .filter_map(|stored| stored.task.as_ref().ok())
    }

    /// Returns the commit that a local branch had when the store was read; `None` if it did not
    /// exist.
    pub(crate) fn tip(&self, branch: &BranchName) -> Option<&ObjectId> {
        self.refs.objects.get([HEADS, branch].concat().as_str())
    }

    /// Returns the commits that local branches had when the store was read.
    pub(crate) fn tips(&self) -> impl Iterator<Item = &ObjectId> {
        let branches = self.refs.objects.iter();
        branches.filter_map(|(name, oid)| name.starts_with(HEADS).then_some(oid))
    }

    /// Returns whether the ref with the full name `name` existed when the store was read. Always
    /// `false` for refs other than branches and those below `refs/flux/tasks`, `refs/flux/base` and
    /// `refs/flux/seen`.
    pub(crate) fn has_ref(&self, name: &RefName) -> bool {
        self.refs.objects.contains_key(name)
    }

    /// Returns the commit of `refs/flux/seen/<id>`, with the files of the task that the user has
    /// looked at; `None` if there is none, or if it was fetched from another repository.
    pub(crate) fn seen(&self, repo: &Repo, id: &TaskId) -> Option<&ObjectId> {
        let is_own = |commit: &&ObjectId| {
            let name = seen_ref(id);
            repo.marks().has_made(&name, commit) == Some(true)
        };
        self.seen_object(id).filter(is_own)
    }

    /// Returns the object of the ref `refs/flux/seen/<id>`, also if it was fetched.
    pub(crate) fn seen_object(&self, id: &TaskId) -> Option<&ObjectId> {
        self.refs.objects.get(&seen_ref(id))
    }

    /// Returns an existing branch that git cannot have beside `branch`, as `a` beside `a/b`, or the
    /// reverse. `None` if there is none; `branch` itself does not count.
    pub(crate) fn conflicting_branch(&self, branch: &BranchName) -> Option<&str> {
        let names = self.refs.objects.keys();
        let mut heads = names.filter_map(|name| name.strip_prefix(HEADS));
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        heads.find(|other| below(branch, other) || below(other, branch))
    }

    /// Returns the task with exactly this id, even if its record cannot be read. Fails if there is
    /// no such task, or if its record was fetched from another repository.
    pub(crate) fn find(&self, repo: &Repo, id: &TaskId) -> Result<&StoredTask> {
        self.ensure_not_foreign(repo, id)?;
        let found = self.tasks.iter().find(|stored| stored.id == *id);
        found.ok_or_else(|| not_found("task", id).hint("git flux list").into())
    }

    /// Fails if the record of the task `id` was fetched from another repository. Succeeds if there
    /// is no such task.
    pub(crate) fn ensure_not_foreign(&self, repo: &Repo, id: &TaskId) -> Result<()> {
        let Some(stored) = self.foreign.iter().find(|stored| stored.id == *id) else {
            return Ok(());
        };
        let task = stored.task.as_ref().ok();
        let has_branch = task.is_some_and(|task| self.tip(&task.branch).is_some());
        Err(stored.refusal(repo, has_branch).into())
    }

    /// Returns the task that `name` selects: by its id or the beginning of one, else by branch or
    /// worktree path, else by any part of an id. Fails if none or several match, or if `name` is
    /// the id of a task that was fetched from another repository. `verb` is the command in hints.
    pub(crate) fn find_by_name(&self, repo: &Repo, name: &str, verb: Verb) -> Result<&StoredTask> {
        if let Ok(id) = name.parse() {
            self.ensure_not_foreign(repo, &id)?;
        }
        if self.tasks.is_empty() {
            let hint = "git flux run \"<description>\"";
            return Err(not_found("task", name).hint(hint).into());
        }
        let ids: Vec<&str> = self.tasks.iter().map(|stored| stored.id.as_str()).collect();
        let is_id = ids.iter().any(|id| id.starts_with(name));
        match self.find_by_branch_or_worktree(name) {
            Some(stored) if !is_id => Ok(stored),
            _ => Ok(&self.tasks[resolve_name("task", name, &ids, verb)?]),
        }
    }

    /// Returns the task with this branch, or with the worktree at this path; only a `name` with a
    /// `/`, `.` and `..` are paths. `None` if there is none whose record can be read.
    fn find_by_branch_or_worktree(&self, name: &str) -> Option<&StoredTask> {
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

/// The number of names that an error lists.
const MAX_NAMES: usize = 8;

/// Returns the index of the one of `known` that equals `name`, else of the only one that begins
/// with it, else of the only one that contains it. Fails if none or several do; hints name
/// candidates. The error calls them `what`, such as `task`, and a hint is `git flux <verb>
/// <candidate>`.
pub(crate) fn resolve_name(what: &str, name: &str, known: &[&str], verb: Verb) -> Result<usize> {
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
        let more = if names.len() > MAX_NAMES { ", …" } else { "" };
        names[..names.len().min(MAX_NAMES)].join(", ") + more
    };
    if let [one] = found.as_slice() {
        return Ok(*one);
    }
    if found.is_empty() {
        let near = nearest(name, known.iter().copied()).into_iter();
        let hints = near.map(|near| format!("git flux {verb} {near}"));
        let all = format!("the {what}s are: {}", list(known));
        return Err(not_found(what, name).hints(hints).hint(all).into());
    }
    let names: Vec<&str> = found.iter().map(|at| known[*at]).collect();
    let failure = Failure::new(format!("'{name}' is ambiguous"));
    let hint = format!("it could be: {}", list(&names));
    Err(failure.hint(hint).into())
}

fn not_found(what: impl Display, name: impl Display) -> Failure {
    Failure::new(format!("there is no {what} '{name}'"))
}

/// Reads a task from its record, the object `oid`, and ignores the git config that overrides parts
/// of it. Fails if the record is invalid, or a newer git flux wrote it.
pub(crate) fn parse_record(repo: &Repo, oid: &ObjectId) -> Result<Task> {
    Task::from_json(&repo.read_file(oid, RecordFile::Task)?)
}

/// Reads the record of the task `id` from the object `oid`. Fails if it is invalid, or is that of
/// another task.
fn read_record(repo: &Repo, id: &TaskId, oid: &ObjectId) -> Result<Task> {
    let task = parse_record(repo, oid)?;
    if task.id != *id {
        bail!("the record is that of '{}'", task.id);
    }
    Ok(task)
}

/// Returns the task with the values of git config that override its record: the branch, if it was
/// renamed; the title, unless the branch existed before the task; the agent; and the merge target,
/// by `branch.<name>.fluxInto` or else `flux.into`. Resolves a merge target that is a symbolic ref.
fn apply_config(mut task: Task, settings: &Settings, refs: &Refs) -> Task {
    let exists = |branch: &str| refs.objects.contains_key([HEADS, branch].concat().as_str());
    // It was renamed by `git branch -m`. A branch of `git branch -c` is the user's copy.
    if !exists(&task.branch)
        && let Some(branch) = settings.branch_of_task(task.id.as_str())
        && exists(&branch)
    {
        task.branch = branch;
    }
    // The description of an existing branch does not describe the task.
    if let Some(text) = settings.branch_value(&task.branch, &table::DESCRIPTION)
        && task.existing.is_none()
    {
        task.title = text.lines().next().unwrap_or_default().to_owned();
    }
    let into = settings.branch_value(&task.branch, &table::BRANCH_INTO);
    let default = || settings.default_target();
    let into = into.or_else(default).map(BranchName::typed);
    if let Some(into) = into.or_else(|| task.into.clone()) {
        task.into = Some(refs.branch_target(&into).unwrap_or(into));
    }
    if let Some(agent) = settings.branch_value(&task.branch, &table::BRANCH_AGENT) {
        agent.clone_into(&mut task.agent);
    }
    task
}

/// Reads the file `prompt.md` of a task's record `oid`: the description that the user gave, empty if
/// there was none. Fails if the record has no such file.
pub(crate) fn read_prompt(repo: &Repo, oid: &ObjectId) -> Result<Vec<u8>> {
    repo.read_file(oid, RecordFile::Prompt)
}

/// Creates the record, the base ref and the branch (at `tip`) of a new task in one transaction, and
/// returns the record's object. Fails if one of them exists; a branch that existed before the task
/// has to be at `tip` instead.
pub(crate) fn create_task(
    repo: &Repo,
    task: &Task,
    prompt: &[u8],
    tip: &ObjectId,
    lock: &Lock,
) -> Result<ObjectId> {
    let json = task.to_json()?;
    let files = [(RecordFile::Task, &*json), (RecordFile::Prompt, prompt)];
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

/// Replaces the record `old` by one with the data of `task`, with `files` added and its other files
/// kept, together with the ref changes `also`. Returns the new record's object. Fails, with nothing
/// changed, if another process has moved a ref.
pub(crate) fn update(
    repo: &Repo,
    old: &ObjectId,
    task: &Task,
    files: &[(RecordFile, Vec<u8>)],
    also: Transaction,
    lock: &Lock,
) -> Result<ObjectId> {
    let new = write_update(repo, old, task, files)?;
    let message = format!("flux: {} is {}", task.id, task.phase.into_str());
    also.update(&task_ref(&task.id), &new, old)
        .commit(repo, &message, lock)?;
    Ok(new)
}

/// Writes a record with the data of `task`, `files` and the other files of the record `old`, and
/// returns its object. No ref points to it yet.
pub(crate) fn write_update(
    repo: &Repo,
    old: &ObjectId,
    task: &Task,
    files: &[(RecordFile, Vec<u8>)],
) -> Result<ObjectId> {
    let json = task.to_json()?;
    let files = files.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    let files: Vec<_> = iter::once((RecordFile::Task, json.as_slice()))
        .chain(files)
        .collect();
    repo.write_record(Some(old), &files)
}
