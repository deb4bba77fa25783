//! Completion of names. Prints, asks and changes nothing, and is fast: ids come from refs, and errors are
//! ignored.

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashSet};
use std::env;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::sync::atomic::{AtomicBool, Ordering};

use clap_complete::CompletionCandidate;

use crate::git::{ObjectId, Repo, completion};
use crate::lifecycle::gate::scratch::scratch_path;
use crate::run::RunDir;
use crate::sanitize;
use crate::settings::{Settings, table};
use crate::store::{ARCHIVE, TASKS, own_parts, parse_record};
use crate::task::{RefName, Task, TaskId};

/// Set if the shell shows descriptions; bash does not.
pub(super) static DESCRIBED: AtomicBool = AtomicBool::new(true);

/// The candidate that the scripts in `completions/` replace with files. It is no valid name of a branch or task.
const FILES: &str = ":files";

/// The number of tasks above which none is described: reading a record takes 0.1 ms.
const MAX_DESCRIBED: usize = 100;

/// The words of the command line to complete, after the program's name.
#[derive(Debug, Default)]
pub(super) struct Line {
    before: Vec<String>,
    /// The word at the cursor, up to the cursor.
    pub(super) current: String,
    after: Vec<String>,
}

/// Returns the words of the command line to complete, after the program's name; `None` if the shell
/// gives no words.
pub(super) fn words() -> Option<Vec<String>> {
    let mut args = env::args_os().skip_while(|arg| arg != "--").skip(1);
    args.next()?;
    Some(args.map(|arg| arg.to_string_lossy().into_owned()).collect())
}

pub(super) fn line() -> Line {
    let mut words = words().unwrap_or_default();
    let index = env::var("_CLAP_COMPLETE_INDEX").ok();
    // fish passes only the words up to the cursor.
    let index = index.and_then(|index| index.parse().ok());
    let at = index.unwrap_or(words.len()).saturating_sub(1);
    words.resize(words.len().max(at + 1), String::new());
    let after = words.split_off(at + 1);
    let current = words.pop().unwrap_or_default();
    Line {
        before: words,
        current,
        after,
    }
}

/// Completes files: returns one placeholder, which makes the scripts in `completions/` offer files
/// themselves.
pub(super) fn files(_: &OsStr) -> Vec<CompletionCandidate> {
    vec![CompletionCandidate::new(FILES)]
}

pub(super) fn tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    offer_tasks(&matching_tasks(current))
}

/// Completes the tasks whose ids begin like the current word, or files if there is a `--` before that
/// word.
pub(super) fn task_then_files(current: &OsStr) -> Vec<CompletionCandidate> {
    if line().before.iter().any(|word| word == "--") {
        files(current)
    } else {
        tasks(current)
    }
}

/// Completes the tasks whose ids begin like the current word, except those whose whole id is another
/// word of the command line.
pub(super) fn further_tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    offer_tasks(&further(current))
}

fn further(current: &OsStr) -> Vec<StoredId> {
    let line = line();
    let mut tasks = matching_tasks(current);
    tasks.retain(|task| !line.before.contains(&task.id) && !line.after.contains(&task.id));
    tasks
}

/// Offers, of the tasks whose ids begin like the current word, those whose agent runs on this
/// machine; if none of these runs, all tasks that begin like it.
pub(super) fn running(current: &OsStr) -> Vec<CompletionCandidate> {
    let running = running_ids();
    let tasks = matching_tasks(current).into_iter();
    let (up, down): (Vec<_>, Vec<_>) = tasks.partition(|task| running.contains(&task.id));
    offer_tasks(if up.is_empty() { &down } else { &up })
}

/// Completes the tasks of [`further_tasks`] whose agent runs on this machine; none if no agent runs.
pub(super) fn further_running(current: &OsStr) -> Vec<CompletionCandidate> {
    let running = running_ids();
    let mut tasks = further(current);
    tasks.retain(|task| running.contains(&task.id));
    offer_tasks(&tasks)
}

/// Completes the existing and the removed tasks whose ids begin like the current word.
pub(super) fn all_tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = tasks(current);
    all.extend(archived(current));
    all
}

