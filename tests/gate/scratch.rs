//! Tests the worktree in which the gate runs.

use std::fs;

use super::*;
use crate::world::hooks::{hook, log_file};

#[test]
fn gate_copies_seeds_before_the_first_checkout() {
    let world = World::new();
    world.write("Makefile", "out: source\n\tcp source out\n");
    world.write("source", "good\n");
    world.write(".gitignore", "out\n");
    // Notes what was there when the source was checked out.
    let log = world.tools().join("order");
    let note = format!(
        "[ ! -e out ] || echo seeded >>'{0}'; echo checked out >>'{0}'",
        log.display()
    );
    let note = format!("#!/bin/sh\ncase $PWD in *--land) {note} ;; esac\nexec cat\n");
    world.install("note", &note);
    world.git(["config", "filter.note.smudge", "note"]);
    world.write(".gitattributes", "source filter=note\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Build"]);
    let path = task(&world, "fix");
    world.commit_in(&path, "source", "bad\n");
    // It is newer than the source of the task, and was built from another one.
    world.write("out", "good\n");
    world.git(["config", "flux.copy", "/out"]);
    configure(&world, [NOTE, "make -s", "grep -q good out"]);
    world.flux(["gate", "fix"]).run().code(1);
    assert_eq!(
        fs::read_to_string(scratch(&world).join("out")).unwrap(),
        "bad\n"
    );
    let order = fs::read_to_string(&log).unwrap();
    assert_eq!(order, "seeded\nchecked out\n");
    // The seed was there, with its time.
    world.write(path.join("source"), "good\n");
    configure(&world, ["test -e out"]);
    world.flux(["gate", "fix"]).run().success();
    // `flux.gateSeed` says more than `flux.copy`, and an empty one that there is none.
    world.git(["config", "flux.gateSeed", ""]);
    world.flux(["gate", "fix"]).run().code(1);
    assert!(!scratch(&world).join("out").exists());
}

