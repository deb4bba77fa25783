//! Everything that can fail, settled before anything exists.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::Run;
use super::branch::{self, Chosen};
use super::free::{ensure_free, ensure_name, ensure_no_files, worktree_of};
use crate::agent::launch::now;
use crate::agent::{Agent, Prompt, prompt};
use crate::commands::{settled, text};
use crate::failure::{Failure, USAGE};
use crate::git::{Git, Worktree, worktree};
use crate::lifecycle::checked_out::ensure_main_is_known;
use crate::lifecycle::start::{Start, Work, exists};
use crate::lifecycle::{Flux, ready};
use crate::store::Store;
use crate::task::record::VERSION;
use crate::task::{Bytes, Phase, Rest, Task, TaskId};
use crate::ui::shown;

const TASK: text::Kind = text::Kind {
    name: "task",
    help: "Write the task above it; an empty task starts nothing.\n",
    done: "started",
    hints: [
        "git flux run \"<what is to be done>\"",
        "git flux run --edit",
    ],
    piped: "git flux run -F -",
    unattended: "git flux run -F <file>",
};

/// What all tasks of one command have in common.
struct Common<'a> {
    flux: &'a Flux,
    store: Store,
    worktrees: Vec<Worktree>,
    description: Vec<u8>,
    title: String,
    base: String,
    into: Option<String>,
    /// The branch they work on, if it is there already.
    chosen: Option<Chosen>,
}

/// An agent, as it was asked for.
type Named = (String, Agent, PathBuf);

impl Run {
    /// Settles everything that can fail before anything exists.
    pub(super) fn settle(&self, flux: &Flux) -> Result<(Vec<Start>, Store)> {
        let store = settled(flux)?;
        let worktrees = worktree::list(flux.repo.home())?;
        ensure_main_is_known(flux, &worktrees)?;
        let here = worktrees
            .iter()
            .find(|entry| Some(entry.path.as_path()) == flux.repo.current());
        // Nobody stands in the worktree of a bare repository.
        let head = match here {
            Some(entry) => entry.branch.clone(),
            None => flux.repo.head()?,
        };
        let chosen = self.branch.as_deref();
        let chosen = chosen.map(|name| branch::choose(flux, &store, &worktrees, name));
        let chosen = chosen.transpose()?;
        let (base, into) = match &chosen {
            Some(chosen) => branch::origin(flux, &store, chosen, head.as_deref())?,
            None => self.base(flux, &store, head)?,
        };
        let agents = self.agents(flux)?;
        let wanted = |(_, agent, _): &Named| agent.prompt != Prompt::Shown;
        let template = match !self.no_template && agents.iter().any(wanted) {
            true => Some(template(flux)?),
            false => None,
        };
        let input = text::Input::of(self.file.as_deref(), &self.task);
        let description = if self.edit {
            input.edit(flux, &TASK)?
        } else {
            input.read(&TASK)?
        };
        let title = prompt::title(&description);
        if title.is_empty() {
            return Err(Failure::new("there is no task: the description is empty")
                .hint("git flux run \"<what is to be done>\"")
                .code(USAGE)
                .into());
        }
        let ids = self.ids(&description, agents.len())?;
        let common = Common {
            flux,
            store,
            worktrees,
            description,
            title,
            base,
            into,
            chosen,
        };
        let mut starts = Vec::new();
        for (id, agent) in ids.into_iter().zip(agents) {
            starts.push(self.one(&common, id, agent, template.as_deref())?);
        }
        // The last, for it writes objects.
        if self.with_changes {
            let named = self.base.as_deref().or(self.branch.as_deref());
            let onto = starts
                .first()
                .map_or(&*common.base, |start| start.task.start());
            let carried = super::carry::changes(flux, onto, named)?;
            for start in &mut starts {
                start.task.carried = carried.as_ref().map(|carried| carried.snapshot.clone());
                start.carried.clone_from(&carried);
            }
        }
        Ok((starts, common.store))
    }

    /// The agents that are to be started, one for each task.
    fn agents(&self, flux: &Flux) -> Result<Vec<Named>> {
        let named: Vec<&str> = match self.agent.as_slice() {
            [] => vec![flux.settings.agent()],
            named => named.iter().map(String::as_str).collect(),
        };
        let times = usize::from(self.count);
        if self.branch.is_some() && named.len() * times > 1 {
            return Err(Failure::new(
                "a branch can be checked out once, and several tasks are asked for",
            )
            .hint("leave out --branch, or start one")
            .code(USAGE)
            .into());
        }
        if self.attach && named.len() * times > 1 {
            return Err(
                Failure::new("--attach goes to one task, and several are asked for")
                    .hint("git flux attach <task>")
                    .code(USAGE)
                    .into(),
            );
        }
        let mut agents = Vec::new();
        for name in named {
            let (agent, program) = flux.settings.find_agent(name)?;
            let one = (name.to_owned(), agent, program);
            agents.extend(std::iter::repeat_n(one, times));
        }
        Ok(agents)
    }

