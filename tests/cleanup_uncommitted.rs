//! Tests what a cleanup shows and asks about uncommitted files.

use crate::world::questions::*;
use crate::world::removal::done_task;
use crate::world::*;

#[test]
fn cleanup_shows_the_diff_before_asking_again() {
    let world = World::new();
    let id = dirty_task(&world);
    world.write(world.worktree(&id).join("agent.txt"), "two\n");
    let before = world.snapshot();
    let terminal = ask(
        &world,
        100,
        &id,
        &[(UNCOMMITTED, &["Down", "Down", "Enter"])],
    );
    // The untracked file too, and the question again.
    for part in ["+loose", "-one", "+two", "❯ commit them all"] {
        terminal.wait_for_screen(part);
    }
    terminal.keys(["Escape"]);
    declined(&world, &terminal, &before);
}

#[test]
fn cleanup_stores_a_large_file_only_with_consent() {
    let world = World::new();
    let id = dirty_task(&world);
    let large = world.worktree(&id).join("large.bin");
    std::fs::File::create(&large)
        .unwrap()
        .set_len((100 << 20) + 1)
        .unwrap();
    let before = world.snapshot();
    for option in ["--discard", "--commit"] {
        let output = world.flux(["cleanup", "-y", option, &id]).run();
        output.code(1).stderr_is(&format!(
            "error: 'large.bin' has 100.00 MiB and would be committed\n\
             hint: move such files, or add them to .gitignore, then: git flux cleanup {id} {option}\n"
        ));
        world.assert_unchanged(&before);
    }
    let question = "Commit anyway?";
    let discard = (UNCOMMITTED, &["Down", "Enter"][..]);
    for key in ["n", "Escape", "C-c"] {
        let terminal = ask(&world, 100, &id, &[discard, (question, &[key])]);
        declined(&world, &terminal, &before);
    }
    let terminal = ask(
        &world,
        100,
        &id,
        &[discard, (question, &["y"]), (REMOVE, &["y"])],
    );
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    let size = world.git([
        "cat-file",
        "-s",
        &format!("refs/flux/archive/{id}/snapshot^3:large.bin"),
    ]);
    assert_eq!(size, ((100 << 20) + 1).to_string());
}

#[test]
fn cleanup_commits_nothing_if_a_file_is_in_the_way_of_the_merge() {
    let world = World::new();
    let id = done_task(&world);
    world.write("late.txt", "mine\n");
    world.write(world.worktree(&id).join("late.txt"), "theirs\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "--commit", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the merge would overwrite 'late.txt' in the worktree of 'main'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
        hint: commit, stash or move 'late.txt', then: git flux cleanup fix-login-XXXXXX --commit
    "#]]);
    world.assert_unchanged(&before);
}
