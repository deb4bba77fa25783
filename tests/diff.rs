//! Tests `git flux diff`.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::*;

/// Makes a task with a change of every kind.
fn changed(world: &World) -> String {
    let id = world.start("Fix");
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "committed.txt", "committed text\n");
    world.write(worktree.join("src/login.txt"), "one\n2\nthree\n");
    world.write(worktree.join("staged.txt"), "staged text\n");
    world.git_in(&worktree, ["add", "staged.txt"]);
    world.write(worktree.join("staged.txt"), "staged text\nand more\n");
    world.write(worktree.join("new/untracked file.txt"), "untracked text\n");
    world.write(worktree.join("binary.bin"), b"\0\x01\x02");
    world.write(worktree.join("ignored.log"), "ignored text\n");
    fs::remove_file(worktree.join("README.md")).unwrap();
    id
}

#[test]
fn diff_shows_every_change_since_the_base() {
    let world = World::new();
    let id = changed(&world);
    // What happens elsewhere is not the task's.
    world.commit_in(world.repo(), "main.txt", "main text\n");
    let before = world.snapshot();
    let output = world.flux(["diff", &id]).run();
    output.success().stderr_is("");
    for part in [
        "+committed text",
        "-two\n+2\n",
        "+staged text\n+and more\n",
        "+untracked text",
        "new/untracked file.txt",
        "Binary files /dev/null and b/binary.bin differ",
        "deleted file mode 100644",
        "-# myapp",
    ] {
        output.stdout_has(part);
    }
    output
        .has_not("ignored text")
        .has_not("main text")
        .has_not("\u{1b}");
    world.assert_unchanged(&before);
}

