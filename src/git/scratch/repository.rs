//! The git directory, but for its configuration and its hooks.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::files::{make_dir, write as write_file};
use super::original::Original;
use crate::git::regular_file::read_file;
use crate::git::worktree::tool_files::is_of_git;
use crate::system::optional;

/// What else is git's, or ours, in the one git directory that all worktrees share. What
/// there is besides belongs to a tool (git-lfs, git-annex), which looks for it there.
const SHARED: [&str; 12] = [
    "branches",
    "config",
    "description",
    "flux",
    "gc.pid",
    "gitweb",
    "hooks",
    "objects",
    "packed-refs",
    "remotes",
    "shallow",
    "svn",
];

/// A file of a tool that is larger comes as a link, in bytes.
const LARGE: u64 = 1 << 20;

/// Writes it for a worktree at `path`. Refs are files there, whatever they are in the original.
/// Returns whether there is a tag that is called like a branch of the merge.
///
/// # Errors
/// When something cannot be read or written.
pub(super) fn write(original: &Original<'_>, path: &Path) -> Result<bool> {
    let git_dir = path.join(".git");
    for dir in [
        "objects/info",
        "objects/pack",
        "refs/heads",
        "hooks",
        "info",
    ] {
        make_dir(&git_dir.join(dir))?;
    }
    point_head(path, &format!("refs/heads/{}", original.head))?;
    let objects = alternate(&original.repo.common_dir().join("objects"));
    write_file(&git_dir.join("objects/info/alternates"), &objects)?;
    let found = refs(original, &git_dir)?;
    let tags = original
        .branches
        .map(|(branch, _)| format!("refs/tags/{branch}"));
    let has_tag = tags.iter().any(|tag| found.contains(tag.as_bytes()));
    for (branch, commit) in original.branches {
        let file = git_dir.join("refs/heads").join(branch);
        make_dir(file.parent().unwrap_or(&git_dir))?;
        write_file(&file, format!("{commit}\n").as_bytes())?;
    }
    copy_others(original, &git_dir)?;
    Ok(has_tag)
}

/// Copies logs, `info` and what belongs to tools.
fn copy_others(original: &Original<'_>, git_dir: &Path) -> Result<()> {
    let common = original.repo.common_dir();
    let log = Path::new("logs/refs/heads").join(original.head);
    copy(
        &original.git_dir().join("logs/HEAD"),
        &git_dir.join("logs/HEAD"),
    )?;
    copy(&common.join(&log), &git_dir.join(&log))?;
    copy(&common.join("shallow"), &git_dir.join("shallow"))?;
    for dir in [common, original.git_dir()] {
        for name in names(&dir.join("info"))? {
            // What is left out is each worktree's own.
            if name == "sparse-checkout" && dir != original.git_dir() {
                continue;
            }
            let name = Path::new("info").join(name);
            copy(&dir.join(&name), &git_dir.join(&name))?;
        }
        for name in names(dir)? {
            let known = is_of_git(name.as_bytes()) || SHARED.iter().any(|known| *known == name);
            let (there, link) = (dir.join(&name), git_dir.join(&name));
            if known || link.symlink_metadata().is_ok() {
                continue;
            }
            // git may write a file of its own of such a name one day.
            if there.is_dir() || there.metadata().is_ok_and(|found| found.len() > LARGE) {
                symlink(&there, &link)
                    .with_context(|| format!("could not make '{}'", link.display()))?;
            } else {
                copy(&there, &link)?;
            }
        }
    }
    Ok(())
}

/// Has `HEAD` of the worktree at `path` name a ref.
pub(super) fn point_head(path: &Path, name: &str) -> Result<()> {
    write_file(&path.join(".git/HEAD"), format!("ref: {name}\n").as_bytes())
}

/// All refs, and their names: `git for-each-ref`
fn refs(original: &Original<'_>, git_dir: &Path) -> Result<HashSet<Vec<u8>>> {
    let args = ["--format=%(objectname) %(refname) %(symref)"];
    let found = original.reading("for-each-ref").args(args).output()?;
    let mut names = HashSet::new();
    let mut packed = b"# pack-refs with: sorted \n".to_vec();
    for line in found
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let odd = "`git for-each-ref` printed something unknown";
        let mut fields = line.splitn(3, |&byte| byte == b' ');
        let (object, name) = (fields.next(), fields.next());
        let (object, name) = (object.context(odd)?, name.context(odd)?);
        names.insert(name.to_owned());
        match fields.next().context(odd)? {
            b"" => {
                packed.extend([object, b" ", name, b"\n"].concat());
            }
            target => {
                let file = git_dir.join(OsStr::from_bytes(name));
                make_dir(file.parent().context(odd)?)?;
                write_file(&file, &[b"ref: ", target, b"\n"].concat())?;
            }
        }
    }
    write_file(&git_dir.join("packed-refs"), &packed)?;
    Ok(names)
}

/// A line of `objects/info/alternates`; one that could be misread is in quotes, as in C.
fn alternate(objects: &Path) -> Vec<u8> {
    let path = objects.as_os_str().as_bytes();
    if !path.contains(&b'\n') {
        return [path, b"\n"].concat();
    }
    let mut quoted = vec![b'"'];
    for &byte in path {
        match byte {
            b'\n' => quoted.extend(b"\\n"),
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            byte => quoted.push(byte),
        }
    }
    quoted.extend(b"\"\n");
    quoted
}

/// Copies a file, or the one that a link leads to, if there is one.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("could not copy '{}'", from.display());
    let Ok(file) = from.canonicalize() else {
        return Ok(());
    };
    if !file.is_file() {
        return Ok(());
    }
    let bytes = read_file(&file).with_context(what)?;
    make_dir(to.parent().with_context(what)?)?;
    write_file(to, &bytes)
}

/// What is in a directory; nothing if there is none.
fn names(dir: &Path) -> Result<Vec<OsString>> {
    let what = || format!("could not read '{}'", dir.display());
    let entries = optional(fs::read_dir(dir)).with_context(what)?;
    let entries = entries.into_iter().flatten();
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names.collect::<Result<_, _>>().with_context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternate_quotes_what_would_be_misread() {
        let line = |path: &str| String::from_utf8(alternate(Path::new(path))).unwrap();
        assert_eq!(line("/a b/\"c\"#"), "/a b/\"c\"#\n");
        assert_eq!(line("/a\n\"\\b"), "\"/a\\n\\\"\\\\b\"\n");
    }
}
