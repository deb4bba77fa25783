//! `git flux run`

mod report;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::slice;
use std::thread;

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, object, settled, text};
use crate::agent::launch::now;
use crate::agent::{Prompt, prompt};
use crate::failure::{Failure, USAGE};
use crate::git::changes::count;
use crate::git::{Git, Repo, changes, worktree};
use crate::lifecycle::start::{Start, Work, branch_exists, exists, start};
use crate::lifecycle::{Flux, ready, trust};
use crate::settings::table;
use crate::store::Store;
use crate::task::record::VERSION;
use crate::task::{Bytes, Layout, Phase, Task, TaskId};
use crate::tmux::pane;
use crate::tmux::target::{self, Place};
use crate::ui::{Ui, shown, word};

const TASK: text::Kind = text::Kind {
    name: "task",
    help: "Write the task. Lines like these are left out;\nan empty task starts nothing.\n",
    done: "started",
    hints: [
        "git flux run \"<what is to be done>\"",
        "git flux run --edit",
    ],
    unattended: "git flux run -F <file>",
};

/// Start a task: branch, worktree, pane or session, agent, prompt
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Read the task from a file; '-' is standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "task", add = ArgValueCompleter::new(candidates::files))]
    file: Option<PathBuf>,
    /// Edit the task before it is started, in git's editor
    #[arg(short, long)]
    edit: bool,
    /// The agent that works on it
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(candidates::agents))]
    agent: Option<String>,
    /// Pass an argument to the agent's program
    #[arg(long = "agent-arg", value_name = "ARG", allow_hyphen_values = true)]
    agent_args: Vec<OsString>,
    /// Start from this commit instead of HEAD
    #[arg(long, value_name = "REV", add = ArgValueCompleter::new(candidates::commits))]
    base: Option<String>,
    /// The task's id, instead of one made from its description
    #[arg(long, value_name = "ID")]
    name: Option<String>,
    /// Run in a new pane of this window
    #[arg(long, group = "layout")]
    pane: bool,
    /// Run in a new window of this session
    #[arg(long, group = "layout")]
    window: bool,
    /// Run in a session of its own
    #[arg(long, group = "layout")]
    session: bool,
    /// Go there at once
    #[arg(long, conflicts_with_all = ["json", "dry_run"])]
    attach: bool,
    /// Give the agent the text of the task alone
    #[arg(long)]
    no_template: bool,
    /// Be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// Machine-readable output: a task object
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Dry run: only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// What is to be done; words are joined by spaces
    task: Vec<OsString>,
}

