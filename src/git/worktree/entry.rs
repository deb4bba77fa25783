//! What git keeps of one worktree, read without git.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::git::checkout::gitfile::normal;
use crate::git::checkout::small_file::read_small;
use crate::task::RefName;

/// One entry of `git worktree list --porcelain -z`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    /// `refs/heads/…`, if a branch is checked out.
    pub(crate) branch: Option<RefName>,
    pub(crate) bare: bool,
    /// `HEAD` names no commit.
    pub(in crate::git) unborn: bool,
    /// The reason, empty if none was given.
    pub(crate) locked: Option<String>,
}

impl Worktree {
    /// Whether it has `branch` (`refs/heads/…`) checked out, or is one that a
    /// killed git left half made.
    pub(crate) fn is_of(&self, branch: &str) -> bool {
        match &self.branch {
            Some(name) => name == branch,
            None => self.unborn && !self.bare,
        }
    }
}

/// What git keeps of a worktree in `admin`, none if it cannot be read.
pub(in crate::git) fn read(admin: &Path) -> Option<Worktree> {
    let text = |name: &str| read_small(&admin.join(name)).ok()?;
    let (gitdir, head) = (text("gitdir")?, text("HEAD")?);
    let link = normal(&admin.join(OsStr::from_bytes(gitdir.trim_ascii_end())));
    let head = String::from_utf8(head).ok()?;
    let branch = head.trim_end().strip_prefix("ref: ");
    Some(Worktree {
        path: link.parent()?.to_owned(),
        branch: branch.map(RefName::new),
        ..Worktree::default()
    })
}

/// Whether `HEAD` in `admin` can be one: a crash leaves it empty.
///
/// # Errors
/// When it cannot be read.
pub(in crate::git) fn has_head(admin: &Path) -> Result<bool> {
    let head = admin.join("HEAD");
    // Of a link (core.preferSymlinkRefs) git is the judge.
    if head.is_symlink() {
        return Ok(true);
    }
    let says = read_small(&head)?.unwrap_or_default();
    Ok(says.starts_with(b"ref: ") || says.len() >= 40)
}
