//! Processes, as far as the system shows them. An unknown process is never "gone".

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::sys::signal;
use nix::unistd::{self, Pid};

use self::stat::Stat;
pub(crate) use self::system::{boot_id, hostname, machine_id};
use self::system::{cwd, list_pids, stat};

mod stat;
#[cfg_attr(all(target_os = "macos", not(no_processes)), path = "process/macos.rs")]
#[cfg_attr(any(no_processes, not(target_os = "macos")), path = "process/linux.rs")]
mod system;

/// Returns whether the system gives information about processes: at least about this one.
pub(crate) fn are_visible() -> bool {
    stat(Pid::this().as_raw()).is_some()
}

/// Returns the start of the process `pid` in a unit of the system, which tells the process from a
/// later one with the same id; `None` if it is not visible.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    Some(stat(pid)?.born)
}

/// Returns the PID namespace of the process `pid`, such as `pid:[4026531836]`; `None` if the
/// process is not visible, or outside Linux.
pub(crate) fn pid_namespace(pid: i32) -> Option<String> {
    system::pid_namespace(pid)
}

/// Returns the PID namespace of this process, such as `pid:[4026531836]`; `None` outside Linux.
pub(crate) fn own_pid_namespace() -> Option<String> {
    system::pid_namespace("self")
}

/// Returns whether the process `pid` leads its process group and has its working directory in
/// `dir` or below; `None` if the system gives no information about processes.
pub(crate) fn is_group_leader_in(pid: i32, dir: &Path) -> Option<bool> {
    let leads = stat(pid).is_some_and(|stat| stat.group == pid) && has_cwd_in(pid, dir);
    are_visible().then_some(leads)
}

/// Returns whether the process `pid` was started with the arguments `__run <launch>`, as the
/// launcher of that launch file; `None` if the system gives no information about processes.
pub(crate) fn is_launcher(pid: i32, launch: &Path) -> Option<bool> {
    let words = system::arguments(pid).unwrap_or_default();
    let is = matches!(words.as_slice(), [_, verb, file] if verb == "__run" && file == launch);
    are_visible().then_some(is)
}

/// Returns whether the process `pid` is a child of the process `parent`; `None` if the system gives
/// no information about processes.
pub(crate) fn is_child(pid: i32, parent: u32) -> Option<bool> {
    let is = stat(pid).is_some_and(|stat| u32::try_from(stat.parent) == Ok(parent));
    are_visible().then_some(is)
}

/// Returns whether the process `pid` exists and is no zombie. `false` also for a later process with
/// the same id, if its start time and `born` are known and differ.
pub(crate) fn is_alive(pid: i32, born: Option<u64>) -> bool {
    // 0 and negative numbers mean process groups.
    let there =
        || pid > 0 && signal::kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH);
    match (stat(pid), born) {
        // tmux may be slow to notice a zombie.
        (Some(stat), _) if stat.has_ended() => false,
        (Some(stat), Some(born)) => there() && stat.born == born,
        (_, _) => there(),
    }
}

/// Returns the foreground process group of the terminal of the process `shell`, if it is another
/// group than the shell's own and has a live process; otherwise, or if `shell` has ended, `None`.
/// Fails if the system gives no information about processes.
pub(crate) fn foreground_group(shell: i32) -> Result<Option<i32>> {
    match stat(shell) {
        Some(stat) if stat.foreground > 0 && stat.foreground != stat.group => {
            let is_there = has_group(stat.session, stat.foreground) != Some(false);
            Ok(is_there.then_some(stat.foreground))
        }
        None if !are_visible() => bail!("this system does not show processes"),
        // The shell is in the foreground, or has exited.
        _ => Ok(None),
    }
}

/// Returns whether the session of `leader` has a live process in the process group `group`; `None`
/// if the system gives no information about processes.
pub(crate) fn has_group(leader: i32, group: i32) -> Option<bool> {
    let member = |stat: &Stat| stat.session == leader && stat.group == group && stat.state != 'Z';
    Some(processes().ok()?.iter().any(member))
}

/// Returns whether a process group has a live process, in any session. Without information about
/// processes, `kill(-group, 0)` decides, which counts zombies.
pub(crate) fn has_live_group(group: i32) -> bool {
    let member = |stat: &Stat| stat.group == group && !stat.has_ended();
    match processes() {
        Ok(all) => all.iter().any(member),
        Err(_) => signal::killpg(Pid::from_raw(group), None).is_ok(),
    }
}

/// Lists the ids of the live processes of a process group, in any session, whose working directory is
/// `dir` or below. Fails if the system gives no information about processes.
pub(crate) fn list_group_in(group: i32, dir: &Path) -> Result<Vec<i32>> {
    let counts =
        |stat: &Stat| stat.group == group && !stat.has_ended() && has_cwd_in(stat.pid, dir);
    let members = processes()?.into_iter().filter(counts);
    Ok(members.map(|stat| stat.pid).collect())
}

/// A process, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) name: String,
    /// It is suspended (^Z).
    pub(crate) is_suspended: bool,
}