impl Run {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        // The user's own changes are looked at while the task is prepared.
        let current = flux.repo.current().map(ToOwned::to_owned);
        let own = thread::spawn(move || {
            current
                .and_then(|dir| changes(&dir, false).ok())
                .map(|c| count(&c))
        });
        let (mut start_of, others) = self.settle(&flux)?;
        if self.dry_run {
            return report::plan(&flux, &start_of);
        }
        trust::agree(&flux, slice::from_mut(&mut start_of))?;
        let short = report::short(&others, &start_of.task.id);
        let started = start(&flux, &mut start_of)?;
        report::own_changes(&flux, own.join().ok().flatten());
        // Asked for a pane, or for what fits.
        let window_wanted = matches!(start_of.place, Place::Window { cramped: false, .. });
        if started.opened.target.kind == Layout::Window && !window_wanted {
            flux.ui.status(
                "There is no room for another pane here: the task has a window of its own.",
            );
        }
        if self.json {
            flux.ui.json(&object::json(&report::status(&started)))?;
        } else if self.quiet {
            flux.ui.data(&started.task.id)?;
        }
        if let Some(exit) = &started.exit {
            return Err(report::ended(&flux, &started, exit));
        }
        if !self.json && !self.quiet {
            flux.ui
                .bytes(report::started(&flux, &start_of, &started, &short).as_bytes())?;
        }
        if self.attach {
            return pane::attach(&started.opened.target);
        }
        Ok(())
    }

    /// Settles everything that can fail before anything exists.
    fn settle(&self, flux: &Flux) -> Result<(Start, Store)> {
        let store = settled(flux)?;
        let worktrees = worktree::list(flux.repo.home())?;
        let here = worktrees
            .iter()
            .find(|entry| Some(entry.path.as_path()) == flux.repo.current());
        // Of a bare repository and of a submodule git does not list it.
        let head = match here {
            Some(entry) => entry.branch.clone(),
            None => flux.repo.head()?,
        };
        let (base, into) = self.base(flux, &store, head)?;

        let agent_name = self
            .agent
            .clone()
            .unwrap_or_else(|| flux.settings.agent().to_owned());
        let (agent, program) = flux.settings.find_agent(&agent_name)?;
        let template = if agent.prompt == Prompt::Shown {
            None
        } else {
            self.template(flux)?
        };
        let forced = [
            (self.pane, Layout::Pane),
            (self.window, Layout::Window),
            (self.session, Layout::Session),
        ];
        let forced = forced
            .into_iter()
            .find_map(|(given, layout)| given.then_some(layout));
        let layout = forced.or(flux.settings.layout()?);

        let description = text::read(flux, self.file.as_deref(), &self.task, self.edit, &TASK)?;
        let title = prompt::title(&description);
        if title.is_empty() {
            return Err(Failure::new("there is no task: the description is empty")
                .hint("git flux run \"<what is to be done>\"")
                .code(USAGE)
                .into());
        }
        let id = match &self.name {
            Some(name) => name.parse::<TaskId>()?,
            None => {
                TaskId::from_description(&String::from_utf8_lossy(&description), &mut rand::rng())
            }
        };
        let branch = format!("{}{id}", flux.settings.branch_prefix());
        ensure_name(flux, &branch)?;
        ensure_free(&store, &id, &branch)?;
        let project = flux.repo.project();
        let mut name = project.clone();
        name.push(format!("-{id}"));
        let dir = flux
            .settings
            .worktree_dir(flux.repo.home(), flux.repo.beside());
        let path = absolute(&dir)?.join(name);
        let registered = worktrees.iter().any(|entry| entry.path == path);
        let session = target::session_name(&project, &id);
        let free = ensure_no_files(&path, registered);
        let place = match free.and_then(|()| target::choose(layout, forced.is_some(), session)) {
            Ok(place) => place,
            Err(error) => {
                // Another run of the same name may have made it a moment ago.
                let now = Store::load(&flux.repo, &flux.settings)?;
                let taken = now.tasks.iter().any(|stored| stored.id == id);
                return Err(if taken {
                    exists(id.as_str()).into()
                } else {
                    error
                });
            }
        };

        let task = Task {
            version: VERSION,
            id,
            title,
            phase: Phase::Starting,
            agent: agent_name,
            agent_args: self.agent_args.iter().cloned().map(Bytes).collect(),
            branch,
            base,
            into,
            worktree: path,
            created: now(),
            port: None,
            target: None,
            removal: None,
            restored: None,
        };
        let prompt = match template {
            Some(template) => prompt::fill(
                &template,
                &[
                    ("task", description.trim_ascii_end()),
                    ("worktree", task.worktree.as_os_str().as_bytes()),
                    ("branch", task.branch.as_bytes()),
                    ("base", task.base.as_bytes()),
                    ("project", project.as_bytes()),
                ],
            ),
            None => description.clone(),
        };
        Ok((
            Start {
                task,
                description,
                work: Work::Agent {
                    agent,
                    program,
                    prompt,
                },
                place,
                ready: ready::configured(flux)?,
                init: None,
                from: None,
            },
            store,
        ))
    }

    /// The commit to start from, and the branch it is on: where the work goes back to.
    fn base(
        &self,
        flux: &Flux,
        store: &Store,
        head: Option<String>,
    ) -> Result<(String, Option<String>)> {
        let rev = self.base.as_deref().unwrap_or("HEAD");
        let Some(base) = flux.repo.resolve(rev)? else {
            return Err(match &self.base {
                Some(rev) => Failure::new(format!("'{rev}' does not name a commit"))
                    .hint("git log --oneline --all"),
                None => Failure::new("there is no commit yet")
                    .hint("git commit --allow-empty -m 'Initial commit'"),
            }
            .into());
        };
        let name = match &self.base {
            None => head,
            // A tag of that name would come first; at the same commit it makes no difference.
            Some(rev) if store.tip(rev) == Some(&base) => Some(format!("refs/heads/{rev}")),
            Some(rev) => {
                let args = [
                    "rev-parse",
                    "--verify",
                    "--quiet",
                    "--symbolic-full-name",
                    "--end-of-options",
                    rev,
                ];
                let (code, output) =
                    Git::reading(flux.repo.current().unwrap_or(flux.repo.common_dir()), args)
                        .outcome()?;
                (code == 0).then(|| {
                    String::from_utf8_lossy(&output.stdout)
                        .trim_end()
                        .to_owned()
                })
            }
        };
        Ok((
            base,
            name.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned)),
        ))
    }

    fn template(&self, flux: &Flux) -> Result<Option<Vec<u8>>> {
        if self.no_template {
            return Ok(None);
        }
        match flux.settings.template(flux.repo.home()) {
            None => Ok(Some(prompt::TEMPLATE.as_bytes().to_vec())),
            Some((path, origin)) => fs::read(&path).map(Some).with_context(|| {
                Failure::new(format!(
                    "could not read the template '{}' ('flux.template', {origin})",
                    shown(&path)
                ))
                .hint("git config --unset flux.template")
            }),
        }
    }
}

