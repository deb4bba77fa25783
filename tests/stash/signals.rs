//! Tests signals, the process and its end.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};

use super::{pins, task};
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
    // To the process alone, and to its group, as from a terminal. `nohup cargo test` ignores others than TERM.
    for to in ["", "-"] {
        let mut command = a.command("git");
        command.args([
            "-c",
            "filter.wait.clean=touch ../waits; exec sleep 600 </dev/null",
            "stash",
        ]);
        let mut child = command.process_group(0).spawn().unwrap();
        let mark = world.root().join("waits");
        wait_until("the filter to run", || mark.exists());
        std::fs::remove_file(&mark).unwrap();
        let pid = child.id();
        a.ok(&format!("kill -s TERM -- {to}{pid}"));
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(15), "{status}");
    }
    assert_eq!(a.stash(), [""; 0]);
    a.ok("git stash -q");
    assert_eq!(a.stash().len(), 1);
}

#[test]
fn stash_serves_calls_at_the_same_time() {
    let world = World::new();
    let (id, a) = task(&world, "Task a");
    a.ok(
        "for n in 1 2 3 4 5 6; do echo >f$n; done; git add .; git commit -q -m files
        for n in 1 2 3 4 5 6; do echo $n >f$n; done
        for n in 1 2 3 4 5 6; do git stash push -q -m $n f$n & done; wait",
    );
    assert_eq!(a.ok("git status --short"), "");
    assert_eq!(a.stash().len(), 6);
    assert_eq!(pins(&world, &id).len(), 6);
    a.ok("for n in 1 2 3 4 5 6; do git stash pop -q & done; wait");
    assert_eq!(a.ok("cat f? | sort"), "1\n2\n3\n4\n5\n6\n");
    assert_eq!(pins(&world, &id), [""; 0]);
}
