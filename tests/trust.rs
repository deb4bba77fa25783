//! Tests the scripts in `.worktree-init/` and the consent that they need.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::world::*;

const QUESTION: &str = "Run the scripts in '.worktree-init'";
const SKIPPED: &str =
    "warning: skipped the scripts in '.worktree-init': run once on a terminal to approve them\n";

/// Puts a script of the repository's where it is run, and commits it.
fn commit(world: &World, name: &str, mode: u32, text: &str) {
    let path = world.write(Path::new(".worktree-init").join(name), text);
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    world.git(["add", "-A", ".worktree-init"]);
    world.git(["commit", "-q", "-m", name]);
}

/// Returns a script that writes a line.
fn script_writing(word: &str) -> String {
    format!("#!/bin/sh\necho {word} >>said.log\n")
}

/// Returns what the scripts of a task have written.
fn script_output(world: &World, id: &str) -> Option<String> {
    fs::read_to_string(world.worktree(id).join("said.log")).ok()
}

/// Starts a task on a terminal; answers, if it is to be asked.
fn start(world: &World, id: &str, answer: Option<&str>) -> (i32, String) {
    let terminal = world.terminal(100, 50);
    terminal.command(&format!("git flux run --session --name {id} Fix it"));
    if let Some(answer) = answer {
        terminal.wait_for_screen(QUESTION);
        terminal.keys([answer]);
    }
    let code = terminal.exit_code();
    let screen = terminal.screen();
    assert_eq!(screen.contains(QUESTION), answer.is_some(), "{screen}");
    (code, screen)
}

/// Approves the scripts of HEAD.
fn approve(world: &World) {
    let tree = world.git(["rev-parse", "HEAD:.worktree-init"]);
    world.git(["config", "--add", "flux.trust", &tree]);
}

#[test]
fn run_runs_the_worktree_init_scripts_in_order_once_agreed_to() {
    let world = World::new();
    world.git(["config", "flux.setup", "echo setup >>said.log"]);
    world.git(["config", "flux.copy", "copied"]);
    world.write("copied", "");
    commit(&world, "20-second", 0o755, &script_writing("second"));
    let text = "#!/bin/sh\ntest -e copied && echo \"$FLUX_TASK $PWD\" >>said.log\n. \"${0%/*}/lib/more\"\n";
    commit(&world, "10-first", 0o755, text);
    commit(&world, "lib/more", 0o644, "echo more >>said.log\n");
    commit(&world, "README", 0o644, "no script\n");
    let (code, screen) = start(&world, "one", Some("y"));
    assert_eq!(code, 0);
    for shown in [
        ".worktree-init/10-first (will run):",
        "test -e copied && echo \"$FLUX_TASK $PWD\"",
        ".worktree-init/20-second (will run):",
        ".worktree-init/README:",
        ".worktree-init/lib/more:",
    ] {
        assert!(screen.contains(shown), "{shown}\n{screen}");
    }
    let expected = |id: &str| {
        let worktree = world.worktree(id);
        format!("{id} {}\nmore\nsecond\nsetup\n", worktree.display())
    };
    assert_eq!(script_output(&world, "one"), Some(expected("one")));
    // That is remembered, where the repository keeps what is its user's own.
    let tree = world.git(["rev-parse", "HEAD:.worktree-init"]);
    assert_eq!(
        world.git(["config", "--local", "--get-all", "flux.trust"]),
        tree
    );
    assert_eq!(start(&world, "two", None).0, 0);
    assert_eq!(script_output(&world, "two"), Some(expected("two")));
    world.flux(["run", "-q", "--name", "three", "Fix it"]).ok();
    assert_eq!(script_output(&world, "three"), Some(expected("three")));
}

#[test]
fn run_skips_the_worktree_init_scripts_without_consent() {
    let world = World::new();
    commit(&world, "10-first", 0o755, &script_writing("first"));
    let output = world.flux(["run", "--name", "one", "Fix it"]).run();
    let tree = world.git(["rev-parse", "HEAD:.worktree-init"]);
    output
        .success()
        .stderr_has(SKIPPED)
        .stderr_has(&format!("hint: git config --add flux.trust {tree}\n"));
    // No is no, and is asked again.
    for id in ["two", "three"] {
        let (code, screen) = start(&world, id, Some("n"));
        assert_eq!(code, 0);
        assert!(screen.contains("Skipped the scripts."), "{screen}");
    }
    // And who does not answer starts nothing.
    let before = world.snapshot();
    assert_eq!(start(&world, "four", Some("Escape")).0, 130);
    world.assert_unchanged(&before);
    let plan = world.flux(["run", "--dry-run", "Fix it"]).run();
    plan.success()
        .stdout_has("  Setup: .worktree-init/10-first (once you approve it)\n");
    world.assert_unchanged(&before);
    for id in ["one", "two", "three"] {
        world.agent(id).wait_started();
        assert_eq!(script_output(&world, id), None);
    }
}

