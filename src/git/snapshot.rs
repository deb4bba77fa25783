//! Commits of a dirty worktree, made without touching its index or its files.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::overlooked::Overlooked;
use super::{Git, Repo, admin};

/// What the commands here must not do: run hooks, split an index of ours, or
/// hand files to LFS, whose prune does not know our refs and deletes what it was given.
const PLAIN: [&str; 10] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.splitIndex=false",
    "-c",
    "filter.lfs.clean=cat",
    "-c",
    "filter.lfs.process=",
    "-c",
    "filter.lfs.required=false",
];

/// The identity of commits that are nobody's work, so that none has to be configured.
const NAMES: [&str; 2] = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"];
const EMAILS: [&str; 2] = ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"];

/// What `git add --all && git commit` would make of the worktree at `path` on
/// top of `parent`. Nothing refers to the commit.
///
/// # Errors
/// When git fails.
pub(crate) fn foresee(common_dir: &Path, path: &Path, parent: &str) -> Result<String> {
    let index = Index::of(common_dir, path)?;
    index.git(&["add", "--all", "--sparse"])?;
    let tree = index.git(&["write-tree"])?;
    index.commit(&tree, &[parent], "snapshot")
}

/// A commit of everything uncommitted in the worktree at `path` on top of `tip`,
/// in the layout of `git stash --include-untracked`, for `git stash apply --index`:
/// its tree is that of the tracked files, its parents are the tip, the index, and
/// the untracked files if there are any. Nothing refers to the commit.
///
/// Ignored files, and what is in repositories of their own, are not in it, and what git was
/// told to overlook only if it is to be `whole`.
///
/// # Errors
/// When git fails.
pub(crate) fn take(common_dir: &Path, path: &Path, tip: &str, whole: bool) -> Result<String> {
    let index = Index::of(common_dir, path)?;
    let unmerged = index.raw(&["ls-files", "--stage", "--unmerged", "-z"], None)?;
    let mut of_index = vec![tip.to_owned()];
    let staged = if unmerged.is_empty() {
        Some(index.git(&["write-tree"])?)
    } else {
        // What no tree can hold: every side is kept, under its stage and path.
        let tree = index.tree_of(&sides(&unmerged), "--index-info")?;
        of_index.push(index.commit(&tree, &[], "sides of conflicts")?);
        None
    };
    if whole {
        Overlooked::of(path)?.reveal(|args, input| index.raw(args, Some(input)).map(drop))?;
    }
    // What lies outside of a sparse checkout is otherwise left out without a word.
    index.git(&["add", "--update", "--sparse"])?;
    let tracked = index.git(&["write-tree"])?;
    let staged = staged.unwrap_or_else(|| tracked.clone());
    let of_index: Vec<&str> = of_index.iter().map(String::as_str).collect();
    let mut parents = vec![tip.to_owned(), index.commit(&staged, &of_index, "index")?];
    let others = index.raw(&["ls-files", "--others", "--exclude-standard", "-z"], None)?;
    // What ends in a slash is a repository of its own.
    let files = others
        .split_inclusive(|&b| b == 0)
        .filter(|path| !path.ends_with(b"/\0"));
    let files: Vec<u8> = files.flatten().copied().collect();
    if !files.is_empty() {
        let tree = index.tree_of(&files, "--stdin")?;
        parents.push(index.commit(&tree, &[], "untracked files")?);
    }
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    index.commit(&tracked, &parents, "uncommitted changes")
}

/// Returns whether git can read these files of the worktree at `path`, through their filters:
/// `git hash-object --stdin-paths`.
pub(crate) fn can_hash<'a>(path: &Path, files: &mut dyn Iterator<Item = &'a PathBuf>) -> bool {
    let mut names = Vec::new();
    for file in files {
        let is_file = path
            .join(file)
            .symlink_metadata()
            .is_ok_and(|f| f.is_file());
        let name = file.as_os_str().as_bytes();
        // It has no form for names with a newline in them.
        if is_file && !name.contains(&b'\n') {
            names.extend_from_slice(name);
            names.push(b'\n');
        }
    }
    let args = PLAIN.iter().chain(&["hash-object", "--stdin-paths"]);
    Git::reading(path, args).input(names).run().is_ok()
}

