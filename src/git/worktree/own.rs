//! What goes with a worktree and its branch, unless it is kept: refs that the worktree has for
//! itself, and commits that are in nothing but its logs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::git::worktree::admin;
use crate::git::{Git, ObjectId, Repo, refs};
use crate::system::optional;
use crate::system::regular_file::read_file;
use crate::task::RefName;
use crate::task::check::OWN;
pub(crate) use crate::task::check::REFLOG;

/// What has to be kept of the worktree at `path`, with `branch` at `tip`, each with its name
/// in an archive: its refs without `refs/`, and [`REFLOG`], a commit whose parents are those
/// that no ref has.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn find(
    repo: &Repo,
    path: &Path,
    branch: &str,
    tip: &ObjectId,
) -> Result<Vec<(String, ObjectId)>> {
    let common = repo.common_dir();
    let Some(admin) = admin::dir_of(common, path)? else {
        return Ok(Vec::new());
    };
    let log = Logs {
        repo,
        admin: &admin,
        has_tables: fs::exists(admin.join("reftable")).context("could not look for refs")?,
    };
    let own = log.own_refs()?;
    let mut commits = log.commits(branch)?;
    let mut history = repo.history();
    let is_reached = |(ahead, _)| ahead == 0;
    commits.retain(|commit| !history.ahead_behind(commit, tip).is_ok_and(is_reached));
    let lost = heads(repo.home(), commits)?;
    let part = |(name, oid): (RefName, ObjectId)| (name.replacen("refs/", "", 1), oid);
    let mut found: Vec<_> = own.into_iter().map(part).collect();
    if !lost.is_empty() {
        let lost: Vec<&ObjectId> = lost.iter().collect();
        let all = repo.write_commit(&repo.tree_of(tip)?, &lost)?;
        found.push((REFLOG.to_owned(), all));
    }
    Ok(found)
}

/// What git keeps of a worktree's refs.
struct Logs<'a> {
    repo: &'a Repo,
    admin: &'a Path,
    /// They are in tables, and not in files.
    has_tables: bool,
}

impl Logs<'_> {
    /// git in the administrative directory itself would go where that leads.
    fn git(&self, subcommand: &str) -> Git {
        let git = Git::reading(self.repo.home(), subcommand).env("GIT_DIR", self.admin);
        git.env("GIT_COMMON_DIR", self.repo.common_dir())
    }

    /// The refs that the worktree has for itself.
    fn own_refs(&self) -> Result<BTreeMap<RefName, ObjectId>> {
        let is_there = OWN.iter().map(|name| fs::exists(self.admin.join(name)));
        let is_there: Vec<bool> = is_there
            .collect::<Result<_, _>>()
            .context("could not look for refs")?;
        if !self.has_tables && !is_there.contains(&true) {
            return Ok(BTreeMap::new());
        }
        let list = self.git("for-each-ref").args(refs::ASK).args(OWN);
        Ok(refs::parse(&list.output()?)?.objects)
    }

    /// The commits that the logs of `HEAD` and of the branch name. Those in files are read: git fails
    /// at the log of a `HEAD` that has no commit by now.
    fn commits(&self, branch: &str) -> Result<BTreeSet<ObjectId>> {
        if self.has_tables {
            let walk = self.git("rev-list").args(["--walk-reflogs", "HEAD"]);
            let log = walk.arg(format!("refs/heads/{branch}")).output()?;
            return Ok(lines(&log)?.map(named).collect());
        }
        let of_branch = self.repo.common_dir().join("logs/refs/heads").join(branch);
        let mut commits = logged(&self.admin.join("logs/HEAD"))?;
        commits.extend(logged(&of_branch)?);
        Ok(commits)
    }
}

fn named(name: &str) -> ObjectId {
    name.to_owned().into()
}

/// The lines that `git rev-list` printed.
///
/// # Errors
/// When the last one is cut off.
fn lines(out: &[u8]) -> Result<impl Iterator<Item = &str>> {
    let out = std::str::from_utf8(out)?;
    if !(out.is_empty() || out.ends_with('\n')) {
        bail!("`git rev-list` printed half a line");
    }
    Ok(out.lines())
}

/// The objects that a log names: `<old> <new> <who> <when>\t<why>`
fn logged(log: &Path) -> Result<BTreeSet<ObjectId>> {
    let text = optional(read_file(log))
        .with_context(|| format!("could not read '{}'", log.display()))?
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let names = text.lines().flat_map(|line| line.split(' ').take(2));
    // None is called so: before the first.
    let real = |name: &&str| name.bytes().any(|b| b != b'0');
    Ok(names.filter(real).map(named).collect())
}

/// Those of `commits` and their forefathers that no ref reaches, nor another of them. What is
/// no longer there is left out: `git rev-list --ignore-missing --parents <commits> --not --single-worktree --all`
fn heads(home: &Path, commits: BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>> {
    if commits.is_empty() {
        return Ok(commits);
    }
    let git = Git::reading(home, "rev-list");
    let git = git.args(["--ignore-missing", "--parents", "--stdin"]);
    // The refs of other worktrees come and go with them.
    let git = git.args(["--not", "--single-worktree", "--all"]);
    let commits = commits.into_iter().map(|commit| format!("{commit}\n"));
    let out = git.input(commits.collect::<String>()).output()?;
    let mut heads = BTreeSet::new();
    let mut parents = BTreeSet::new();
    for line in lines(&out)? {
        let mut names = line.split(' ');
        heads.extend(names.next());
        parents.extend(names);
    }
    let heads = heads.difference(&parents);
    Ok(heads.map(|head| named(head)).collect())
}