#[test]
fn run_asks_again_after_any_change_of_the_worktree_init_scripts() {
    let world = World::new();
    let run = |id: &str| world.flux(["run", "--name", id, "Fix it"]).run();
    commit(&world, "10-first", 0o755, &script_writing("first"));
    approve(&world);
    run("agreed").success().has_not("warning");
    assert_eq!(script_output(&world, "agreed").as_deref(), Some("first\n"));
    type Change<'a> = (&'a str, &'a dyn Fn());
    let changes: [Change; 4] = [
        ("content", &|| {
            commit(&world, "10-first", 0o755, &script_writing("other"));
        }),
        ("mode", &|| {
            commit(&world, "data", 0o755, &script_writing("data"));
        }),
        ("name", &|| {
            world.git(["mv", ".worktree-init/10-first", ".worktree-init/99-first"]);
            world.git(["commit", "-q", "-m", "Rename"]);
        }),
        ("deeper", &|| commit(&world, "lib/more", 0o644, "echo\n")),
    ];
    commit(&world, "data", 0o644, &script_writing("data"));
    approve(&world);
    for (id, change) in changes {
        change();
        run(id).success().stderr_has(SKIPPED);
        assert_eq!(script_output(&world, id), None, "{id}");
        approve(&world);
    }
    // What was agreed to once stays so, also where another branch has it.
    let first = world.git(["rev-list", "HEAD", "--", ".worktree-init/10-first"]);
    let first = first.lines().last().unwrap();
    let back = world.flux(["run", "--name", "back", "--base", first, "Fix it"]);
    back.run().success().has_not("warning");
    assert_eq!(script_output(&world, "back").as_deref(), Some("first\n"));
}

#[test]
fn run_runs_the_scripts_agreed_to_despite_files_in_the_worktrees() {
    let world = World::new();
    commit(&world, "10-first", 0o755, &script_writing("agreed"));
    approve(&world);
    let evil = script_writing("evil");
    // In the main worktree, in the new one, and behind git's back.
    world.write(".worktree-init/10-first", &evil);
    world.write(".worktree-init/20-more", &evil);
    let hook = format!(
        "#!/bin/sh\nfor f in 10-first 20-more; do printf '{}' >.worktree-init/$f; chmod +x .worktree-init/$f; done\n",
        evil.replace('\n', "\\n")
    );
    let hook = world.write(".git/hooks/post-checkout", hook);
    fs::set_permissions(hook, Permissions::from_mode(0o755)).unwrap();
    let blob = world.git(["rev-parse", "HEAD:.worktree-init/10-first"]);
    let other = world.git(["hash-object", "-w", ".worktree-init/20-more"]);
    world.git(["replace", &blob, &other]);
    let id = world.start("Fix it");
    assert_eq!(script_output(&world, &id).as_deref(), Some("agreed\n"));
    let left = world.read(world.worktree(&id).join(".worktree-init/10-first"));
    assert_eq!(left, evil);
}

#[test]
fn run_skips_symbolic_links_in_worktree_init() {
    let world = World::new();
    let outside = world.root().join("outside");
    fs::write(&outside, script_writing("outside")).unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o755)).unwrap();
    commit(&world, "20-file", 0o755, &script_writing("file"));
    symlink("../../outside", world.repo().join(".worktree-init/10-link")).unwrap();
    world.git(["add", "-A", ".worktree-init"]);
    world.git(["commit", "-q", "-m", "A link"]);
    let (code, screen) = start(&world, "one", Some("y"));
    assert_eq!(code, 0);
    assert!(
        screen.contains(".worktree-init/10-link (link, skipped):"),
        "{screen}"
    );
    assert_eq!(script_output(&world, "one").as_deref(), Some("file\n"));
    let copies = fs::read_dir(world.repo().join(".git/flux/run/one/init")).unwrap();
    assert_eq!(copies.count(), 1);
    // And so is the whole, where it is one.
    world.git(["mv", ".worktree-init", "elsewhere"]);
    symlink("elsewhere", world.repo().join(".worktree-init")).unwrap();
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "A link to all"]);
    world
        .flux(["run", "--name", "two", "Fix it"])
        .run()
        .success()
        .stderr_has("warning: skipped '.worktree-init': not a directory\n");
    assert_eq!(script_output(&world, "two"), None);
}

