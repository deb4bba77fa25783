//! Processes, as far as the system shows them in `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal;
use nix::unistd::Pid;

/// What `/proc/<pid>/stat` says of a process.
struct Stat {
    name: String,
    state: char,
    parent: i32,
    group: i32,
    session: i32,
    /// The foreground process group of its terminal.
    in_front: i32,
    born: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is the program's name in parentheses and may hold anything.
    let (head, tail) = stat.rsplit_once(") ")?;
    let mut fields = tail.split(' ');
    Some(Stat {
        name: head.split_once('(')?.1.to_owned(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        in_front: fields.nth(1)?.parse().ok()?,
        born: fields.nth(13)?.parse().ok()?,
    })
}

/// When a process started, in clock ticks since boot, where that can be read.
pub(super) fn born(pid: i32) -> Option<u64> {
    Some(stat(pid)?.born)
}

/// The name of this boot of the system, where that can be read.
pub(super) fn boot() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(name.trim_end().to_owned())
}

/// The directory that a process stands in, where that can be read.
pub(super) fn directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Whether a process leads its process group, where that can be read.
pub(super) fn leads_group(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.group == pid)
}

/// Whether there is such a process, no zombie, and not another one that got its
/// number: one that was `born` at another time.
pub(crate) fn is_alive(pid: i32, born: Option<u64>) -> bool {
    let there = signal::kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH);
    match (stat(pid), born) {
        // A zombie has done all it will do; tmux may be slow to take note of it.
        (Some(stat), _) if matches!(stat.state, 'Z' | 'X') => false,
        (Some(stat), Some(born)) => there && stat.born == born,
        (_, _) => there,
    }
}

/// The program that has the terminal of `shell`, if that is another one, where it can be seen.
pub(crate) fn in_front(shell: i32) -> Option<i32> {
    let stat = stat(shell)?;
    (stat.in_front > 0 && stat.in_front != stat.group).then_some(stat.in_front)
}

/// Whether somebody is in the process group `group` of the session that `leader` leads,
/// where that can be seen.
pub(super) fn has_group(leader: i32, group: i32) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return false;
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(stat)
        .any(|stat| stat.session == leader && stat.group == group && stat.state != 'Z')
}

/// A process, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) name: String,
    /// It was stopped (^Z), and waits for whoever did that.
    pub(crate) stopped: bool,
}

impl Process {
    fn new(pid: i32, stat: Stat) -> Self {
        Self {
            pid,
            stopped: matches!(stat.state, 'T' | 't'),
            name: stat.name,
        }
    }
}

/// The processes that stand in `dir` or below it and can be seen, but for ourselves, those
/// who called us, what we have started, and those of the session that `leader` leads, which end with its terminal.
/// With `jobs` it is a shell, and what it has in the background or suspended counts.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn standing_in(dir: &Path, leader: Option<i32>, jobs: bool) -> Result<Vec<Process>> {
    let us = Pid::this().as_raw();
    let callers = ancestors(us);
    let mut found = Vec::new();
    for pid in all()? {
        if callers.contains(&pid) || directory(pid).is_none_or(|there| !there.starts_with(dir)) {
            continue;
        }
        // A git of ours may be looking at the files just now.
        if ancestors(pid).contains(&us) {
            continue;
        }
        let Some(stat) = stat(pid) else { continue };
        let aside = ![stat.session, stat.in_front].contains(&stat.group);
        if leader != Some(stat.session) || (jobs && aside) {
            found.push(Process::new(pid, stat));
        }
    }
    Ok(found)
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
    let mut found = Vec::new();
    for pid in all()? {
        let Some(stat) = stat(pid).filter(|stat| stat.session == leader) else {
            continue;
        };
        let line = ancestors(pid);
        if matches!(stat.state, 'Z' | 'X') || callers.contains(&pid) || line.contains(&us) {
            continue;
        }
        let others = match agent {
            Some(agent) => line.contains(&agent) || stat.parent == leader,
            None => stat.group == leader || Some(stat.group) == in_front,
        };
        if others || pid == leader || !line.contains(&leader) {
            continue;
        }
        let process = Process::new(pid, stat);
        if process.stopped || terminals(pid).iter().any(|one| terminal.contains(one)) {
            found.push(process);
        }
    }
    Ok(found)
}

/// What the first three files of a process are, as far as that can be read.
fn terminals(pid: i32) -> Vec<PathBuf> {
    let file = |at| fs::read_link(format!("/proc/{pid}/fd/{at}"));
    let terminal = |path: &PathBuf| path.starts_with("/dev") && path != Path::new("/dev/null");
    (0..3).flat_map(file).filter(terminal).collect()
}

/// The numbers of all processes.
fn all() -> Result<Vec<i32>> {
    let entries = match fs::read_dir("/proc") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("this system does not tell which processes use a directory")
        }
        entries => entries.context("could not look for processes")?,
    };
    let mut pids = Vec::new();
    for entry in entries {
        let name = entry.context("could not look for processes")?.file_name();
        pids.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(pids)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let pid = Pid::this().as_raw();
        assert!(is_alive(pid, born(pid)));
        assert!(!is_alive(pid, Some(1)));
        assert!(ancestors(pid).contains(&pid) && ancestors(pid).len() > 1);
        assert_eq!(directory(pid), std::env::current_dir().ok());
    }
}