#[test]
fn diff_does_not_change_or_lock_the_index() {
    let world = World::new();
    let id = changed(&world);
    let worktree = world.worktree(&id);
    let index = world.git_in(
        &worktree,
        ["rev-parse", "--path-format=absolute", "--git-path", "index"],
    );
    let (before, status) = (
        fs::read(&index).unwrap(),
        world.git_in(&worktree, ["status", "--porcelain"]),
    );
    // The agent is at work: whoever takes this lock fails.
    fs::write(format!("{index}.lock"), "").unwrap();
    let output = world.flux(["diff", &id]).run();
    output
        .success()
        .stdout_has("+untracked text")
        .stdout_has("+staged text");
    fs::remove_file(format!("{index}.lock")).unwrap();
    assert_eq!(fs::read(&index).unwrap(), before);
    assert_eq!(world.git_in(&worktree, ["status", "--porcelain"]), status);
    let left: Vec<_> = fs::read_dir(
        world
            .repo()
            .join(".git/worktrees")
            .join(worktree.file_name().unwrap()),
    )
    .unwrap()
    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
    .filter(|name| name.starts_with("index") && name != "index")
    .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn diff_passes_arguments_to_git_diff() {
    let world = World::new();
    let id = changed(&world);
    let names = world.flux(["diff", &id, "--", "--name-status"]).ok();
    let expected = "D\tREADME.md\nA\tbinary.bin\nA\tcommitted.txt\nA\tnew/untracked file.txt\nM\tsrc/login.txt\nA\tstaged.txt";
    assert_eq!(names, expected);
    let only = world
        .flux(["diff", &id, "--", "--name-only", "--", "src"])
        .ok();
    assert_eq!(only, "src/login.txt");
    world
        .flux(["diff", &id, "--", "--stat"])
        .run()
        .success()
        .stdout_has("6 files changed");
    // git's own exit codes.
    world
        .flux(["diff", &id, "--", "--exit-code", "--quiet"])
        .run()
        .code(1)
        .stderr_is("");
    let wrong = world.flux(["diff", &id, "--", "--no-such-option"]).run();
    wrong.code(129).stderr_has("usage: git diff");
    world
        .flux(["diff", &id, "--", "--quiet", "--exit-code", "--", "nothing"])
        .run()
        .success();
}

#[test]
fn diff_prints_nothing_for_a_task_without_changes() {
    let world = World::new();
    let id = world.start("Fix");
    world
        .flux(["diff", &id])
        .run()
        .success()
        .stdout_is("")
        .stderr_is("");
    // In its worktree it needs no name.
    world.write(world.worktree(&id).join("new.txt"), "new text\n");
    let output = world
        .flux(["diff"])
        .in_dir(world.worktree(&id).join("src"))
        .run();
    output.success().stdout_has("+new text");
    let output = world
        .flux(["diff", "--", "--name-only"])
        .in_dir(world.worktree(&id))
        .run();
    output.success().stdout_is("new.txt\n");
    world.flux(["diff"]).run().code(2).says(&expect![[r#"
        --- stderr
        error: no task given, and not inside a task's worktree
        hint: git flux diff <task>
        hint: to see the tasks: git flux list
    "#]]);
}

#[test]
fn diff_shows_untracked_files_with_any_name() {
    let world = World::new();
    let id = world.start("Fix");
    let worktree = world.worktree(&id);
    world.git(["config", "status.showUntrackedFiles", "no"]);
    for name in [
        "-dash",
        "*star",
        "a\nb",
        ":(top)x",
        "quote\"",
        "ü.txt",
        "sp ace/in/deep.txt",
    ] {
        world.write(worktree.join(name), format!("text of {name:?}\n"));
    }
    world.write(worktree.join("empty"), "");
    symlink("nowhere", worktree.join("link")).unwrap();
    let names = world.flux(["diff", &id, "--", "--name-only", "-z"]).ok();
    let mut names: Vec<&str> = names.split_terminator('\0').collect();
    names.sort_unstable();
    let expected = [
        "*star",
        "-dash",
        ":(top)x",
        "a\nb",
        "empty",
        "link",
        "quote\"",
        "sp ace/in/deep.txt",
        "ü.txt",
    ];
    assert_eq!(names, expected);
}

#[test]
fn diff_skips_a_nested_repository() {
    let world = World::new();
    let id = world.start("Fix");
    let worktree = world.worktree(&id);
    world.write(worktree.join("new.txt"), "new text\n");
    world.make_repository(&worktree.join("nested"));
    world.git_in(&worktree, ["init", "-q", "unborn"]);
    let output = world.flux(["diff", &id]).run();
    output.success().stdout_has("+new text");
}

#[test]
fn diff_uses_the_pager_of_git() {
    let world = World::new();
    let id = world.start("Fix");
    world.write(world.worktree(&id).join("new.txt"), "new text\n");
    let terminal = world.terminal(100, 30);
    world.install("pager", "#!/bin/sh\nsed 's/^/paged: /'\n");
    assert_eq!(
        terminal
            .command(&format!("GIT_PAGER=pager git flux diff {id}"))
            .exit_code(),
        0
    );
    let screen = terminal.screen();
    assert!(
        screen.contains("paged: ") && screen.contains("new text"),
        "{screen}"
    );
    world.git(["config", "core.pager", "pager"]);
    assert_eq!(
        terminal.command(&format!("git-flux diff {id}")).exit_code(),
        0
    );
    assert!(terminal.screen().contains("paged: "));
    // Not where it is piped, and not where git is told not to.
    assert_eq!(
        terminal
            .command(&format!("git flux diff {id} | cat"))
            .exit_code(),
        0
    );
    assert!(!terminal.screen().contains("paged: "));
    world.git(["config", "pager.diff", "false"]);
    assert_eq!(
        terminal.command(&format!("git flux diff {id}")).exit_code(),
        0
    );
    let screen = terminal.screen();
    assert!(
        screen.contains("+new text") && !screen.contains("paged: "),
        "{screen}"
    );
}

#[test]
fn diff_succeeds_if_the_pager_quits_early() {
    let world = World::new();
    let id = world.start("Fix");
    world.write(
        world.worktree(&id).join("new.txt"),
        "new text\n".repeat(50_000),
    );
    let terminal = world.terminal(100, 30);
    assert_eq!(
        terminal
            .command(&format!("GIT_PAGER='head -1' git flux diff {id}"))
            .exit_code(),
        0
    );
    assert!(
        !terminal.screen().contains("error"),
        "{}",
        terminal.screen()
    );
}

#[test]
fn diff_refuses_with_a_git_diff_hint_if_the_worktree_is_gone() {
    let world = World::new();
    let id = world.start("Fix");
    fs::remove_dir_all(world.worktree(&id)).unwrap();
    let output = world.flux(["diff", &id]).run();
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the worktree of 'fix-XXXXXX' is gone: '$WORLD/myapp-fix-XXXXXX'
            hint: to check out its branch again: git worktree add --force --force '$WORLD/myapp-fix-XXXXXX' feature/fix-XXXXXX
            hint: to merge only its commits and remove the task: git flux cleanup fix-XXXXXX --discard
            hint: to see what its commits changed: git diff <object> feature/fix-XXXXXX
        "#]]);
}
