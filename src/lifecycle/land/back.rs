//! Sends a task that cannot land back to its agent.

use std::path::Path;

use anyhow::{Context as _, Error, Result};

use super::finding::GateFinding;
use super::rounds::{NextRound, Rounds};
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{Lock, Style, regular_file};
use crate::lifecycle::cleanup::conflict_merge::{ConflictMerge, ConflictSite};
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::recipient;
use crate::sanitize;
use crate::system::clock;
use crate::task::Task;

/// The message to an agent about conflicts. It contains no name that an agent could misread.
pub(crate) const CONFLICT_MESSAGE: &str = "git flux: the target branch was merged into this worktree and the merge stopped at \
                       conflicts. Please resolve them and commit the merge.";

/// The message to an agent whose branch is rebased: a merge would not last.
const REBASE_MESSAGE: &str = "git flux: this branch conflicts with its target branch. Please rebase it onto \
                       the target branch and resolve the conflicts.";

/// The number of lines of the output that an agent is sent, and of characters of each.
const TAIL_LINES: usize = 30;
const LINE_CHARS: usize = 200;

/// The reason why a task is sent back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault<'a> {
    /// It conflicts with its target.
    Conflict,
    Red(&'a GateFinding),
}

/// The handling of a task that did not land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentBack {
    /// The number of times that it was sent back, this one included.
    pub(crate) rounds: usize,
    pub(crate) round: Round,
    pub(crate) how: Notice,
}

/// The effect of a landing on a task that did not land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// It was sent back: its agent was told or has ended, or the target was merged into its worktree.
    Counted,
    /// Its agent could have been told, but was not.
    Nothing,
}

/// The notice to the agent of a task that did not land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Sent,
    /// Its agent is not running.
    NoAgent,
    /// Its agent is running, but accepts no messages.
    NoInput,
    /// Its agent works, and is not interrupted.
    AtWork,
    /// The task was sent back with the same commits before.
    Repeated,
    /// The task was sent back too often: only you can change that.
    Blocked,
    /// It could not be told: why, and hints.
    Failed(String, Vec<String>),
}

/// Tells the agent of a task why it did not land. On a conflict, first merges the target into the
/// task's worktree, unless the task lands by a rebase. Counts the round in the task's record if the
/// agent was told or has ended, or if the target was merged. Merges and tells nothing if the task was
/// sent back with the same commits before or too often, or if the agent works.
pub(super) fn send(flux: &Flux, facts: &Facts, fault: Fault) -> Result<SentBack> {
    let lock = flux.lock_task(&facts.task.id)?;
    let mut rounds = Rounds::read(flux, facts, &lock)?;
    let (round, how) = match rounds.find_next()? {
        NextRound::Repeated => (Round::Nothing, Notice::Repeated),
        NextRound::Blocked => (Round::Nothing, Notice::Blocked),
        NextRound::Later => (Round::Nothing, Notice::AtWork),
        NextRound::New => {
            // Before the merge: a landing that is killed after it has sent the task back.
            let before = rounds.add()?;
            let (round, how) = notify(flux, facts, fault, &lock);
            if round == Round::Nothing {
                rounds.write(before)?;
            }
            (round, how)
        }
    };
    let rounds = rounds.count();
    Ok(SentBack { rounds, round, how })
}

fn notify(flux: &Flux, facts: &Facts, fault: Fault, lock: &Lock) -> (Round, Notice) {
    let done = match fault {
        Fault::Conflict => start_merge(flux, facts, lock),
        Fault::Red(finding) => Ok((Round::Nothing, red_message(finding))),
    };
    let (merged, message) = match done {
        Ok(done) => done,
        Err(error) => return (Round::Nothing, failed(&error)),
    };
    match tell(flux, &facts.task, &message) {
        Ok(true) => (Round::Counted, Notice::Sent),
        Ok(false) if facts.state.is_alive() => (Round::Counted, Notice::NoInput),
        // The hint says to resume it.
        Ok(false) => (Round::Counted, Notice::NoAgent),
        Err(error) => (merged, failed(&error)),
    }
}

fn failed(error: &Error) -> Notice {
    Notice::Failed(format!("{error:#}"), failure::hints(error).collect())
}

/// Merges the target into the task's worktree, and leaves the conflicts there; does nothing if the
/// task lands by a rebase. Returns whether that counts as a round, and the message for its agent.
/// Fails if the task has changed.
fn start_merge(flux: &Flux, facts: &Facts, lock: &Lock) -> Result<(Round, String)> {
    let into = facts.merge_target().context("internal error: no target")?;
    if into.style == Style::Rebase {
        return Ok((Round::Nothing, REBASE_MESSAGE.to_owned()));
    }
    let merge = ConflictMerge::plan(facts, ConflictSite::Task)?;
    let id = &facts.task.id;
    let into = &into.branch;
    let failure = || Failure::new(format!("'{id}' or '{into}' has changed meanwhile"));
    merge.start(flux, lock)?.with_context(failure)?;
    Ok((Round::Counted, CONFLICT_MESSAGE.to_owned()))
}

/// Returns the message with the command that failed, its status and the end of its output.
fn red_message(finding: &GateFinding) -> String {
    let mut text = format!(
        "git flux: this task could not land. Merged with the tasks before it, its files do not pass: {}.",
        sanitize::line(&finding.why)
    );
    if let Some(log) = &finding.log {
        let log = Path::new(log);
        let output = regular_file::read_file(log).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        text += &format!(" The whole output is in {}. It ends with:\n", log.display());
        text += &end_of(&output);
    }
    text + "\nPlease mend it, test it merged with the target branch, and commit."
}

/// Returns the last lines of an output, shortened and without control characters.
fn end_of(output: &str) -> String {
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let shorten = |line: &&str| {
        let line = sanitize::line(line);
        line.chars().take(LINE_CHARS).collect::<String>()
    };
    last.iter().map(shorten).collect::<Vec<_>>().join("\n")
}

/// Sends a message to the running agent of a task. Returns `false` if no agent accepts messages.
pub(crate) fn tell(flux: &Flux, task: &Task, message: &str) -> Result<bool> {
    match recipient::find_recipient(flux, task, clock::now(), true)? {
        // Its answer is not waited for.
        Some(recipient) => recipient.send(message).map(|_| true),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_output_has_few_short_printable_lines() {
        let lines: Vec<String> = (0..50).map(|n| format!("line {n} \x1b[31m\n")).collect();
        let end = end_of(&lines.concat());
        assert!(
            end.starts_with("line 20 ") && !end.contains('\x1b'),
            "{end:?}"
        );
        assert_eq!(end.lines().count(), TAIL_LINES);
        assert_eq!(end_of(&"x".repeat(1000)).len(), LINE_CHARS);
        assert_eq!(end_of("\n\n"), "");
    }
}