#[test]
fn gate_makes_its_worktree_anew_if_other_files_are_to_be_copied() {
    let world = World::new();
    world.write(".gitignore", ".env\n/kept\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    task(&world, "fix");
    world.write(".env", "1\n");
    let gate = ["gate", "fix"];
    configure(
        &world,
        ["test ! -e kept || echo warm; echo 1 >kept; test -e .env"],
    );
    world.flux(gate).run().code(1);
    // The new patterns are those of another gate, and so of another worktree.
    world.git(["config", "flux.gateSeed", "/.env"]);
    world.flux(gate).run().success().says(&expect![[r#"
        fix: green
        --- stderr
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        Copied 1 file into the new worktree.
    "#]]);
    world.git(["config", "--add", "flux.gate", "true"]);
    world.flux(gate).run().success();
    let log = world.flux(["gate", "--log", "fix"]).ok();
    assert!(log.contains("warm"), "{log}");
    world.git(["config", "flux.gateSeed", "/.envrc"]);
    world.flux(gate).run().code(1);
}

#[test]
fn gate_moves_no_branch_that_is_checked_out_in_its_worktree() {
    let world = World::new();
    let path = task(&world, "fix");
    configure(&world, ["true"]);
    world.flux(["gate", "fix"]).run().success();
    // By the user, who looks for a defect there.
    let scratch = scratch(&world);
    world.git_in(&scratch, ["switch", "-q", "-c", "debug"]);
    world.commit_in(&scratch, "found.txt", "it\n");
    let found = world.git(["rev-parse", "debug"]);
    world.commit_in(&path, "login.txt", "1\n");
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(world.git(["rev-parse", "debug"]), found);
    assert!(!scratch.join("found.txt").exists());
    // By the gate.
    for switch in ["git switch -qC made", "git switch -q --orphan made"] {
        configure(&world, [switch]);
        world.commit_in(&path, "login.txt", switch);
        let output = world.flux(["gate", "fix"]).run();
        output.code(125).stdout_has("the gate changes HEAD");
        let made = world.try_git(["rev-parse", "-q", "--verify", "made"]).ok();
        configure(&world, ["true"]);
        world.commit_in(&path, "login.txt", &format!("{switch}, again"));
        world.flux(["gate", "fix"]).run().success();
        assert_eq!(
            world.try_git(["rev-parse", "-q", "--verify", "made"]).ok(),
            made
        );
        world.try_git(["branch", "-q", "-D", "made"]).ok();
    }
}

#[test]
fn gate_names_the_command_that_frees_the_place_of_its_worktree() {
    let world = World::new();
    task(&world, "fix");
    configure(&world, ["true"]);
    let gate = ["gate", "fix"];
    world.flux(gate).run().success();
    let scratch = scratch(&world);
    world.git(["worktree", "unlock", "../myapp--land"]);
    world.write(scratch.join("note.txt"), "mine\n");
    configure(&world, ["true", "true"]);
    world.flux(gate).run().code(125).says(&expect![[r#"
        fix: no verdict: '$WORLD/myapp--land' is in the way: the worktree for gates belongs there
        --- stderr
        error: '$WORLD/myapp--land' is in the way: the worktree for gates belongs there
        hint: to make room: git worktree move --force --force '$WORLD/myapp--land' '$WORLD/myapp--land'.away
        error: no verdict about 1 of 1 task
    "#]]);
    world.git([
        "worktree",
        "move",
        "--force",
        "--force",
        "../myapp--land",
        "../away",
    ]);
    assert!(world.root().join("away/note.txt").exists());
    world.git(["worktree", "move", "../away", "../myapp--land"]);
    fs::remove_dir_all(&scratch).unwrap();
    world.flux(gate).run().code(125).says(&expect![[r#"
        fix: no verdict: '$WORLD/myapp--land' is needed for gates, but git lists a worktree there that is gone
        --- stderr
        error: '$WORLD/myapp--land' is needed for gates, but git lists a worktree there that is gone
        hint: to remove it from the list: git worktree remove --force --force '$WORLD/myapp--land'
        error: no verdict about 1 of 1 task
    "#]]);
    world.flux(["gc", "--scratch"]).run().code(1);
    let forget = ["worktree", "remove", "--force", "--force", "../myapp--land"];
    world.git(forget);
    world.flux(gate).run().success();
}

#[test]
fn gate_runs_beside_the_repository_whatever_flux_worktree_dir_says() {
    let world = World::new();
    world.write(".gitignore", "node_modules\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    let elsewhere = world.root().join("elsewhere");
    world.git(["config", "flux.worktreeDir", elsewhere.to_str().unwrap()]);
    task(&world, "fix");
    // Programs search the directories above for such files.
    world.write("node_modules/left/index.js", "");
    let search =
        "d=$PWD; while [ \"$d\" ]; do [ ! -e \"$d/node_modules\" ] || exit 1; d=${d%/*}; done";
    configure(&world, [search]);
    world.flux(["gate", "fix"]).run().success();
    assert!(scratch(&world).join("README.md").exists() && !elsewhere.exists());
}

#[test]
fn gate_keeps_ignored_files_and_no_others_from_run_to_run() {
    let world = World::new();
    world.write(".gitignore", "build\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    let path = task(&world, "fix");
    configure(
        &world,
        [
            "test ! -e left -a ! -e nested -a \"$(cat README.md)\" != changed",
            "mkdir -p build; echo run >>build/runs; echo >left; git init -q nested; echo >nested/file",
        ],
    );
    for n in 0..3 {
        world.write(path.join("number"), n.to_string());
        world.flux(["gate", "fix"]).run().success();
        // As of a user who looks around there.
        world.write(scratch(&world).join("README.md"), "changed");
    }
    let built = fs::read_to_string(scratch(&world).join("build/runs")).unwrap();
    assert_eq!(built.lines().count(), 3);
}

#[test]
fn gate_refuses_what_else_is_at_the_path_of_its_worktree() {
    let world = World::new();
    task(&world, "fix");
    configure(&world, [NOTE]);
    let scratch = scratch(&world);
    let place = scratch.to_str().unwrap();
    let refused = |what: &str| {
        let before = world.snapshot();
        let output = world.flux(["gate", "fix"]).run();
        output.code(125).says(&expect![[r#"
            fix: no verdict: '$WORLD/myapp--land' is in the way: the worktree for gates belongs there
            --- stderr
            error: '$WORLD/myapp--land' is in the way: the worktree for gates belongs there
            hint: to make room: mv '$WORLD/myapp--land' '$WORLD/myapp--land'.away
            error: no verdict about 1 of 1 task
        "#]]);
        world.assert_unchanged(&before);
        assert_eq!(runs(&world), 0, "{what}");
    };
    fs::create_dir(&scratch).unwrap();
    fs::write(scratch.join("mine"), "").unwrap();
    refused("a directory");
    fs::remove_dir_all(&scratch).unwrap();
    fs::write(&scratch, "").unwrap();
    refused("a file");
    fs::remove_file(&scratch).unwrap();
    world.git(["init", "-q", place]);
    world.commit_in(&scratch, "mine", "");
    refused("a repository");
    fs::remove_dir_all(&scratch).unwrap();
    // A worktree of the user, with a change.
    world.git(["worktree", "add", "-q", "--detach", place]);
    world.write(scratch.join("README.md"), "mine\n");
    let before = world.snapshot();
    let output = world.flux(["gate", "fix"]).run();
    output
        .code(125)
        .stderr_has("is in the way: the worktree for gates belongs there");
    world.assert_unchanged(&before);
    world.git(["worktree", "remove", "--force", place]);
    // An empty directory is in nobody's way.
    fs::create_dir(&scratch).unwrap();
    world.flux(["gate", "fix"]).run().success();
}

#[test]
fn gate_makes_its_worktree_again_if_it_is_gone_or_incomplete() {
    let world = World::new();
    let path = task(&world, "fix");
    configure(&world, [NOTE, "test -e README.md"]);
    let scratch = scratch(&world);
    let admin = world.repo().join(".git/worktrees/myapp--land");
    let damages: [&dyn Fn(); 5] = [
        &|| (),
        &|| fs::remove_dir_all(&scratch).unwrap(),
        &|| fs::remove_file(admin.join("index")).unwrap(),
        &|| {
            fs::remove_dir_all(&scratch).unwrap();
            fs::create_dir(&scratch).unwrap();
        },
        // As git leaves it that is killed.
        &|| {
            fs::write(admin.join("index.lock"), "").unwrap();
            fs::write(admin.join("HEAD.lock"), "").unwrap();
        },
    ];
    for (n, damage) in damages.iter().enumerate() {
        damage();
        world.write(path.join("number"), n.to_string());
        world.flux(["gate", "fix"]).run().success();
        assert_eq!(runs(&world), n + 1);
        let list = world.git(["worktree", "list", "--porcelain"]);
        let locked = "detached\nlocked git flux runs gates in it";
        assert!(list.contains(locked), "{list}");
        assert_eq!(list.matches("worktree ").count(), 3, "{list}");
    }
}

#[test]
fn gate_runs_no_hooks_in_its_worktree() {
    let world = World::new();
    let path = task(&world, "fix");
    configure(&world, [NOTE]);
    for name in ["post-checkout", "post-index-change"] {
        hook(&world, Path::new(".git/hooks"), name, "");
    }
    for n in 0..2 {
        world.write(path.join("number"), n.to_string());
        world.flux(["gate", "fix"]).run().success();
    }
    let ran = fs::read_to_string(log_file(&world)).unwrap_or_default();
    assert!(!ran.contains("myapp--land"), "{ran}");
}

#[test]
fn gate_worktree_is_taken_for_no_task_and_no_worktree_to_adopt() {
    let world = World::new();
    let path = task(&world, "fix");
    configure(&world, [NOTE]);
    world.flux(["gate", "fix"]).run().success();
    let list = world.flux(["list", "--json"]).run().success().json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let scratch = scratch(&world);
    let place = scratch.to_str().unwrap();
    let before = world.snapshot();
    let adopt = world.flux(["adopt", "--name", "mine", place]).run();
    adopt.code(1).says(&expect![[r#"
        --- stderr
        error: '$WORLD/myapp--land' is the worktree for gates
        hint: to see the worktrees: git worktree list
    "#]]);
    for name in ["-land", "--land"] {
        world
            .flux(["run", &format!("--name={name}"), "Fix"])
            .run()
            .code(2);
    }
    world.assert_unchanged(&before);
    world.git_in(&path, ["switch", "-q", "-c", "aside"]);
    world.git(["worktree", "add", "-q", "--detach", "../free"]);
    let offered = output::ask(&world, "bash", &["adopt", ""]).run();
    offered.stdout_has("/free").has_not("myapp--land");
    // It is in the way of no other command.
    world
        .flux(["status", "fix"])
        .in_dir(&scratch)
        .run()
        .success();
    world
        .flux(["cleanup", "fix", "-n"])
        .in_dir(&scratch)
        .run()
        .has_not("myapp--land");
}

#[test]
fn gate_tests_all_files_of_a_sparse_repository() {
    let world = World::new();
    for dir in ["one", "two"] {
        world.write(format!("{dir}/file"), "1\n");
    }
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Directories"]);
    world.git(["sparse-checkout", "set", "one"]);
    let path = task(&world, "fix");
    assert!(!path.join("two").exists());
    configure(&world, ["test -e one/file -a -e two/file -a -e one/new"]);
    world.write(path.join("one/new"), "");
    world.flux(["gate", "fix"]).run().success();
}

#[test]
fn gate_tests_files_as_filters_check_them_out() {
    let world = World::new();
    // As git-lfs does it: a pointer is committed, and the content is kept elsewhere.
    let store = world.tools().join("store");
    world.install(
        "clean",
        &format!("#!/bin/sh\ncat >'{}'\necho pointer\n", store.display()),
    );
    world.install(
        "smudge",
        &format!("#!/bin/sh\ncat >/dev/null\ncat '{}'\n", store.display()),
    );
    for (key, value) in [
        ("clean", "clean"),
        ("smudge", "smudge"),
        ("required", "true"),
    ] {
        world.git(["config", &format!("filter.large.{key}"), value]);
    }
    world.write(".gitattributes", "*.bin filter=large\n");
    world.write("a.bin", "content\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Filter"]);
    assert_eq!(world.git(["show", "HEAD:a.bin"]).trim_end(), "pointer");
    let path = task(&world, "fix");
    configure(&world, [NOTE, "grep -q content a.bin"]);
    world.write(path.join("more"), "");
    world.flux(["gate", "fix"]).run().success();
    // What is committed now is the tree that was tested.
    world.git_in(&path, ["add", "-A"]);
    world.git_in(&path, ["commit", "-q", "-m", "More"]);
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(runs(&world), 1);
}

#[test]
fn gc_scratch_removes_the_worktree_with_its_ignored_files() {
    let world = World::new();
    world.commit_in(world.repo(), ".gitignore", "build\n");
    let output = world.flux(["gc", "--scratch"]).run();
    output.success().stderr_is("there is nothing to delete\n");
    task(&world, "fix");
    configure(&world, ["echo out >build"]);
    world.flux(["gate", "fix"]).run().success();
    assert!(scratch(&world).join("build").exists());
    let before = world.snapshot();
    let output = world.flux(["gc", "--scratch", "-n"]).run();
    output.success().says(&expect![[r#"
        would remove the worktree '$WORLD/myapp--land'
        --- stderr
        Nothing was done.
    "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["gc", "--scratch"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        removed the worktree '$WORLD/myapp--land'
    "#]]);
    assert!(!scratch(&world).exists());
    let worktrees = world.git(["worktree", "list", "--porcelain"]);
    assert!(!worktrees.contains("--land"), "{worktrees}");
    assert_eq!(verdicts(&world).len(), 1);
    // It is made again, from where it was called, too.
    configure(&world, ["test ! -e build"]);
    world.flux(["gate", "fix"]).run().success();
    let gc = world
        .flux(["gc", "--scratch", "-q"])
        .in_dir(scratch(&world));
    gc.run().success().stderr_is("");
    assert!(!scratch(&world).exists());
    // Its directory may be gone already.
    configure(&world, ["true"]);
    world.flux(["gate", "fix"]).run().success();
    fs::remove_dir_all(scratch(&world)).unwrap();
    world.flux(["gc", "--scratch"]).run().success();
    let worktrees = world.git(["worktree", "list", "--porcelain"]);
    assert!(!worktrees.contains("--land"), "{worktrees}");
}

#[test]
fn gc_scratch_removes_nothing_that_git_flux_has_not_made() {
    let world = World::new();
    let place = scratch(&world);
    let place = place.to_str().unwrap();
    const MOVE: &str = "git worktree move --force --force";
    let refused = |mv: &str| {
        let before = world.snapshot();
        for args in [&["gc", "--scratch"][..], &["gc", "--scratch", "-n"]] {
            let output = world.flux(args).run();
            let what = format!("'{place}' is in the way: the worktree for gates belongs there");
            let hint = format!("to make room: {mv} '{place}' '{place}'.away");
            output.code(1).stdout_is("");
            output.stderr_is(&format!("error: {what}\nhint: {hint}\n"));
        }
        world.assert_unchanged(&before);
    };
    world.write(scratch(&world).join("mine.txt"), "mine\n");
    refused("mv");
    assert!(scratch(&world).join("mine.txt").exists());
    fs::remove_dir_all(scratch(&world)).unwrap();
    world.git(["worktree", "add", "-q", "-b", "mine", place]);
    refused(MOVE);
    world.git(["worktree", "lock", "--reason=mine", place]);
    refused(MOVE);
    assert!(scratch(&world).join("README.md").exists());
}