/// Whether all that is in the worktree at `path` is in `snapshot`, and nothing is ignored.
///
/// # Errors
/// When git fails.
pub(crate) fn holds(common_dir: &Path, path: &Path, snapshot: &str) -> Result<bool> {
    let ignored = ["ls-files", "--others", "--ignored", "--exclude-standard"];
    if !Git::reading(path, ignored).output()?.is_empty() {
        return Ok(false);
    }
    let again = take(common_dir, path, &format!("{snapshot}^1"), true)?;
    let trees = |commit: &str| {
        let parents = format!("{commit}^@");
        let args = ["log", "--no-walk=unsorted", "--format=%T", commit, &parents];
        Git::reading(path, args).output()
    };
    Ok(trees(snapshot)? == trees(&again)?)
}

/// `<mode> <oid> <stage>\t<path>` as entries for `update-index`, each below its stage.
fn sides(unmerged: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in unmerged
        .split(|&b| b == 0)
        .filter(|entry| !entry.is_empty())
    {
        let mut fields = entry.splitn(2, |&b| b == b'\t');
        let (head, path) = (
            fields.next().unwrap_or_default(),
            fields.next().unwrap_or_default(),
        );
        let (blob, stage) = head.split_at(head.len().saturating_sub(2));
        out.extend_from_slice(&[blob, b" 0\t", stage.trim_ascii(), b"/", path, b"\0"].concat());
    }
    out
}

/// An index of our own for the worktree at `path`.
struct Index {
    dir: TempDir,
    path: PathBuf,
}

impl Index {
    fn of(common_dir: &Path, path: &Path) -> Result<Self> {
        let dir = tempfile::tempdir().context("could not make a temporary directory")?;
        let index = match admin::dir_of(common_dir, path)? {
            Some(admin) => admin.join("index"),
            // The main worktree.
            None => Repo::git_dir(path)?.join("index"),
        };
        admin::copy(&index, &dir.path().join("index")).context("could not read the index")?;
        let path = path.to_owned();
        Ok(Self { dir, path })
    }

    fn run(&self, index: &str, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>> {
        let mut git = Git::new(&self.path, PLAIN.iter().chain(args))
            .env("GIT_INDEX_FILE", self.dir.path().join(index));
        for name in NAMES {
            git = git.env(name, "git flux");
        }
        for name in EMAILS {
            git = git.env(name, "git-flux@localhost");
        }
        if let Some(input) = input {
            git = git.input(input);
        }
        git.output()
    }

    fn raw(&self, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>> {
        self.run("index", args, input)
    }

    fn git(&self, args: &[&str]) -> Result<String> {
        line(self.raw(args, None)?)
    }

    /// The tree of `entries`, given to `git update-index -z --add <form>`.
    fn tree_of(&self, entries: &[u8], form: &str) -> Result<String> {
        let other = "other";
        self.run(other, &["update-index", "-z", "--add", form], Some(entries))?;
        let tree = line(self.run(other, &["write-tree"], None)?)?;
        fs::remove_file(self.dir.path().join(other))
            .context("could not remove an index of ours")?;
        Ok(tree)
    }

    fn commit(&self, tree: &str, parents: &[&str], message: &str) -> Result<String> {
        let parents = parents.iter().flat_map(|parent| ["-p", parent]);
        let args: Vec<&str> = ["commit-tree", "-m", message]
            .into_iter()
            .chain(parents)
            .chain([tree])
            .collect();
        self.git(&args)
    }
}

fn line(out: Vec<u8>) -> Result<String> {
    Ok(String::from_utf8(out)?.trim_end().to_owned())
}