/// Completes the tasks whose ids begin like the current word and whose agent does not run on this
/// machine.
pub(super) fn stopped(current: &OsStr) -> Vec<CompletionCandidate> {
    let running = running_ids();
    let mut tasks = matching_tasks(current);
    tasks.retain(|task| !running.contains(&task.id));
    offer_tasks(&tasks)
}

/// Completes the paths of the linked worktrees that belong to no task.
pub(super) fn worktrees(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(repo) = Repo::open() else {
        return Vec::new();
    };
    let tasks = matching_tasks(OsStr::new("")).into_iter();
    let taken = tasks.filter_map(|task| Some(task.read(&repo)?.worktree));
    let taken: HashSet<_> = taken.chain([scratch_path(&repo)]).collect();
    let found = completion::list_worktrees().unwrap_or_default();
    let found = found.into_iter().skip(1);
    let free = found.filter(|path| !taken.contains(path));
    let names = free.filter_map(|path| path.into_os_string().into_string().ok());
    offer_names(names, current)
}

/// Returns the ids of the tasks whose agent runs on this machine. Ignores errors: omits a task
/// whose run directory cannot be read.
fn running_ids() -> HashSet<String> {
    let Ok(repo) = Repo::open() else {
        return HashSet::new();
    };
    let alive = |entry: &DirEntry| {
        // Most have ended: check for that first, without reading the file.
        !entry.path().join("exit").exists() && matches!(RunDir(entry.path()).is_alive(), Ok(true))
    };
    let runs = repo.runs_dir().read_dir().into_iter();
    let alive = runs.flatten().flatten().filter(alive);
    alive
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

pub(super) fn archived(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(prefix), Ok(repo)) = (id_prefix(current), Repo::open()) else {
        return Vec::new();
    };
    let task = |(part, record): (RefName, ObjectId)| {
        let id = part
            .strip_prefix(ARCHIVE)?
            .strip_suffix("/task")?
            .to_owned();
        let own = own_parts(&repo, &id, &[(part, record.clone())], &BTreeSet::new());
        (!own.is_empty()).then_some(StoredId { id, record })
    };
    let refs = completion::list_refs(&[&format!("{ARCHIVE}{prefix}*/task")]).unwrap_or_default();
    let mut tasks: Vec<StoredId> = refs.into_iter().filter_map(task).collect();
    // Refs sort differently with their last parts.
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    // Only existing tasks have configuration.
    offer_with_titles(&tasks, &Settings::default())
}

/// Completes the names of the installed agents. In a list with commas, completes the name after the
/// last comma.
pub(super) fn agents(current: &OsStr) -> Vec<CompletionCandidate> {
    let settings = Settings::load_for_completion().unwrap_or_default();
    // A list may have commas.
    let text = current.to_string_lossy();
    let (before, _) = text.split_at(text.rfind(',').map_or(0, |at| at + 1));
    let names = settings.installed_agents().into_iter();
    offer_names(names.map(|name| format!("{before}{name}")), current)
}

const BRANCHES: &str = "refs/heads/";
const REMOTE_BRANCHES: &str = "refs/remotes/";
const TAGS: &str = "refs/tags/";

pub(super) fn branches(current: &OsStr) -> Vec<CompletionCandidate> {
    refs_below(&[BRANCHES], current)
}

/// Completes the names of local and remote-tracking branches.
pub(super) fn all_branches(current: &OsStr) -> Vec<CompletionCandidate> {
    refs_below(&[BRANCHES, REMOTE_BRANCHES], current)
}

/// Completes the names of local branches, remote-tracking branches and tags.
pub(super) fn commits(current: &OsStr) -> Vec<CompletionCandidate> {
    refs_below(&[BRANCHES, REMOTE_BRANCHES, TAGS], current)
}

