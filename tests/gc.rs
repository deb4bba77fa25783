//! Tests `git flux gc`: what it deletes, and what it keeps.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use crate::restore_options::{command_on_terminal, declined, two_removed};
use crate::world::archive::*;
use crate::world::removal::commit;
use crate::world::*;

/// Sets the time of a file or directory back.
fn age(path: &Path, hours: u64) {
    let file = File::open(path).unwrap();
    let at = path.metadata().unwrap().modified().unwrap();
    file.set_modified(at - Duration::from_secs(hours * 3600))
        .unwrap();
}

/// Leaves something of each kind that is no longer needed, and something like it that is.
fn leave_garbage(world: &World) {
    for name in ["merged", "dropped", "lives"] {
        done(world, name);
    }
    let dropped = ["cleanup", "dropped", "--discard-branch"];
    world.flux(dropped).run().success();
    world.flux(["cleanup", "merged"]).run().success();
    // Its answer is about the target as it was.
    world.flux(["conflicts"]).run().success();
    world.commit_in(world.repo(), "README.md", "moved\n");
    world.git(["config", "flux.archiveExpire", "now"]);
    world.git(["config", "flux.trashKeep", "0"]);
    world.own_ref("refs/flux/land/0a1b2c3d/1", "main");
    for file in [
        "run/ghost/sent",
        "trash/.going-ghost/worktree/left",
        "verdicts/0.0",
        "verdicts/0.1",
        "gate/0.log",
        "gate/1.log",
    ] {
        world.write(format!(".git/flux/{file}"), "");
    }
    let flux = world.repo().join(".git/flux");
    age(&flux.join("verdicts/0.0"), 15 * 24);
    age(&flux.join("gate/0.log"), 15 * 24);
    for name in ["git-flux-old", "git-flux-new", "other"] {
        world.write(world.tools().join("tmp").join(name).join("lock"), "");
    }
    for name in ["git-flux-old", "other"] {
        age(&world.tools().join("tmp").join(name), 2);
    }
}

/// Returns the files that [`leave_garbage`] has made and that are still there.
fn left(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    for dir in ["run", "trash", "verdicts", "gate"] {
        let dir = world.repo().join(".git/flux").join(dir);
        left.extend(fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()));
    }
    left.extend(fs::read_dir(world.tools().join("tmp")).unwrap().flatten());
    let names = left.iter().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.map(|it| it.into_string().unwrap()).collect();
    names.sort();
    names
}

fn gc<'a>(world: &'a World, args: &[&str]) -> Flux<'a> {
    world.flux(["gc"].iter().chain(args))
}

#[test]
fn gc_deletes_counts_of_unseen_files_of_commits_that_no_branch_is_at() {
    let world = World::new();
    done(&world, "fix");
    world.git(["config", "flux.landUnseen", "false"]);
    world.flux(["list"]).run().success();
    assert_eq!(gc(&world, &["-n"]).run().success().stdout, "");
    world.commit_in(world.worktree("fix"), "more.txt", "more\n");
    let dry = gc(&world, &["-n"]).run();
    dry.success()
        .stdout_has("would delete 1 count of unseen files");
    gc(&world, &[]).run().success();
    assert_eq!(gc(&world, &["-n"]).run().success().stdout, "");
}

