//! `git flux send`

use std::ffi::OsString;
use std::path::Path;
use std::thread;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::text::{Text, TextKind, TextSource};
use super::{candidates, choose_own};
use crate::agent;
use crate::context::Flux;
use crate::failure::{Failure, USAGE, Verb};
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::observe;
use crate::lifecycle::other_machine::ensure_not_elsewhere;
use crate::lifecycle::recipient::{self, Recipient, agent_failure};
use crate::lifecycle::resume::can_resume;
use crate::store::Store;
use crate::system::clock;
use crate::task::{Evidence, Source, State, Task};
use crate::ui::Ui;

const MESSAGE: TextKind = TextKind {
    name: "message",
    help: "Write the message above; an empty message is not sent.\n",
    done: "sent",
    hints: [
        "git flux send <task> \"<message>\"",
        "git flux send -e <task>",
    ],
    piped: "git flux send --stdin <task>",
};

/// Send a message to the running agent of a task
#[derive(Debug, Args)]
#[command(override_usage = "git flux send [<options>] [<task>] [<message>...]")]
pub(crate) struct SendArgs {
    /// the task: its id or a part of it, its branch or its worktree; none with --all
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::running))]
    task: Option<String>,
    /// the message; words are joined by spaces
    #[arg(value_name = "<message>")]
    message: Vec<OsString>,
    /// send it to all running agents that accept messages
    #[arg(long)]
    all: bool,
    /// read the message from standard input
    #[arg(long, conflicts_with = "edit")]
    stdin: bool,
    /// write the message in the editor
    #[arg(short, long)]
    edit: bool,
}

impl SendArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        if self.all {
            return self.send_to_all(&flux, &store);
        }
        let task = choose_own(&flux, &store, self.task.as_deref(), Verb::Send)?.readable()?;
        // Fail before the user writes the message.
        let recipient = find_recipient(&flux, &store, task)??;
        let text = self.text(&flux, &self.message)?;
        let sent = self.send(&flux, &store, (task, recipient), &text);
        let again = format!("git flux send --stdin {} <", task.id);
        text.keep_unused(sent, &MESSAGE, &again)
    }

    fn send(
        &self,
        flux: &Flux,
        store: &Store,
        (task, mut recipient): (&Task, Recipient),
        text: &Text,
    ) -> Result<()> {
        let message = message_of(text)?;
        if self.edit || self.stdin {
            // Writing may have taken a while.
            recipient = find_recipient(flux, store, task)??;
        }
        let is_confirmed = recipient.send_for_user(&message)?;
        report(flux, task, &recipient, is_confirmed);
        Ok(())
    }

    fn send_to_all(&self, flux: &Flux, store: &Store) -> Result<()> {
        let first = self.task.iter().map(OsString::from);
        let words: Vec<OsString> = first.chain(self.message.iter().cloned()).collect();
        let text = self.text(flux, &words)?;
        let message = message_of(&text)?;
        let sent = self.send_to_recipients(flux, store, &message);
        text.keep_unused(sent, &MESSAGE, "git flux send --stdin <task> <")
    }

    fn send_to_recipients(&self, flux: &Flux, store: &Store, message: &str) -> Result<()> {
        let mut failed = Vec::new();
        let mut recipients = Vec::new();
        for stored in flux.own_tasks(store) {
            let found = stored
                .readable()
                .map(|task| (task, find_recipient(flux, store, task)));
            match found {
                Ok((task, Ok(Ok(recipient)))) => recipients.push((task, recipient)),
                Ok((_, Ok(Err(why)))) => flux.ui.status(format_args!("not sent: {why}")),
                Ok((task, Err(error))) => failed.push((task, error)),
                Err(error) => flux.ui.status(format_args!("not sent: {error}")),
            }
        }
        let mut is_sent = false;
        for ((task, recipient), sent) in recipients.iter().zip(send_each(&recipients, message)) {
            match sent {
                Ok(is_confirmed) => {
                    is_sent = true;
                    report(flux, task, recipient, is_confirmed);
                }
                Err(error) => failed.push((task, error)),
            }
        }
        for (task, error) in &failed {
            flux.ui.warning(format_args!("'{}': {error:#}", task.id));
        }
        if !failed.is_empty() {
            return Err(Failure::new("could not send to every agent").into());
        }
        if is_sent {
            return Ok(());
        }
        let failure = Failure::new("no running agent accepts messages");
        Err(failure.hint("to see the tasks: git flux list").into())
    }

    fn text(&self, flux: &Flux, words: &[OsString]) -> Result<Text> {
        if self.stdin && !words.is_empty() {
            let failure = Failure::new("the message is given both as arguments and with --stdin")
                .hint(MESSAGE.piped);
            return Err(failure.code(USAGE).into());
        }
        let file = self.stdin.then(|| Path::new("-"));
        TextSource::of(file, words).read(flux, &MESSAGE, self.edit)
    }
}

