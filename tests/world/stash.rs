//! Stash entries of a task.

use std::fs;

use super::World;

impl World {
    /// Adds an entry to the stash of a task, as its agent does, and returns its commit.
    #[track_caller]
    pub(crate) fn push_stash(&self, id: &str, message: &str) -> String {
        let world = self;
        let worktree = world.worktree(id);
        world.write(worktree.join("README.md"), format!("{message}\n"));
        let commit = world.git_in(&worktree, ["stash", "create", message]);
        world.git_in(&worktree, ["checkout", "-q", "--", "README.md"]);
        let stash = world.repo().join(format!(".git/flux/run/{id}/stash"));
        fs::create_dir_all(stash.join("logs/refs")).unwrap();
        fs::create_dir_all(stash.join("refs")).unwrap();
        let log = stash.join("logs/refs/stash");
        let before = fs::read_to_string(&log).unwrap_or_default();
        let zero = "0".repeat(commit.len());
        let line = format!("{zero} {commit} A <a@b> 1 +0000\tOn fix: {message}\n");
        fs::write(log, before + &line).unwrap();
        fs::write(stash.join("refs/stash"), format!("{commit}\n")).unwrap();
        world.own_ref(&format!("refs/flux/stashed/{id}/{commit}"), &commit);
        commit
    }
}
