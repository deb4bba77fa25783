//! What to do next with a task.

use anyhow::Result;

use crate::lifecycle::Flux;
use crate::lifecycle::broken::Broken;
use crate::lifecycle::resume::can_resume;
use crate::store::Stored;
use crate::task::{State, Status};

/// A command, and what it is for.
type Next = (String, &'static str);

/// Returns the commands that come next.
///
/// # Errors
/// When it cannot be told what is missing, or whether the agent could go on.
pub(super) fn of(flux: &Flux, status: &Status, stored: &Stored) -> Result<Vec<Next>> {
    let task = stored.readable()?;
    let id = &task.id;
    if matches!(status.state, State::NoWorktree | State::NoBranch)
        && let Some(broken) = Broken::find(flux, task)?
    {
        let ways = broken.ways.into_iter();
        return Ok(ways.map(|(what, command)| (command, what)).collect());
    }
    let log = (
        format!("git flux log {id}"),
        "what it was told, and its commits",
    );
    let diff = (format!("git flux diff {id}"), "what it has changed");
    let attach = |what| (format!("git flux attach {id}"), what);
    let shell = attach("a shell in its worktree");
    if status.owner.is_some() {
        return Ok(vec![log]);
    }
    let mut next = Vec::new();
    match &status.state {
        State::RunningElsewhere => return Ok(vec![diff]),
        State::Elsewhere => {
            let drop = format!("git flux cleanup {id} --discard-branch");
            return Ok(vec![(drop, "drop it from this repository alone")]);
        }
        State::Waiting(_) | State::Interrupted => next.push(attach("answer it")),
        state if state.is_alive() => next.push(attach("watch it, talk to it")),
        State::Ended(_) | State::Idle | State::Lost => {
            if can_resume(flux, task, &stored.oid)? {
                let resume = format!("git flux resume {id}");
                next.push((resume, "its agent again, where it was"));
            }
            next.push(shell);
        }
        _ => next.push(shell),
    }
    let cleanup = format!("git flux cleanup {id}");
    next.extend([diff, (cleanup, "merge it and remove it")]);
    Ok(next)
}
