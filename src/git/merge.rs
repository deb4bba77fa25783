//! Merges, built off-tree: a conflict touches nothing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::command::{failed, patiently};
use super::{Git, Lock, Repo, admin, worktree};

/// What merging a task's tip into its target would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergePlan {
    /// The target has everything of the task.
    UpToDate,
    /// The target has not moved: nothing can conflict, the tree is the task's own.
    FastForward { commits: usize },
    /// Both have moved, and git can merge them to this tree.
    Merge { commits: usize, tree: String },
    /// Both have changed the same lines of these files.
    Conflicts { files: Vec<PathBuf> },
}

impl MergePlan {
    /// Compares histories, and if both moved asks
    /// `git merge-tree --write-tree --name-only --no-messages -z <target> <tip>`.
    ///
    /// # Errors
    /// When one of the commits is missing or git fails.
    pub(crate) fn make(repo: &Repo, target: &str, tip: &str) -> Result<Self> {
        let (commits, behind) = repo.ahead_behind(tip, target)?;
        if commits == 0 {
            return Ok(Self::UpToDate);
        }
        if behind == 0 {
            return Ok(Self::FastForward { commits });
        }
        let args = [
            "merge-tree",
            "--write-tree",
            "--name-only",
            "--no-messages",
            "-z",
            target,
            tip,
        ];
        let (code, output) = Git::reading(repo.home(), args).outcome()?;
        let mut fields = output.stdout.split(|&b| b == 0).filter(|f| !f.is_empty());
        match code {
            0 => {
                let tree = fields.next().context("`git merge-tree` printed nothing")?;
                let tree = String::from_utf8(tree.to_vec())?;
                // Squashed or picked: the target has all of it, under other names.
                if tree == repo.tree_of(target)? {
                    return Ok(Self::UpToDate);
                }
                Ok(Self::Merge { commits, tree })
            }
            1 if output.stderr.is_empty() || fields.clone().count() > 1 => Ok(Self::Conflicts {
                files: fields
                    .skip(1)
                    .map(|f| OsString::from_vec(f.to_vec()).into())
                    .collect(),
            }),
            _ => Err(failed("git merge-tree", code, &output.stderr)),
        }
    }
}

/// Makes the merge commit, which nothing refers to yet:
/// `git commit-tree [-S] -p <target> -p <tip> <tree>`.
///
/// # Errors
/// When git fails, for want of an identity or a signature.
pub(crate) fn commit(
    dir: &Path,
    tree: &str,
    parents: [&str; 2],
    message: &str,
    sign: bool,
    lock: &Lock,
) -> Result<String> {
    let mut args = vec!["commit-tree"];
    // commit-tree alone ignores commit.gpgSign.
    if sign {
        args.push("-S");
    }
    args.extend(["-p", parents[0], "-p", parents[1], "-m", message, tree]);
    let out = Git::new(dir, args).holding(lock)?.output()?;
    Ok(String::from_utf8(out)?.trim_end().to_owned())
}

/// Keeps hooks off where they must not run.
const NO_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

/// Makes a temporary detached worktree for a merge: `git worktree add --detach <scratch> <target>`.
/// The caller holds the repository's lock.
///
/// # Errors
/// When git fails.
pub(crate) fn open_scratch(repo: &Repo, scratch: &Path, target: &str, lock: &Lock) -> Result<()> {
    if scratch.exists() {
        worktree::clear(repo.home(), scratch, lock)?;
    }
    let add = NO_HOOKS
        .into_iter()
        .chain(["worktree", "add", "--quiet", "--detach"])
        .map(OsStr::new);
    let add = add.chain([scratch.as_os_str(), OsStr::new(target)]);
    Git::new(repo.home(), add).holding(lock)?.run()
}

/// Makes the merge commit with the hooks that a merge runs, in the temporary
/// worktree at `scratch`: `git merge --no-ff --no-commit <tip>`, then
/// `git hook run` of `pre-merge-commit`, `prepare-commit-msg` and `commit-msg`, then
/// `git commit`. `post-checkout` and `post-merge` are for the user's worktree, not for this one.
///
/// # Errors
/// When a hook refuses or the merge fails.
pub(crate) fn commit_with_hooks(
    repo: &Repo,
    scratch: &Path,
    tip: &str,
    message: &str,
    lock: &Lock,
) -> Result<String> {
    fn words<'a>(args: &[&'a str]) -> Vec<&'a OsStr> {
        args.iter().map(|&arg| OsStr::new(arg)).collect()
    }
    let git = |args: &[&OsStr]| Git::new(scratch, args).env("GIT_EDITOR", ":").holding(lock);
    let quiet = |args: &[&OsStr]| git(&[&words(&NO_HOOKS), args].concat());
    quiet(&words(&["merge", "--quiet", "--no-ff", "--no-commit", tip]))?.run()?;
    let file = admin::index(repo.common_dir(), scratch)?.with_file_name("MERGE_MSG");
    fs::write(&file, message).context("could not write the message of the merge")?;
    let file = file.as_os_str();
    let hook = |name: &str, args: &[&OsStr]| {
        let hook = words(&["hook", "run", "--ignore-missing", name, "--"]);
        git(&[&hook, args].concat())?.loud().run()
    };
    hook("pre-merge-commit", &[])?;
    hook("prepare-commit-msg", &[file, OsStr::new("merge")])?;
    hook("commit-msg", &[file])?;
    let commit = words(&["commit", "--quiet", "--cleanup=whitespace", "-F"]);
    quiet(&[&commit, &[file][..]].concat())?.run()?;
    let head = Git::reading(scratch, ["rev-parse", "--verify", "HEAD^{commit}"]).output()?;
    Ok(String::from_utf8(head)?.trim_end().to_owned())
}

