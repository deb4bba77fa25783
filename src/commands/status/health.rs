//! The state of a task in a sentence.

use crate::system::clock::seconds;
use crate::task::{State, Status, Why};
use crate::ui::words::age;

/// Returns the state in a sentence.
pub(super) fn health(status: &Status) -> String {
    let now = seconds();
    let ago = |then: u64| age(now.saturating_sub(then));
    match &status.state {
        State::Running(Some(since)) => format!("running for {}", ago(*since)),
        State::RunningElsewhere => {
            "running elsewhere: its launcher cannot be seen from here".to_owned()
        }
        State::Ended(exit) => format!("{exit}, {} ago", ago(exit.at)),
        State::Waiting(why) => since(status, waiting(*why), ago),
        State::Working if status.found.guess => {
            "working, by the look of it: its window has just changed".to_owned()
        }
        State::Working => since(status, "working", ago),
        State::Done => since(status, "done with its turn", ago),
        State::Failed => since(status, "failed: it gave up its turn", ago),
        State::Interrupted => "interrupted in its turn: it waits for what it is told".to_owned(),
        State::Idle => "idle: no agent was started in it".to_owned(),
        State::Lost if status.found.guess => {
            "lost, unless it runs on the machine that it was started on".to_owned()
        }
        State::Lost => "lost: its process is gone, and nobody saw it end".to_owned(),
        State::Incomplete => format!(
            "incomplete: a git flux died while {} it, and the next command that changes anything settles it",
            status.task.phase.into_str()
        ),
        State::NoWorktree if status.unlooked.is_some() => {
            "broken: its worktree does not lead to this repository".to_owned()
        }
        State::NoWorktree => "broken: its worktree is gone".to_owned(),
        State::NoBranch => "broken: its branch is gone".to_owned(),
        State::Elsewhere => "elsewhere: its worktree belongs to another repository".to_owned(),
        State::Unknown => "unknown: what its launcher left cannot be read".to_owned(),
        other => other.name().to_owned(),
    }
}

fn waiting(why: Option<Why>) -> &'static str {
    match why {
        Some(Why::Permission) => "waiting for permission",
        Some(Why::Question) => "waiting for an answer",
        None => "waiting for you",
    }
}

/// What a task does, and since when if that is known.
fn since(status: &Status, what: &str, ago: impl Fn(u64) -> String) -> String {
    match status.found.since {
        Some(since) => format!("{what}, since {}", ago(since)),
        None => what.to_owned(),
    }
}
