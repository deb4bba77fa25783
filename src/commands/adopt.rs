//! `git flux adopt`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::layout::Layouts;
use super::run::branch::{Chosen, origin};
use super::{candidates, early, resume, settled};
use crate::agent::prompt;
use crate::failure::Failure;
use crate::git::{Worktree, admin, refs, worktree};
use crate::lifecycle::Flux;
use crate::lifecycle::check::ensure_idle;
use crate::lifecycle::checked_out::{BranchUses, ensure_main_is_known};
use crate::lifecycle::rejoin;
use crate::lifecycle::resume::{adopt, resume as start};
use crate::lifecycle::start::exists;
use crate::settings::table;
use crate::store::{Store, Stored};
use crate::system::clock::seconds;
use crate::task::record::VERSION;
use crate::task::{Existing, Phase, Rest, Task, TaskId};
use crate::ui::{Ui, quoted, shown, word};

/// Make a task of a worktree that is there already
#[derive(Debug, Args)]
pub(crate) struct Adopt {
    /// The worktree
    #[arg(add = ArgValueCompleter::new(candidates::worktrees))]
    path: PathBuf,
    /// The agent that works on it
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(candidates::agents))]
    agent: Option<String>,
    /// Merge into this branch at cleanup, instead of the one you stand on
    #[arg(long, value_name = "BRANCH", add = ArgValueCompleter::new(candidates::branches))]
    into: Option<String>,
    /// The task's id, instead of one made from its description or its branch
    #[arg(long, value_name = "ID")]
    name: Option<String>,
    #[command(flatten)]
    layouts: Layouts,
    /// Be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// What is to be done; without it no agent is started
    task: Vec<OsString>,
}

impl Adopt {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        let store = settled(&flux)?;
        let worktrees = worktree::list(flux.repo.home())?;
        ensure_main_is_known(&flux, &worktrees)?;
        let real = real(&self.path)?;
        if let Some(Stored { id, .. }) = rejoin::find(&flux, &store, &worktrees, &real)? {
            rejoin::rejoin(&flux, id, &real)?;
            flux.ui.status(format_args!(
                "'{}' is the worktree of '{id}' again",
                shown(&real)
            ));
            flux.ui.hint(format_args!("git flux status {id}"));
            return Ok(());
        }
        let entry = find(&flux, &store, &worktrees, &self.path, &real)?;
        let description = self.task.join(&OsString::from(" ")).into_encoded_bytes();
        let task = self.settle(&flux, &store, &worktrees, entry, &description)?;
        let work = match description.is_empty() {
            true => None,
            false => {
                self.layouts.place(&flux, &task.id)?;
                Some(resume::over(&flux, &task, &description)?)
            }
        };
        adopt(&flux, &task, &description)?;
        let id = &task.id;
        flux.ui.status(format_args!(
            "adopted '{}' as '{id}'; its branch '{}' stays when the task goes",
            shown(&task.worktree),
            task.branch
        ));
        let Some(work) = work else {
            if flux.ui.quiet {
                return flux.ui.data(id);
            }
            flux.ui.hint(format_args!(
                "git flux attach {id}, git flux diff {id}, git flux cleanup {id}"
            ));
            return Ok(());
        };
        let started = start(&flux, id, &work, || self.layouts.place(&flux, id));
        let started = started.with_context(|| {
            Failure::new(format!(
                "'{id}' is a task now, but its agent was not started"
            ))
            .hint(format!("git flux resume {id} --over"))
        })?;
        resume::tell(&flux, &started, "started")?;
        early::ensure_not_ended(&flux, &started)
    }

    /// The task that is to be.
    fn settle(
        &self,
        flux: &Flux,
        store: &Store,
        worktrees: &[Worktree],
        entry: &Worktree,
        description: &[u8],
    ) -> Result<Task> {
        let path = quoted(&entry.path);
        let Some(name) = entry.branch.as_deref() else {
            // A rebase puts the branch aside.
            ensure_idle(&flux.repo.checkout(&entry.path)?)?;
            let shown = shown(&entry.path);
            return Err(Failure::new(format!("'{shown}' has no branch checked out"))
                .hint(format!("git -C {path} switch -c <branch>"))
                .into());
        };
        let branch = refs::short(name);
        ensure_alone(flux, store, worktrees, entry, branch)?;
        let tip = store.tip(branch).with_context(|| {
            Failure::new(format!("there is no commit on '{branch}' yet")).hint(format!(
                "git -C {path} commit --allow-empty -m 'Initial commit'"
            ))
        })?;
        let agent = match &self.agent {
            Some(name) => name.clone(),
            None => flux.settings.agent().to_owned(),
        };
        if self.agent.is_some() {
            flux.settings.find_agent(&agent)?;
        }
        let title = match prompt::title(description) {
            title if title.is_empty() => branch.to_owned(),
            title => title,
        };
        let id: TaskId = match &self.name {
            Some(name) => name.parse()?,
            None => TaskId::from_description(&title, &mut rand::rng()),
        };
        store.ensure_not_foreign(&flux.repo, id.as_str())?;
        if store.tasks.iter().any(|stored| stored.id == id) {
            return Err(exists(id.as_str()).into());
        }
        let existing = Existing {
            tip: tip.to_owned(),
            made: false,
            adopted: true,
            rest: Rest::default(),
        };
        let chosen = Chosen {
            name: branch.to_owned(),
            existing: existing.clone(),
            upstream: None,
        };
        let into = self.into(flux, store, branch)?;
        let into = match into {
            Some(into) => Some(into),
            None => standing(flux, worktrees, entry)?,
        };
        let (base, into) = origin(flux, store, &chosen, into.as_deref())?;
        Ok(Task {
            version: VERSION,
            id,
            title,
            phase: Phase::Starting,
            agent,
            agent_args: Vec::new(),
            branch: branch.to_owned(),
            base,
            into,
            worktree: entry.path.clone(),
            directory: None,
            created: seconds(),
            port: None,
            target: None,
            removal: None,
            restored: None,
            existing: Some(existing),
            carried: None,
            rest: Rest::default(),
        })
    }

    /// The branch that --into names.
    fn into(&self, flux: &Flux, store: &Store, branch: &str) -> Result<Option<String>> {
        let Some(into) = &self.into else {
            return Ok(None);
        };
        let into = store.resolve(refs::short(into))?;
        if store.tip(into).is_none() {
            return Err(Failure::new(format!("there is no branch '{into}'"))
                .hint("git branch")
                .into());
        }
        if into == branch {
            return Err(Failure::new(format!("'{branch}' cannot be merged into itself")).into());
        }
        let settings = &flux.settings;
        let configured = settings.of_branch(branch, &table::BRANCH_INTO);
        // The configuration goes before what a record says.
        match configured.or_else(|| settings.into()) {
            Some(other) if store.resolve(refs::short(other))? != into => Err(Failure::new(
                format!("'{branch}' is configured to go to '{other}'"),
            )
            .hint(format!(
                "git config branch.{}.fluxInto {}",
                word(branch),
                word(into)
            ))
            .into()),
            _ => Ok(Some(into.to_owned())),
        }
    }
}

