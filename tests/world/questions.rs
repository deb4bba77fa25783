//! Answers the questions of a cleanup on a terminal.

use crate::world::removal::*;
use crate::world::*;

pub(crate) const UNCOMMITTED: &str = "What should happen to them?";

pub(crate) const REMOVE: &str = "and remove";

/// Makes a task with one commit and one uncommitted file, whose agent has ended.
pub(crate) fn dirty_task(world: &World) -> String {
    let id = done_task(world);
    world.write(world.worktree(&id).join("loose.txt"), "loose\n");
    id
}

/// Asserts that the command on this terminal ended as one that was declined, with nothing changed.
#[track_caller]
pub(crate) fn declined(world: &World, terminal: &Terminal<'_>, before: &Snapshot) {
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    world.assert_unchanged(before);
    // The shell is usable, and the cursor shows.
    assert_eq!(terminal.ask("#{cursor_flag}"), "1");
    terminal.command("echo still-$((40 + 2))");
    terminal.wait_for_screen("still-42");
    assert_eq!(terminal.exit_code(), 0);
}

/// Runs a cleanup on a terminal that is answered by `answers`: the text that is waited for, then the keys.
#[track_caller]
pub(crate) fn ask<'a>(
    world: &'a World,
    cols: u16,
    args: &str,
    answers: &[(&str, &[&str])],
) -> Terminal<'a> {
    let terminal = world.terminal(cols, 40);
    terminal.command(&format!("git flux cleanup {args}"));
    for (question, keys) in answers {
        terminal.wait_for_screen(question);
        for key in *keys {
            terminal.keys([key]);
        }
    }
    terminal
}
