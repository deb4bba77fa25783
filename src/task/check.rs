//! Checks each field of a record. A record travels with its repository and may be of any
//! origin; commands, paths and refs are built from it.

use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use anyhow::{Result, bail};

use super::{Bytes, MergeRecord, ObjectId, Removal, Target, Task};

/// The longest title that is read; git flux writes at most 200 characters.
const MAX_TITLE_BYTES: usize = 4096;

/// The longest name of an agent, a session or a variable.
const MAX_NAME_BYTES: usize = 1024;

/// The longest path or name of a ref: the limit of Linux.
const MAX_PATH_BYTES: usize = 4096;

/// The ports that may be the first of a task: the system's and the last ones are excluded.
const FIRST_PORTS: RangeInclusive<u16> = 1024..=65_000;

/// The directories of the per-worktree refs.
pub(crate) const WORKTREE_REF_DIRS: [&str; 3] = ["refs/worktree", "refs/bisect", "refs/rewritten"];

/// The name in an archive entry for commits that only reflogs had.
pub(crate) const REFLOG: &str = "reflog";

/// The name of a field, and `true` if its value is valid.
type Field = (&'static str, bool);

impl Task {
    /// Fails on the first field of the task's record with an invalid value. Reads only the record,
    /// and neither repository nor files.
    pub(super) fn check(&self) -> Result<()> {
        let has_nul = |it: &Bytes| it.0.as_bytes().contains(&0);
        let is_object = |name: &ObjectId| self.is_object(name);
        let top = self.worktree.strip_prefix("/");
        let directory = self.directory.as_ref().map(|it| Path::new(&it.0));
        let restored = self.restored_from.as_deref();
        let (existing, carried) = (self.existing.as_ref(), self.stash.as_ref());
        let mut fields = vec![
            ("title", self.title.len() <= MAX_TITLE_BYTES),
            ("agent", is_name(&self.agent)),
            ("agent_args", !self.agent_args.iter().any(has_nul)),
            ("branch", is_branch_name(&self.branch)),
            ("base", is_object(&self.base)),
            ("into", self.into.as_deref().is_none_or(is_branch_name)),
            ("worktree", top.is_ok_and(is_below)),
            ("directory", directory.is_none_or(is_below)),
            ("port", self.port.is_none_or(|it| FIRST_PORTS.contains(&it))),
            (
                "restored",
                restored.is_none_or(|it| self.is_archived_as(it)),
            ),
            ("existing.tip", existing.is_none_or(|it| is_object(&it.tip))),
            ("carried", carried.is_none_or(is_object)),
        ];
        fields.extend(self.target.iter().flat_map(Target::fields));
        fields.extend(self.removal.iter().flat_map(|it| self.fields_of(it)));
        match fields.iter().find(|(_, is_right)| !is_right) {
            Some((field, _)) => bail!("'{field}' is invalid"),
            None => Ok(()),
        }
    }

    /// Returns a copy of the task whose title, target branch and agent are valid in a record:
    /// shortens or removes them. The branch's configuration overrides them, and may contain
    /// anything.
    pub(super) fn recordable(&self) -> Self {
        let agent = self.agent.as_str();
        Self {
            title: self.title.chars().take(MAX_TITLE_BYTES / 4).collect(),
            into: self.into.clone().filter(|into| is_branch_name(into)),
            agent: if is_name(agent) { agent } else { "" }.to_owned(),
            ..self.clone()
        }
    }

    /// Returns whether this can be an object name in the task's repository: lower-case hex digits,
    /// as many as its base commit has, 40 or 64.
    fn is_object(&self, name: &ObjectId) -> bool {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        matches!(name.len(), 40 | 64) && name.len() == self.base.len() && name.bytes().all(hex)
    }

    /// Returns whether `name` can be the name of an archive entry of this task: `<id>` or
    /// `<id>.<number>`.
    fn is_archived_as(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.id.as_str());
        rest.is_some_and(|rest| match rest.strip_prefix('.') {
            Some(number) => number.parse::<u32>().is_ok_and(|n| n.to_string() == number),
            None => rest.is_empty(),
        })
    }

    fn fields_of(&self, removal: &Removal) -> [Field; 6] {
        let is_object = |name: &ObjectId| self.is_object(name);
        let is_value = |value: &str| !value.contains('\0');
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        // Letters, digits and `-`, a letter first.
        let is_variable = |name: &str| {
            let is_letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
            is_letter && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_plain)
        };
        let is_part = |part: &str| part == REFLOG || is_worktree_ref_name(part);
        let (mut config, mut own) = (removal.config.iter(), removal.worktree_refs.iter());
        let (snapshot, into) = (removal.snapshot.as_ref(), removal.into.as_ref());
        let ends = into.map(|it| is_object(&it.from) && is_object(&it.to));
        let is_branch = |it: &MergeRecord| is_branch_name(&it.branch);
        let is_config = config.all(|(it, value)| is_variable(it) && is_value(value));
        let is_own = own.all(|(it, oid)| is_part(it) && is_object(oid));
        let mut entries = removal.stash.iter().chain(&removal.shared_stash);
        [
            ("removal.snapshot", snapshot.is_none_or(is_object)),
            ("removal.config", is_config),
            ("removal.own", is_own),
            (
                "removal.stash",
                entries.all(|entry| is_object(&entry.commit) && is_value(&entry.subject)),
            ),
            ("removal.into", ends.unwrap_or(true)),
            ("removal.into.branch", into.is_none_or(is_branch)),
        ]
    }
}

