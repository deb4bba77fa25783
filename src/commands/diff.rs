//! `git flux diff`

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose};
use crate::failure::Failure;
use crate::git::{Distrust, Git, admin, others};
use crate::lifecycle::Flux;
use crate::lifecycle::broken::Broken;
use crate::lifecycle::elsewhere::ensure_here;
use crate::store::Store;
use crate::task::Task;
use crate::ui::{Ui, word};

/// Show what a task changed since its base, uncommitted and untracked included
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The task: its id or a part of it, its branch or its worktree
    #[arg(add = ArgValueCompleter::new(candidates::task_then_files))]
    task: Option<String>,
    /// Arguments for git diff
    #[arg(last = true, value_name = "GIT DIFF ARGS", add = ArgValueCompleter::new(candidates::files))]
    args: Vec<OsString>,
}

impl Diff {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let task = choose(&flux, &store, self.task.as_deref(), "diff")?.readable()?;
        ensure_here(&flux, task)?;
        if let Some(broken) = Broken::find(&flux, task)? {
            // What it has committed can be seen all the same.
            let committed = store.tip(&task.branch).map(|_| {
                let (base, branch) = (word(&task.base), word(&task.branch));
                format!("what it has committed: git diff {base} {branch}")
            });
            let failure = broken.failure();
            return Err(committed.into_iter().fold(failure, Failure::hint).into());
        }
        match show(&flux, task, &task.base, self.args)? {
            0 => Ok(()),
            // --exit-code, or a wrong option: git has said what it had to say.
            code => Err(Failure::new(String::new())
                .code(u8::try_from(code).unwrap_or(1))
                .into()),
        }
    }
}

/// Shows what the worktree of a task has that the commit `since` has not, untracked
/// files included, through git's pager; returns git's exit code.
///
/// # Errors
/// When git fails.
pub(super) fn show(flux: &Flux, task: &Task, since: &str, args: Vec<OsString>) -> Result<i32> {
    // Untracked files are in a diff once an index knows of them: an index of our own.
    let scratch = tempfile::tempdir().context("could not make a temporary directory")?;
    let index = scratch.path().join("index");
    let checkout = flux.repo.checkout(&task.worktree)?;
    let untracked = others::untracked(&checkout)?;
    let mut git = vec![OsString::from("diff"), since.into()];
    match checkout.has_nested() {
        Ok(true) => {}
        Ok(false) => git.push("--ignore-submodules=dirty".into()),
        Err(error) if error.is::<Distrust>() => {
            // git would run itself in it.
            let options = ["--ignore-submodules=dirty", "--submodule=short"];
            git.extend(options.map(OsString::from));
            flux.ui.warning(format_args!(
                "what is uncommitted in submodules is not shown: {error:#}"
            ));
        }
        Err(error) => return Err(error),
    }
    git.extend(args);
    // What is shown may have to be fetched first.
    let diff = checkout.reading(git).env("GIT_NO_LAZY_FETCH", "0");
    if untracked.is_empty() {
        return diff.in_foreground();
    }
    // The object that stands for an untracked file goes aside too.
    let objects = scratch.path().join("objects");
    fs::create_dir(&objects).context("could not make a temporary directory")?;
    let known_objects = c_quoted(&flux.repo.common_dir().join("objects"));
    let aside = |git: Git| {
        git.env("GIT_INDEX_FILE", &index)
            .env("GIT_OBJECT_DIRECTORY", &objects)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &known_objects)
    };
    let known = checkout.git_dir().join("index");
    admin::copy(&known, &index).with_context(|| format!("could not read '{}'", known.display()))?;
    let mut paths = Vec::new();
    for path in &untracked {
        paths.extend_from_slice(path.as_os_str().as_bytes());
        paths.push(0);
    }
    let add = [
        "--literal-pathspecs",
        "add",
        "--intent-to-add",
        "--sparse",
        "--pathspec-from-file=-",
        "--pathspec-file-nul",
    ];
    aside(checkout.reading(add)).input(paths).run()?;
    aside(diff).in_foreground()
}

/// A path as git reads it from a list that is separated by colons.
fn c_quoted(path: &Path) -> OsString {
    let mut quoted = vec![b'"'];
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}
