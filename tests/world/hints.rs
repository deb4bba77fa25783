//! Takes hints out of an output and pastes them.

use std::fs;
use std::path::PathBuf;

use crate::world::*;

/// Returns the hints of a command as they can be pasted, without the text before the command.
pub(crate) fn hints(output: &Output) -> Vec<String> {
    let lines = output.stderr.lines();
    let hints = lines.filter_map(|line| line.strip_prefix("hint: "));
    hints.map(|hint| command(hint).to_owned()).collect()
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

/// The directories of a world in which nothing runs, put aside.
pub(crate) struct Saved<'a> {
    world: &'a World,
    copy: PathBuf,
}

impl<'a> Saved<'a> {
    pub(crate) fn of(world: &'a World) -> Self {
        let copies = (0..).map(|n| world.tools().join(format!("saved-{n}")));
        let copy = { copies }.find(|copy| !copy.exists()).unwrap();
        Self::copy(world, &world.root().to_owned(), &copy);
        Self { world, copy }
    }

    /// Puts everything back as it was.
    pub(crate) fn put_back(&self) {
        // A command in the background may still delete something.
        wait_until("the files to be deleted", || {
            fs::remove_dir_all(self.world.root()).is_ok()
        });
        Self::copy(self.world, &self.copy, &self.world.root().to_owned());
    }

    /// Asserts that no file has changed since, but for the locks of git flux.
    #[track_caller]
    pub(crate) fn assert_unchanged(&self) {
        let mut diff = self.world.command("diff");
        let diff = diff.args(["-rq", "--no-dereference", "-x", "lock", "-x", "cache"]);
        let output = diff
            .arg(&self.copy)
            .arg(self.world.root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "something has changed:\n{said}");
    }

    pub(crate) fn copy(world: &World, from: &PathBuf, to: &PathBuf) {
        // A file may vanish on the way, such as one that is being written under another name.
        wait_until("a whole copy", || {
            let mut copy = world.command("cp");
            let done = copy.current_dir(world.tools()).arg("-a").arg(from).arg(to);
            let is_whole = done.status().unwrap().success();
            if !is_whole {
                fs::remove_dir_all(to).unwrap();
            }
            is_whole
        });
    }
}

impl Drop for Saved<'_> {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.copy).ok();
    }
}

/// Returns the command of a hint: the text after the first colon that is followed by the name of a program.
pub(crate) fn command(hint: &str) -> &str {
    let programs = [
        "git ", "echo ", "mv ", "rm ", "kill ", "sudo ", "cd ", "tmux ", "unset ",
    ];
    let begins = |text: &str| programs.iter().any(|program| text.starts_with(program));
    let starts = hint.match_indices(": ").map(|(at, colon)| at + colon.len());
    let mut starts = [0].into_iter().chain(starts);
    let start = starts.find(|at| begins(&hint[*at..]));
    start.map_or(hint, |at| &hint[at..])
}