impl Target {
    fn fields(&self) -> [Field; 4] {
        let name = self.session.as_str();
        let server = i32::try_from(self.server_pid);
        // tmux takes any path, a relative one too.
        let is_empty = self.socket.as_os_str().is_empty();
        [
            ("target.session", !name.is_empty() && is_name(name)),
            ("target.pane_pid", self.pane_pid > 0),
            ("target.server_pid", server.is_ok_and(|pid| pid > 0)),
            ("target.socket", !is_empty && is_plain(&self.socket)),
        ]
    }
}

/// Returns whether the operating system accepts a path: it has at most 4096 bytes and no NUL.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.len() <= MAX_PATH_BYTES && !bytes.contains(&0)
}

/// Returns whether a path is relative, not empty, without `..` or a leading `.`, and accepted by
/// the operating system, so that it leads to something below its directory. Does not look for
/// links.
fn is_below(path: &Path) -> bool {
    let mut parts = path.components();
    let down = parts.all(|part| matches!(part, Component::Normal(_)));
    down && path != Path::new("") && is_plain(path)
}

/// Returns whether a text has at most 1024 bytes and no control characters. `true` also for an
/// empty one.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control)
}

/// Returns whether `refs/<part>` is a valid name of a per-worktree ref, below `refs/worktree`,
/// `refs/bisect` or `refs/rewritten`.
fn is_worktree_ref_name(part: &str) -> bool {
    let name = format!("refs/{part}");
    let below = |dir: &str| name.strip_prefix(dir).is_some_and(|it| it.starts_with('/'));
    WORKTREE_REF_DIRS.iter().any(|dir| below(dir)) && is_ref_name(&name)
}

/// Returns whether `name` is valid for a branch, by the rules of `git check-ref-format --branch`.
/// `false` for `@{-1}`, which that command expands.
pub(crate) fn is_branch_name(name: &str) -> bool {
    name != "HEAD" && !name.starts_with('-') && is_ref_name(&format!("refs/heads/{name}"))
}

/// Returns whether a full ref name is valid by the rules of `git check-ref-format`, and has at most
/// 4096 bytes. Does not check that the name begins with `refs/`.
fn is_ref_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let never = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    name.len() <= MAX_PATH_BYTES
        && name.split('/').all(part)
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(never)
}
