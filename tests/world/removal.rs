//! Makes tasks that can be removed, and checks the result.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::world::hooks::{assert_hooked, once_in_hook};
use crate::world::*;

/// Starts a task whose agent has its terminal in raw mode, as real ones do: `run` knows at once that it is up.
#[track_caller]
pub(crate) fn running_task(world: &World) -> String {
    world.behaviour("raw");
    world.start("Fix login")
}

/// Makes a task whose agent has committed one line to `agent.txt` and still runs.
#[track_caller]
pub(crate) fn working_task(world: &World) -> String {
    let id = running_task(world);
    world.agent(&id).tell("commit one");
    id
}

/// Makes a task whose agent has committed one line to `agent.txt` and ended.
#[track_caller]
pub(crate) fn done_task(world: &World) -> String {
    let id = working_task(world);
    end_agent(world, &id);
    id
}

/// Ends the agent of a task of the default repository, and waits until that is on record.
#[track_caller]
pub(crate) fn end_agent(world: &World, id: &str) {
    end_agent_in(world, &world.repo(), id);
}

/// Ends the agent of a task of the repository at `dir`, and waits until that is on record.
#[track_caller]
pub(crate) fn end_agent_in(world: &World, dir: &Path, id: &str) {
    world.agent(id).tell("exit 0");
    let common_dir = match dir.join(".git") {
        dot_git if dot_git.is_dir() => dot_git,
        dot_git if dot_git.is_file() => {
            let args = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
            world.git_in(dir, args).into()
        }
        _ => dir.to_owned(),
    };
    world.wait_ended_in(&common_dir, id);
}

/// Asserts that nothing names the task any more but its archive and what is kept in the trash.
#[track_caller]
pub(crate) fn assert_removed(world: &World, id: &str) {
    assert_removed_from(world, &world.repo(), id);
}

/// Does the same as `assert_removed` for the repository with this main worktree or bare directory.
#[track_caller]
pub(crate) fn assert_removed_from(world: &World, repo: &Path, id: &str) {
    let facts = format!("{:?}", world.snapshot_of(repo));
    let kept = |line: &&str| {
        let kept = [
            "ref refs/flux/archive/",
            "flux file trash/",
            "flux file marks/archive/",
        ];
        kept.iter().any(|kept| line.starts_with(kept))
    };
    let traces: Vec<&str> = facts
        .lines()
        .filter(|line| line.contains(id) && !kept(line))
        .collect();
    assert!(
        traces.is_empty(),
        "'{id}' is not gone:\n{}",
        traces.join("\n")
    );
}

/// Returns the commit that a revision of the default repository names.
#[track_caller]
pub(crate) fn commit(world: &World, rev: &str) -> String {
    world.git(["rev-parse", "--verify", &format!("{rev}^{{commit}}")])
}

/// Returns the tip of a task's branch.
#[track_caller]
pub(crate) fn tip(world: &World, id: &str) -> String {
    commit(world, &format!("refs/heads/feature/{id}"))
}

/// Returns the directory of a removed task's worktree in the trash.
pub(crate) fn trash(world: &World, id: &str) -> PathBuf {
    world
        .repo()
        .join(".git/flux/trash")
        .join(id)
        .join("worktree")
}

/// Asserts that `main` is a merge of these two commits.
#[track_caller]
pub(crate) fn assert_merge_of(world: &World, main: &str, tip: &str) {
    assert_eq!(
        world.git(["log", "-1", "--format=%P", "main"]),
        format!("{main} {tip}")
    );
}

/// Makes a task whose agent has committed `one`, and which runs this code when it is asked to end.
pub(crate) fn task_with_stop_handler(world: &World, shell: &str) -> String {
    let id = working_task(world);
    let last = format!("sh trap '{shell}; exit 0' TERM HUP INT");
    world.agent(&id).tell(&last);
    id
}

/// Makes a task with two commits: `one.txt`, old and by another author, and `two.txt`.
#[track_caller]
pub(crate) fn two_commits(world: &World) -> String {
    let id = running_task(world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("one.txt"), "one\n");
    world.git_in(&worktree, ["add", "one.txt"]);
    let author = "--author=Ada Lövelace <ada@example.com>";
    let message = "Add one\n\nWith a body.\n\n# and what looks like a comment\n";
    let args = ["commit", "-q", "--cleanup=verbatim", author];
    let date = "--date=1234567890 +0545";
    world.git_in(&worktree, [&args[..], &[date, "-m", message]].concat());
    world.commit_in(&worktree, "two.txt", "two\n");
    end_agent(world, &id);
    id
}

pub(crate) fn people(world: &World, range: &str) -> String {
    let format = "--format=%an <%ae> %ad|%cn|%B";
    world.git(["log", "--reverse", "--date=raw", format, range])
}

/// Makes a directory on another file system than the world.
#[track_caller]
pub(crate) fn elsewhere(world: &World) -> TempDir {
    let device = |dir: &Path| fs::metadata(dir).map(|found| found.dev()).ok();
    let here = device(world.root());
    let dir = ["/dev/shm", "/tmp", "/var/tmp", env!("CARGO_TARGET_TMPDIR")]
        .map(Path::new)
        .into_iter()
        .find(|dir| device(dir).is_some() && device(dir) != here)
        .expect("this test needs two file systems: /dev/shm and /tmp");
    tempfile::Builder::new()
        .prefix("flux-abroad-")
        .tempdir_in(dir)
        .unwrap()
}

#[track_caller]
pub(crate) fn refused(world: &World, args: &[&str], said: &[&str]) {
    refused_in(world, &world.repo(), args, said);
}

/// Asserts that a cleanup is refused with this, and changes nothing here or in the repository at `repo`.
#[track_caller]
pub(crate) fn refused_in(world: &World, repo: &Path, args: &[&str], said: &[&str]) {
    let before = (world.snapshot(), world.snapshot_of(repo));
    let output = world.flux(args).in_dir(repo).run();
    output.code(1).stdout_is("").stderr_has("hint: ");
    for text in said {
        output.stderr_has(text);
    }
    world.assert_unchanged(&before.0);
    assert_eq!(before.1.changes(&world.snapshot_of(repo)), [""; 0]);
}
