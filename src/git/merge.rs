//! Merges, built off-tree: a conflict touches nothing.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::command::{failed, joined};
use super::{Git, Lock, Repo};

/// What merging a task's tip into its target would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergePlan {
    /// The target has every commit of the task.
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
                Ok(Self::Merge {
                    commits,
                    tree: String::from_utf8(tree.to_vec())?,
                })
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

/// Makes the merge commit with the user's hooks and merge settings, in a
/// temporary detached worktree at `scratch`: `git merge --no-ff -m <message> <tip>`.
///
/// # Errors
/// When a hook refuses or the merge fails; the temporary worktree is removed either way.
pub(crate) fn commit_with_hooks(
    repo: &Repo,
    scratch: &Path,
    parents: [&str; 2],
    message: &str,
    lock: &Lock,
) -> Result<String> {
    let args = ["worktree", "add", "--quiet", "--detach"].map(OsStr::new);
    let args = args
        .into_iter()
        .chain([scratch.as_os_str(), OsStr::new(parents[0])]);
    Git::new(repo.home(), args).holding(lock)?.run()?;
    let merged = (|| {
        let merge = [
            "merge",
            "--quiet",
            "--no-ff",
            "--no-edit",
            "-m",
            message,
            parents[1],
        ];
        Git::new(scratch, merge)
            .env("GIT_EDITOR", ":")
            .holding(lock)?
            .loud()
            .run()?;
        let head = Git::reading(scratch, ["rev-parse", "--verify", "HEAD^{commit}"]).output()?;
        Ok(String::from_utf8(head)?.trim_end().to_owned())
    })();
    super::worktree::discard(repo.home(), scratch, lock)?;
    merged
}

/// Moves the branch checked out in `worktree` forward to `commit`, files and all:
/// `git merge --ff-only --no-autostash --no-overwrite-ignore <commit>`.
///
/// # Errors
/// When a change or file of the user's is in the way: then nothing has changed.
pub(crate) fn forward_checked_out(worktree: &Path, commit: &str, lock: &Lock) -> Result<()> {
    let args = [
        "merge",
        "--quiet",
        "--ff-only",
        "--no-autostash",
        "--no-overwrite-ignore",
        commit,
    ];
    Git::new(worktree, args)
        .env("GIT_REFLOG_ACTION", "flux cleanup")
        .holding(lock)?
        .loud()
        .run()
}

/// Moves a branch that is checked out nowhere forward to `commit`:
/// `git fetch . <commit>:refs/heads/<branch>`, which refuses one that a rebase or bisect is using.
///
/// # Errors
/// When it is in use, or has moved meanwhile.
pub(crate) fn forward_elsewhere(dir: &Path, branch: &str, commit: &str, lock: &Lock) -> Result<()> {
    let spec = joined(commit, joined(":refs/heads/", branch));
    let args = [
        "fetch",
        "--quiet",
        "--no-prune",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-recurse-submodules",
        "--no-tags",
        ".",
    ];
    let args = args.map(OsStr::new).into_iter().chain([spec.as_os_str()]);
    Git::new(dir, args)
        .env("GIT_REFLOG_ACTION", "flux cleanup")
        .holding(lock)?
        .run()
}

/// Commits everything in the worktree at `dir`, with hooks and signing as usual:
/// `git add --all`, `git commit -m <message>`.
///
/// # Errors
/// When git or a hook refuses.
pub(crate) fn commit_all(dir: &Path, message: &str, lock: &Lock) -> Result<()> {
    Git::new(dir, ["add", "--all"]).holding(lock)?.run()?;
    let (code, output) = Git::new(dir, ["commit", "--quiet", "-m", message])
        .env("GIT_EDITOR", ":")
        .holding(lock)?
        .outcome()?;
    if code != 0 {
        return Err(failed("git commit", code, &output.stderr));
    }
    if !super::changes(dir, false)?.is_empty() {
        bail!(
            "there are changes in '{}' that `git commit` left behind",
            dir.display()
        );
    }
    Ok(())
}