impl From<Stat> for Process {
    fn from(stat: Stat) -> Self {
        Self {
            pid: stat.pid,
            is_suspended: stat.is_suspended(),
            name: stat.name,
        }
    }
}

/// Lists the processes with their working directory in `dir` or below, without this one, its
/// ancestors, descendants and shell pipeline, and without the session of `leader`. With `jobs`,
/// background and suspended jobs of that session count.
pub(crate) fn with_cwd_in(dir: &Path, leader: Option<i32>, jobs: bool) -> Result<Vec<Process>> {
    let us = Pid::this().as_raw();
    let callers = ancestors(us);
    let all = processes()?;
    let pipeline = pipeline(us, &all);
    let counts = |stat: &Stat| {
        let is_aside = ![stat.session, stat.foreground].contains(&stat.group);
        !pipeline.contains(&stat.pid)
            && !callers.contains(&stat.pid)
            && (leader != Some(stat.session) || (jobs && is_aside))
            && has_cwd_in(stat.pid, dir)
            // A git of ours may be reading the files.
            && !ancestors(stat.pid).contains(&us)
    };
    Ok(all.into_iter().filter(counts).map(Process::from).collect())
}

/// Lists the suspended and background jobs of the shell `leader`. With `agent`, `leader` is the
/// launcher of that suspended agent, and the jobs are those of the shell that the launcher runs
/// meanwhile. Omits this process, its ancestors and descendants, and background processes without
/// the shell's terminal as standard input, output or error.
pub(crate) fn jobs_of(leader: i32, agent: Option<i32>) -> Result<Vec<Process>> {
    let terminal = terminals(leader);
    let foreground = stat(leader).map(|stat| stat.foreground);
    let us = Pid::this().as_raw();
    let callers = ancestors(us);
    let counts = |stat: &Stat| {
        let line = ancestors(stat.pid);
        let is_ours = callers.contains(&stat.pid) || line.contains(&us);
        let is_other = match agent {
            Some(agent) => line.contains(&agent) || stat.parent == leader,
            None => stat.group == leader || Some(stat.group) == foreground,
        };
        let is_below = stat.pid != leader && line.contains(&leader);
        let has_terminal = || terminals(stat.pid).iter().any(|one| terminal.contains(one));
        is_below && !is_ours && !is_other && (stat.is_suspended() || has_terminal())
    };
    let of_session = |stat: &Stat| stat.session == leader && !stat.has_ended();
    let all = processes()?.into_iter().filter(of_session);
    Ok(all.filter(counts).map(Process::from).collect())
}

/// Returns the ids of the processes in the shell pipeline of the process `us`, itself included:
/// those of its process group that pipes connect to it.
fn pipeline(us: i32, all: &[Stat]) -> BTreeSet<i32> {
    let is_pipe = |path: &PathBuf| path.to_string_lossy().starts_with("pipe:[");
    let pipe = |pid, at| system::open_file_path(pid, at).filter(is_pipe);
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

/// Returns the terminals that a process has as standard input, output or error: paths below `/dev`
/// other than `/dev/null`. Empty if they are not visible.
fn terminals(pid: i32) -> Vec<PathBuf> {
    let terminal = |path: &PathBuf| path.starts_with("/dev") && path != Path::new("/dev/null");
    let files = (0..3).filter_map(|at| system::open_file_path(pid, at));
    files.filter(terminal).collect()
}

/// Lists all visible processes, zombies included. Fails if not even this one is visible.
fn processes() -> Result<Vec<Stat>> {
    if !are_visible() {
        bail!("this system does not show processes");
    }
    Ok(list_pids()?.into_iter().filter_map(stat).collect())
}

fn has_cwd_in(pid: i32, dir: &Path) -> bool {
    cwd(pid).is_some_and(|there| there.starts_with(dir))
}

/// Returns whether this process is in a job of a shell, which can continue it after ^Z. `false` if
/// that is unknown.
pub(crate) fn is_job_of_shell() -> bool {
    let group = |pid| unistd::getpgid(Some(Pid::from_raw(pid))).ok();
    let session = |pid| unistd::getsid(Some(Pid::from_raw(pid))).ok();
    let own = Pid::this().as_raw();
    let mut pid = own;
    while group(pid) == group(own) {
        match stat(pid) {
            Some(stat) if stat.parent > 0 => pid = stat.parent,
            _ => return false,
        }
    }
    session(pid).is_some() && session(pid) == session(own)
}

/// Returns the ids of a process, its parent, its parent's parent, and so on, as far as they are
/// visible.
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
    fn this_process_is_visible() {
        let pid = Pid::this().as_raw();
        assert!(is_alive(pid, start_time(pid)));
        assert!(!is_alive(pid, Some(1)));
        assert_eq!(is_launcher(pid, Path::new("/launch")), Some(false));
        assert!(ancestors(pid).contains(&pid) && ancestors(pid).len() > 1);
        assert_eq!(cwd(pid), std::env::current_dir().ok());
    }

    #[test]
    fn is_alive_is_false_for_ids_of_no_process() {
        for pid in [i32::MIN, -1, 0, i32::MAX] {
            assert!(!is_alive(pid, None), "{pid}");
        }
    }
}
