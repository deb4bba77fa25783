//! The entries that git keeps of worktrees, without git: it waits for ever for a pipe that an agent has
//! put into one, and removes the worktree that it finds at a place.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::admin::{named_by, normal, read_small};
use super::distrust::{Distrust, refused};
use super::{Worktree, fsmonitor, worktree};

/// Lists the worktrees, the main one first. What git cannot list is left out.
///
/// # Errors
/// When git fails in any other way.
pub(crate) fn list(home: &Path, common_dir: &Path) -> Result<Vec<Worktree>> {
    match ensure_no_pipe(home) {
        Err(error) if error.is::<Distrust>() => {}
        _ => return worktree::list(home),
    }
    let main = Worktree {
        path: home.to_owned(),
        ..Worktree::default()
    };
    let entries = fs::read_dir(common_dir.join("worktrees"))?;
    let linked = entries.flatten().filter_map(|entry| read(&entry.path()));
    Ok([main].into_iter().chain(linked).collect())
}

/// What git keeps of a worktree in `admin`, none if it cannot be read.
pub(super) fn read(admin: &Path) -> Option<Worktree> {
    let text = |name: &str| read_small(&admin.join(name)).ok()?;
    let (gitdir, head) = (text("gitdir")?, text("HEAD")?);
    let link = normal(&admin.join(OsStr::from_bytes(gitdir.trim_ascii_end())));
    let head = String::from_utf8(head).ok()?;
    let branch = head.trim_end().strip_prefix("ref: ");
    Some(Worktree {
        path: link.parent()?.to_owned(),
        branch: branch.map(str::to_owned),
        ..Worktree::default()
    })
}

/// Whether `HEAD` in `admin` can be one: a crash leaves it empty.
///
/// # Errors
/// When it cannot be read.
pub(super) fn has_head(admin: &Path) -> Result<bool> {
    let head = admin.join("HEAD");
    // Of a link (core.preferSymlinkRefs) git is the judge.
    if head.is_symlink() {
        return Ok(true);
    }
    let says = read_small(&head)?.unwrap_or_default();
    Ok(says.starts_with(b"ref: ") || says.len() >= 40)
}

/// Leaves out what lies about its place: an agent can have git list its own entry at that of
/// another worktree. The main one is true, and of the others the one that the place names.
pub(super) fn true_ones(worktrees: Vec<Worktree>) -> Vec<Worktree> {
    let mut kept: Vec<Worktree> = Vec::with_capacity(worktrees.len());
    for one in worktrees {
        match kept.iter().position(|other| other.path == one.path) {
            None => kept.push(one),
            Some(0) => {}
            Some(at) => {
                let named = named_by(&one.path).and_then(|named| read(&named));
                if named.is_some_and(|named| named.branch == one.branch) {
                    kept[at] = one;
                }
            }
        }
    }
    kept
}

/// Fails if git would wait for ever for what it keeps of a worktree of the repository at `home`: an
/// agent can put a pipe there.
///
/// # Errors
/// With a [`Distrust`] that names it.
pub(super) fn ensure_no_pipe(home: &Path) -> Result<()> {
    for worktrees in [home.join(".git/worktrees"), home.join("worktrees")] {
        let Ok(entries) = fs::read_dir(worktrees) else {
            continue;
        };
        for admin in entries.flatten().map(|entry| entry.path()) {
            for name in ["HEAD", "commondir", "gitdir", "locked"] {
                let file = admin.join(name);
                let found = file.metadata().map(|found| found.file_type());
                if found.is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
                    return Err(refused(Distrust::Odd(file).into(), &admin));
                }
            }
        }
    }
    Ok(())
}

/// Removes what git keeps of a worktree by moving it into the directory `aside`: no name of a
/// place is believed, as `git worktree remove` has to, and nothing is lost. Its daemon ends. Returns
/// whether there was anything.
///
/// # Errors
/// When it cannot be moved.
pub(super) fn set_aside(admin: Option<PathBuf>, aside: &Path) -> Result<bool> {
    let Some(admin) = admin else {
        return Ok(false);
    };
    if let Some(common_dir) = admin.ancestors().nth(2) {
        fsmonitor::stop(common_dir, &admin);
    }
    fs::rename(&admin, aside.join("entry"))
        .with_context(|| format!("could not move '{}'", admin.display()))?;
    // git removes the directory of all entries with the last one.
    if let Some(worktrees) = admin.parent() {
        fs::remove_dir(worktrees).ok();
    }
    Ok(true)
}
