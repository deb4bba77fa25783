//! Tests a fault in each call of `git flux run`.

use super::matrix::{ID, Scenario};
use super::settled::{End, Kept};
use crate::world::*;

/// Prepares an agent that starts at once, and changes of the user that the run must keep.
fn ready(world: &World) -> Kept {
    world.behaviour("raw");
    own_work(world);
    Kept::now(world)
}

/// Changed, staged and untracked files in the user's own worktree.
pub(super) fn own_work(world: &World) {
    world.write("README.md", "# myapp, changed\n");
    world.write("staged by the user.txt", "staged\n");
    world.git(["add", "staged by the user.txt"]);
    world.write("notes.txt", "untracked\n");
}

fn run(world: &World) -> Flux<'_> {
    world.flux(["run", "-q", "--name", ID, "Fix the login"])
}

#[test]
fn run_outside_tmux_survives_every_fault() {
    let scenario = Scenario {
        before: ready,
        command: run,
        aim: End::Whole,
        // The note about the user's own changes; no server.
        harmless: &["status", "list-sessions", "-V"],
    };
    scenario.survives_everything();
}

#[test]
fn run_inside_tmux_survives_every_fault() {
    let scenario = Scenario {
        before: |world| {
            let kept = ready(world);
            world.tmux(["new-session", "-d", "-s", "mine", "-x", "200", "-y", "50"]);
            kept
        },
        command: |world| {
            let tmux = world.tmux(["display-message", "-p", "#{socket_path},#{pid},0"]);
            run(world).env("TMUX", tmux).env("TMUX_PANE", "%0")
        },
        aim: End::Whole,
        // No answer: not inside tmux. No room for a pane: a window.
        harmless: &["status", "display-message", "split-window"],
    };
    scenario.survives_everything();
}
