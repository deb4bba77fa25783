//! The location of a run's launcher.

use super::RunDir;
use super::launch::{Machine, Running};
use crate::system::{Lock, process};
use crate::task::Target;

/// The location of a run's launcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Launcher {
    /// Running, in this PID namespace.
    Here,
    /// Running, because its lock is held, but in another PID namespace or on another machine.
    Elsewhere(Option<Machine>),
    /// Started on another machine, whose locks may be invisible here.
    Unknown(Machine),
    /// Ended, or never started.
    Gone,
}

impl Running {
    /// Returns whether the launcher ran in this PID namespace on this machine. A machine or
    /// namespace that the system does not have, or that an older git flux did not record, counts as
    /// the same.
    fn is_local(&self) -> bool {
        let Some(noted) = &self.machine else {
            return true;
        };
        let here = Machine::current();
        let is_same_namespace = match (&here.pid_namespace, &noted.pid_namespace) {
            (Some(ours), Some(noted)) => ours == noted,
            _ => true,
        };
        let is_this_boot = self.boot.is_some() && self.boot == process::boot_id();
        is_same_namespace && (is_this_boot || here.is_same(noted))
    }
}

impl RunDir {
    /// Determines whether the run's launcher runs, and where: see [`Launcher`]. Goes by the locks
    /// of the run directory, its file `running` and the process of the pane `target`.
    ///
    /// # Errors
    /// If the file `running` cannot be read, or the system gives no information about the process.
    pub(crate) fn locate_launcher(&self, target: Option<&Target>) -> anyhow::Result<Launcher> {
        let running = self.running()?;
        if Lock::is_held(&self.alive()) {
            if self.is_visible(running.as_ref(), target) {
                return Ok(Launcher::Here);
            }
            // It may have ended since, and is invisible for that reason.
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
        let is_told = if running.boot.is_some() && running.boot == process::boot_id() {
            // Within one boot, locks are visible, if the disk had room for the file.
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

    /// Returns whether the process that holds the launcher's lock is in this PID namespace; `false`
    /// if `/proc/locks` names no such process. Without information about processes, decides by the
    /// file `running`, and returns `true` if that is missing.
    fn is_visible(&self, running: Option<&Running>, target: Option<&Target>) -> bool {
        let ours = process::own_pid_namespace();
        let is_ours = |pid: i32| process::pid_namespace(pid) == ours;
        if self.proven_launcher(target).is_some_and(is_ours) {
            return true;
        }
        match Lock::owner(&self.alive()) {
            Ok(None) => false,
            // The agent may have forged `running`, but not the owner of the lock.
            owner => match owner.ok().flatten().and_then(process::pid_namespace) {
                Some(namespace) => Some(namespace) == ours,
                None => running.is_none_or(Running::is_local),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Locates a launcher that has ended; `alive` is `false` if the disk had no room for its lock.
    fn run(alive: bool, boot: Option<String>, machine: Option<Machine>) -> Launcher {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().join("fix"));
        std::fs::create_dir(&run.0).unwrap();
        let running = Running {
            // No process has this id.
            launcher: i32::MAX,
            boot,
            machine,
            worktree: None,
            agent: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            wrapper_since: None,
            setup: Default::default(),
        };
        run.write_running(&running).unwrap();
        if alive {
            std::fs::write(run.alive(), "").unwrap();
        }
        run.locate_launcher(None).unwrap()
    }

    #[test]
    fn launcher_is_unknown_on_another_machine_with_a_free_lock() {
        let (here, boot) = (Machine::current(), process::boot_id());
        let earlier = Some("another".to_owned());
        let other = Machine {
            id: Some("another".to_owned()),
            host: "devbox".to_owned(),
            ..here.clone()
        };
        let unknown = Launcher::Unknown(other.clone());
        // This machine, in this boot and an earlier one, and without facts.
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
        // A container has another machine id and PID namespace, but the same locks.
        let container = Machine {
            pid_namespace: Some("pid:[1]".to_owned()),
            ..other
        };
        if let (Some(_), Some(_)) = (&boot, process::own_pid_namespace()) {
            let of_container = |alive| run(alive, boot.clone(), Some(container.clone()));
            assert_eq!(of_container(true), Launcher::Gone);
            assert_eq!(of_container(false), Launcher::Unknown(container.clone()));
        }
    }
}
