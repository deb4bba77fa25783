//! A repository for one merge, in which git itself makes the commit and runs the hooks of the user.
//!
//! It has the objects of the user's repository by `objects/info/alternates`, the refs as they are
//! now, `HEAD` on the branch, the user's configuration by `include`, and the ignored files of the
//! checkout as links. So a hook sees what it sees in a merge by hand; what it does to refs, index,
//! configuration, stash and files stays in here. The commit is fetched from it, and it is removed.

mod checkout_paths;
mod ignored;
mod repository;
mod settings;
mod wrappers;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::ignored::LeftOut;
use super::command::records;
use super::hooks::{Hooks, setting};
use super::merge::Conflict;
use super::{Checkout, Git, Lock, Repo};

/// Keeps hooks off where they must not run.
const NO_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

/// The repository that a scratch repository is made after.
pub(crate) struct Original<'a> {
    pub(crate) repo: &'a Repo,
    /// Where the target is checked out.
    pub(crate) checkout: Option<&'a Checkout>,
    /// The main worktree, whose configuration counts if the target is checked out nowhere; none
    /// if the repository is bare.
    pub(crate) main: Option<&'a Checkout>,
    pub(crate) hooks: &'a Hooks,
    /// Branches, and the commits at which they are to stand, wherever they are by now.
    pub(crate) branches: [(&'a str, &'a str); 2],
}

impl Original<'_> {
    /// The worktree whose configuration counts.
    fn place(&self) -> Option<&Checkout> {
        self.checkout.or(self.main)
    }

    fn top(&self) -> &Path {
        self.place().map_or(self.repo.home(), Checkout::path)
    }

    fn git_dir(&self) -> &Path {
        self.place()
            .map_or(self.repo.common_dir(), Checkout::git_dir)
    }

    /// `git <args>` that only looks.
    fn reading(&self, args: &[&str]) -> Git {
        match self.place() {
            Some(checkout) => checkout.reading(args),
            None => Git::reading(self.repo.home(), args),
        }
    }

    /// `git <args>` that only asks what is configured.
    fn asking(&self, args: &[&str]) -> Git {
        match self.place() {
            Some(checkout) => checkout.asking(args),
            None => Git::reading(self.repo.home(), args),
        }
    }
}

/// The repository, with the files of the branch that its `HEAD` names.
pub(crate) struct Scratch<'a> {
    /// The top of its worktree, which is called like the original.
    path: &'a Path,
    /// Whether the hooks run that `--no-verify` leaves out.
    verify: bool,
    /// `core.hooksPath`, if it has to be said because the caller said another by `git -c`.
    hooks_path: Option<OsString>,
    /// A tag is called like one of the branches.
    has_tag: bool,
    /// Ignored things that hooks do not see.
    pub(crate) left_out: Vec<LeftOut>,
    lock: &'a Lock,
}

impl<'a> Scratch<'a> {
    /// Makes it at `path`, which is not there, with `branch` checked out: its git directory by
    /// hand, its files by `git read-tree --reset -u HEAD`, then the links.
    ///
    /// # Errors
    /// When something cannot be written or git fails: what is there by then is for the caller to remove.
    pub(crate) fn open(
        original: &Original<'_>,
        path: &'a Path,
        branch: &str,
        verify: bool,
        lock: &'a Lock,
    ) -> Result<Self> {
        let has_tag = repository::write(original, path, branch)?;
        let hooks = settings::write(original, path, branch)?;
        let mut scratch = Self {
            path,
            verify,
            hooks_path: None,
            has_tag,
            left_out: Vec::new(),
            lock,
        };
        scratch.hooks_path = scratch.own_hooks()?;
        scratch.quietly(&[
            "read-tree",
            "--reset",
            "-u",
            "--no-recurse-submodules",
            "HEAD",
        ])?;
        if let Some(checkout) = original.checkout {
            scratch.left_out =
                ignored::link(checkout, path, original.branches.map(|(_, commit)| commit))?;
        }
        link_siblings(original.top(), path)?;
        wrappers::write(&hooks, original.top(), path)?;
        Ok(scratch)
    }

    /// `git <args>` in it, as the user would start it, but for [`Scratch::hooks_path`].
    fn git(&self, args: &[&OsStr]) -> Result<Git> {
        let own = self.hooks_path.iter();
        let own = own.flat_map(|path| [OsStr::new("-c"), path.as_os_str()]);
        let args: Vec<&OsStr> = own.chain(args.iter().copied()).collect();
        Ok(Git::new(self.path, args).holding(self.lock)?.with_hooks())
    }

    /// git without hooks.
    fn quietly(&self, args: &[&str]) -> Result<()> {
        let args: Vec<&OsStr> = NO_HOOKS.iter().chain(args).map(OsStr::new).collect();
        Git::new(self.path, args).holding(self.lock)?.run()
    }

    /// What has to be said for its own hooks to be those that run: `git rev-parse --git-path hooks`.
    ///
    /// # Errors
    /// When others would run all the same.
    fn own_hooks(&self) -> Result<Option<OsString>> {
        let own = self.path.join(".git/hooks");
        let asked = |said: &[&OsStr]| -> Result<bool> {
            let ask = ["rev-parse", "--git-path", "hooks"].map(OsStr::new);
            let found = Git::reading(self.path, said.iter().chain(&ask)).output()?;
            let found = found.strip_suffix(b"\n").unwrap_or(&found);
            let found = self.path.join(OsStr::from_bytes(found)).canonicalize();
            Ok(found.ok() == own.canonicalize().ok())
        };
        if asked(&[])? {
            return Ok(None);
        }
        let said = setting(&own);
        match asked(&[OsStr::new("-c"), &said])? {
            true => Ok(Some(said)),
            false => bail!("other hooks would run than those of the merge"),
        }
    }

