//! `git flux send`

use std::ffi::OsString;
use std::path::Path;
use std::thread;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::Timestamp;

use super::{candidates, choose_own, text};
use crate::agent;
use crate::failure::{self, Failure, USAGE};
use crate::lifecycle::elsewhere::ensure_here;
use crate::lifecycle::other_machine::ensure_not_elsewhere;
use crate::lifecycle::recipient::{self, Recipient};
use crate::lifecycle::resume::can_resume;
use crate::lifecycle::{Flux, observe};
use crate::store::Store;
use crate::system::clock;
use crate::task::{Source, State, Task};
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
enum Ear {
    Open(Box<Recipient>),
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
        // What cannot be told is said before it is written.
        let recipient = open(&flux, &store, task)?;
        let message = self.message(&flux, &self.message)?;
        let recipient = match self.edit || self.stdin {
            // That may have taken a while.
            true => open(&flux, &store, task)?,
            false => recipient,
        };
        let is_told = recipient.send(&message)?;
        told(&flux, task, &recipient, is_told);
        Ok(())
    }

    fn to_all(&self, flux: &Flux, store: &Store) -> Result<()> {
        let first = self.task.iter().map(OsString::from);
        let words: Vec<OsString> = first.chain(self.message.iter().cloned()).collect();
        let message = self.message(flux, &words)?;
        let (mut recipients, mut failed) = (Vec::new(), Vec::new());
        for stored in flux.own_tasks(store) {
            let task = match stored.readable() {
                Ok(task) => task,
                Err(error) => {
                    flux.ui.status(format_args!("not told: {error}"));
                    continue;
                }
            };
            match ear(flux, store, task) {
                Ok(Ear::Open(recipient)) => recipients.push((task, *recipient)),
                Ok(Ear::Closed(why, _)) => flux.ui.status(format_args!("not told: {why}")),
                Err(error) => failed.push((task, error)),
            }
        }
        let message = message.as_str();
        let sent: Vec<Result<bool>> = thread::scope(|scope| {
            let threads: Vec<_> = recipients
                .iter()
                .map(|(_, recipient)| scope.spawn(move || recipient.send(message)))
                .collect();
            let sent = threads.into_iter().map(|thread| thread.join());
            sent.map(|sent| sent.expect("no sender panics")).collect()
        });
        let any = sent.iter().any(Result::is_ok);
        for ((task, recipient), sent) in recipients.iter().zip(sent) {
            match sent {
                Ok(is_told) => told(flux, task, recipient, is_told),
                Err(error) => failed.push((task, error)),
            }
        }
        for (task, error) in &failed {
            flux.ui.warning(format_args!("'{}': {error:#}", task.id));
        }
        match (any, failed.is_empty()) {
            (_, false) => Err(Failure::new("not every agent could be told").into()),
            (false, true) => Err(Failure::new("there is no agent that could be told")
                .hint("git flux list")
                .into()),
            (true, true) => Ok(()),
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

/// Returns the agent of a task, which can be told something.
///
/// # Errors
/// When it cannot.
fn open(flux: &Flux, store: &Store, task: &Task) -> Result<Recipient> {
    match ear(flux, store, task)? {
        Ear::Open(recipient) => Ok(*recipient),
        Ear::Closed(why, hint) => Err(Failure::new(why).hint(hint).into()),
    }
}

/// Whether the agent of a task can be told something, by its state and by what is on its pane.
fn ear(flux: &Flux, store: &Store, task: &Task) -> Result<Ear> {
    ensure_here(flux, task)?;
    let id = &task.id;
    let attach = format!("git flux attach {id}");
    let since = clock::now();
    let (state, found) = observe::one(flux, store, task)?;
    let closed = |why: &str| Ear::Closed(format!("the agent of '{id}' {why}"), attach.clone());
    Ok(match state {
        // What it shows is looked at: only a composer takes a message.
        State::Waiting(None) if agent::profile(&task.agent).composer.is_some() => {
            listening(flux, task, since, false, &closed)?
        }
        State::Waiting(_) => closed("waits for an answer, and would take this for one"),
        State::RunningElsewhere => match ensure_not_elsewhere(flux, task) {
            Err(error) => Ear::Closed(error.to_string(), failure::hints(&error).collect()),
            Ok(()) => closed("has ended just now"),
        },
        // Its title says that it does nothing, if only for some seconds.
        State::Opening
            if found.source == Source::Title && agent::profile(&task.agent).composer.is_some() =>
        {
            listening(flux, task, since, false, &closed)?
        }
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
        state => listening(flux, task, since, state == State::Working, &closed)?,
    })
}

fn listening(
    flux: &Flux,
    task: &Task,
    since: Timestamp,
    is_at_work: bool,
    closed: &dyn Fn(&str) -> Ear,
) -> Result<Ear> {
    let recipient = recipient::listening(flux, task, since, is_at_work)?;
    Ok(match recipient {
        Some(recipient) => Ear::Open(Box::new(recipient)),
        None => closed("does not read what is typed"),
    })
}

/// Says what has become of a message that was submitted.
fn told(flux: &Flux, task: &Task, recipient: &Recipient, is_told: bool) {
    let id = &task.id;
    if recipient.is_at_work {
        flux.ui.status(format_args!(
            "told the agent of '{id}', which is at work: it reads it when it comes to it"
        ));
    } else if is_told {
        flux.ui.status(format_args!("told the agent of '{id}'"));
    } else {
        flux.ui.warning(format_args!(
            "told the agent of '{id}', which does not confirm that it has got it"
        ));
    }
}
