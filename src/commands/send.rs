//! `git flux send`

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;
use std::thread;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose_own, text};
use crate::agent;
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::observe;
use crate::lifecycle::other_machine::ensure_not_elsewhere;
use crate::lifecycle::recipient::{self, Recipient};
use crate::lifecycle::resume::can_resume;
use crate::store::Store;
use crate::system::clock;
use crate::task::{Found, Source, State, Task};
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
};

/// Say something to the running agent of a task
#[derive(Debug, Args)]
#[command(override_usage = "git flux send [<options>] [<task>] [<message>...]")]
pub(crate) struct Send {
    /// the task: its id or a part of it, its branch or its worktree; none with --all
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::running))]
    task: Option<String>,
    /// what is said
    #[arg(value_name = "<message>")]
    message: Vec<OsString>,
    /// say it to every agent that runs and can be told
    #[arg(long)]
    all: bool,
    /// read the message from standard input
    #[arg(long, conflicts_with = "edit")]
    stdin: bool,
    /// write the message in the editor
    #[arg(short, long)]
    edit: bool,
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
        let mut recipient = find(&flux, &store, task)??;
        let message = self.message(&flux, &self.message)?;
        if self.edit || self.stdin {
            // That may have taken a while.
            recipient = find(&flux, &store, task)??;
        }
        let is_told = recipient.send(&message)?;
        tell(&flux, task, &recipient, is_told);
        Ok(())
    }

    fn to_all(&self, flux: &Flux, store: &Store) -> Result<()> {
        let first = self.task.iter().map(OsString::from);
        let words: Vec<OsString> = first.chain(self.message.iter().cloned()).collect();
        let message = self.message(flux, &words)?;
        let mut failed = Vec::new();
        let mut recipients = Vec::new();
        for stored in flux.own_tasks(store) {
            let found = stored
                .readable()
                .map(|task| (task, find(flux, store, task)));
            match found {
                Ok((task, Ok(Ok(recipient)))) => recipients.push((task, recipient)),
                Ok((_, Ok(Err(why)))) => flux.ui.status(format_args!("not told: {why}")),
                Ok((task, Err(error))) => failed.push((task, error)),
                Err(error) => flux.ui.status(format_args!("not told: {error}")),
            }
        }
        let mut is_any_told = false;
        for ((task, recipient), sent) in recipients.iter().zip(send_each(&recipients, &message)) {
            match sent {
                Ok(is_told) => {
                    is_any_told = true;
                    tell(flux, task, recipient, is_told);
                }
                Err(error) => failed.push((task, error)),
            }
        }
        for (task, error) in &failed {
            flux.ui.warning(format_args!("'{}': {error:#}", task.id));
        }
        if !failed.is_empty() {
            return Err(Failure::new("not every agent could be told").into());
        }
        if is_any_told {
            return Ok(());
        }
        let failure = Failure::new("there is no agent that could be told");
        Err(failure.hint("git flux list").into())
    }

    fn message(&self, flux: &Flux, words: &[OsString]) -> Result<String> {
        if self.stdin && !words.is_empty() {
            let failure = Failure::new("the message is given twice").hint(MESSAGE.piped);
            return Err(failure.code(USAGE).into());
        }
        let file = self.stdin.then(|| Path::new("-"));
        let text = text::Input::of(file, words).get(flux, &MESSAGE, self.edit)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if text.trim().is_empty() {
            let failure = Failure::new("there is no message: it is empty");
            return Err(failure.code(USAGE).into());
        }
        Ok(text)
    }
}

/// Sends a message to all of them at once.
fn send_each(recipients: &[(&Task, Recipient)], message: &str) -> Vec<Result<bool>> {
    thread::scope(|scope| {
        let threads: Vec<_> = recipients
            .iter()
            .map(|(_, recipient)| scope.spawn(|| recipient.send(message)))
            .collect();
        let sent = threads.into_iter().map(|thread| thread.join());
        sent.map(|sent| sent.expect("no sender panics")).collect()
    })
}

/// Returns the agent of a task, if it would take what is typed for a message, by its state and by what is on
/// its pane; or why it would not, and what to do.
fn find(flux: &Flux, store: &Store, task: &Task) -> Result<Result<Recipient, Failure>> {
    ensure_not_copied(flux, task)?;
    let since = clock::now();
    let observed = observe::state_of(flux, store, task)?;
    if let Some(why) = refused(flux, store, task, &observed)? {
        return Ok(Err(why));
    }
    let is_at_work = observed.0 == State::Working;
    let recipient = recipient::find_recipient(flux, task, since, is_at_work)?;
    Ok(recipient.ok_or_else(|| refusal(task, "does not read what is typed")))
}

/// Returns why an agent in this state cannot be told anything, if so.
fn refused(
    flux: &Flux,
    store: &Store,
    task: &Task,
    observed: &(State, Found),
) -> Result<Option<Failure>> {
    let (state, Found { source, .. }) = observed;
    let id = &task.id;
    let has_composer = agent::profile(&task.agent).composer.is_some();
    Ok(Some(match state {
        // What it shows is looked at: only a composer takes a message.
        State::Waiting(None) if has_composer => return Ok(None),
        State::Waiting(_) => refusal(task, "waits for an answer, and would take this for one"),
        State::RunningElsewhere => match ensure_not_elsewhere(flux, task) {
            Err(error) => error.downcast()?,
            Ok(()) => refusal(task, "has ended just now"),
        },
        // Its title says that it does nothing, if only for some seconds.
        State::Opening if *source == Source::Title && has_composer => return Ok(None),
        State::Opening | State::Starting => refusal(task, "is still starting"),
        State::NoWorktree | State::NoBranch => Failure::new(format!(
            "the agent of '{id}' does not run, since something of '{id}' is missing"
        ))
        .hint(format!("git flux status {id}")),
        state if !state.is_alive() => {
            let resumable = can_resume(flux, task, &store.find(&flux.repo, id)?.oid)?;
            let verb = if resumable { "resume" } else { "attach" };
            let label = state.label();
            Failure::new(format!("the agent of '{id}' does not run: {label}"))
                .hint(format!("git flux {verb} {id}"))
        }
        _ => return Ok(None),
    }))
}

/// Returns the refusal to tell an agent something; the user can do it on the pane.
fn refusal(task: &Task, why: impl Display) -> Failure {
    let id = &task.id;
    Failure::new(format!("the agent of '{id}' {why}")).hint(format!("git flux attach {id}"))
}

/// Says what has become of a message that was submitted.
fn tell(flux: &Flux, task: &Task, recipient: &Recipient, is_told: bool) {
    let told = format!("told the agent of '{}'", task.id);
    if recipient.is_at_work {
        flux.ui.status(format_args!(
            "{told}, which is at work: it reads it when it comes to it"
        ));
    } else if is_told {
        flux.ui.status(told);
    } else {
        flux.ui.warning(format_args!(
            "{told}, which does not confirm that it has got it"
        ));
    }
}
