//! Processes, as far as the system tells of them. What it does not tell is unknown, never "gone".

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::sys::signal;
use nix::unistd::Pid;

use self::stat::Stat;
use self::system::{all, directory, stat};
pub(crate) use self::system::{boot, host, machine_id};

mod stat;
#[cfg_attr(all(target_os = "macos", not(no_processes)), path = "process/macos.rs")]
#[cfg_attr(any(no_processes, not(target_os = "macos")), path = "process/linux.rs")]
mod system;

/// Returns whether the system tells of processes at all: of this one, for instance.
pub(crate) fn are_told() -> bool {
    stat(Pid::this().as_raw()).is_some()
}

/// Returns when a process started, in a unit of the system's own, where that is told.
pub(crate) fn born(pid: i32) -> Option<u64> {
    Some(stat(pid)?.born)
}

/// Returns the PID namespace of a process, where the system has them and tells.
pub(crate) fn namespace(pid: i32) -> Option<String> {
    system::namespace(pid)
}

/// Returns the PID namespace of this process, where the system has them.
pub(crate) fn own_namespace() -> Option<String> {
    system::namespace("self")
}

/// Returns whether a process stands in `dir` or below it and leads its process group; `None` if
/// the system does not tell.
pub(crate) fn leads_group_in(pid: i32, dir: &Path) -> Option<bool> {
    let leads = stat(pid).is_some_and(|stat| stat.group == pid) && stands_in(pid, dir);
    are_told().then_some(leads)
}

/// Returns whether a process is the launcher that was started with the file `launch`; `None` if
/// the system does not tell.
pub(crate) fn is_launcher(pid: i32, launch: &Path) -> Option<bool> {
    let words = system::arguments(pid).unwrap_or_default();
    let is = matches!(words.as_slice(), [_, verb, file] if verb == "__run" && file == launch);
    are_told().then_some(is)
}

/// Returns whether a process was started by `parent`; `None` if the system does not tell.
pub(crate) fn is_child(pid: i32, parent: u32) -> Option<bool> {
    let is = stat(pid).is_some_and(|stat| u32::try_from(stat.parent) == Ok(parent));
    are_told().then_some(is)
}

/// Returns whether there is such a process, no zombie where that is told, and not another one that
/// got its number: one that was `born` at another time.
pub(crate) fn is_alive(pid: i32, born: Option<u64>) -> bool {
    // 0 and below are process groups, and everything at once.
    let there =
        || pid > 0 && signal::kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH);
    match (stat(pid), born) {
        // A zombie has done all it will do; tmux may be slow to take note of it.
        (Some(stat), _) if stat.has_ended() => false,
        (Some(stat), Some(born)) => there() && stat.born == born,
        (_, _) => there(),
    }
}

/// Returns the program that has the terminal of `shell`, if that is another one. When an agent has ended
/// it keeps the terminal until its launcher takes that back: then no program has it.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn in_front(shell: i32) -> Result<Option<i32>> {
    match stat(shell) {
        Some(stat) if stat.in_front > 0 && stat.in_front != stat.group => {
            let is_there = has_group(stat.session, stat.in_front) != Some(false);
            Ok(is_there.then_some(stat.in_front))
        }
        None if !are_told() => bail!("this system does not tell which program has a terminal"),
        // It has it, or has ended.
        _ => Ok(None),
    }
}

/// Returns whether there is a process in the process group `group` of the session that `leader`
/// leads; `None` if the system does not tell.
pub(crate) fn has_group(leader: i32, group: i32) -> Option<bool> {
    let member = |stat: &Stat| stat.session == leader && stat.group == group && stat.state != 'Z';
    Some(processes().ok()?.iter().any(member))
}

/// A process, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) name: String,
    /// It was stopped (^Z), and waits for whoever did that.
    pub(crate) stopped: bool,
}

impl From<Stat> for Process {
    fn from(stat: Stat) -> Self {
        Self {
            pid: stat.pid,
            stopped: stat.is_stopped(),
            name: stat.name,
        }
    }
}

/// The processes that stand in `dir` or below it and can be seen, but for ourselves, those
/// who called us, the rest of our pipeline, what we have started, and those of the session that `leader` leads, which end with its terminal.
/// With `jobs` it is a shell, and what it has in the background or suspended counts.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn standing_in(dir: &Path, leader: Option<i32>, jobs: bool) -> Result<Vec<Process>> {
    let us = Pid::this().as_raw();
    let callers = ancestors(us);
    let all = processes()?;
    let pipeline = pipeline(us, &all);
    let counts = |stat: &Stat| {
        let is_aside = ![stat.session, stat.in_front].contains(&stat.group);
        !pipeline.contains(&stat.pid)
            && !callers.contains(&stat.pid)
            && (leader != Some(stat.session) || (jobs && is_aside))
            && stands_in(stat.pid, dir)
            // A git of ours may be looking at the files just now.
            && !ancestors(stat.pid).contains(&us)
    };
    Ok(all.into_iter().filter(counts).map(Process::from).collect())
}

