//! What a shell offers where something is to be named. Says nothing, asks nothing, changes nothing, and is
//! quick: ids come from refs, descriptions from the configuration, and what cannot be told is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;

use clap_complete::CompletionCandidate;

use super::line::{DESCRIBED, line};
use crate::git::{ObjectId, Repo, glance};
use crate::run::RunDir;
use crate::sanitize;
use crate::settings::Settings;
use crate::store::{ARCHIVE, RECORD, TASKS, own_parts};
use crate::task::{RefName, Task, TaskId};

/// What the wrappers in `completions/` take for "a file": no branch and no task is called this.
const FILES: &str = ":files";

/// How many records are read for their descriptions: one takes a tenth of a millisecond.
const RECORDS: usize = 100;

/// The files of the shell's own completion.
pub(super) fn files(_: &OsStr) -> Vec<CompletionCandidate> {
    vec![CompletionCandidate::new(FILES)]
}

/// The tasks.
pub(super) fn tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    let (tasks, titles) = tasks_and(current, titles);
    described(&tasks, &titles)
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
    let Some(begun) = begun(current) else {
        return Vec::new();
    };
    let (mut tasks, titles) = at_once(|| stored(""), titles);
    let line = line();
    let words = line.before.iter().chain(&line.after).map(String::as_str);
    let mut named = Vec::new();
    let mut previous = "";
    for word in words {
        // The branch of --into may be called like a task.
        if previous != "--into" {
            named.extend(meant(&tasks, word).map(ToOwned::to_owned));
        }
        previous = word;
    }
    tasks.retain(|task| task.id.starts_with(begun) && !named.contains(&task.id));
    described(&tasks, &titles)
}

/// The task that a word means: the one of this id, or the only one that begins so.
fn meant<'a>(tasks: &'a [Stored], word: &str) -> Option<&'a str> {
    let ids = || tasks.iter().map(|task| task.id.as_str());
    let mut matching = ids().filter(|id| id.starts_with(word));
    let only = matching.next().filter(|_| matching.next().is_none());
    ids().find(|id| *id == word).or(only)
}

/// The tasks whose agent runs; all of them if none does, since any can be attached.
pub(super) fn running(current: &OsStr) -> Vec<CompletionCandidate> {
    let questions = || at_once(running_ids, titles);
    let (mut tasks, (running, titles)) = tasks_and(current, questions);
    if tasks.iter().any(|task| running.contains(&task.id)) {
        tasks.retain(|task| running.contains(&task.id));
    }
    described(&tasks, &titles)
}

/// The tasks whose agent runs and that are not on the command line yet.
pub(super) fn further_running(current: &OsStr) -> Vec<CompletionCandidate> {
    let running = running_ids();
    let mut tasks = further_tasks(current);
    tasks.retain(|task| running.contains(&*task.get_value().to_string_lossy()));
    tasks
}

/// The task whose agent is to be told something, and nothing for what.
pub(super) fn running_first(current: &OsStr) -> Vec<CompletionCandidate> {
    let before = &line().before;
    let words = before.iter().filter(|word| !word.starts_with('-')).count();
    // `git-flux send`
    if words > 2 || before.iter().any(|word| word == "--all") {
        return Vec::new();
    }
    running(current)
}

/// The tasks, and those that were removed.
pub(super) fn all_tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = tasks(current);
    all.extend(archived(current));
    all
}

/// The tasks whose agent does not run.
pub(super) fn stopped(current: &OsStr) -> Vec<CompletionCandidate> {
    let questions = || at_once(running_ids, titles);
    let (mut tasks, (running, titles)) = tasks_and(current, questions);
    tasks.retain(|task| !running.contains(&task.id));
    described(&tasks, &titles)
}

/// The linked worktrees that are no tasks.
pub(super) fn worktrees(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = glance::worktrees().unwrap_or_default();
    let tasks = stored("");
    let tasks: Vec<&Stored> = tasks.iter().collect();
    let records = records(&tasks);
    let taken = |path: &PathBuf| records.iter().any(|(_, task)| task.worktree == *path);
    let free = found.into_iter().skip(1).filter(|path| !taken(path));
    let names = free.filter_map(|path| path.into_os_string().into_string().ok());
    named(names, current, None).collect()
}