    /// The ids of so many tasks: one as it is, of several each with its number.
    fn ids(&self, description: &[u8], many: usize) -> Result<Vec<TaskId>> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                let text = String::from_utf8_lossy(description);
                TaskId::from_description(&text, &mut rand::rng()).to_string()
            }
        };
        if many == 1 {
            return Ok(vec![name.parse()?]);
        }
        (1..=many)
            .map(|n| format!("{name}-{n}").parse())
            .collect::<Result<_, _>>()
            .map_err(Into::into)
    }

    /// Settles one task.
    fn one(
        &self,
        common: &Common<'_>,
        id: TaskId,
        (name, agent, program): Named,
        template: Option<&[u8]>,
    ) -> Result<Start> {
        let flux = common.flux;
        let chosen = common.chosen.as_ref();
        common.store.ensure_not_foreign(&flux.repo, id.as_str())?;
        if common.store.tasks.iter().any(|stored| stored.id == id) {
            return Err(exists(id.as_str()).into());
        }
        let branch = match chosen {
            Some(chosen) => chosen.name.clone(),
            None => {
                let branch = format!("{}{id}", flux.settings.branch_prefix());
                ensure_name(flux, &branch)?;
                ensure_free(flux, &common.store, &branch)?;
                branch
            }
        };
        let into = match chosen {
            Some(_) => common.into.clone(),
            None => branch::target(flux, &common.store, &branch, common.into.as_deref())?,
        };
        let path = worktree_of(flux, &id)?;
        let registered = common.worktrees.iter().any(|entry| entry.path == path);
        let free = ensure_no_files(&path, registered);
        let place = match free.and_then(|()| self.layouts.place(flux, &id)) {
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
            title: common.title.clone(),
            phase: Phase::Starting,
            agent: name,
            agent_args: self.agent_args.iter().cloned().map(Bytes).collect(),
            branch,
            base: common.base.clone(),
            into,
            worktree: path,
            directory: flux.repo.directory().map(|path| Bytes(path.into())),
            created: now(),
            port: None,
            target: None,
            removal: None,
            restored: None,
            existing: chosen.map(|chosen| chosen.existing.clone()),
            carried: None,
            rest: Rest::default(),
        };
        let template = template.filter(|_| agent.prompt != Prompt::Shown);
        let prompt = filled(flux, &task, &common.description, template);
        Ok(Start {
            task,
            description: common.description.clone(),
            work: Work::Agent {
                agent,
                program,
                prompt,
            },
            place,
            ready: ready::configured(flux)?,
            init: None,
            from: None,
            carried: None,
            upstream: chosen.and_then(|chosen| chosen.upstream.clone()),
        })
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
                let dir = flux.repo.current().unwrap_or(flux.repo.home());
                Git::reading(dir, args).answer()?
            }
        };
        let branch = name
            .as_deref()
            .and_then(|name| name.strip_prefix("refs/heads/"));
        let branch = branch.map(|branch| store.resolve(branch)).transpose()?;
        Ok((base, branch.map(str::to_owned)))
    }
}

/// What is put around the text of a task.
pub(in crate::commands) fn template(flux: &Flux) -> Result<Vec<u8>> {
    match flux.settings.template(flux.repo.home()) {
        None => Ok(prompt::TEMPLATE.as_bytes().to_vec()),
        Some((path, origin)) => fs::read(&path).with_context(|| {
            Failure::new(format!(
                "could not read the template '{}' ('flux.template', {origin})",
                shown(&path)
            ))
            .hint("git config --unset flux.template")
        }),
    }
}

/// What an agent is told about a task.
pub(in crate::commands) fn filled(
    flux: &Flux,
    task: &Task,
    description: &[u8],
    template: Option<&[u8]>,
) -> Vec<u8> {
    let Some(template) = template else {
        return description.to_vec();
    };
    prompt::fill(
        template,
        &[
            ("task", description.trim_ascii_end()),
            ("worktree", task.worktree.as_os_str().as_bytes()),
            ("branch", task.branch.as_bytes()),
            ("base", task.base.as_bytes()),
            ("project", flux.repo.project().as_bytes()),
        ],
    )
}