/// Completes the short names of the refs below the directories `dirs`, without the `HEAD` of remotes.
fn refs_below(dirs: &[&str], current: &OsStr) -> Vec<CompletionCandidate> {
    let refs = completion::list_refs(dirs).unwrap_or_default().into_keys();
    // The default branch of a remote also has its own ref.
    let refs = refs.filter(|name| !name.starts_with(REMOTE_BRANCHES) || !name.ends_with("/HEAD"));
    let short = |name: RefName| {
        dirs.iter()
            .find_map(|dir| Some(name.strip_prefix(dir)?.to_owned()))
    };
    offer_names(refs.filter_map(short), current)
}

/// Completes the names that begin like the current word, except those with control characters: their
/// escaped form would not work.
fn offer_names(names: impl Iterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let prefix = current.to_string_lossy();
    names
        .filter(|name| name.starts_with(&*prefix) && sanitize::line(name) == *name)
        .map(CompletionCandidate::new)
        .collect()
}

/// The id of a task, existing or removed, and the tree of its record.
struct StoredId {
    id: String,
    record: ObjectId,
}

impl StoredId {
    fn read(&self, repo: &Repo) -> Option<Task> {
        parse_record(repo, &self.record).ok()
    }
}

/// Returns the tasks that were made in this repository and whose ids begin like the current word;
/// none on an error.
fn matching_tasks(current: &OsStr) -> Vec<StoredId> {
    let Some(prefix) = id_prefix(current) else {
        return Vec::new();
    };
    let task = |(name, record): (RefName, ObjectId)| {
        let id = name.strip_prefix(TASKS)?;
        let wanted = id.starts_with(prefix) && id.parse::<TaskId>().is_ok();
        let id = id.to_owned();
        wanted.then_some(StoredId { id, record })
    };
    let refs = completion::list_refs(&[TASKS]).unwrap_or_default();
    let mut tasks: Vec<StoredId> = refs.into_iter().filter_map(task).collect();
    if tasks.is_empty() {
        return tasks;
    }
    let Ok(repo) = Repo::open() else {
        return Vec::new();
    };
    let marks = repo.marks();
    // Tasks of git flux 0.1.0 have no mark.
    let settings = LazyCell::new(|| Settings::load_for_completion().unwrap_or_default());
    tasks.retain(|task| {
        let name = RefName::new(format!("{TASKS}{}", task.id));
        let vouched = marks.has_made(&name, &task.record);
        vouched.unwrap_or_else(|| settings.branch_of_task(&task.id).is_some())
    });
    tasks
}

/// Returns the current word; `None` if no task's id can begin like it.
fn id_prefix(current: &OsStr) -> Option<&str> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let text = current.to_str()?;
    (!text.starts_with('-') && text.chars().all(known)).then_some(text)
}

/// Completes tasks, with their titles if the shell shows descriptions and there are at most 100.
fn offer_tasks(tasks: &[StoredId]) -> Vec<CompletionCandidate> {
    let settings = (DESCRIBED.load(Ordering::Relaxed) && !tasks.is_empty())
        .then(Settings::load_for_completion);
    offer_with_titles(tasks, &settings.and_then(Result::ok).unwrap_or_default())
}

/// Completes tasks with their titles, from the branch description or else from the record; without, if
/// there are more than 100 or the shell shows no descriptions.
fn offer_with_titles(tasks: &[StoredId], settings: &Settings) -> Vec<CompletionCandidate> {
    let is_described = DESCRIBED.load(Ordering::Relaxed) && tasks.len() <= MAX_DESCRIBED;
    let repo = is_described.then(Repo::open).and_then(Result::ok);
    let title = |task: &StoredId| {
        let recorded = task.read(repo.as_ref()?);
        let branch = recorded.as_ref().map(|task| task.branch.clone());
        let mut branches = branch.into_iter().chain(settings.branch_of_task(&task.id));
        let configured = branches.find_map(|it| settings.branch_value(&it, &table::DESCRIPTION));
        let title = configured.and_then(|text| text.lines().next());
        title.map(str::to_owned).or(Some(recorded?.title))
    };
    let candidate = |task: &StoredId| {
        let help = title(task).map(|title| sanitize::line(&title).into());
        CompletionCandidate::new(&task.id).help(help)
    };
    tasks.iter().map(candidate).collect()
}
