//! What to do next with a task.

use anyhow::Result;

use crate::context::Flux;
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
    let run = |verb: &str, what| (format!("git flux {verb} {id}"), what);
    let diff = run("diff", "what it has changed");
    let shell = run("attach", "a shell in its worktree");
    if status.owner.is_some() {
        return Ok(vec![run("log", "what it was told, and its commits")]);
    }
    let mut next = Vec::new();
    match &status.state {
        State::RunningElsewhere => return Ok(vec![diff]),
        State::Elsewhere => {
            let drop = format!("git flux cleanup {id} --discard-branch");
            return Ok(vec![(drop, "drop it from this repository alone")]);
        }
        State::Waiting(_) | State::Interrupted => next.push(run("attach", "answer it")),
        state if state.is_alive() => next.push(run("attach", "watch it, talk to it")),
        State::Ended(_) | State::Idle | State::Lost => {
            if can_resume(flux, task, &stored.oid)? {
                next.push(run("resume", "its agent again, where it was"));
            }
            next.push(shell);
        }
        _ => next.push(shell),
    }
    next.extend([diff, run("cleanup", "merge it and remove it")]);
    Ok(next)
}
