//! Tests signals, the process and its end.

use std::os::unix::process::ExitStatusExt as _;

use super::task;
use crate::world::*;

#[test]
fn stash_program_becomes_git_with_its_process_and_name() {
    let world = World::new();
    let (_, a) = task(&world, "Task a");
    // `exec` keeps the process, so git and all before it have the id of the shell.
    let said = a.sh("exec git -c alias.pid='!echo $PPID' pid & echo $!; wait");
    let pids: Vec<&str> = said.lines().collect();
    assert_eq!(pids[0], pids[1], "{said}");
}

#[test]
fn stash_passes_signals_on_and_ends_by_them() {
    let world = World::new();
    let (_, a) = task(&world, "Task a");
    // git waits for the filter, which waits for its end.
    a.ok("echo '*.md filter=wait' >.gitattributes; git add .; git commit -q -m x; echo 1 >>README.md");
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let mut command = a.command("git");
        command.args([
            "-c",
            "filter.wait.clean=touch ../waits; exec sleep 600 </dev/null",
            "stash",
        ]);
        let mut child = command.spawn().unwrap();
        let mark = world.root().join("waits");
        wait_until("the filter to run", || mark.exists());
        std::fs::remove_file(&mark).unwrap();
        let pid = child.id();
        a.ok(&format!("kill -s {signal} {pid}"));
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(number), "{signal} {status}");
    }
    assert_eq!(a.stash(), [""; 0]);
    a.ok("git stash -q");
    assert_eq!(a.stash().len(), 1);
}