#[test]
fn run_refuses_a_file_name_that_leads_out_of_worktree_init() {
    let world = World::new();
    let script = world.write("evil", script_writing("evil"));
    let blob = world.git(["hash-object", "-w", script.to_str().unwrap()]);
    fs::remove_file(script).unwrap();
    // Such trees are made by no git, but can be fetched.
    let tree = |lines: &str| {
        let file = world.write(".git/tree", lines);
        let mut mktree = world.command("git");
        mktree.arg("mktree").current_dir(world.repo());
        let output = mktree
            .stdin(fs::File::open(file).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let inner = tree(&format!("100755 blob {blob}\t10-evil\n"));
    let init = tree(&format!(
        "040000 tree {inner}\t..\n100755 blob {blob}\t10-fine\n"
    ));
    let top = tree(&format!("040000 tree {init}\t.worktree-init\n"));
    world.git(["config", "flux.trust", &init]);
    let commit = world.git(["commit-tree", "-m", "Evil", &top]);
    let before = world.snapshot();
    world
        .flux(["run", "--base", &commit, "Fix it"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: an entry of '.worktree-init' has a path that leads out of it: '../10-evil'
        "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn run_escapes_control_characters_in_the_scripts_it_shows() {
    let world = World::new();
    let text =
        "#!/bin/sh\n# \x1b]0;owned\x07\x1b[2J\x1b[8mhidden\x1b[0m\u{202e}txet\necho evil\r# fine\n";
    commit(&world, "10-\x1b[31mred", 0o755, text);
    let (_, screen) = start(&world, "one", Some("n"));
    for shown in [
        ".worktree-init/10-\\u{1b}[31mred (will run):",
        "# \\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{1b}[8mhidden\\u{1b}[0m\\u{202e}txet",
        "echo evil\\u{d}# fine",
    ] {
        assert!(screen.contains(shown), "{shown}\n{screen}");
    }
    // A NUL makes nothing invisible that would be run.
    commit(&world, "15-nul", 0o755, "#!/bin/sh\n\0\necho evil too\n");
    commit(&world, "data", 0o644, "\0\n");
    let (_, screen) = start(&world, "nul", Some("n"));
    for shown in ["\\u{0}\n", "echo evil too\n", "binary, 2 bytes\n"] {
        assert!(screen.contains(shown), "{shown}\n{screen}");
    }
    // A long one goes through git's pager, as harmless.
    let long = format!("{text}{}", "true\n".repeat(100));
    commit(&world, "20-long", 0o755, &long);
    world.git(["config", "core.pager", "cat >../paged"]);
    let (_, screen) = start(&world, "two", Some("n"));
    assert!(!screen.contains("echo evil"), "{screen}");
    let paged = world.read(world.root().join("paged"));
    assert!(
        paged.matches("    true\n").count() == 100 && !paged.contains('\x1b'),
        "{paged}"
    );
    // In the pane it is the terminal's, but its name is not.
    approve(&world);
    world.flux(["run", "-q", "--name", "three", "Fix it"]).ok();
    let panes = world.tmux(["list-panes", "-a", "-F", "#{session_name} #{pane_id}"]);
    let pane = panes
        .lines()
        .find(|line| line.starts_with("flux-myapp-three "));
    let pane = pane.unwrap().split(' ').next_back().unwrap();
    let screen = world.tmux(["capture-pane", "-p", "-t", pane]);
    assert!(
        screen.contains("$ .worktree-init/10-\\u{1b}[31mred\n"),
        "{screen}"
    );
}

#[test]
fn run_skips_worktree_init_scripts_too_large_to_show() {
    let world = World::new();
    commit(&world, "10-first", 0o755, &script_writing("first"));
    commit(&world, "data", 0o644, &"x\n".repeat(1 << 19));
    approve(&world);
    world
        .flux(["run", "--name", "one", "Fix it"])
        .run()
        .success()
        .stderr_has("warning: skipped '.worktree-init': too large to show (1048");
    assert_eq!(script_output(&world, "one"), None);
}

#[test]
fn run_fails_if_a_worktree_init_script_fails() {
    let world = World::new();
    commit(&world, "10-first", 0o755, "#!/bin/sh\necho sorry\nexit 3\n");
    commit(&world, "20-second", 0o755, &script_writing("second"));
    approve(&world);
    let before = world.snapshot();
    world
        .flux(["run", "--name", "one", "Fix it"])
        .run()
        .code(1)
        .stderr_has("  sorry\n")
        .stderr_has("caused by: '.worktree-init/10-first' exited with status 3\n");
    world.assert_unchanged(&before);
    // One that cannot be run at all as well.
    commit(&world, "10-first", 0o755, "#!/no/such/program\n");
    approve(&world);
    let before = world.snapshot();
    world
        .flux(["run", "--name", "one", "Fix it"])
        .run()
        .code(1)
        .stderr_has("'.worktree-init/10-first' could not be started");
    world.assert_unchanged(&before);
}

#[test]
fn run_asks_nothing_if_worktree_init_has_no_script() {
    let world = World::new();
    commit(&world, "README", 0o644, "no script\n");
    commit(&world, "lib/tool", 0o755, &script_writing("tool"));
    assert_eq!(start(&world, "one", None).0, 0);
    let output = world.flux(["run", "--name", "two", "Fix it"]).run();
    output.success().has_not("worktree-init");
    assert_eq!(script_output(&world, "two"), None);
}
