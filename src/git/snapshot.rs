//! Commits of a dirty worktree, made without touching its index or its files.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::command::records;
use super::overlooked::Overlooked;
use super::{Checkout, Git, admin};

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

/// What `git add --all && git commit` would make of a worktree on top of `parent`. Nothing refers to the commit.
///
/// # Errors
/// When git fails.
pub(crate) fn foresee(checkout: &Checkout, parent: &str) -> Result<String> {
    let index = Index::of(checkout)?;
    index.raw(&["add", "--all", "--sparse"], None)?;
    let tree = index.git(&["write-tree"])?;
    index.commit(&tree, &[parent], "snapshot")
}

/// A commit of everything uncommitted in a worktree on top of `tip`,
/// in the layout of `git stash --include-untracked`, for `git stash apply --index`:
/// its tree is that of the tracked files, its parents are the tip, the index, and
/// the untracked files if there are any. Nothing refers to the commit.
///
/// Ignored files, and what is in repositories of their own, are not in it, and what git was
/// told to overlook only if it is to be `whole`.
///
/// # Errors
/// When git fails.
pub(crate) fn take(checkout: &Checkout, tip: &str, whole: bool) -> Result<String> {
    let index = Index::of(checkout)?;
    let unmerged = index.raw(&["ls-files", "--stage", "--unmerged", "-z"], None)?;
    let mut of_index = vec![tip.to_owned()];
    let staged = if unmerged.is_empty() {
        Some(index.git(&["write-tree"])?)
    } else {
        // What no tree can hold: every side is kept, under its stage and path.
        let tree = index.tree_of(&sides(&unmerged)?, "--index-info")?;
        of_index.push(index.commit(&tree, &[], "sides of conflicts")?);
        None
    };
    if whole {
        Overlooked::of(checkout)?.reveal(|args, input| index.raw(args, Some(input)).map(drop))?;
    }
    // What lies outside of a sparse checkout is otherwise left out without a word.
    index.raw(&["add", "--update", "--sparse"], None)?;
    let tracked = index.git(&["write-tree"])?;
    let staged = staged.unwrap_or_else(|| tracked.clone());
    let of_index: Vec<&str> = of_index.iter().map(String::as_str).collect();
    let mut parents = vec![tip.to_owned(), index.commit(&staged, &of_index, "index")?];
    let others = index.raw(&["ls-files", "--others", "--exclude-standard", "-z"], None)?;
    // What ends in a slash is a repository of its own.
    let files = records(&others)?.filter(|path| !path.ends_with(b"/"));
    let files: Vec<u8> = files.flat_map(|path| [path, b"\0"].concat()).collect();
    if !files.is_empty() {
        let tree = index.tree_of(&files, "--stdin")?;
        parents.push(index.commit(&tree, &[], "untracked files")?);
    }
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    index.commit(&tracked, &parents, "uncommitted changes")
}

/// Returns whether git can read these files of the worktree, through their filters:
/// `git hash-object --stdin-paths`.
pub(crate) fn can_hash(checkout: &Checkout, files: &mut dyn Iterator<Item = &PathBuf>) -> bool {
    let mut names = Vec::new();
    for file in files {
        let is_file = checkout
            .path()
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
    checkout.reading(args).input(names).run().is_ok()
}

/// Whether all that is in a worktree is in `snapshot`, and nothing is ignored.
///
/// # Errors
/// When git fails.
pub(crate) fn holds(checkout: &Checkout, snapshot: &str) -> Result<bool> {
    let ignored = ["ls-files", "--others", "--ignored", "--exclude-standard"];
    if !checkout.reading(ignored).output()?.is_empty() {
        return Ok(false);
    }
    let again = take(checkout, &format!("{snapshot}^1"), true)?;
    let trees = |commit: &str| {
        let parents = format!("{commit}^@");
        let args = ["log", "--no-walk=unsorted", "--format=%T", commit, &parents];
        checkout.reading(args).output()
    };
    Ok(trees(snapshot)? == trees(&again)?)
}

/// `<mode> <oid> <stage>\t<path>` as entries for `update-index`, each below its stage.
///
/// # Errors
/// When it is something else.
fn sides(unmerged: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for entry in records(unmerged)? {
        let odd = "`git ls-files` printed a short record";
        let at = entry.iter().position(|&b| b == b'\t').context(odd)?;
        let (head, path) = (&entry[..at], &entry[at + 1..]);
        let [blob @ .., b' ', stage] = head else {
            bail!(odd);
        };
        out.extend_from_slice(&[blob, b" 0\t", &[*stage], b"/", path, b"\0"].concat());
    }
    Ok(out)
}

/// An index of our own for a worktree.
struct Index<'a> {
    dir: TempDir,
    checkout: &'a Checkout,
}

impl<'a> Index<'a> {
    fn of(checkout: &'a Checkout) -> Result<Self> {
        // git looks into them to add what has changed.
        checkout.has_nested()?;
        let dir = tempfile::tempdir().context("could not make a temporary directory")?;
        let copy = dir.path().join("index");
        admin::copy(&checkout.index(), &copy).context("could not read the index")?;
        Ok(Self { dir, checkout })
    }

    fn prepared(&self, index: &str, args: &[&str], input: Option<&[u8]>) -> Git {
        let git = self.checkout.reading(PLAIN.iter().chain(args));
        let mut git = git.env("GIT_INDEX_FILE", self.dir.path().join(index));
        for name in NAMES {
            git = git.env(name, "git flux");
        }
        for name in EMAILS {
            git = git.env(name, "git-flux@localhost");
        }
        if let Some(input) = input {
            git = git.input(input);
        }
        git
    }

    fn raw(&self, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>> {
        self.prepared("index", args, input).output()
    }

    fn git(&self, args: &[&str]) -> Result<String> {
        self.prepared("index", args, None).line()
    }

    /// The tree of `entries`, given to `git update-index -z --add <form>`.
    fn tree_of(&self, entries: &[u8], form: &str) -> Result<String> {
        let other = "other";
        let add = ["update-index", "-z", "--add", form];
        self.prepared(other, &add, Some(entries)).run()?;
        let tree = self.prepared(other, &["write-tree"], None).line()?;
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
