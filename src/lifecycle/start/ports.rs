//! Ports that are set aside for a task, so that what its agent starts is in nobody's way.
//!
//! A claim is a symbolic link, named after the first port and leading to the task's run
//! directory: making it claims, and where it leads nowhere its task is gone. All claims of a
//! user are in one directory, whatever the repository.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rand::RngExt as _;

use crate::context::Flux;
use crate::git::{Lock, Sharing};
use crate::interrupt;
use crate::run::RunDir;
use crate::system::none_if_missing;
use crate::task::{Bytes, Task};

/// The first port of all: below are those that programs are known by.
const FIRST: u16 = 20_000;
/// From one task's first port to the next one's.
const STEP: u16 = 20;
/// How many tasks there are ports for: above are those that systems give to whoever asks for any.
const BLOCKS: u16 = 638;
/// How many ports a task has: `FLUX_PORT`, and ten following.
pub(crate) const SIZE: u16 = 11;

/// Sets ports aside for the task whose run directory is `run`, and returns the first: those it `had`, if
/// they are free. That there are none is a warning.
pub(super) fn claim(flux: &Flux, run: &RunDir, had: Option<u16>) -> Option<u16> {
    let claimed = try_claim(flux, run, had);
    if let Err(error) = &claimed
        // The start itself says so.
        && !interrupt::is_requested()
    {
        flux.ui
            .warning(format_args!("no ports are set aside: {error:#}"));
    }
    claimed.ok()
}

fn try_claim(flux: &Flux, run: &RunDir, had: Option<u16>) -> Result<u16> {
    let dir = directory().context("there is no home directory")?;
    // Two who find a claim of a task that is gone must not both take it over.
    for dir in [dir.parent().unwrap_or(&dir), &dir] {
        let made = Sharing::Private.make_dir(dir);
        made.with_context(|| format!("could not make '{}'", dir.display()))?;
    }
    let other = "another git flux";
    let _lock = Lock::acquire(&dir.join("lock"), Sharing::Private, other, |text| {
        flux.ui.status(text);
    })?;
    let start = rand::rng().random_range(0..BLOCKS);
    let blocks = (0..BLOCKS).map(|n| FIRST + (start + n) % BLOCKS * STEP);
    let ports = had.into_iter().chain(blocks);
    let links: Vec<(u16, PathBuf)> = ports.map(|port| (port, link(&dir, port))).collect();
    for (port, link) in &links {
        match none_if_missing(fs::read_link(link)) {
            Ok(Some(owner)) if owner == run.0 => return Ok(*port),
            Ok(None) if is_free(*port) => return make(link, run).map(|()| *port),
            _ => {}
        }
    }
    // Only now: a repository that is not mounted may come back, and its tasks with it.
    let is_gone = |link: &Path| link.is_symlink() && matches!(fs::exists(link), Ok(false));
    let mut links = links.iter();
    let gone = links.find(|(port, link)| is_gone(link) && is_free(*port));
    let (port, link) = gone.context("all are taken")?;
    fs::remove_file(link).context("could not take over the ports of a task that is gone")?;
    make(link, run).map(|()| *port)
}

fn make(link: &Path, run: &RunDir) -> Result<()> {
    symlink(&run.0, link).with_context(|| format!("could not make '{}'", link.display()))
}

/// Gives the ports of a task that is gone back. What stays leads nowhere, and is taken over one day.
pub(in crate::lifecycle) fn release(task: &Task, run: &RunDir) {
    let link = task.port.and_then(|port| Some(link(&directory()?, port)));
    if let Some(link) = link
        && fs::read_link(&link).is_ok_and(|owner| owner == run.0)
    {
        drop(fs::remove_file(link));
    }
}

fn link(dir: &Path, port: u16) -> PathBuf {
    dir.join(port.to_string())
}

/// Sets the variables that tell the task's programs its ports, and docker compose its containers.
pub(super) fn set_env(task: &Task, project: &OsStr, env: &mut Vec<(Bytes, Bytes)>) {
    let name = compose_name(&project.to_string_lossy(), task.id.as_str());
    let port = task.port.map(|port| port.to_string());
    for (name, value) in [("FLUX_PORT", port), ("COMPOSE_PROJECT_NAME", Some(name))] {
        env.retain(|(known, _)| known.0 != name);
        env.extend(value.map(|value| (Bytes(name.into()), Bytes(value.into()))));
    }
}

/// `<project>-<id>` in the letters that compose takes: a to z, 0 to 9, `-` and `_`, and
/// neither of the last two first.
fn compose_name(project: &str, id: &str) -> String {
    let name = format!("{project}-{id}").to_lowercase();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = name.replace(|c| !allowed(c), "-");
    name.trim_start_matches(['-', '_']).to_owned()
}

/// `$XDG_STATE_HOME/git-flux/ports`
fn directory() -> Option<PathBuf> {
    let path = |name| env::var_os(name).map(PathBuf::from);
    let var = |name| path(name).filter(|path| path.is_absolute());
    let state = var("XDG_STATE_HOME").or_else(|| Some(var("HOME")?.join(".local/state")));
    Some(state?.join("git-flux/ports"))
}

/// Returns whether nobody listens on the ports of a block. A machine may well have only one of the two
/// kinds of addresses.
fn is_free(port: u16) -> bool {
    let is_taken = |ip: &str, port: u16| {
        TcpListener::bind((ip, port)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    };
    let mut ports = port..port + SIZE;
    !ports.any(|port| is_taken("127.0.0.1", port) || is_taken("::1", port))
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
