//! `git flux send`

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose_own, text};
use crate::agent::events;
use crate::failure::{self, Failure, USAGE};
use crate::lifecycle::elsewhere::ensure_here;
use crate::lifecycle::other_machine::ensure_not_elsewhere;
use crate::lifecycle::resume::can_resume;
use crate::lifecycle::{Flux, observe};
use crate::store::Store;
use crate::task::{State, Target, Task};
use crate::tmux::message::{self, Told};
use crate::ui::Ui;

const MESSAGE: text::Kind = text::Kind {
    name: "message",
    help: "Write the message above it; an empty message is not sent.\n",
    done: "sent",
    hints: [
        "git flux send <task> \"<message>\"",
        "git flux send -e <task>",
    ],
    piped: "git flux send --stdin <task>",
    unattended: "git flux send --stdin <task>",
};

/// Say something to the running agent of a task
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The task: its id or a part of it, its branch or its worktree; none with --all
    #[arg(add = ArgValueCompleter::new(candidates::running_first))]
    task: Option<String>,
    /// What is said
    message: Vec<OsString>,
    /// Say it to every agent that runs and can be told
    #[arg(long)]
    all: bool,
    /// Read the message from standard input
    #[arg(long, conflicts_with = "edit")]
    stdin: bool,
    /// Write the message in the editor
    #[arg(short, long)]
    edit: bool,
}

/// Whether an agent in this state would take what is typed for a message.
enum Ear<'a> {
    Open(&'a Target),
    /// Why not, and what to do.
    Closed(String, String),
}

impl Send {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        if self.all {
            return self.to_all(&flux, &store);
        }
        let task = choose_own(&flux, &store, self.task.as_deref(), "send")?.readable()?;
        // What cannot be told is said before anybody writes it.
        if let Ear::Closed(why, hint) = ear(&flux, &store, task)? {
            return Err(Failure::new(why).hint(hint).into());
        }
        let message = self.message(&flux, &self.message)?;
        match ear(&flux, &store, task)? {
            Ear::Open(target) => deliver(&flux, &store, task, target, &message),
            Ear::Closed(why, hint) => Err(Failure::new(why).hint(hint).into()),
        }
    }

    fn to_all(&self, flux: &Flux, store: &Store) -> Result<()> {
        let first = self.task.iter().map(OsString::from);
        let words: Vec<OsString> = first.chain(self.message.iter().cloned()).collect();
        let message = self.message(flux, &words)?;
        let (mut told, mut failed) = (0, 0);
        for stored in flux.own_tasks(store) {
            let task = match stored.readable() {
                Ok(task) => task,
                Err(error) => {
                    flux.ui.status(format_args!("not told: {error}"));
                    continue;
                }
            };
            let outcome = match ear(flux, store, task) {
                Ok(Ear::Open(target)) => deliver(flux, store, task, target, &message),
                Ok(Ear::Closed(why, _)) => {
                    flux.ui.status(format_args!("not told: {why}"));
                    continue;
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => told += 1,
                Err(error) => {
                    failed += 1;
                    flux.ui.warning(format_args!("'{}': {error:#}", task.id));
                }
            }
        }
        match (told, failed) {
            (_, 1..) => Err(Failure::new("not every agent could be told").into()),
            (0, _) => Err(Failure::new("there is no agent that could be told")
                .hint("git flux list")
                .into()),
            _ => Ok(()),
        }
    }

    fn message(&self, flux: &Flux, words: &[OsString]) -> Result<String> {
        if self.stdin && !words.is_empty() {
            return Err(Failure::new("the message is given twice")
                .hint("git flux send --stdin <task>")
                .code(USAGE)
                .into());
        }
        let file = self.stdin.then(|| Path::new("-"));
        let text = text::read(flux, file, words, self.edit, &MESSAGE)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if text.trim().is_empty() {
            return Err(Failure::new("there is no message: it is empty")
                .code(USAGE)
                .into());
        }
        Ok(text)
    }
}

/// Whether the agent of a task can be told something, by its state and by what is on its pane.
fn ear<'a>(flux: &Flux, store: &Store, task: &'a Task) -> Result<Ear<'a>> {
    ensure_here(flux, task)?;
    let id = &task.id;
    let attach = format!("git flux attach {id}");
    let (state, _) = observe::one(flux, store, task)?;
    let closed = |why: &str| Ear::Closed(format!("the agent of '{id}' {why}"), attach.clone());
    Ok(match state {
        State::Waiting(_) => closed("waits for an answer, and would take this for one"),
        State::RunningElsewhere => match ensure_not_elsewhere(flux, task) {
            Err(error) => Ear::Closed(error.to_string(), failure::hints(&error).collect()),
            Ok(()) => closed("has ended just now"),
        },
        State::Opening | State::Starting => closed("is still starting"),
        State::NoWorktree | State::NoBranch => Ear::Closed(
            format!("the agent of '{id}' does not run, since something of '{id}' is missing"),
            format!("git flux status {id}"),
        ),
        state if !state.is_alive() => {
            let resumable = can_resume(flux, task, &store.find(&flux.repo, id.as_str())?.oid)?;
            Ear::Closed(
                format!("the agent of '{id}' does not run: {}", state.label()),
                match resumable {
                    true => format!("git flux resume {id}"),
                    false => attach,
                },
            )
        }
        _ => match observe::listener(flux, task)? {
            Some(target) => Ear::Open(target),
            None => closed("does not read what is typed"),
        },
    })
}

fn deliver(flux: &Flux, store: &Store, task: &Task, target: &Target, text: &str) -> Result<()> {
    let id = &task.id;
    let before = observe::one(flux, store, task)?.0;
    let sent = events::now();
    let listens = || Ok(matches!(ear(flux, store, task)?, Ear::Open(_)));
    let arrived = || observe::has_begun(flux, store, task, sent);
    // One that is at work reads it when it comes to it.
    let arrived = (before != State::Working).then_some(arrived);
    match message::tell(target, text, listens, arrived)? {
        Told::Confirmed => flux.ui.status(format_args!("told the agent of '{id}'")),
        Told::Submitted if before == State::Working => flux.ui.status(format_args!(
            "told the agent of '{id}', which is at work: it reads it when it comes to it"
        )),
        Told::Submitted => flux.ui.warning(format_args!(
            "told the agent of '{id}', which does not confirm that it has got it"
        )),
        Told::Unseen => {
            return Err(Failure::new(format!(
                "the agent of '{id}' does not show the message, and Enter was not pressed"
            ))
            .hint(format!("git flux attach {id}"))
            .into());
        }
    }
    Ok(())
}