#[test]
fn gc_deletes_what_is_no_longer_needed_and_nothing_else() {
    let world = World::new();
    leave_garbage(&world);
    let (before, files) = (world.snapshot(), left(&world));
    let dry = gc(&world, &["-n"]).run();
    dry.success().says(&expect![[r#"
        would delete the run directory of 'ghost'
        would delete the refs of a killed landing
        would delete the removed task 'merged' (branch 'feature/merged' at <object>)
        would delete the kept worktree of 'dropped'
        would delete '$WORLD/myapp/.git/flux/trash/.going-ghost'
        would delete 1 verdict
        would delete 1 log of the gate
        would delete 1 cached result about conflicts
        would delete '$TOOLS/tmp/git-flux-old'
        --- stderr
        Nothing was done.
    "#]]);
    assert_eq!(gc(&world, &["-n", "-q"]).run().stdout, dry.stdout);
    assert_eq!(left(&world), files);
    world.assert_unchanged(&before);
    let output = gc(&world, &[]).run();
    output.success().says(&expect![[r#"
        --- stderr
        deleted the run directory of 'ghost'
        deleted the refs of a killed landing
        deleted the removed task 'merged' (branch 'feature/merged' at <object>)
        deleted the kept worktree of 'dropped'
        deleted '$WORLD/myapp/.git/flux/trash/.going-ghost'
        deleted 1 verdict
        deleted 1 log of the gate
        deleted 1 cached result about conflicts
        deleted '$TOOLS/tmp/git-flux-old'
    "#]]);
    assert_eq!(
        left(&world),
        ["0.1", "1.log", "git-flux-new", "lives", "other"]
    );
    assert_eq!(world.git(["for-each-ref", "refs/flux/land"]), "");
    // Only what was merged expires.
    assert_eq!(archived(&world), ["dropped"]);
    assert_eq!(world.read("merged.txt"), "work\n");
    assert!(world.worktree("lives").join("lives.txt").exists());
    let before = world.snapshot();
    let output = gc(&world, &[]).run();
    output.success().says(&expect![[r#"
        --- stderr
        there is nothing to delete
    "#]]);
    world.assert_unchanged(&before);
    world.flux(["restore", "-q", "dropped"]).run().success();
    assert_eq!(gc(&world, &["-q"]).run().success().stderr, "");
}

#[test]
fn gc_after_a_kill_ends_as_without_one() {
    let ends_as_expected = |world: &World| {
        gc(world, &[]).run().success();
        assert_eq!(
            left(world),
            ["0.1", "1.log", "git-flux-new", "lives", "other"]
        );
        assert_eq!(world.git(["for-each-ref", "refs/flux/land"]), "");
        assert_eq!(archived(world), ["dropped"]);
    };
    let world = World::new();
    leave_garbage(&world);
    world.shim();
    ends_as_expected(&world);
    let calls = world.calls().len();
    for (step, mode) in [
        (1, Mode::KillAfter),
        (2, Mode::KillBefore),
        (3, Mode::KillDuring),
    ] {
        let world = World::new();
        leave_garbage(&world);
        world.fault(&Fault::nth("git", calls * step / 4, mode));
        let output = gc(&world, &[]).run();
        assert!(world.fault_fired(), "{output}");
        output.killed();
        world.wait_fault_over();
        world.clear_fault();
        ends_as_expected(&world);
    }
}

#[test]
fn gc_recovers_an_interrupted_task() {
    let world = World::new();
    done(&world, "fix");
    world.edit_record("refs/flux/tasks/fix", |json| {
        json.replace("\"active\"", "\"removing\"")
    });
    let before = world.snapshot();
    let output = world.flux(["gc", "--dry-run"]).run();
    output.success().says(&expect![[r#"
        would recover 'fix', which a killed command has left
        --- stderr
        Nothing was done.
    "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["gc"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        the removal of 'fix' was interrupted; the task is still there (git flux cleanup fix)
        there is nothing to delete
    "#]]);
    let landing = format!(
        r#""removing", "removal": {{"at": 1, "snapshot": null, "into": null, "landing": "{}"}}"#,
        commit(&world, "feature/fix")
    );
    world.edit_record("refs/flux/tasks/fix", |json| {
        json.replace("\"active\"", &landing)
    });
    let output = world.flux(["gc"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        the landing of 'fix' was interrupted; the task is still there (git flux land fix)
        there is nothing to delete
    "#]]);
    let output = world.flux(["gc", "--dry-run"]).run();
    output.success().stderr_is("there is nothing to delete\n");
}

#[test]
fn gc_deletes_nothing_if_a_setting_is_invalid() {
    let world = World::new();
    leave_garbage(&world);
    world.git(["config", "flux.trashKeep", "many"]);
    let (before, files) = (world.snapshot(), left(&world));
    for args in [&[][..], &["-n"], &["--quiet"]] {
        let output = gc(&world, args).run();
        output.code(1).stderr_has("bad value 'many'");
        assert_eq!(left(&world), files);
        world.assert_unchanged(&before);
    }
}

#[test]
fn gc_refuses_options_that_do_not_fit_together() {
    let world = World::new();
    let before = world.snapshot();
    for args in [&["--yes"][..], &["--trash", "--scratch"], &["alpha"]] {
        gc(&world, args).run().code(2);
    }
    world.assert_unchanged(&before);
}

#[test]
fn gc_trash_deletes_all_removed_tasks_with_consent() {
    let world = World::new();
    let output = world.flux(["gc", "--trash"]).run();
    output.success().stderr_is("there is nothing to delete\n");
    two_removed(&world);
    done(&world, "gamma");
    let before = world.snapshot();
    let output = world.flux(["gc", "--trash"]).run();
    output
        .code(1)
        .stdout_is("")
        .stderr_has("  alpha  not merged\n")
        .stderr_has("  beta  merged into 'main'\n")
        .stderr_has("error: refusing to delete without --yes\nhint: to see the removed tasks: git flux restore --list\n");
    let output = world.flux(["gc", "--trash", "-n"]).run();
    output
        .success()
        .stdout_has("would delete 'alpha' (not merged)\n")
        .stdout_has("would delete 'beta' (merged into 'main')\n")
        .stderr_is("Nothing was done.\n");
    world.assert_unchanged(&before);
    let question = "Delete these 2 for good?";
    for key in ["Enter", "n", "Escape", "C-c"] {
        let terminal = command_on_terminal(&world, "gc --trash", &[(question, &[key])]);
        declined(&world, &terminal, &before);
        let screen = terminal.screen();
        assert!(screen.contains("alpha  not merged"), "{screen}");
        assert!(screen.contains("beta  merged into 'main'"), "{screen}");
    }
    let output = world.flux(["gc", "--trash", "--yes"]).run();
    output
        .success()
        .stderr_has("deleted 'alpha' (the commits of 'feature/alpha' were at ")
        .stderr_has("deleted 'beta' (the commits of 'feature/beta' were at ");
    assert_eq!(archived(&world), [""; 0]);
    assert_not_archived(&world, "alpha");
    assert_not_archived(&world, "beta");
    // A task that lives is none of its business.
    assert!(world.worktree("gamma").join("gamma.txt").exists());
    world.flux(["cleanup", "gamma"]).run().success();
    assert_eq!(archived(&world), ["gamma"]);
}

#[test]
fn gc_shows_no_control_characters_of_the_name_of_a_removed_task() {
    let world = World::new();
    done(&world, "fix");
    world.flux(["cleanup", "fix"]).run().success();
    world.git(["config", "flux.archiveExpire", "now"]);
    // CSI in one character, which git allows in names of refs.
    let list = [
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        "refs/flux/archive/fix",
    ];
    for line in world.git(list).lines() {
        let (name, object) = line.split_once(' ').unwrap();
        let name = name.replace("/fix/", "/fix.\u{9b}31m/");
        world.own_ref(&name, object);
    }
    let dry = gc(&world, &["-n"]).run();
    dry.success().stdout_has("'fix.\\u{9b}31m' (");
    assert!(!dry.stdout.contains('\u{9b}'), "{dry}");
}