/// The ids of all agents that run.
fn running_ids() -> HashSet<String> {
    let runs = glance::common_dir().map(|dir| dir.join("flux/run"));
    let entries = runs.ok().and_then(|dir| dir.read_dir().ok());
    let alive = |entry: &DirEntry| {
        // Most have ended: that is looked at first, and not read.
        !entry.path().join("exit").exists() && matches!(RunDir(entry.path()).is_alive(), Ok(true))
    };
    let alive = entries.into_iter().flatten().flatten().filter(alive);
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
        let name = part.strip_prefix(ARCHIVE)?.strip_suffix("/task")?;
        let id = name.to_owned();
        let own = own_parts(&repo, &id, &[(part, record.clone())], &BTreeSet::new());
        (!own.is_empty()).then_some(Stored { id, record })
    };
    let refs = refs(&[&format!("{ARCHIVE}{begun}*/task")]);
    let mut tasks: Vec<Stored> = refs.into_iter().filter_map(task).collect();
    // Without what followed them they may come in another order.
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    described(&tasks, &HashMap::new())
}

/// The agents that could be started.
pub(super) fn agents(current: &OsStr) -> Vec<CompletionCandidate> {
    let settings = Settings::glance().unwrap_or_default();
    // Several, with commas between.
    let text = current.to_string_lossy();
    let (before, _) = text.split_at(text.rfind(',').map_or(0, |at| at + 1));
    let names = settings.installed();
    let names = names.into_iter().map(|name| format!("{before}{name}"));
    named(names, current, None).collect()
}

/// The branches.
pub(super) fn branches(current: &OsStr) -> Vec<CompletionCandidate> {
    let refs = refs(&["refs/heads/"]);
    let names = refs
        .keys()
        .filter_map(|name| name.strip_prefix("refs/heads/"));
    named(names, current, None).collect()
}

/// Branches, and those of remotes.
pub(super) fn all_branches(current: &OsStr) -> Vec<CompletionCandidate> {
    of_kinds(&KINDS[..2], current)
}

/// Branches, those of remotes too, and tags.
pub(super) fn commits(current: &OsStr) -> Vec<CompletionCandidate> {
    of_kinds(&KINDS, current)
}

const KINDS: [(&str, &str); 3] = [
    ("refs/heads/", "branch"),
    ("refs/remotes/", "remote branch"),
    ("refs/tags/", "tag"),
];

fn of_kinds(kinds: &[(&'static str, &'static str)], current: &OsStr) -> Vec<CompletionCandidate> {
    let patterns: Vec<&str> = kinds.iter().map(|(prefix, _)| *prefix).collect();
    let refs = refs(&patterns);
    let of_kind = |&(prefix, kind): &(&'static str, &'static str)| {
        let names = refs
            .keys()
            .filter_map(move |name| name.strip_prefix(prefix));
        // The default branch of a remote has a name of its own.
        let names = names.filter(move |name| kind == "branch" || !name.ends_with("/HEAD"));
        named(names, current, Some(kind))
    };
    kinds.iter().flat_map(of_kind).collect()
}

/// Names of anyone's. One with something in it that a terminal would obey is not offered:
/// to show it as something else would be of no use.
fn named<'a>(
    names: impl IntoIterator<Item = impl AsRef<str>> + 'a,
    current: &'a OsStr,
    help: Option<&'static str>,
) -> impl Iterator<Item = CompletionCandidate> + 'a {
    let current = current.to_string_lossy();
    names.into_iter().filter_map(move |name| {
        let name = name.as_ref();
        let good = name.starts_with(&*current) && sanitize::line(name) == name;
        good.then(|| CompletionCandidate::new(name).help(help.map(Into::into)))
    })
}

/// Runs two questions side by side.
fn at_once<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().expect("no question panics"), other)
    })
}

/// Returns the tasks that begin as what is typed, and the answer to another question beside. Neither is asked
/// where no id can begin so.
fn tasks_and<B: Default>(current: &OsStr, other: impl FnOnce() -> B) -> (Vec<Stored>, B) {
    match begun(current) {
        Some(begun) => at_once(|| stored(begun), other),
        None => Default::default(),
    }
}

fn refs(patterns: &[&str]) -> BTreeMap<RefName, ObjectId> {
    glance::refs(patterns).unwrap_or_default()
}

/// A task, removed or not, and the tree of its record.
struct Stored {
    id: String,
    record: ObjectId,
}

