//! The entries that git keeps of worktrees, without git: it waits for ever for a pipe that an agent has
//! put into one, and removes the worktree that it finds at a place.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::Git;
use crate::git::checkout::distrust::{Distrust, refused};
use crate::git::checkout::gitfile::named_by;
use crate::git::command::patience::patiently;
use crate::git::worktree::entry::{Worktree, read};
use crate::task::RefName;

/// `git worktree list --porcelain -z`: the main worktree first, each place once. `home` is
/// [`Repo::home`].
///
/// # Errors
/// When git fails.
pub(crate) fn list(home: &Path) -> Result<Vec<Worktree>> {
    ensure_no_pipe(home)?;
    let git = || Git::reading(home, "worktree").args(["list", "--porcelain", "-z"]);
    let mut worktrees = parse(&patiently(git)?)?;
    // git takes the parent of `.git` for it, whatever core.worktree says, and in a submodule the repository.
    if let Some(main) = worktrees.first_mut() {
        main.path = home.to_owned();
    }
    Ok(true_ones(worktrees))
}

/// # Errors
/// When it is not a list of worktrees, or not all of one.
pub(in crate::git) fn parse(out: &[u8]) -> Result<Vec<Worktree>> {
    let odd = "`git worktree list` printed something unknown";
    // An entry ends with an empty line, and there is always one.
    let entries = out.strip_suffix(b"\0\0").context(odd)?;
    let mut worktrees: Vec<Worktree> = Vec::new();
    for line in entries.split(|&b| b == 0) {
        let (key, value) = line.split_once_str(" ").unwrap_or((line, b""));
        let text = || value.to_str_lossy().into_owned();
        match (key, worktrees.last_mut()) {
            (b"worktree", _) => worktrees.push(Worktree {
                path: value.to_path_lossy().into_owned(),
                ..Worktree::default()
            }),
            (_, None) => bail!(odd),
            (b"branch", Some(entry)) => entry.branch = Some(RefName::new(text())),
            (b"bare", Some(entry)) => entry.bare = true,
            (b"HEAD", Some(entry)) => entry.unborn = value.iter().all(|&b| b == b'0'),
            (b"locked", Some(entry)) => entry.locked = Some(text()),
            // Newer gits may say more.
            _ => {}
        }
    }
    Ok(worktrees)
}

/// Lists the worktrees, the main one first. What git cannot list is left out.
///
/// # Errors
/// When git fails in any other way.
pub(crate) fn list_readable(home: &Path, common_dir: &Path) -> Result<Vec<Worktree>> {
    match ensure_no_pipe(home) {
        Err(error) if error.is::<Distrust>() => {}
        _ => return list(home),
    }
    let main = Worktree {
        path: home.to_owned(),
        ..Worktree::default()
    };
    let entries = fs::read_dir(common_dir.join("worktrees"))?;
    let linked = entries.flatten().filter_map(|entry| read(&entry.path()));
    Ok([main].into_iter().chain(linked).collect())
}

/// Leaves out what lies about its place: an agent can have git list its own entry at that of
/// another worktree. The main one is true, and of the others the one that the place names.
fn true_ones(worktrees: Vec<Worktree>) -> Vec<Worktree> {
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
fn ensure_no_pipe(home: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn entries_are_read_with_every_kind_of_path() {
        let out = b"worktree /a\0bare\0\0worktree /b c\nd\xff\0HEAD 1\0branch refs/heads/x\0locked why not\0\0\
                    worktree /e\0HEAD 1\0detached\0locked\0\0";
        let entries = parse(out).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(entries[0].bare);
        assert_eq!(entries[1].path.as_os_str().as_bytes(), b"/b c\nd\xff");
        assert_eq!(entries[1].branch.as_deref(), Some("refs/heads/x"));
        assert_eq!(entries[1].locked.as_deref(), Some("why not"));
        assert_eq!(
            (entries[2].branch.as_deref(), entries[2].locked.as_deref()),
            (None, Some(""))
        );
        for length in 0..out.len() {
            let cut = parse(&out[..length]);
            assert!(
                cut.is_err() || out[..length].ends_with(b"\0\0"),
                "{length} bytes"
            );
        }
        assert!(parse(b"HEAD 1\0\0").is_err());
    }
}