/// Moves the branch checked out in `worktree` forward to `commit`, files and all:
/// `git merge --ff-only --no-squash --commit --no-autostash --no-overwrite-ignore <commit>`.
///
/// # Errors
/// When a change or file of the user's is in the way: then nothing has changed.
pub(crate) fn forward_checked_out(worktree: &Path, commit: &str, lock: &Lock) -> Result<()> {
    let args = [
        "merge",
        "--quiet",
        "--ff-only",
        // Against branch.<name>.mergeOptions.
        "--no-squash",
        "--commit",
        "--no-autostash",
        "--no-overwrite-ignore",
        commit,
    ];
    Git::new(worktree, args)
        .env("GIT_REFLOG_ACTION", "flux cleanup")
        .shielded()
        .holding(lock)?
        .loud()
        .run()
}

/// `git fetch` into a branch of this very repository, without any of what fetch does besides.
const FETCH: [&str; 8] = [
    "fetch",
    "--quiet",
    "--no-prune",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-tags",
    ".",
];

/// Moves a branch that is checked out nowhere forward to `commit`:
/// `git fetch . <commit>:refs/heads/<branch>`, which refuses one that a rebase or bisect is using.
///
/// # Errors
/// When it is in use, or has moved meanwhile.
pub(crate) fn forward_elsewhere(dir: &Path, branch: &str, commit: &str, lock: &Lock) -> Result<()> {
    let spec = format!("{commit}:refs/heads/{branch}");
    let args = FETCH.into_iter().chain([spec.as_str()]);
    Git::new(dir, args)
        .env("GIT_REFLOG_ACTION", "flux cleanup")
        .shielded()
        .holding(lock)?
        .run()
}

/// Fails if a rebase, a bisect or a worktree is using the branch, which stands
/// at `tip`: `git fetch --dry-run . <tip>:refs/heads/<branch>`.
///
/// # Errors
/// What git says of who uses it.
pub(crate) fn ensure_unused(dir: &Path, branch: &str, tip: &str) -> Result<()> {
    let spec = format!("{tip}:refs/heads/{branch}");
    let (verb, options) = FETCH.split_at(1);
    let args = verb.iter().chain(&["--dry-run"]).chain(options).copied();
    let args: Vec<&str> = args.chain([spec.as_str()]).collect();
    patiently(|| Git::reading(dir, &args)).map(drop)
}

/// Commits everything in the worktree at `dir`, whose branch stands at `tip`, with hooks and signing as usual:
/// `git add --all`, `git commit -m <message>`.
///
/// # Errors
/// When git or a hook refuses: then the index is what it was.
pub(crate) fn commit_all(
    repo: &Repo,
    dir: &Path,
    tip: &str,
    message: &str,
    lock: &Lock,
) -> Result<()> {
    let index = admin::index(repo.common_dir(), dir)?;
    let before = index.with_file_name("index.before-flux");
    fs::copy(&index, &before).context("could not keep the index")?;
    let git = |args: &[&str]| Git::new(dir, args).env("GIT_EDITOR", ":").holding(lock);
    let committed = git(&["add", "--all"])
        .and_then(Git::run)
        .and_then(|()| git(&["commit", "--quiet", "-m", message])?.loud().run());
    if committed.is_err() {
        // A commit that was made and then failed has an index of its own.
        if super::changes::Head::and_changes(dir, false)?.0.oid != tip {
            return committed;
        }
        fs::rename(&before, &index).context("could not put the index back")?;
        return committed;
    }
    fs::remove_file(&before).context("could not remove a copy of the index")?;
    if !super::changes(dir, false)?.is_empty() {
        bail!(
            "there are changes in '{}' that `git commit` left behind",
            dir.display()
        );
    }
    Ok(())
}
