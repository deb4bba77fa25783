//! Ports that are set aside for a task, so that what its agent starts is in nobody's way.
//!
//! A claim is a symbolic link, named after the first port and leading to the task's run
//! directory: making it claims, and where it leads nowhere its task is gone. All claims of a
//! user are in one directory, whatever the repository.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rand::RngExt as _;

use crate::context::Flux;
use crate::git::{Lock, Sharing};
use crate::interrupt;
use crate::run::RunDir;
use crate::task::{Bytes, Task};

/// The first port of all: below are those that programs are known by.
const FIRST: u16 = 20_000;
/// From one task's first port to the next one's.
const STEP: u16 = 20;
/// How many tasks there are ports for: above are those that systems give to whoever asks for any.
const BLOCKS: u16 = 638;
/// How many ports a task has: `FLUX_PORT`, and ten following.
pub(crate) const SIZE: u16 = 11;

/// The ports of one task.
pub(in crate::lifecycle) struct Claim {
    port: u16,
    /// Whether it was made just now.
    fresh: bool,
}

impl Claim {
    pub(in crate::lifecycle) fn port(&self) -> u16 {
        self.port
    }

    /// Takes it back, if it was made just now.
    pub(in crate::lifecycle) fn give_back(&self, run: &RunDir) {
        if self.fresh {
            remove(self.port, run);
        }
    }
}

/// Sets ports aside for the task whose run directory is `run`: those it `had`, if they are
/// free. That there are none is a warning.
pub(in crate::lifecycle) fn claim(flux: &Flux, run: &RunDir, had: Option<u16>) -> Option<Claim> {
    match try_claim(flux, run, had) {
        Ok(claim) => Some(claim),
        // The start itself says so.
        Err(_) if interrupt::requested() => None,
        Err(error) => {
            flux.ui
                .warning(format_args!("no ports are set aside: {error:#}"));
            None
        }
    }
}

fn try_claim(flux: &Flux, run: &RunDir, had: Option<u16>) -> Result<Claim> {
    let dir = directory().context("there is no home directory")?;
    // Two who find a claim of a task that is gone must not both take it over.
    for dir in [dir.parent().unwrap_or(&dir), &dir] {
        Sharing::Private
            .make_dir(dir)
            .with_context(|| format!("could not make '{}'", dir.display()))?;
    }
    let other = "another git flux";
    let _lock = Lock::acquire(&dir.join("lock"), Sharing::Private, other, |text| {
        flux.ui.status(text);
    })?;
    let start = rand::rng().random_range(0..BLOCKS);
    let blocks = (0..BLOCKS).map(|n| FIRST + (start + n) % BLOCKS * STEP);
    let ports: Vec<u16> = had.into_iter().chain(blocks).collect();
    if let Some(claim) = claim_free(&dir, run, &ports)? {
        return Ok(claim);
    }
    // Only now: a repository that is not mounted may come back, and its tasks with it.
    take_over(&dir, run, &ports)?.context("all are taken")
}

/// Claims the first of these blocks that nobody has: one of our own, or one without a claim.
fn claim_free(dir: &Path, run: &RunDir, ports: &[u16]) -> Result<Option<Claim>> {
    for &port in ports {
        match fs::read_link(dir.join(port_name(port))) {
            Ok(owner) if owner == run.0 => return Ok(Some(Claim { port, fresh: false })),
            Err(error) if error.kind() == ErrorKind::NotFound && is_free(port) => {
                return make(dir, run, port).map(Some);
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Claims the first of these blocks whose task is gone.
fn take_over(dir: &Path, run: &RunDir, ports: &[u16]) -> Result<Option<Claim>> {
    for &port in ports {
        let link = dir.join(port_name(port));
        let is_gone = link.symlink_metadata().is_ok() && matches!(fs::exists(&link), Ok(false));
        if is_gone && is_free(port) {
            fs::remove_file(&link)
                .context("could not take over the ports of a task that is gone")?;
            return make(dir, run, port).map(Some);
        }
    }
    Ok(None)
}

fn make(dir: &Path, run: &RunDir, port: u16) -> Result<Claim> {
    symlink(&run.0, dir.join(port_name(port)))
        .with_context(|| format!("could not write in '{}'", dir.display()))?;
    Ok(Claim { port, fresh: true })
}

/// Gives the ports of a task that is gone back.
pub(in crate::lifecycle) fn release(task: &Task, run: &RunDir) {
    if let Some(port) = task.port {
        remove(port, run);
    }
}

/// Removes a claim of this run. What stays leads nowhere, and is taken over one day.
fn remove(port: u16, run: &RunDir) {
    let Some(dir) = directory() else { return };
    let link = dir.join(port_name(port));
    if fs::read_link(&link).is_ok_and(|owner| owner == run.0) {
        drop(fs::remove_file(link));
    }
}

/// Sets the variables that tell the task's programs its ports, and docker compose its containers.
pub(in crate::lifecycle) fn set_env(task: &Task, project: &OsStr, env: &mut Vec<(Bytes, Bytes)>) {
    let name = compose_name(&project.to_string_lossy(), task.id.as_str());
    let port = task.port.map(|port| port.to_string());
    for (name, value) in [("FLUX_PORT", port), ("COMPOSE_PROJECT_NAME", Some(name))] {
        env.retain(|(known, _)| known.0 != name);
        let value = value.map(|value| (Bytes(name.into()), Bytes(value.into())));
        env.extend(value);
    }
}

/// `<project>-<id>` in the letters that compose takes: a to z, 0 to 9, `-` and `_`, and
/// neither of the last two first.
fn compose_name(project: &str, id: &str) -> String {
    let name = format!("{project}-{id}").to_lowercase();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    name.trim_start_matches(['-', '_']).to_owned()
}

fn port_name(port: u16) -> String {
    port.to_string()
}

/// `$XDG_STATE_HOME/git-flux/ports`
fn directory() -> Option<PathBuf> {
    let absolute = |path: OsString| Path::new(&path).is_absolute().then_some(path);
    let state = match env::var_os("XDG_STATE_HOME").and_then(absolute) {
        Some(state) => PathBuf::from(state),
        None => Path::new(&env::var_os("HOME").and_then(absolute)?).join(".local/state"),
    };
    Some(state.join("git-flux/ports"))
}

/// Whether nobody listens on the ports of a block.
fn is_free(port: u16) -> bool {
    let taken = |bound: io::Result<TcpListener>| {
        // A machine may well have only one of the two.
        bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    };
    (port..port + SIZE).all(|port| {
        !taken(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            && !taken(TcpListener::bind((Ipv6Addr::LOCALHOST, port)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_compose_takes() {
        assert_eq!(compose_name("My App", "fix-1"), "my-app-fix-1");
        assert_eq!(compose_name("_größe.x", "fix"), "gr--e-x-fix");
        assert_eq!(compose_name("修", "fix"), "fix");
    }

    #[test]
    fn blocks_do_not_overlap_and_end_below_the_ports_of_the_system() {
        const { assert!(SIZE <= STEP) };
        const { assert!(FIRST + (BLOCKS - 1) * STEP + SIZE <= 32_768) };
    }
}
