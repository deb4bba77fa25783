//! What a shell offers where something is to be named. Says nothing, asks nothing, changes nothing, and is
//! quick: ids come from refs, and what cannot be told is left out.

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashSet};
use std::env;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::sync::atomic::{AtomicBool, Ordering};

use clap_complete::CompletionCandidate;

use crate::git::{ObjectId, Repo, completion};
use crate::run::RunDir;
use crate::sanitize;
use crate::settings::{Settings, table};
use crate::store::{ARCHIVE, RECORD, TASKS, own_parts};
use crate::task::{RefName, Task, TaskId};

/// Whether the shell shows descriptions; bash does not.
pub(super) static DESCRIBED: AtomicBool = AtomicBool::new(true);

/// What the wrappers in `completions/` take for "a file": no branch and no task is called this.
const FILES: &str = ":files";

/// How many tasks are described: to read a record takes a tenth of a millisecond.
const RECORDS: usize = 100;

/// The words of the line that is being completed, after the program's.
#[derive(Debug, Default)]
pub(super) struct Line {
    before: Vec<String>,
    /// What is typed of the word at the cursor.
    pub(super) current: String,
    after: Vec<String>,
}

/// Returns the words after the program's name, if the shell gives any.
pub(super) fn words() -> Option<Vec<String>> {
    let mut args = env::args_os().skip_while(|arg| arg != "--").skip(1);
    args.next()?;
    Some(args.map(|arg| arg.to_string_lossy().into_owned()).collect())
}

/// The line, as the shell has it.
pub(super) fn line() -> Line {
    let mut words = words().unwrap_or_default();
    let index = env::var("_CLAP_COMPLETE_INDEX").ok();
    // fish gives the words up to the cursor alone.
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

/// The files of the shell's own completion.
pub(super) fn files(_: &OsStr) -> Vec<CompletionCandidate> {
    vec![CompletionCandidate::new(FILES)]
}

/// The tasks.
pub(super) fn tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    described(&stored(current))
}

/// The task before a `--`, the files after it.
pub(super) fn task_then_files(current: &OsStr) -> Vec<CompletionCandidate> {
    if line().before.iter().any(|word| word == "--") {
        files(current)
    } else {
        tasks(current)
    }
}

/// The tasks that are not on the command line yet.
pub(super) fn further_tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    described(&further(current))
}

fn further(current: &OsStr) -> Vec<Stored> {
    let line = line();
    let mut tasks = stored(current);
    tasks.retain(|task| !line.before.contains(&task.id) && !line.after.contains(&task.id));
    tasks
}

/// The tasks whose agent runs; all of them if none does, since any can be attached.
pub(super) fn running(current: &OsStr) -> Vec<CompletionCandidate> {
    let running = running_ids();
    let tasks = stored(current).into_iter();
    let (up, down): (Vec<_>, Vec<_>) = tasks.partition(|task| running.contains(&task.id));
    described(if up.is_empty() { &down } else { &up })
}

/// The tasks whose agent runs and that are not on the command line yet.
pub(super) fn further_running(current: &OsStr) -> Vec<CompletionCandidate> {
    let running = running_ids();
    let mut tasks = further(current);
    tasks.retain(|task| running.contains(&task.id));
    described(&tasks)
}

/// The tasks, and those that were removed.
pub(super) fn all_tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = tasks(current);
    all.extend(archived(current));
    all
}

/// The tasks whose agent does not run.
pub(super) fn stopped(current: &OsStr) -> Vec<CompletionCandidate> {
    let running = running_ids();
    let mut tasks = stored(current);
    tasks.retain(|task| !running.contains(&task.id));
    described(&tasks)
}

/// The linked worktrees that are no tasks.
pub(super) fn worktrees(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(repo) = Repo::open() else {
        return Vec::new();
    };
    let tasks = stored(OsStr::new("")).into_iter();
    let taken = tasks.filter_map(|task| Some(task.read(&repo)?.worktree));
    let taken: HashSet<_> = taken.collect();
    let found = completion::list_worktrees()
        .unwrap_or_default()
        .into_iter()
        .skip(1);
    let free = found.filter(|path| !taken.contains(path));
    let names = free.filter_map(|path| path.into_os_string().into_string().ok());
    named(names, current)
}

/// The ids of all agents that run.
fn running_ids() -> HashSet<String> {
    let Ok(repo) = Repo::open() else {
        return HashSet::new();
    };
    let alive = |entry: &DirEntry| {
        // Most have ended: that is looked at first, and not read.
        !entry.path().join("exit").exists() && matches!(RunDir(entry.path()).is_alive(), Ok(true))
    };
    let runs = repo.runs_dir().read_dir().into_iter();
    let alive = runs.flatten().flatten().filter(alive);
    alive
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// The removed tasks.
pub(super) fn archived(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(begun), Ok(repo)) = (begun(current), Repo::open()) else {
        return Vec::new();
    };
    let task = |(part, record): (RefName, ObjectId)| {
        let id = part
            .strip_prefix(ARCHIVE)?
            .strip_suffix("/task")?
            .to_owned();
        let own = own_parts(&repo, &id, &[(part, record.clone())], &BTreeSet::new());
        (!own.is_empty()).then_some(Stored { id, record })
    };
    let refs = completion::list_refs(&[&format!("{ARCHIVE}{begun}*/task")]).unwrap_or_default();
    let mut tasks: Vec<Stored> = refs.into_iter().filter_map(task).collect();
    // Without what followed them they may come in another order.
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    // The configuration is that of tasks that are there.
    with_titles(&tasks, &Settings::default())
}