/// What else goes with the terminal that the shell `leader` has, wherever it stands: what has
/// been put aside there (^Z, `&`); or where `agent` runs there, what was begun in the shell
/// that is lent while it is stopped. What only waits in the background without the terminal,
/// as helpers of a prompt do, is nobody's work.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn put_aside(leader: i32, agent: Option<i32>) -> Result<Vec<Process>> {
    let terminal = terminals(leader);
    let in_front = stat(leader).map(|stat| stat.in_front);
    let us = Pid::this().as_raw();
    let callers = ancestors(us);
    let counts = |stat: &Stat| {
        let line = ancestors(stat.pid);
        let is_ours = callers.contains(&stat.pid) || line.contains(&us);
        let is_other = match agent {
            Some(agent) => line.contains(&agent) || stat.parent == leader,
            None => stat.group == leader || Some(stat.group) == in_front,
        };
        let is_below = stat.pid != leader && line.contains(&leader);
        let has_terminal = || terminals(stat.pid).iter().any(|one| terminal.contains(one));
        is_below && !is_ours && !is_other && (stat.is_stopped() || has_terminal())
    };
    let of_session = |stat: &Stat| stat.session == leader && !stat.has_ended();
    let all = processes()?.into_iter().filter(of_session);
    Ok(all.filter(counts).map(Process::from).collect())
}

/// Returns the processes of a pipeline, one of which is `us`, as a shell makes it: those of a process
/// group whose output is the input of another.
fn pipeline(us: i32, all: &[Stat]) -> BTreeSet<i32> {
    let is_pipe = |path: &PathBuf| path.to_string_lossy().starts_with("pipe:[");
    let pipe = |pid, at| system::file(pid, at).filter(is_pipe);
    let mut found = BTreeSet::from([us]);
    let group = all.iter().find(|stat| stat.pid == us).map(|us| us.group);
    let members = all.iter().filter(|stat| Some(stat.group) == group);
    let ends = members.map(|of| (of.pid, pipe(of.pid, 0), [pipe(of.pid, 1), pipe(of.pid, 2)]));
    let ends: Vec<_> = ends.collect();
    loop {
        let feeds =
            |to: &[Option<PathBuf>], from: &Option<PathBuf>| from.is_some() && to.contains(from);
        let mut known = ends.iter().filter(|(pid, ..)| found.contains(pid));
        let next = known.find_map(|(_, input, outputs)| {
            let mut others = ends.iter().filter(|(pid, ..)| !found.contains(pid));
            others.find(|(_, from, to)| feeds(outputs, from) || feeds(to, input))
        });
        let Some((pid, ..)) = next else { return found };
        found.insert(*pid);
    }
}

/// What the first three files of a process are, as far as that can be read.
fn terminals(pid: i32) -> Vec<PathBuf> {
    let terminal = |path: &PathBuf| path.starts_with("/dev") && path != Path::new("/dev/null");
    let files = (0..3).filter_map(|at| system::file(pid, at));
    files.filter(terminal).collect()
}

/// All processes that can be seen.
///
/// # Errors
/// When the system tells of no process: that it lists none is no sign then.
fn processes() -> Result<Vec<Stat>> {
    if !are_told() {
        bail!("this system does not tell which processes there are");
    }
    Ok(all()?.into_iter().filter_map(stat).collect())
}

fn stands_in(pid: i32, dir: &Path) -> bool {
    directory(pid).is_some_and(|there| there.starts_with(dir))
}

/// A process, its parent, its parent's …
fn ancestors(mut pid: i32) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    while found.insert(pid) {
        let Some(stat) = stat(pid) else { break };
        pid = stat.parent;
    }
    found
}

#[cfg(all(test, not(no_processes)))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let pid = Pid::this().as_raw();
        assert!(is_alive(pid, born(pid)));
        assert!(!is_alive(pid, Some(1)));
        assert_eq!(is_launcher(pid, Path::new("/launch")), Some(false));
        assert!(ancestors(pid).contains(&pid) && ancestors(pid).len() > 1);
        assert_eq!(directory(pid), std::env::current_dir().ok());
    }

    #[test]
    fn what_is_no_process_is_not_alive() {
        for pid in [i32::MIN, -1, 0, i32::MAX] {
            assert!(!is_alive(pid, None), "{pid}");
        }
    }
}
