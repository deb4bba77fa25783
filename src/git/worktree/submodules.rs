//! Submodules of a worktree.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::git::changes::{Ignored, changes};
use crate::git::checkout::gitfile::{list_dir, lstat};
use crate::git::worktree::admin;
use crate::git::{Checkout, Repo};
use crate::system::regular_file::read_file;

/// The repository of a submodule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submodule {
    /// Its path in the worktree, or git's name for it if it is not checked out.
    pub(crate) name: PathBuf,
    /// Its work tree, or its git directory if it is not checked out.
    pub(crate) dir: PathBuf,
    pub(crate) is_checked_out: bool,
    pub(crate) holds: Unsaved,
}

/// The content of a submodule that is nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsaved {
    Nothing,
    /// Commits that are in no remote-tracking branch.
    Commits,
    /// Uncommitted files.
    Files,
    /// Other worktrees.
    Worktrees,
    /// Its whole repository, which is inside the worktree.
    Itself,
}

/// Lists the repositories of submodules of the worktree at `dir`, with what each has that is
/// nowhere else: checked out ones, nested ones, and those only left in the worktree's
/// administrative directory, even if `dir` is missing.
pub(crate) fn list(repo: &Repo, dir: &Path) -> Result<Vec<Submodule>> {
    let mut search = SubmoduleSearch::default();
    if fs::exists(dir).with_context(|| format!("could not access '{}'", dir.display()))? {
        let checkout = repo.checkout(dir)?;
        search.find_checked_out(&checkout, Path::new(""))?;
    }
    if let Some(admin) = admin::find_dir(repo.common_dir(), dir)? {
        let modules = admin.join("modules");
        let what = || format!("could not access '{}'", modules.display());
        if fs::exists(&modules).with_context(what)? {
            search.find_stored(&modules, &modules)?;
        }
    }
    Ok(search.found)
}

/// The submodules found so far.
#[derive(Default)]
struct SubmoduleSearch {
    found: Vec<Submodule>,
    /// The git directories of the ones that are checked out.
    seen: BTreeSet<PathBuf>,
}

impl SubmoduleSearch {
    /// Adds to `found` the checked out submodules that the index of `checkout` names, and those
    /// inside them, except inside one whose `.git` is a directory. The name of each is its path
    /// with `at` in front. Leaves out a submodule that the commit has and the index has not: it
    /// counts as an untracked repository.
    fn find_checked_out(&mut self, checkout: &Checkout, at: &Path) -> Result<()> {
        for link in checkout.list_gitlinks()? {
            let name = at.join(&link);
            self.add_checked_out(&checkout.path().join(link), &name)?;
        }
        Ok(())
    }

    fn add_checked_out(&mut self, dir: &Path, name: &Path) -> Result<()> {
        let what = || format!("could not access the submodule '{}'", name.display());
        let inner = match dir.join(".git").is_dir() {
            true => None,
            // git does not follow a symbolic link.
            false => match Checkout::nested(dir)? {
                None => return Ok(()),
                inner => inner,
            },
        };
        let holds = match &inner {
            None => Unsaved::Itself,
            Some(inner) if !changes(inner, Ignored::LeftOut)?.is_empty() => Unsaved::Files,
            Some(inner) => find_unsaved(inner).with_context(what)?,
        };
        self.found.push(Submodule {
            name: name.to_owned(),
            dir: dir.to_owned(),
            is_checked_out: true,
            holds,
        });
        let Some(inner) = inner else { return Ok(()) };
        let repository = inner.git_dir().canonicalize();
        match self.seen.insert(repository.with_context(what)?) {
            true => self.find_checked_out(&inner, name),
            false => Ok(()),
        }
    }

    /// Adds to `found` the repositories in `dir`, at any depth, that belong to no checked out
    /// submodule. `dir` is `modules` or a directory inside it. The name of each is its path from
    /// `modules`, which may contain slashes.
    fn find_stored(&mut self, modules: &Path, dir: &Path) -> Result<()> {
        let what = || format!("could not access the submodules in '{}'", dir.display());
        for dir in list_dir(dir)? {
            if !lstat(&dir)?.is_some_and(|found| found.is_dir()) {
                continue;
            }
            if !dir.join("HEAD").try_exists().with_context(what)? {
                self.find_stored(modules, &dir)?;
                continue;
            }
            if !self.seen.contains(&dir.canonicalize().with_context(what)?) {
                // Its configured work tree may be missing.
                let stored = Checkout::stored(&dir, &dir)?;
                self.found.push(Submodule {
                    name: dir.strip_prefix(modules).unwrap_or(&dir).to_owned(),
                    dir: dir.clone(),
                    is_checked_out: false,
                    holds: find_unsaved(&stored).with_context(what)?,
                });
            }
            let inner = dir.join("modules");
            if inner.try_exists().with_context(what)? {
                self.find_stored(modules, &inner)?;
            }
        }
        Ok(())
    }
}

/// Returns what a submodule's repository has that is nowhere else: other worktrees, which a move
/// would break, or commits of `HEAD`, branches or the stash in no remote-tracking branch: `git
/// rev-list --count --max-count=1 HEAD --branches --glob=refs/stas[h] --not --remotes`
fn find_unsaved(repository: &Checkout) -> Result<Unsaved> {
    if !list_dir(&repository.git_dir().join("worktrees"))?.is_empty() {
        return Ok(Unsaved::Worktrees);
    }
    let git = repository.reading().words("rev-list --count --max-count=1");
    let git = git.words("--ignore-missing HEAD --branches --glob=refs/stas[h] --not --remotes");
    Ok(match git.line()?.as_str() {
        "0" => Unsaved::Nothing,
        _ => Unsaved::Commits,
    })
}

/// Moves the directory `modules`, with the repositories of all submodules, from the administrative
/// directory `admin` to `trash`. Does nothing if there is no `modules`.
pub(in crate::git) fn move_to_trash(admin: &Path, trash: &Path) -> Result<()> {
    let modules = admin.join("modules");
    // The error of a rename would not always be "not found".
    if let Ok(None) = lstat(&modules) {
        return Ok(());
    }
    let moved = fs::rename(modules, trash.join("modules"));
    moved.context("could not save the submodules")
}

/// Moves the directory `modules`, with the repositories of all submodules, from `trash` back to the
/// administrative directory `admin`, if `trash` has it. `admin` must have its old name: submodules
/// contain that path.
///
/// # Errors
/// If git has registered the worktree under another name.
pub(in crate::git) fn restore(admin: &Path, trash: &Path) -> Result<()> {
    let kept = trash.join("modules");
    if !fs::exists(&kept).with_context(|| format!("could not access '{}'", kept.display()))? {
        return Ok(());
    }
    let link = read_file(&trash.join("worktree").join(".git"))?;
    let named = Path::new(OsStr::from_bytes(link.trim_ascii_end()));
    if named.file_name() != admin.file_name() {
        let (named, admin) = (named.display(), admin.display());
        bail!("its submodules need '{named}', but git uses '{admin}' now");
    }
    fs::rename(kept, admin.join("modules")).context("could not restore the submodules")
}