/// The tasks of this repository whose ids begin as what is typed.
fn stored(begun: &str) -> Vec<Stored> {
    let task = |(name, record): (RefName, ObjectId)| {
        let id = name.strip_prefix(TASKS)?;
        let wanted = id.starts_with(begun) && id.parse::<TaskId>().is_ok();
        let id = id.to_owned();
        wanted.then_some(Stored { id, record })
    };
    let mut tasks: Vec<Stored> = refs(&[TASKS]).into_iter().filter_map(task).collect();
    if tasks.is_empty() {
        return tasks;
    }
    let Ok(repo) = Repo::open() else {
        return Vec::new();
    };
    let marks = repo.marks();
    let mut settings = None;
    // Those of git flux 0.1.0 have no mark.
    let mut is_configured = |id: &str| {
        let settings = settings.get_or_insert_with(|| Settings::glance().unwrap_or_default());
        settings.branch_of(id).is_some()
    };
    tasks.retain(|task| {
        let name = RefName::new(format!("{TASKS}{}", task.id));
        let vouched = marks.vouch(&name, &task.record);
        vouched.unwrap_or_else(|| is_configured(&task.id))
    });
    tasks
}

/// What is typed, if an id can begin so.
fn begun(current: &OsStr) -> Option<&str> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let text = current.to_str()?;
    (!text.starts_with('-') && text.chars().all(known)).then_some(text)
}

/// The descriptions of tasks as they are configured for their branches, which wins over the record.
fn titles() -> HashMap<String, String> {
    if !DESCRIBED.load(Ordering::Relaxed) {
        return HashMap::new();
    }
    let config = glance::config().unwrap_or_default();
    let mut descriptions = HashMap::new();
    let mut tasks = HashMap::new();
    for (key, value) in &config {
        let Some((branch, name)) = key.strip_prefix("branch.").and_then(|k| k.rsplit_once('.'))
        else {
            continue;
        };
        if name == "description" {
            descriptions.insert(branch, value);
        } else if name == "fluxtask" {
            // A copy that `git branch -c` made says the same of itself.
            let branches = tasks.entry(value).or_insert(branch);
            if branch.ends_with(value.as_str()) {
                *branches = branch;
            }
        }
    }
    let title = |(id, branch): (&String, &str)| {
        let line = descriptions.get(branch)?.lines().next()?;
        Some((id.clone(), line.to_owned()))
    };
    tasks.into_iter().filter_map(title).collect()
}

/// The descriptions in the records of tasks, as far as they can be read.
fn recorded<'a>(tasks: &[&'a Stored]) -> Vec<(&'a str, String)> {
    let records = records(tasks).into_iter();
    records.map(|(id, task)| (id, task.title)).collect()
}

/// The records of tasks, as far as they can be read.
fn records<'a>(tasks: &[&'a Stored]) -> Vec<(&'a str, Task)> {
    if tasks.is_empty() {
        return Vec::new();
    }
    let files = tasks.iter().map(|task| format!("{}:{RECORD}", task.record));
    let records = glance::objects(&files.collect::<Vec<_>>()).unwrap_or_default();
    let read = |(task, record): (&&'a Stored, Option<Vec<u8>>)| {
        Some((task.id.as_str(), Task::from_json(&record?).ok()?))
    };
    tasks.iter().zip(records).filter_map(read).collect()
}

/// Candidates with their descriptions: what is configured, else what stands in the record, unless there are many.
fn described(tasks: &[Stored], titles: &HashMap<String, String>) -> Vec<CompletionCandidate> {
    let unknown = tasks.iter().filter(|task| !titles.contains_key(&task.id));
    let unknown: Vec<&Stored> = unknown.collect();
    let mut read: HashMap<&str, String> = HashMap::new();
    if DESCRIBED.load(Ordering::Relaxed) && !unknown.is_empty() && unknown.len() <= RECORDS {
        // Side by side: a processor reads fifteen in the time that it takes to say so.
        let half = unknown.len().div_ceil(2).max(unknown.len().min(16));
        let (some, others) = unknown.split_at(half);
        let (some, others) = at_once(|| recorded(some), || recorded(others));
        read = some.into_iter().chain(others).collect();
    }
    let candidate = |task: &Stored| {
        let title = titles.get(&task.id).or_else(|| read.get(task.id.as_str()));
        let help = title.map(|title| sanitize::line(title).into());
        CompletionCandidate::new(&task.id).help(help)
    };
    tasks.iter().map(candidate).collect()
}
