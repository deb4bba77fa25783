//! Checks each field of a record for what it must be. A record travels with its repository and
//! may be of any origin; commands, paths and refs are built from it.

use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use anyhow::{Result, ensure};

use super::{Existing, Merged, Removal, Target, Task, TaskId};

/// The longest title, in bytes; those that are written have 200 characters at most.
const TITLE: usize = 4096;

/// The longest name of an agent, a session or a variable, in bytes.
const NAME: usize = 1024;

/// The longest path or name of a ref, in bytes: what Linux takes.
const PATH: usize = 4096;

/// The last second that has a date: 9999-12-30T22:00:00Z.
const LAST: u64 = 253_402_207_200;

/// The first ports that a task may have: neither those of the system nor the very last ones.
const PORTS: RangeInclusive<u16> = 1024..=65_000;

/// The directories of refs that each worktree has for itself.
pub(crate) const OWN: [&str; 3] = ["refs/worktree", "refs/bisect", "refs/rewritten"];

/// The name in an archive for commits that were in logs alone.
pub(crate) const REFLOG: &str = "reflog";

impl Task {
    /// Fails if a field is not what it must be.
    ///
    /// # Errors
    /// Says which field of the record it is.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.title.len() <= TITLE, "'title' is too long");
        ensure!(is_name(&self.agent), "'agent' is not the name of an agent");
        for argument in &self.agent_args {
            let nul = argument.0.as_bytes().contains(&0);
            ensure!(!nul, "'agent_args' has what is not an argument");
        }
        branch("branch", &self.branch)?;
        if let Some(into) = &self.into {
            branch("into", into)?;
        }
        path("worktree", &self.worktree)?;
        if let Some(directory) = &self.directory {
            below("directory", Path::new(&directory.0))?;
        }
        time("created", self.created)?;
        ensure!(
            self.port.is_none_or(|port| PORTS.contains(&port)),
            "'port' is not one that is set aside"
        );
        if let Some(name) = &self.restored {
            let of_this = is_archive_name(name, &self.id);
            ensure!(
                of_this,
                "'restored' is not a name that it has in an archive"
            );
        }
        if let Some(target) = &self.target {
            target.check()?;
        }
        if let Some(removal) = &self.removal {
            removal.check()?;
        }
        self.check_objects()
    }

    /// Returns the task as a record can have it: what is configured for its branch wins over the
    /// record, and may be anything.
    pub(super) fn recordable(&self) -> Self {
        let into = self.into.clone();
        let agent = is_name(&self.agent).then(|| self.agent.clone());
        Self {
            title: self.title.chars().take(TITLE / 4).collect(),
            into: into.filter(|into| is_branch_name(into)),
            agent: agent.unwrap_or_default(),
            ..self.clone()
        }
    }

    /// Fails if what must be the name of an object is none. All are of one length: a
    /// repository has one kind.
    fn check_objects(&self) -> Result<()> {
        let mut names = vec![("base", self.base.as_str())];
        names.extend(self.carried.as_deref().map(|name| ("carried", name)));
        if let Some(Existing { tip, .. }) = &self.existing {
            names.push(("existing.tip", tip));
        }
        if let Some(removal) = &self.removal {
            let snapshot = removal.snapshot.as_deref();
            names.extend(snapshot.map(|name| ("removal.snapshot", name)));
            names.extend(removal.own.iter().map(|(_, oid)| ("removal.own", &**oid)));
            if let Some(Merged { from, to, .. }) = &removal.into {
                names.extend([("removal.into.from", &**from), ("removal.into.to", to)]);
            }
        }
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        for (field, name) in names {
            let whole = matches!(name.len(), 40 | 64) && name.len() == self.base.len();
            let whole = whole && name.bytes().all(hex);
            ensure!(whole, "'{field}' is not the name of an object");
        }
        Ok(())
    }
}

