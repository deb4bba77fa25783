//! A message to the running agent of a task.

use std::cell::Cell;
use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use jiff::Timestamp;

use super::pane;
use crate::agent::{self, Profile};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, Sharing};
use crate::run::RunDir;
use crate::run::events;
use crate::system::{clock, process};
use crate::task::{Said, Target, Task, Title};
use crate::tmux::composer::Typed;
use crate::tmux::message::{self, Delivery, Receiver};
use crate::tmux::screen::Screen;

/// How long another message to the same agent is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often an agent's title is looked at, which takes a process.
const TITLE_PAUSE: Duration = Duration::from_millis(500);

/// The running agent of a task, which can be sent a message; all that this needs, so that several
/// can be sent at once.
pub(crate) struct Recipient {
    task: Task,
    profile: &'static Profile,
    run: RunDir,
    target: Target,
    /// When it was looked at.
    since: Timestamp,
    pub(crate) is_at_work: bool,
}

impl Recipient {
    fn typed(&self, text: &str) -> Result<Typed> {
        let text = message::harmless(text);
        let Some(composer) = &self.profile.composer else {
            return Ok(Typed {
                text,
                ..Typed::default()
            });
        };
        composer.typed(&text).map_err(|trap| {
            let meaning = trap.meaning();
            self.failure(format_args!(
                "would not take this for a message: it {meaning}"
            ))
        })
    }

    /// Sends a message, and no other at the same time: until it is submitted, and for agents that
    /// say so until it has arrived. Returns whether it has.
    ///
    /// # Errors
    /// When it was not submitted.
    pub(crate) fn send(&self, text: &str) -> Result<bool> {
        let typed = self.typed(text)?;
        let _lock = Lock::acquire_soon(PATIENCE, &self.run.send_lock(), Sharing::Private)?;
        let told_before = self.run.told();
        let sent = clock::now();
        let looked = Cell::new(Instant::now());
        let arrived = || self.has_begun(sent, &looked);
        // One that is at work reads it when it comes to it.
        let is_awaited = self.profile.confirms && !self.is_at_work;
        let receiver = Receiver {
            target: &self.target,
            composer: self.profile.composer.as_ref(),
            told_before: &told_before,
            listens: &|| self.listens(),
            arrived: is_awaited.then_some(&arrived),
        };
        let is_told = match receiver.deliver(&typed)? {
            Delivery::Confirmed => true,
            // More is not heard of one that has no hook for it.
            Delivery::Taken => !self.profile.confirms,
            Delivery::Submitted => false,
            refused => return Err(self.refusal(refused)),
        };
        // It is of use to the next message alone.
        drop(self.run.write_sent(&typed.text));
        Ok(is_told)
    }

    fn refusal(&self, delivery: Delivery) -> Error {
        self.failure(match delivery {
            Delivery::Draft => "has text in its composer that is not sent yet",
            Delivery::Left => "did not take the message, which may stand in its composer",
            Delivery::NotTaken => "did not take the message in time, and it was cleared",
            Delivery::NotShown => "does not show the message, and Enter was not pressed",
            Delivery::NotListening => "asks something by now, or does not accept input any more",
            _ => "shows no composer, and would take this for something else",
        })
    }

    fn failure(&self, what: impl Display) -> Error {
        let id = &self.task.id;
        let failure = Failure::new(format!("the agent of '{id}' {what}"));
        failure.hint(format!("git flux attach {id}")).into()
    }

    /// Returns whether the agent still reads what is typed, and has asked nothing since it was
    /// looked at; without a process.
    fn listens(&self) -> Result<bool> {
        let running = self.run.running()?;
        let agent = running.and_then(|running| running.agent);
        let last = events::last(&self.run.events())?;
        let asks = last.is_some_and(|it| it.at >= self.since && it.state == Said::Waiting);
        Ok(agent.is_some() && process::in_front(self.target.pane_pid)? == agent && !asks)
    }

    /// Returns whether the agent has begun to work on something since `at`: by its own word, or by its title.
    fn has_begun(&self, at: Timestamp, looked: &Cell<Instant>) -> Result<bool> {
        let last = events::last(&self.run.events())?;
        if last.is_some_and(|event| event.at >= at && event.state == Said::Working) {
            return Ok(true);
        }
        if looked.get().elapsed() < TITLE_PAUSE {
            return Ok(false);
        }
        looked.set(Instant::now());
        let title = Screen::of(&self.target)?.title;
        let project = self.task.worktree.file_name().unwrap_or_default();
        let title = self.profile.title(&title, &project.to_string_lossy());
        Ok(title == Some(Title::Working))
    }
}

/// Returns the agent of a task if it can be sent a message: it runs, and nothing else is in front
/// of it, like the shell that ^Z brings. It asked nothing `since` then;
/// of one that is at work it is not awaited that the message arrives.
///
/// # Errors
/// When that cannot be told.
pub(crate) fn listening(
    flux: &Flux,
    task: &Task,
    since: Timestamp,
    is_at_work: bool,
) -> Result<Option<Recipient>> {
    let (profile, run) = (agent::profile(&task.agent), flux.run_dir(&task.id));
    let Some(target) = task.target.as_ref().filter(|_| profile.accepts_messages()) else {
        return Ok(None);
    };
    let Some(running) = run.running()?.filter(|running| running.agent.is_some()) else {
        return Ok(None);
    };
    // What is typed would begin another conversation.
    let session = profile.session(&running, &task.worktree);
    if session.is_some_and(|session| session.is_handed_over) || pane::current(task)?.is_none() {
        return Ok(None);
    }
    let in_front = process::in_front(target.pane_pid).with_context(|| {
        let id = &task.id;
        Failure::new(format!("it is not known who reads what is typed to '{id}'"))
            .hint(format!("git flux attach {id}"))
    })?;
    Ok((in_front == running.agent).then(|| Recipient {
        task: task.clone(),
        profile,
        run,
        target: target.clone(),
        since,
        is_at_work,
    }))
}