/// The branch the user stands on; in the worktree itself that of the main worktree.
fn standing(flux: &Flux, worktrees: &[Worktree], entry: &Worktree) -> Result<Option<String>> {
    let inside = flux.repo.current() == Some(entry.path.as_path());
    let here = match inside {
        true => worktrees.first(),
        false => worktrees
            .iter()
            .find(|other| Some(other.path.as_path()) == flux.repo.current()),
    };
    match here {
        Some(here) => Ok(here.branch.clone()),
        // Of a bare repository and of a submodule git does not list it.
        None if !inside => flux.repo.head(),
        None => Ok(None),
    }
}

/// # Errors
/// When the branch is another task's, or checked out or in use in another worktree as well.
fn ensure_alone(
    flux: &Flux,
    store: &Store,
    worktrees: &[Worktree],
    entry: &Worktree,
    branch: &str,
) -> Result<()> {
    let has = |task: &&Task| task.branch == branch;
    let mut tasks = store.tasks.iter().filter_map(|one| one.task.as_ref().ok());
    if let Some(task) = tasks.find(has) {
        let id = &task.id;
        return Err(
            Failure::new(format!("'{branch}' is the branch of the task '{id}'"))
                .hint(format!("git flux attach {id}"))
                .into(),
        );
    }
    store.ensure_known(&flux.settings, branch)?;
    let uses = BranchUses::find(flux, store, worktrees, branch)?.except(&entry.path);
    match uses.worktree() {
        Some(other) => Err(Failure::new(format!(
            "'{branch}' is checked out in '{}' as well",
            shown(other)
        ))
        .hint(format!("git -C {} switch -c <branch>", quoted(&entry.path)))
        .into()),
        None => uses.ensure_none(),
    }
}

/// The path without links, whose directory may be gone while its own is there still.
fn real(path: &Path) -> Result<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let whole = std::path::absolute(path).context("could not tell where that is")?;
    let parent = whole.parent().and_then(|parent| parent.canonicalize().ok());
    Ok(match (parent, whole.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => whole,
    })
}

/// The worktree at `path`, if it can become a task.
fn find<'a>(
    flux: &Flux,
    store: &Store,
    worktrees: &'a [Worktree],
    path: &Path,
    real: &Path,
) -> Result<&'a Worktree> {
    let given = shown(path);
    let entry = worktrees.iter().find(|entry| {
        entry.path == real || entry.path.canonicalize().is_ok_and(|path| path == real)
    });
    let missing = !real.exists();
    let Some(entry) = entry else {
        let failure = Failure::new(match missing {
            true => format!("there is nothing at '{given}'"),
            false => format!("'{given}' is not a worktree of this repository"),
        });
        return Err(failure
            .hint("git worktree list")
            .hint(format!("git worktree add {} <branch>", quoted(path)))
            .into());
    };
    if entry.bare {
        return Err(Failure::new(format!("'{given}' is a bare repository"))
            .hint("git worktree list")
            .into());
    }
    if worktrees.first() == Some(entry) || real == flux.repo.home() {
        return Err(Failure::new(format!("'{given}' is the main worktree"))
            .hint("to take its changes along: git flux run --with-changes \"<what is to be done>\"")
            .into());
    }
    if missing || !admin::is_ours(flux.repo.common_dir(), &entry.path)? {
        let again = match admin::moved_beside(flux.repo.common_dir(), &entry.path) {
            Some(moved) => format!("git worktree repair {}", quoted(&moved)),
            None if missing => "git worktree prune".to_owned(),
            None => "git worktree repair".to_owned(),
        };
        return Err(
            Failure::new(format!("the worktree '{given}' is not there any more"))
                .hint(again)
                .into(),
        );
    }
    if let Some(reason) = &entry.locked {
        let reason = match reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        return Err(
            Failure::new(format!("the worktree '{given}' is locked{reason}"))
                .hint(format!("git worktree unlock {}", quoted(path)))
                .into(),
        );
    }
    let taken = |task: &Task| task.worktree == entry.path;
    let task = store
        .tasks
        .iter()
        .find(|stored| stored.task.as_ref().is_ok_and(taken));
    match task {
        Some(stored) => Err(Failure::new(format!(
            "'{given}' is the worktree of the task '{}'",
            stored.id
        ))
        .hint(format!("git flux attach {}", stored.id))
        .into()),
        None => Ok(entry),
    }
}
