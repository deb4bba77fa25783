//! Tests that `run` leaves nothing behind on a full disk. As root it mounts a small file system; otherwise git is
//! replaced by a script that fails.

use std::fs;

use crate::world::limits::*;
use crate::world::*;

#[test]
fn run_leaves_nothing_behind_if_the_checkout_fills_the_disk() {
    let world = World::new();
    let noise: Vec<u8> = (0..4_000_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    world.write("large.bin", noise);
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Large"]);
    let dir = world.root().join("small");
    let small = Small::mount(&dir, "size=1024k");
    if small.is_none() {
        full_disk(&world, "reset");
    }
    world.git(["config", "flux.worktreeDir", dir.to_str().unwrap()]);
    let before = world.snapshot();
    let output = world.flux(["run", "--name", "fix", "Fix"]).run();
    output
        .code(1)
        .stdout_is("")
        .stderr_has("nothing was left behind");
    if small.is_some() {
        output.stderr_has("hint: no space is left on the disk");
    } else {
        output.stderr_has("No space left on device");
    }
    world.assert_unchanged(&before);
    world.assert_pristine();
    assert!(world.started_agents().is_empty());
    // With space it goes as ever.
    drop(small);
    if world.tools().join("bin/git").exists() {
        world.uninstall("git");
    }
    world.flux(["run", "--name", "fix", "Fix"]).run().success();
}

#[test]
fn run_leaves_nothing_behind_if_the_disk_of_the_repository_is_full() {
    let world = World::without_repository("flux world");
    let small = Small::mount(&world.repo(), "size=1024k");
    world.make_repository(&world.repo());
    let filler = world.repo().join(".git/filler");
    if small.is_some() {
        // Until not one byte more fits.
        let mut size = 1 << 20;
        let mut text = Vec::new();
        while size > 0 {
            let longer = vec![b'x'; text.len() + size];
            if fs::write(&filler, &longer).is_ok() {
                text = longer;
            }
            size /= 2;
        }
        fs::write(&filler, &text).ok();
    } else {
        full_disk(&world, "update-ref");
        fs::write(&filler, "").unwrap();
    }
    let before = world.snapshot();
    let output = world.flux(["run", "--name", "fix", "Fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: could not start 'fix'; nothing was left behind
          caused by: could not write the task's record
          caused by: failed to write out file: No space left on device; class=Os (<number>)
        hint: no space is left on the disk of '$WORLD/myapp/.git'; free some and try again
    "#]]);
    world.assert_unchanged(&before);
    world.assert_pristine();
    assert!(!world.worktree("fix").exists() && world.started_agents().is_empty());
    fs::remove_file(filler).unwrap();
    if small.is_none() {
        world.uninstall("git");
    }
    world.flux(["run", "--name", "fix", "Fix"]).run().success();
}