impl Target {
    fn check(&self) -> Result<()> {
        let named = !self.session.as_str().is_empty() && is_name(self.session.as_str());
        ensure!(named, "'target.session' is not the name of a session");
        let alive = self.pane_pid > 0 && i32::try_from(self.server_pid).is_ok_and(|pid| pid > 0);
        ensure!(alive, "'target' has a number that no process has");
        // tmux takes any path, a relative one too.
        let socket = self.socket.as_os_str().as_bytes();
        let is_path = (1..=PATH).contains(&socket.len()) && !socket.contains(&0);
        ensure!(is_path, "'target.socket' is not a path");
        time("target.server_start", self.server_start)
    }
}

impl Removal {
    fn check(&self) -> Result<()> {
        time("removal.at", self.at)?;
        for (name, value) in &self.config {
            let known = is_variable(name) && !value.contains('\0');
            ensure!(known, "'removal.config' has what git would not");
        }
        for (part, _) in &self.own {
            let known = part == REFLOG || is_own(part);
            ensure!(known, "'removal.own' has what no worktree has for itself");
        }
        match &self.into {
            Some(merged) => branch("removal.into.branch", &merged.branch),
            None => Ok(()),
        }
    }
}

fn branch(field: &str, name: &str) -> Result<()> {
    ensure!(is_branch_name(name), "'{field}' is not a name for a branch");
    Ok(())
}

/// Fails if a path does not begin at the root and go down from there.
fn path(field: &str, path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    let mut parts = path.components();
    let down = parts.next() == Some(Component::RootDir)
        && parts.clone().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)));
    let plain = bytes.len() <= PATH && !bytes.contains(&0);
    ensure!(down && plain, "'{field}' is not a path from the root down");
    Ok(())
}

/// Fails if a path does not go down from a directory.
fn below(field: &str, path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    let mut parts = path.components();
    let down = !bytes.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
    let plain = bytes.len() <= PATH && !bytes.contains(&0);
    ensure!(down && plain, "'{field}' is not a path below a directory");
    Ok(())
}

/// Fails if seconds since 1970 have no date.
///
/// # Errors
/// Says which field it is.
pub(crate) fn time(field: &str, seconds: u64) -> Result<()> {
    ensure!(is_time(seconds), "'{field}' is not a time");
    Ok(())
}

/// Returns whether a clock can have shown it, in seconds since 1970.
pub(crate) fn is_time(seconds: u64) -> bool {
    seconds <= LAST
}

/// Returns whether a text is short and in one line, as a name is.
fn is_name(name: &str) -> bool {
    name.len() <= NAME && !name.contains(char::is_control)
}

/// Returns whether `name` is `<id>` or `<id>.<number>`.
fn is_archive_name(name: &str, id: &TaskId) -> bool {
    let rest = name.strip_prefix(id.as_str());
    rest.is_some_and(|rest| match rest.strip_prefix('.') {
        Some(number) => number.parse::<u32>().is_ok_and(|n| n.to_string() == number),
        None => rest.is_empty(),
    })
}

/// Returns whether git has variables of this name: letters, digits and `-`, a letter first.
fn is_variable(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
    letter && name.len() <= NAME && name.bytes().all(plain)
}

/// Returns whether `refs/<part>` is a ref that a worktree has for itself.
fn is_own(part: &str) -> bool {
    let name = format!("refs/{part}");
    let below = |dir: &str| name.strip_prefix(dir).is_some_and(|it| it.starts_with('/'));
    OWN.iter().any(|dir| below(dir)) && is_ref_name(&name)
}

/// Returns whether git would take `name` for a branch: `git check-ref-format --branch`.
pub(crate) fn is_branch_name(name: &str) -> bool {
    name != "HEAD" && !name.starts_with('-') && is_ref_name(&format!("refs/heads/{name}"))
}

/// Returns whether git would take `name` for a ref: `git check-ref-format`.
fn is_ref_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let never = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    name.len() <= PATH
        && name.split('/').all(part)
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(never)
}
