//! Hints are pasted: each does what it promises.

use crate::world::*;

/// The hints of a command, as they can be pasted: without what they say before the command.
pub(crate) fn hints(output: &Output) -> Vec<String> {
    let lines = output.stderr.lines();
    let hints = lines.filter_map(|line| line.strip_prefix("hint: "));
    hints.map(|hint| command(hint).to_owned()).collect()
}

/// The command of a hint: what follows the last colon before the first of these programs.
fn command(hint: &str) -> &str {
    let programs = ["git ", "mv ", "rm ", "kill ", "sudo ", "cd ", "tmux "];
    let begins = |text: &str| programs.iter().any(|program| text.starts_with(program));
    let starts = hint.match_indices(": ").map(|(at, colon)| at + colon.len());
    let mut starts = [0].into_iter().chain(starts);
    starts
        .find(|at| begins(&hint[*at..]))
        .map_or(hint, |at| &hint[at..])
}

/// Pastes a command into a shell in the main worktree.
pub(crate) fn paste(world: &World, command: &str) -> Result<String, String> {
    let output = world
        .command("/bin/sh")
        .current_dir(world.repo())
        .args(["-c", command])
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match output.status.success() {
        true => Ok(said.concat()),
        false => Err(format!("{command}: {}\n{}", output.status, said.concat())),
    }
}
