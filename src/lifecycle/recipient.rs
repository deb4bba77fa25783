//! Sends messages to the running agent of a task.

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
use crate::task::{Activity, Target, Task, Title};
use crate::tmux::composer::SafeText;
use crate::tmux::message::{self, Delivery, Receiver};
use crate::tmux::screen::Screen;

/// The time limit for another message to the same agent.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The interval of checks of an agent's title. Each runs tmux.
const TITLE_INTERVAL: Duration = Duration::from_millis(500);

/// The running agent of a task, which accepts messages. Owns its data, so that threads can send in parallel.
pub(crate) struct Recipient {
    task: Task,
    profile: &'static Profile,
    run: RunDir,
    target: Target,
    /// The time of the observation.
    since: Timestamp,
    pub(crate) is_at_work: bool,
}

impl Recipient {
    /// Returns `text` escaped as it must be typed into the agent's composer; if the composer is
    /// unknown, only without control characters. Fails if the agent would read the text as
    /// something else than a message, such as a command.
    fn prepare(&self, text: &str) -> Result<SafeText> {
        let text = message::escape_keys(text);
        let Some(composer) = &self.profile.composer else {
            return Ok(SafeText {
                text,
                ..SafeText::default()
            });
        };
        composer.escape(&text).map_err(|trap| {
            let (id, meaning) = (&self.task.id, trap.meaning());
            let why = format!("the text {meaning}, so the agent would not read it as a message");
            let hint = format!("to type it in the pane yourself: git flux attach {id}");
            let failure = Failure::new(format!("nothing was sent to '{id}': {why}"));
            failure.hint(hint).into()
        })
    }

    /// Types a message into the agent's pane and submits it; waits up to 30 seconds for another
    /// message to the same agent. Returns whether the agent confirmed it or, for an agent that
    /// never does, the composer took it. Fails if the message was not submitted.
    pub(crate) fn send(&self, text: &str) -> Result<bool> {
        let typed = self.prepare(text)?;
        let _lock = Lock::acquire_within(LOCK_TIMEOUT, &self.run.send_lock(), Sharing::Private)?;
        let earlier = self.run.sent_messages();
        let sent = clock::now();
        let checked = Cell::new(Instant::now());
        let arrived = || self.has_started_work(sent, &checked);
        // An agent at work reads it later.
        let is_awaited = self.profile.confirms_messages && !self.is_at_work;
        let receiver = Receiver {
            target: &self.target,
            composer: self.profile.composer.as_ref(),
            earlier: &earlier,
            is_ready: &|| self.is_listening(),
            confirmed: is_awaited.then_some(&arrived),
        };
        let is_received = match receiver.deliver(&typed)? {
            Delivery::Confirmed => true,
            // An agent without such a hook confirms nothing.
            Delivery::Taken => !self.profile.confirms_messages,
            Delivery::Submitted => false,
            refused => return Err(self.refusal(refused)),
        };
        // Best effort: only the next message uses it.
        drop(self.run.write_last_message(&typed));
        Ok(is_received)
    }

    /// Sends a message as [`Self::send`] does, and notes that it comes from the user: a task that
    /// landings have blocked can land again.
    pub(crate) fn send_for_user(&self, text: &str) -> Result<bool> {
        let is_received = self.send(text)?;
        // It has been sent: only `git flux land` uses the note.
        drop(self.run.note_user_message());
        Ok(is_received)
    }

    fn refusal(&self, delivery: Delivery) -> Error {
        let why = match delivery {
            Delivery::HasDraft => "has other text in its input field, so the message was not sent",
            Delivery::Stuck => "did not accept the message; it may still be in its input field",
            Delivery::NotTaken => {
                "did not accept the message in time; the message was cleared from its pane"
            }
            Delivery::NotShown => {
                "shows something else than what was typed, so the message was not sent"
            }
            Delivery::NotListening => {
                "has asked a question or stopped reading input, so the message was not sent"
            }
            _ => "shows no input field, so the message was not sent",
        };
        agent_failure(&self.task, why).into()
    }

    /// Returns whether the agent is still in the foreground of its pane, and has reported no
    /// question since the agent was found. Starts no process.
    fn is_listening(&self) -> Result<bool> {
        let running = self.run.running()?;
        let agent = running.and_then(|running| running.agent);
        let last = events::last(&self.run.events())?;
        let asks =
            last.is_some_and(|last| last.at >= self.since && last.state == Activity::Waiting);
        Ok(agent.is_some() && process::foreground_group(self.target.pane_pid)? == agent && !asks)
    }

    /// Returns whether the agent has reported work since `at`, or its pane's title shows work. Asks
    /// tmux for the title at most every half second, and notes the time in `checked`.
    fn has_started_work(&self, at: Timestamp, checked: &Cell<Instant>) -> Result<bool> {
        let last = events::last(&self.run.events())?;
        if last.is_some_and(|event| event.at >= at && event.state == Activity::Working) {
            return Ok(true);
        }
        if checked.get().elapsed() < TITLE_INTERVAL {
            return Ok(false);
        }
        checked.set(Instant::now());
        let title = Screen::of(&self.target)?.title;
        let title = self.profile.read_title(&title, &self.task.worktree);
        Ok(title == Some(Title::Working))
    }
}

/// Returns the error `the agent of '<id>' <why>`, with the hint `git flux attach <id>`.
pub(crate) fn agent_failure(task: &Task, why: impl Display) -> Failure {
    let id = &task.id;
    Failure::new(format!("the agent of '{id}' {why}"))
        .hint(format!("to look at its pane: git flux attach {id}"))
}

/// Returns the running agent of a task, to send it messages. `None` if it does not run, is queued,
/// is not in the foreground of its pane, or cannot take messages; fails if the system cannot tell. A
/// question reported since `since` prevents sending.
pub(crate) fn find_recipient(
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
    // The agent would read it before it is ready.
    if running.queued_since(&run).is_some() {
        return Ok(None);
    }
    // Input would start another conversation.
    let session = profile.session(&running, &task.worktree);
    if session.is_some_and(|session| session.is_handed_over) || pane::find_pane(task)?.is_none() {
        return Ok(None);
    }
    let in_front = process::foreground_group(target.pane_pid).with_context(|| {
        let id = &task.id;
        Failure::new(format!(
            "cannot tell what reads input in the pane of '{id}'"
        ))
        .hint(format!("to look at its pane: git flux attach {id}"))
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
