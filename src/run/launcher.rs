//! Where the launcher of a run is.

use super::RunDir;
use super::launch::{Machine, Running};
use crate::git::Lock;
use crate::system::process;
use crate::task::Target;

/// Where the launcher of a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Launcher {
    /// It runs, and this process can see it.
    Here,
    /// It holds its lock, but its process cannot be seen from here.
    Elsewhere(Option<Machine>),
    /// It was started on this other machine, whose locks may not show here.
    Unknown(Machine),
    /// It has ended, or there was none.
    Gone,
}

impl Running {
    /// Returns whether this was noted in this PID namespace, on this machine. What is not noted, as
    /// by an older git flux, or not told, does not count.
    fn is_local(&self) -> bool {
        let Some(noted) = &self.machine else {
            return true;
        };
        let here = Machine::current();
        let is_same_namespace = match (&here.pid_namespace, &noted.pid_namespace) {
            (Some(ours), Some(noted)) => ours == noted,
            _ => true,
        };
        let is_this_boot = self.boot.is_some() && self.boot == process::boot();
        is_same_namespace && (is_this_boot || here.is_same(noted))
    }
}

impl RunDir {
    /// Returns where the launcher is; `target` is the pane that it was started in.
    ///
    /// # Errors
    /// When the system does not tell whether it lives, or its mark cannot be read.
    pub(crate) fn launcher(&self, target: Option<&Target>) -> anyhow::Result<Launcher> {
        let running = self.running()?;
        if Lock::is_held(&self.alive()) {
            if self.is_visible(running.as_ref(), target) {
                return Ok(Launcher::Here);
            }
            // It may have ended since; then that it cannot be seen says nothing.
            if Lock::is_held(&self.alive()) {
                return Ok(Launcher::Elsewhere(running.and_then(|it| it.machine)));
            }
        }
        if self.is_alive()? {
            return Ok(Launcher::Here);
        }
        let Some(running) = running else {
            return Ok(Launcher::Gone);
        };
        let is_told = if running.boot.is_some() && running.boot == process::boot() {
            // One system has one view of a lock, if there was room for it.
            self.alive().exists() || running.is_local()
        } else {
            let noted = running.machine.as_ref();
            noted.is_none_or(|noted| noted.is_same(&Machine::current()))
        };
        Ok(match running.machine {
            Some(machine) if !is_told => Launcher::Unknown(machine),
            _ => Launcher::Gone,
        })
    }

    /// Returns whether the process that holds the launcher's lock is in this PID namespace.
    fn is_visible(&self, running: Option<&Running>, target: Option<&Target>) -> bool {
        let ours = process::own_namespace();
        let is_ours = |pid: i32| process::namespace(pid) == ours;
        if self.proven_launcher(target).is_some_and(is_ours) {
            return true;
        }
        match Lock::owner(&self.alive()) {
            Ok(None) => false,
            // What its mark says, the agent may have written: the kernel says who holds the lock.
            owner => match owner.ok().flatten().and_then(process::namespace) {
                Some(namespace) => Some(namespace) == ours,
                None => running.is_none_or(Running::is_local),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run with a mark as its launcher leaves it; `alive` says whether there was room for its lock.
    fn run(alive: bool, boot: Option<String>, machine: Option<Machine>) -> Launcher {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().join("fix"));
        std::fs::create_dir(&run.0).unwrap();
        let running = Running {
            // No process has this number.
            launcher: i32::MAX,
            boot,
            machine,
            worktree: None,
            agent: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            setup: Default::default(),
        };
        run.write_running(&running).unwrap();
        if alive {
            std::fs::write(run.alive(), "").unwrap();
        }
        run.launcher(None).unwrap()
    }

    #[test]
    fn a_free_lock_says_nothing_of_another_machine() {
        let (here, boot) = (Machine::current(), process::boot());
        let earlier = Some("another".to_owned());
        let other = Machine {
            id: Some("another".to_owned()),
            host: "devbox".to_owned(),
            ..here.clone()
        };
        let unknown = Launcher::Unknown(other.clone());
        // This machine, before and after it was started anew, and what an older git flux noted.
        for boot in [boot.clone(), earlier.clone(), None] {
            for machine in [Some(here.clone()), None] {
                for alive in [true, false] {
                    assert_eq!(run(alive, boot.clone(), machine.clone()), Launcher::Gone);
                }
            }
        }
        for alive in [true, false] {
            assert_eq!(run(alive, earlier.clone(), Some(other.clone())), unknown);
        }
        // A container has another id and other processes, but sees the locks of its system.
        let container = Machine {
            pid_namespace: Some("pid:[1]".to_owned()),
            ..other
        };
        if let (Some(_), Some(_)) = (&boot, process::own_namespace()) {
            let of_container = |alive| run(alive, boot.clone(), Some(container.clone()));
            assert_eq!(of_container(true), Launcher::Gone);
            assert_eq!(of_container(false), Launcher::Unknown(container.clone()));
        }
    }
}