    fn verified<'b>(&self, words: &[&'b str]) -> Vec<&'b OsStr> {
        let verify = (!self.verify).then_some("--no-verify");
        let words = words.iter().copied().chain(verify);
        words.map(OsStr::new).collect()
    }

    /// `git merge --no-ff --no-squash --commit --no-edit --no-log --cleanup=whitespace -F <message> <branch>`
    ///
    /// # Errors
    /// When a hook refuses or the merge fails.
    pub(crate) fn merge(&self, branch: &str, message: &Path) -> Result<String> {
        let mut args = self.verified(&[
            "merge",
            "--quiet",
            "--no-ff",
            "--no-squash",
            "--commit",
            "--no-edit",
            "--no-log",
            "--cleanup=whitespace",
        ]);
        let branch = self.named(branch);
        args.extend([OsStr::new("-F"), message.as_os_str(), OsStr::new(&branch)]);
        self.git(&args)?.loud().run()?;
        self.head()
    }

    /// `git merge --ff --squash --no-commit <branch>`, which runs no hook but `post-merge`, and
    /// `git commit --cleanup=whitespace -F <message>`.
    ///
    /// # Errors
    /// When a hook refuses or the commit fails.
    pub(crate) fn squash(&self, branch: &str, message: &Path) -> Result<String> {
        let branch = self.named(branch);
        self.quietly(&[
            "merge",
            "--quiet",
            "--ff",
            "--squash",
            "--no-commit",
            &branch,
        ])?;
        let mut args = self.verified(&["commit", "--quiet", "--cleanup=whitespace"]);
        args.extend([OsStr::new("-F"), message.as_os_str()]);
        self.git(&args)?.loud().run()?;
        self.head()
    }

    /// `git rebase <target>` of the branch that is checked out, without what configuration adds.
    ///
    /// # Errors
    /// When a hook refuses or the rebase fails.
    pub(crate) fn rebase(&self, target: &str) -> Result<String> {
        let mut args = self.verified(&[
            "rebase",
            "--no-autostash",
            "--no-rebase-merges",
            "--no-fork-point",
            "--no-update-refs",
        ]);
        let target = self.named(target);
        args.push(OsStr::new(&target));
        self.git(&args)?.loud().run()?;
        self.head()
    }

    /// A branch by the name that people use, unless that may be a tag.
    fn named(&self, branch: &str) -> String {
        match self.has_tag {
            true => format!("refs/heads/{branch}"),
            false => branch.to_owned(),
        }
    }

    /// The commit that is checked out by now: `git rev-parse --verify HEAD^{commit}`
    fn head(&self) -> Result<String> {
        Git::reading(self.path, ["rev-parse", "--verify", "HEAD^{commit}"]).line()
    }

    /// The files about which the merge could not decide: `git ls-files --unmerged -z`
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn conflicts(&self) -> Result<Vec<Conflict>> {
        let out = Git::reading(self.path, ["ls-files", "--unmerged", "-z"]).output()?;
        let mut files: Vec<Conflict> = Vec::new();
        for record in records(&out)? {
            let at = record.iter().position(|&byte| byte == b'\t');
            let at = at.context("`git ls-files` printed a short record")?;
            let path = PathBuf::from(OsStr::from_bytes(&record[at + 1..]));
            if files.iter().all(|file| file.path != path) {
                let kind = String::new();
                files.push(Conflict { path, kind });
            }
        }
        Ok(files)
    }

    /// Whether files in it are other than what is staged: what a hook has mended and not added.
    /// `git diff-files --quiet`
    pub(crate) fn has_changes(&self) -> bool {
        let args = ["-c", "core.fsmonitor=false", "diff-files", "--quiet"];
        let asked = Git::reading(self.path, args).outcome();
        asked.is_ok_and(|(code, _)| code == 1)
    }

    /// Brings a commit into the repository, where no ref leads to it yet: `git fetch <path>
    /// <commit>`, without any of what fetch does besides.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn deliver(&self, repo: &Repo, commit: &str) -> Result<()> {
        let options = [
            "-c",
            "protocol.file.allow=always",
            "-c",
            "fetch.fsckObjects=false",
            "-c",
            "transfer.fsckObjects=false",
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            "--no-tags",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
        ];
        let args = NO_HOOKS.into_iter().chain(options).map(OsStr::new);
        let args = args.chain([self.path.as_os_str(), OsStr::new(commit)]);
        Git::new(repo.home(), args).holding(self.lock)?.run()
    }
}

/// Links what lies beside the original to where it is beside the worktree at `path`: a driver, a hook or
/// the address of a remote may be `../<name>`.
fn link_siblings(top: &Path, path: &Path) -> Result<()> {
    let (Some(from), Some(to)) = (top.parent(), path.parent()) else {
        return Ok(());
    };
    // One that may be entered and not be listed shows nothing.
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let link = to.join(entry.file_name());
        if link.symlink_metadata().is_err() && entry.path() != to {
            symlink(entry.path(), &link)
                .with_context(|| format!("could not make '{}'", link.display()))?;
        }
    }
    Ok(())
}

/// Makes a directory and those above it.
fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("could not make '{}'", path.display()))
}

/// Writes a file of the repository.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("could not write '{}'", path.display()))
}
