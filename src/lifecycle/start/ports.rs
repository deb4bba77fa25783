//! Ports reserved for a task, so that servers of different tasks do not conflict.
//!
//! A claim is a symbolic link, named after the first port, to the task's run directory. If it dangles,
//! the task is gone. All claims of a user are in one directory, for all repositories.

use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rand::RngExt as _;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketType};

use crate::context::Flux;
use crate::git::{Lock, Sharing};
use crate::interrupt;
use crate::lifecycle::state_dir::state_dir;
use crate::run::RunDir;
use crate::system::none_if_missing;
use crate::task::{Bytes, Task};

/// The first port: well-known ports are below.
const FIRST_PORT: u16 = 20_000;
/// The distance between the first ports of two tasks.
const PORT_DISTANCE: u16 = 20;
/// The number of blocks: the ephemeral ports are above.
const BLOCK_COUNT: u16 = 638;
/// The number of ports of a task: `FLUX_PORT` and the next ten.
pub(crate) const BLOCK_SIZE: u16 = 11;

/// Reserves eleven ports for the directory `owner`, such as the run directory of a task, from
/// `previous` if those are free, and returns the first. Warns and returns `None` if that fails.
pub(in crate::lifecycle) fn claim(flux: &Flux, owner: &Path, previous: Option<u16>) -> Option<u16> {
    let claimed = try_claim(flux, owner, previous);
    if let Err(error) = &claimed
        // The start reports it.
        && !interrupt::is_requested()
    {
        flux.ui
            .warning(format_args!("no ports reserved: {error:#}"));
    }
    claimed.ok()
}

fn try_claim(flux: &Flux, owner: &Path, previous: Option<u16>) -> Result<u16> {
    let dir = claims_dir().context("there is no home directory")?;
    // Two processes must not replace the same dangling claim.
    for dir in [dir.parent().unwrap_or(&dir), &dir] {
        let made = Sharing::Private.make_dir(dir);
        made.with_context(|| format!("could not make '{}'", dir.display()))?;
    }
    let other = "another git flux";
    let _lock = Lock::acquire(&dir.join("lock"), Sharing::Private, other, |text| {
        flux.ui.status(text);
    })?;
    let start = rand::rng().random_range(0..BLOCK_COUNT);
    let blocks = (0..BLOCK_COUNT).map(|n| (start + n) % BLOCK_COUNT * PORT_DISTANCE + FIRST_PORT);
    let ports = previous.into_iter().chain(blocks);
    let link = |port: u16| (port, dir.join(port.to_string()));
    let links: Vec<(u16, PathBuf)> = ports.map(link).collect();
    for (port, link) in &links {
        match none_if_missing(fs::read_link(link)) {
            Ok(Some(other)) if other == owner => return Ok(*port),
            Ok(None) if is_free(*port) => return create_claim(link, owner).map(|()| *port),
            _ => {}
        }
    }
    // Last, because the repository may only be unmounted.
    let is_gone = |link: &Path| link.is_symlink() && matches!(fs::exists(link), Ok(false));
    let mut links = links.iter();
    let gone = links.find(|(port, link)| is_gone(link) && is_free(*port));
    let (port, link) = gone.context("all are in use")?;
    fs::remove_file(link).context("could not replace the claim of a removed task")?;
    create_claim(link, owner).map(|()| *port)
}

fn create_claim(link: &Path, owner: &Path) -> Result<()> {
    symlink(owner, link).with_context(|| format!("could not make '{}'", link.display()))
}

/// Releases the reserved ports of a removed task, if its run directory `run` still owns them.
/// Ignores errors: a link that stays is replaced later.
pub(in crate::lifecycle) fn release(task: &Task, run: &RunDir) {
    release_claim(task.port, &run.0);
}

/// Releases the ports from `port` on, if the directory `owner` still owns them. Ignores errors.
pub(in crate::lifecycle) fn release_claim(port: Option<u16>, owner: &Path) {
    let Some((port, dir)) = port.zip(claims_dir()) else {
        return;
    };
    let link = dir.join(port.to_string());
    if fs::read_link(&link).is_ok_and(|other| other == owner) {
        drop(fs::remove_file(link));
    }
}

/// Sets `FLUX_PORT`, if the task has ports, and `COMPOSE_PROJECT_NAME` in the agent's environment
/// `env`, and removes inherited values of both.
pub(super) fn set_env(task: &Task, project: &OsStr, env: &mut Vec<(Bytes, Bytes)>) {
    let name = compose_name(project, task.id.as_str());
    for (name, value) in variables(task.port, name) {
        env.retain(|(known, _)| known.0 != name);
        env.extend(value.map(|value| (Bytes(name.into()), Bytes(value.into()))));
    }
}

/// Returns the variables for ports from `port` on and for a project of docker compose. One without
/// a value is to be removed from an environment.
pub(in crate::lifecycle) fn variables(
    port: Option<u16>,
    compose_name: String,
) -> [(&'static str, Option<String>); 2] {
    let port = port.map(|port| port.to_string());
    [
        ("FLUX_PORT", port),
        ("COMPOSE_PROJECT_NAME", Some(compose_name)),
    ]
}

/// Returns `<project>-<part>` as docker compose accepts it: in lower case, with `-` for other
/// characters than a to z, 0 to 9, `-` and `_`, not starting with `-` or `_`.
pub(in crate::lifecycle) fn compose_name(project: &OsStr, part: &str) -> String {
    let name = format!("{}-{part}", project.display()).to_lowercase();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = name.replace(|c| !allowed(c), "-");
    name.trim_start_matches(['-', '_']).to_owned()
}

/// Returns the directory of all port reservations of the user. `None` without a home directory.
fn claims_dir() -> Option<PathBuf> {
    Some(state_dir()?.join("ports"))
}

/// Returns whether none of the eleven ports from `port` on is in use, on any address. A port that
/// cannot be tested counts as free.
fn is_free(port: u16) -> bool {
    // BSD allows one address to be bound beside a listener on all addresses.
    const ADDRESSES: [IpAddr; 4] = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    let is_taken = |ip, port| bind(SocketAddr::new(ip, port)) == Err(Errno::ADDRINUSE);
    let mut ports = port..port + BLOCK_SIZE;
    !ports.any(|port| ADDRESSES.iter().any(|ip| is_taken(*ip, port)))
}

/// Binds a socket to an address, and closes it. Does not listen: a firewall could ask the user.
fn bind(address: SocketAddr) -> Result<(), Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = net::socket(family, SocketType::STREAM, None)?;
    // Closed connections do not matter.
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn is_free_is_false_if_a_program_listens_on_any_address() {
        for address in ["127.0.0.1", "0.0.0.0", "127.0.0.2", "::1", "::"] {
            // Not every system has all of them.
            let Ok(listener) = TcpListener::bind((address, 0)) else {
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            assert!(!is_free(port - BLOCK_SIZE + 1), "{address}");
        }
    }

    #[test]
    fn compose_name_has_only_allowed_characters() {
        let name = |project: &str| compose_name(project.as_ref(), "fix-1");
        assert_eq!(name("My App"), "my-app-fix-1");
        assert_eq!(name("_größe.x"), "gr--e-x-fix-1");
        assert_eq!(name("修"), "fix-1");
    }

    #[test]
    fn blocks_are_disjoint_and_below_ephemeral_ports() {
        const { assert!(BLOCK_SIZE <= PORT_DISTANCE) };
        const { assert!(FIRST_PORT + (BLOCK_COUNT - 1) * PORT_DISTANCE + BLOCK_SIZE <= 32_768) };
    }
}