/// The agents that could be started.
pub(super) fn agents(current: &OsStr) -> Vec<CompletionCandidate> {
    let settings = Settings::glance().unwrap_or_default();
    // Several, with commas between.
    let text = current.to_string_lossy();
    let (before, _) = text.split_at(text.rfind(',').map_or(0, |at| at + 1));
    let names = settings.installed().into_iter();
    named(names.map(|name| format!("{before}{name}")), current)
}

const BRANCHES: &str = "refs/heads/";
const REMOTE_BRANCHES: &str = "refs/remotes/";
const TAGS: &str = "refs/tags/";

/// The branches.
pub(super) fn branches(current: &OsStr) -> Vec<CompletionCandidate> {
    below(&[BRANCHES], current)
}

/// Branches, and those of remotes.
pub(super) fn all_branches(current: &OsStr) -> Vec<CompletionCandidate> {
    below(&[BRANCHES, REMOTE_BRANCHES], current)
}

/// Branches, those of remotes too, and tags.
pub(super) fn commits(current: &OsStr) -> Vec<CompletionCandidate> {
    below(&[BRANCHES, REMOTE_BRANCHES, TAGS], current)
}

/// The refs below these directories, in short.
fn below(dirs: &[&str], current: &OsStr) -> Vec<CompletionCandidate> {
    let refs = completion::list_refs(dirs).unwrap_or_default().into_keys();
    // The default branch of a remote has a name of its own.
    let refs = refs.filter(|name| !name.starts_with(REMOTE_BRANCHES) || !name.ends_with("/HEAD"));
    let short = |name: RefName| {
        dirs.iter()
            .find_map(|dir| Some(name.strip_prefix(dir)?.to_owned()))
    };
    named(refs.filter_map(short), current)
}

/// Names of anyone's. One with something in it that a terminal would obey is not offered:
/// to show it as something else would be of no use.
fn named(names: impl Iterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    names
        .filter(|name| name.starts_with(&*begun) && sanitize::line(name) == *name)
        .map(CompletionCandidate::new)
        .collect()
}

/// A task, removed or not, and the tree of its record.
struct Stored {
    id: String,
    record: ObjectId,
}

impl Stored {
    /// Returns what is stored, if it can be read.
    fn read(&self, repo: &Repo) -> Option<Task> {
        Task::from_json(&repo.read_file(&self.record, RECORD).ok()?).ok()
    }
}

/// The tasks of this repository whose ids begin as what is typed.
fn stored(current: &OsStr) -> Vec<Stored> {
    let Some(begun) = begun(current) else {
        return Vec::new();
    };
    let task = |(name, record): (RefName, ObjectId)| {
        let id = name.strip_prefix(TASKS)?;
        let wanted = id.starts_with(begun) && id.parse::<TaskId>().is_ok();
        let id = id.to_owned();
        wanted.then_some(Stored { id, record })
    };
    let refs = completion::list_refs(&[TASKS]).unwrap_or_default();
    let mut tasks: Vec<Stored> = refs.into_iter().filter_map(task).collect();
    if tasks.is_empty() {
        return tasks;
    }
    let Ok(repo) = Repo::open() else {
        return Vec::new();
    };
    let marks = repo.marks();
    // Those of git flux 0.1.0 have no mark.
    let settings = LazyCell::new(|| Settings::glance().unwrap_or_default());
    tasks.retain(|task| {
        let name = RefName::new(format!("{TASKS}{}", task.id));
        let vouched = marks.has_made(&name, &task.record);
        vouched.unwrap_or_else(|| settings.branch_of(&task.id).is_some())
    });
    tasks
}

/// What is typed, if an id can begin so.
fn begun(current: &OsStr) -> Option<&str> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let text = current.to_str()?;
    (!text.starts_with('-') && text.chars().all(known)).then_some(text)
}

/// Candidates with their descriptions.
fn described(tasks: &[Stored]) -> Vec<CompletionCandidate> {
    let settings = (DESCRIBED.load(Ordering::Relaxed) && !tasks.is_empty()).then(Settings::glance);
    with_titles(tasks, &settings.and_then(Result::ok).unwrap_or_default())
}

/// Candidates with their descriptions, unless there are many: what is configured for their branches, else
/// what stands in the records.
fn with_titles(tasks: &[Stored], settings: &Settings) -> Vec<CompletionCandidate> {
    let is_described = DESCRIBED.load(Ordering::Relaxed) && tasks.len() <= RECORDS;
    let repo = is_described.then(Repo::open).and_then(Result::ok);
    let title = |task: &Stored| {
        let recorded = task.read(repo.as_ref()?);
        let branch = recorded.as_ref().map(|task| &*task.branch);
        let mut branches = branch.into_iter().chain(settings.branch_of(&task.id));
        let configured = branches.find_map(|it| settings.of_branch(it, &table::DESCRIPTION));
        let title = configured.and_then(|text| text.lines().next());
        title.map(str::to_owned).or(Some(recorded?.title))
    };
    let candidate = |task: &Stored| {
        let help = title(task).map(|title| sanitize::line(&title).into());
        CompletionCandidate::new(&task.id).help(help)
    };
    tasks.iter().map(candidate).collect()
}