fn ensure_name(flux: &Flux, branch: &str) -> Result<()> {
    if Repo::is_branch_name(branch) {
        return Ok(());
    }
    let prefix = flux.settings.branch_prefix();
    let whence = flux.settings.whence(&table::BRANCH_PREFIX, "", prefix);
    let failure = Failure::new(format!("'{branch}' is not a name for a branch"));
    let failure = whence.into_iter().fold(failure, Failure::hint);
    Err(failure.hint("git config flux.branchPrefix feature/").into())
}

fn ensure_free(store: &Store, id: &TaskId, branch: &str) -> Result<()> {
    if store.tasks.iter().any(|stored| stored.id == *id) {
        return Err(exists(id.as_str()).into());
    }
    if store.tip(branch).is_some() {
        return Err(branch_exists(branch).into());
    }
    if let Some(other) = store.in_the_way(branch) {
        return Err(Failure::new(format!(
            "the branch '{branch}' cannot be made beside the branch '{other}'"
        ))
        .hint(format!("git branch -m {} <another name>", word(other)))
        .hint("git config flux.branchPrefix <another prefix>")
        .into());
    }
    Ok(())
}

/// An existing directory is left alone unless it is empty; anything else is never touched.
fn ensure_no_files(path: &std::path::Path, registered: bool) -> Result<()> {
    if registered {
        return Err(Failure::new(format!(
            "'{}' is registered as a worktree already",
            shown(path)
        ))
        .hint("git worktree list")
        .into());
    }
    let taken = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            return Err(error).with_context(|| format!("could not look at '{}'", shown(path)));
        }
        Ok(found) if found.is_dir() => fs::read_dir(path)
            .with_context(|| format!("could not look into '{}'", shown(path)))?
            .next()
            .is_some(),
        Ok(_) => true,
    };
    if taken {
        return Err(Failure::new(format!("'{}' exists already", shown(path)))
            .hint("choose another id with --name, or another place with: git config flux.worktreeDir <directory>")
            .into());
    }
    Ok(())
}

/// The directory without `..` and links, also if only its beginning exists.
fn absolute(dir: &std::path::Path) -> Result<PathBuf> {
    let mut missing = Vec::new();
    let mut at = dir;
    loop {
        if let Ok(real) = at.canonicalize() {
            return Ok(missing
                .iter()
                .rev()
                .fold(real, |path, name| path.join(name)));
        }
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
            return Err(
                Failure::new(format!("there is no directory '{}'", shown(dir)))
                    .hint("git config flux.worktreeDir <directory>")
                    .into(),
            );
        };
        missing.push(name.to_owned());
        at = parent;
    }
}