/// Returns the message; invalid UTF-8 is replaced. Fails if it is empty.
fn message_of(text: &Text) -> Result<String> {
    let message = String::from_utf8_lossy(&text.bytes).into_owned();
    if message.trim().is_empty() {
        return Err(Failure::new("no message given").code(USAGE).into());
    }
    Ok(message)
}

/// Sends a message to all recipients in parallel, and waits for all. Returns, in their order,
/// whether the agent is known to have received it, or the error.
fn send_each(recipients: &[(&Task, Recipient)], message: &str) -> Vec<Result<bool>> {
    thread::scope(|scope| {
        let threads: Vec<_> = recipients
            .iter()
            .map(|(_, recipient)| scope.spawn(|| recipient.send_for_user(message)))
            .collect();
        let sent = threads.into_iter().map(|thread| thread.join());
        sent.map(|sent| sent.expect("no sender panics")).collect()
    })
}

/// Finds the running agent of a task. The inner error is the reason why the agent, by its state or
/// its pane, accepts no message now; the outer error is that the task was copied with its
/// repository, or cannot be observed.
pub(super) fn find_recipient(
    flux: &Flux,
    store: &Store,
    task: &Task,
) -> Result<Result<Recipient, Failure>> {
    ensure_not_copied(flux, task)?;
    let since = clock::now();
    let observed = observe::state_of(flux, store, task)?;
    if let Some(why) = find_refusal(flux, store, task, &observed)? {
        return Ok(Err(why));
    }
    let is_at_work = observed.0 == State::Working;
    let recipient = recipient::find_recipient(flux, task, since, is_at_work)?;
    Ok(recipient.ok_or_else(|| agent_failure(task, "does not accept input")))
}

/// Returns the reason why an agent in this state accepts no message; `None` if its state allows
/// one.
fn find_refusal(
    flux: &Flux,
    store: &Store,
    task: &Task,
    observed: &(State, Evidence),
) -> Result<Option<Failure>> {
    let (state, Evidence { source, .. }) = observed;
    let id = &task.id;
    let has_composer = agent::profile(&task.agent).composer.is_some();
    Ok(Some(match state {
        // Its pane decides: only a composer accepts a message.
        State::Waiting(None) if has_composer => return Ok(None),
        State::Waiting(_) => agent_failure(
            task,
            "waits for an answer, and would take the message as one",
        ),
        State::RunningElsewhere => match ensure_not_elsewhere(flux, task) {
            Err(error) => error.downcast()?,
            Ok(()) => agent_failure(task, "has just ended"),
        },
        // Its title has been idle, if only for some seconds.
        State::Opening if *source == Source::Title && has_composer => return Ok(None),
        // Text typed now would be in the way of the agent's first question.
        State::Queued => agent_failure(task, "is queued: flux.wrapper has not started it yet"),
        State::Opening | State::Starting => agent_failure(task, "is still starting"),
        State::NoWorktree | State::NoBranch => Failure::new(format!(
            "the agent of '{id}' is not running: its worktree or branch is missing"
        ))
        .hint(format!(
            "to see the state of the task: git flux status {id}"
        )),
        State::Idle => Failure::new(format!("no agent was started in '{id}'"))
            .hint(format!("to go to the task: git flux attach {id}")),
        state if !state.is_alive() => {
            let resumable = can_resume(flux, task, &store.find(&flux.repo, id)?.oid)?;
            let verb = if resumable { "resume" } else { "attach" };
            let label = state.label();
            Failure::new(format!("the agent of '{id}' is not running: {label}"))
                .hint(format!("git flux {verb} {id}"))
        }
        _ => return Ok(None),
    }))
}

/// Prints that a message was sent, and whether the agent is known to have received it.
pub(super) fn report(flux: &Flux, task: &Task, recipient: &Recipient, is_confirmed: bool) {
    let sent = format!("sent to '{}'", task.id);
    if recipient.is_at_work {
        flux.ui.status(format_args!(
            "{sent}; the agent is busy and reads the message later"
        ));
    } else if is_confirmed {
        flux.ui.status(sent);
    } else {
        flux.ui
            .warning(format_args!("{sent}; this agent cannot confirm receipt"));
    }
}
