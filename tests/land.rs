//! Tests `git flux land` without a gate.

use crate::world::removal::*;
use crate::world::*;

/// Starts tasks whose agents have committed a file and ended.
pub(crate) fn done(world: &World, names: &[&str]) {
    for name in names {
        world.behaviour("exit 0");
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        world.commit_in(world.worktree(name), &file(name), "work\n");
    }
}

/// Returns the name of the file that a task commits.
pub(crate) fn file(name: &str) -> String {
    format!("{}.txt", name.to_uppercase())
}

/// Returns the ids of the tasks that exist.
pub(crate) fn tasks(world: &World) -> Vec<String> {
    let refs = world.git([
        "for-each-ref",
        "--format=%(refname:lstrip=3)",
        "refs/flux/tasks",
    ]);
    refs.lines().map(str::to_owned).collect()
}

/// Asserts that no landing has left refs or marks.
#[track_caller]
pub(crate) fn assert_no_landing(world: &World) {
    assert_eq!(world.git(["for-each-ref", "refs/flux/land"]), "");
    let marks = world.repo().join(".git/flux/marks/land");
    assert!(std::fs::read_dir(marks).is_ok_and(|mut dir| dir.next().is_none()));
}

#[test]
fn land_merges_and_removes_the_named_tasks() {
    let world = World::new();
    done(&world, &["alpha", "beta", "gamma"]);
    let output = world.flux(["land", "gamma", "alpha"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        gamma     main    merge 1 commit
        landed alpha, gamma (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
    "#]]);
    assert_eq!(tasks(&world), ["beta"]);
    for name in ["alpha", "gamma"] {
        assert_eq!(world.git(["show", &format!("main:{}", file(name))]), "work");
        assert_removed(&world, name);
    }
    assert_no_landing(&world);
}

#[test]
fn land_needs_a_selection_without_a_terminal() {
    let world = World::new();
    done(&world, &["alpha"]);
    let before = world.snapshot();
    let output = world.flux(["land"]).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: no task given
        hint: git flux land <task>...
        hint: git flux land --ready
    "#]]);
    for args in [&["land", "--watch"][..], &["land", "--watch", "--yes"]] {
        let output = world.flux(args).run();
        output.code(2).says(&expect![[r#"
            --- stderr
            error: no task given
            hint: git flux land --watch --ready
        "#]]);
    }
    world.assert_unchanged(&before);
}

/// Starts a task from this branch, whose agent has committed its file and ended.
fn done_from(world: &World, name: &str, base: &str) {
    world.behaviour("exit 0");
    let args = ["run", "-q", "--name", name, "--base", base, "Fix"];
    world.flux(args).ok();
    world.wait_ended(name);
    world.commit_in(world.worktree(name), &file(name), "work\n");
}

#[test]
fn land_ready_selects_committed_tasks_of_agents_that_do_not_work() {
    let world = World::new();
    done(&world, &["clean", "dirty"]);
    world.write(world.worktree("dirty").join("loose.txt"), "loose\n");
    world.behaviour("exit 0");
    world.flux(["run", "-q", "--name", "empty", "Fix"]).ok();
    world.wait_ended("empty");
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "works", "Fix"]).ok();
    world.commit_in(world.worktree("works"), "WORKS.txt", "work\n");
    let output = world.flux(["land", "--ready"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        clean     main    merge 1 commit
        landed clean (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(tasks(&world), ["dirty", "empty", "works"]);
    world
        .flux(["land", "--ready"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            no task is ready to land
        "#]]);
    let output = world.flux(["land", "--ready", "--commit=All of it"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        dirty     main    commit 1 file, merge 2 commits
        committed 1 file on 'feature/dirty'
        landed dirty (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(tasks(&world), ["empty", "works"]);
    assert_eq!(
        world.git(["log", "-1", "--format=%s", "main^2"]),
        "All of it"
    );
}

#[test]
fn land_continues_after_a_refusal() {
    let world = World::new();
    done(&world, &["alpha", "dirty", "gamma"]);
    world.write(world.worktree("dirty").join("loose.txt"), "loose\n");
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        dirty     main    refused: 'dirty' has 1 uncommitted file
        gamma     main    merge 1 commit
        error: 'dirty' has 1 uncommitted file
        hint: to commit and merge: git flux land dirty --commit
        hint: to merge only what is committed: git flux cleanup dirty --discard
        landed alpha, gamma (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
        error: not every task has landed
    "#]]);
    assert_eq!(tasks(&world), ["dirty"]);
    assert_no_landing(&world);
}

#[test]
fn land_refuses_a_task_without_commits_and_leaves_its_agent_alone() {
    let world = World::new();
    world.flux(["run", "-q", "--name", "new", "Fix"]).ok();
    let before = world.snapshot();
    for selection in ["new", "--all"] {
        let output = world.flux(["land", "-y", selection]).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            TASK      TARGET  PLAN
            new       main    refused: 'new' has no commits
            error: 'new' has no commits
            hint: to remove it: git flux cleanup new
            error: no task has landed
        "#]]);
    }
    let terminal = world.terminal(100, 40);
    // Nothing is asked.
    terminal.command("git flux land new");
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    world.assert_unchanged(&before);
}

#[test]
fn land_sends_a_task_back_that_conflicts_with_one_that_landed() {
    let world = World::new();
    done(&world, &["alpha", "beta", "gamma"]);
    for name in ["beta", "gamma"] {
        world.commit_in(world.worktree(name), "shared.txt", name);
    }
    let output = world.flux(["land", "--all"]).run();
    output.code(3).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 2 commits
        gamma     main    merge 2 commits
        landed alpha, beta (untested)
        sent gamma back (its agent is not running): it conflicts with its target branch
        hint: to start its agent again: git flux resume gamma
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
        error: not every task has landed
    "#]]);
    assert_eq!(tasks(&world), ["gamma"]);
    let status = ["status", "--porcelain", "--untracked-files=no"];
    let status = world.git_in(world.worktree("gamma"), status);
    assert!(status.contains("AA shared.txt"), "{status}");
    assert_no_landing(&world);
    // It has not changed: it is not counted again.
    let record = world.git(["show", "refs/flux/tasks/gamma:task.json"]);
    world
        .flux(["land", "--all"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            TASK      TARGET  PLAN
            gamma     main    refused: a merge is in progress in '$WORLD/myapp-gamma'
            error: 'gamma': a merge is in progress in '$WORLD/myapp-gamma'
            hint: to see how to finish or abort it: git -C '$WORLD/myapp-gamma' status
            error: no task has landed
        "#]]);
    assert_eq!(
        world.git(["show", "refs/flux/tasks/gamma:task.json"]),
        record
    );
    // Once it is resolved, it lands.
    world.write(world.worktree("gamma").join("shared.txt"), "both\n");
    world.git_in(world.worktree("gamma"), ["commit", "-qam", "Merge main"]);
    world.flux(["land", "gamma"]).run().success();
    assert_eq!(world.git(["show", "main:shared.txt"]), "both");
    assert_removed(&world, "gamma");
}

#[test]
fn land_leads_to_the_same_tree_in_each_style_and_the_undo_lines_undo_it() {
    let mut trees = Vec::new();
    for style in ["--merge", "--squash", "--rebase"] {
        let world = World::new();
        done(&world, &["alpha", "beta", "gamma"]);
        world.commit_in(world.worktree("beta"), "second.txt", "second\n");
        let before = commit(&world, "main");
        let output = world.flux(["land", "--all", style]).run();
        output.success();
        trees.push(world.git(["rev-parse", "main^{tree}"]));
        let hint = |start: &str| {
            let line = output
                .stderr
                .lines()
                .find_map(|line| line.strip_prefix(start));
            line.unwrap_or_else(|| panic!("no line {start:?}\n{output}"))
                .to_owned()
        };
        let after = commit(&world, "main");
        let reset = hint("hint: to undo the landing on 'main': git ");
        world.git(reset.split(' '));
        assert_eq!(commit(&world, "main"), before, "{style}");
        world.git(["reset", "--keep", &after]);
        world.commit_in(world.repo(), "later.txt", "later\n");
        let revert = hint("hint: or, if 'main' has newer commits: git ");
        world.git(revert.split(' '));
        world.git(["rm", "-q", "later.txt"]);
        world.git(["commit", "-qm", "Without it"]);
        let tree = |rev: &str| world.git(["rev-parse", &format!("{rev}^{{tree}}")]);
        assert_eq!(tree("main"), tree(&before), "{style}");
    }
    assert_eq!(trees[0], trees[1]);
    assert_eq!(trees[1], trees[2]);
}

#[test]
fn land_with_ff_only_lands_what_follows_on_each_other() {
    let world = World::new();
    done(&world, &["alpha"]);
    done_from(&world, "beta", "feature/alpha");
    done(&world, &["gamma"]);
    let (beta, main) = (tip(&world, "beta"), commit(&world, "main"));
    let output = world
        .flux([
            "land",
            "--ff-only",
            "--into",
            "main",
            "alpha",
            "beta",
            "gamma",
        ])
        .run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    ff-only 1 commit
        beta      main    ff-only 2 commits
        gamma     main    ff-only 1 commit
        landed alpha, beta (untested)
        error: 'gamma': 'main' cannot be fast-forwarded: it has commits (<number>) that 'feature/gamma' lacks
        hint: to rebase and merge it: git flux land gamma --into main --rebase
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit <object>..<object>
        error: not every task has landed
    "#]]);
    assert_eq!(commit(&world, "main"), beta);
    assert_ne!(main, beta);
    assert_eq!(tasks(&world), ["gamma"]);
}

#[test]
fn land_moves_a_target_that_is_checked_out_elsewhere_or_nowhere() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    world.git(["switch", "-q", "-c", "mine"]);
    world.write("loose.txt", "mine\n");
    let output = world.flux(["land", "alpha"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        landed alpha (untested)
        hint: to undo the landing on 'main': git branch --force main <object>
        hint: or, if 'main' has newer commits: git switch main && git revert --no-edit -m 1 <object>
    "#]]);
    let other = world.root().join("other");
    world.git(["worktree", "add", "-q", other.to_str().unwrap(), "main"]);
    let output = world.flux(["land", "beta"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        beta      main    merge 1 commit
        landed beta (untested)
        hint: to undo the landing on 'main': git -C '$WORLD/other' reset --keep <object>
        hint: or, if 'main' has newer commits: git -C '$WORLD/other' revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(world.read(other.join("BETA.txt")), "work\n");
    assert_eq!(world.git(["status", "--porcelain"]), "?? loose.txt");
}

#[test]
fn land_leaves_out_a_task_that_would_overwrite_a_file_of_the_user() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    world.write("BETA.txt", "mine\n");
    world.write("README.md", "changed\n");
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    refused: the merge would overwrite 'BETA.txt' in the worktree of 'main'
        error: 'beta': the merge would overwrite 'BETA.txt' in the worktree of 'main'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
        hint: commit, stash or move 'BETA.txt', then: git flux land beta
        landed alpha (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
        error: not every task has landed
    "#]]);
    assert_eq!(tasks(&world), ["beta"]);
    assert_eq!(world.read("ALPHA.txt"), "work\n");
    assert_eq!(world.read("BETA.txt"), "mine\n");
    assert_eq!(world.read("README.md"), "changed\n");
}

#[test]
fn land_lands_a_task_on_the_branch_of_another_one_first() {
    let world = World::new();
    done(&world, &["alpha"]);
    done_from(&world, "beta", "feature/alpha");
    done_from(&world, "gamma", "feature/alpha");
    let output = world.flux(["land", "beta", "alpha"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET         PLAN
        beta      feature/alpha  merge 1 commit
        alpha     main           merge 1 commit
        landed beta (untested)
        landed alpha (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(tasks(&world), ["gamma"]);
    for name in ["alpha", "beta"] {
        assert_eq!(world.git(["show", &format!("main:{}", file(name))]), "work");
        assert_removed(&world, name);
    }
    // The target of this one has landed.
    let output = world.flux(["land", "gamma"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        'feature/alpha' has landed, so 'gamma' lands on 'main'
        TASK      TARGET  PLAN
        gamma     main    merge 1 commit
        landed gamma (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(world.git(["show", "main:GAMMA.txt"]), "work");
}

#[test]
fn land_on_two_targets_moves_each() {
    let world = World::new();
    world.git(["branch", "next"]);
    done(&world, &["alpha"]);
    done_from(&world, "beta", "next");
    let output = world.flux(["land", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      next    merge 1 commit
        landed alpha (untested)
        landed beta (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
        hint: to undo the landing on 'next': git branch --force next <object>
        hint: or, if 'next' has newer commits: git switch next && git revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(world.git(["show", "main:ALPHA.txt"]), "work");
    assert_eq!(world.git(["show", "next:BETA.txt"]), "work");
}

#[test]
fn land_keeps_a_branch_that_was_there() {
    let world = World::new();
    world.git(["branch", "mine"]);
    world.behaviour("exit 0");
    world
        .flux(["run", "-q", "--name", "alpha", "--branch", "mine", "Fix"])
        .ok();
    world.wait_ended("alpha");
    let mine = world.commit_in(world.worktree("alpha"), "MINE.txt", "work\n");
    world
        .flux(["land", "alpha", "--into", "main"])
        .run()
        .success();
    assert_eq!(commit(&world, "mine"), mine);
    assert_eq!(world.git(["show", "main:MINE.txt"]), "work");
    assert_eq!(tasks(&world), Vec::<String>::new());
}

#[test]
fn land_with_keep_leaves_the_tasks_in_place() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    let output = world.flux(["land", "--all", "--keep"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        landed alpha, beta (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
    "#]]);
    assert_eq!(tasks(&world), ["alpha", "beta"]);
    assert_eq!(world.git(["show", "main:BETA.txt"]), "work");
    let output = world.flux(["land", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge nothing: 'main' already has all commits of 'feature/alpha'
        beta      main    merge nothing: 'main' already has all commits of 'feature/beta'
        removed 'alpha': 'main' already has all commits of 'feature/alpha'
        removed 'beta': 'main' already has all commits of 'feature/beta'
    "#]]);
    assert_eq!(tasks(&world), Vec::<String>::new());
    assert_no_landing(&world);
}

#[test]
fn every_json_array_is_printed_even_if_it_is_empty() {
    let world = World::new();
    done(&world, &["busy"]);
    world.write(world.worktree("busy").join("loose"), "uncommitted\n");
    for command in [
        "land --ready --json",
        "land --ready -n --json",
        "restore --list --json",
        "cleanup --merged --json",
    ] {
        let output = world.flux(command.split(' ')).run();
        output.success().stdout_is("[]\n");
    }
    world
        .flux(["cleanup", "--discard-branch", "--discard", "busy"])
        .ok();
    for command in [
        "land --all --json",
        "land --all -n --json",
        "land --all --check --json",
        "cleanup --all --json",
        "list --json",
        "list --all-repos --json",
    ] {
        let output = world.flux(command.split(' ')).run();
        output.success().stdout_is("[]\n");
    }
}

#[test]
fn land_dry_run_names_the_tasks_that_do_not_fit_on_those_before_them() {
    let world = World::new();
    done(&world, &["alpha", "beta", "gamma"]);
    for name in ["alpha", "beta"] {
        world.commit_in(world.worktree(name), "both.txt", name);
    }
    let before = world.snapshot();
    let dry = world.flux(["land", "-n", "--all"]).run();
    dry.code(3).says(&expect![[r#"
        TASK      TARGET  PLAN
        alpha     main    merge 2 commits
        beta      main    send back to its agent: it conflicts with a task before it
        gamma     main    merge 1 commit
        untested: there is no gate
        --- stderr
        Nothing was done.
        error: not every task can land
    "#]]);
    let objects = world.flux(["land", "-n", "--all", "--json"]).run().json();
    let results: Vec<&str> = objects
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["lands", "conflict", "lands"]);
    let dry = world.flux(["land", "-n", "--all", "--ff-only"]).run();
    dry.code(1).says(&expect![[r#"
        TASK      TARGET  PLAN
        alpha     main    ff-only 2 commits
        beta      main    refused: it lacks commits of a task before it
        gamma     main    refused: it lacks commits of a task before it
        untested: there is no gate
        --- stderr
        Nothing was done.
        error: not every task can land
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn land_dry_run_and_json_change_nothing() {
    let world = World::new();
    done(&world, &["alpha", "beta", "clash"]);
    world.commit_in(world.repo(), "CLASH.txt", "main's\n");
    let before = world.snapshot();
    let output = world.flux(["land", "-n", "--all"]).run();
    output.code(3).says(&expect![[r#"
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        clash     main    send back to its agent: 'feature/clash' and 'main' conflict in 'CLASH.txt' (contents)
        untested: there is no gate
        --- stderr
        Nothing was done.
        error: not every task can land
    "#]]);
    let output = world.flux(["land", "-n", "--json", "--all"]).run();
    output.code(3).says(&expect![[r#"
        [
          {
            "id": "alpha",
            "into": "main",
            "result": "lands",
            "rounds": null,
            "why": "merge 1 commit"
          },
          {
            "id": "beta",
            "into": "main",
            "result": "lands",
            "rounds": null,
            "why": "merge 1 commit"
          },
          {
            "id": "clash",
            "into": "main",
            "result": "conflict",
            "rounds": null,
            "why": "send back to its agent: 'feature/clash' and 'main' conflict in 'CLASH.txt' (contents)"
          }
        ]
        --- stderr
        error: not every task can land
    "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["land", "--json", "--all"]).run();
    output.code(3).says(&expect![[r#"
        [
          {
            "id": "clash",
            "into": "main",
            "result": "conflict",
            "rounds": 1,
            "why": null
          },
          {
            "id": "alpha",
            "into": "main",
            "result": "landed",
            "rounds": null,
            "why": null
          },
          {
            "id": "beta",
            "into": "main",
            "result": "landed",
            "rounds": null,
            "why": null
          }
        ]
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        clash     main    send back to its agent: 'feature/clash' and 'main' conflict in 'CLASH.txt' (contents)
        sent clash back (its agent is not running): it conflicts with its target branch
        hint: to start its agent again: git flux resume clash
        landed alpha, beta (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
        error: not every task has landed
    "#]]);
}

#[test]
fn land_runs_message_hooks_once_for_each_task() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    let log = world.root().join("log");
    let script = format!(
        "#!/bin/sh\necho hook >>'{}'\necho 'Seen' >>\"$1\"\n",
        log.display()
    );
    world.install("../hook", &script);
    std::fs::create_dir_all(world.repo().join(".git/hooks")).unwrap();
    let hook = world.repo().join(".git/hooks/commit-msg");
    std::fs::rename(world.tools().join("hook"), hook).unwrap();
    world.flux(["land", "--all"]).run().success();
    assert_eq!(world.read(&log), "hook\nhook\n");
    for commit in ["main", "main^"] {
        let message = world.git(["log", "-1", "--format=%B", commit]);
        assert!(message.contains("Seen"), "{message}");
    }
}

#[test]
fn land_signs_what_lands_as_configured() {
    for style in ["--merge", "--squash", "--rebase"] {
        let world = World::new();
        done(&world, &["alpha", "beta"]);
        world.flux(["land", "--all", style]).run().success();
        let format = "--format=%T %s %an %ad";
        let unsigned = world.git(["log", format, "main"]);
        let world = World::new();
        done(&world, &["alpha", "beta"]);
        let log = world.root().join("log");
        let gpg = format!(
            "#!/bin/sh\necho signed >>'{}'\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\n\
             printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'\n",
            log.display()
        );
        world.install("gpg", &gpg);
        world.git(["config", "commit.gpgSign", "true"]);
        world.flux(["land", "--all", style]).run().success();
        assert_eq!(world.git(["log", format, "main"]), unsigned, "{style}");
        // Rebased tasks of one commit each fast-forward first.
        let signed = match style {
            "--rebase" => 1,
            _ => 2,
        };
        assert_eq!(world.read(&log).lines().count(), signed, "{style}");
        let raw = world.git(["cat-file", "commit", "main"]);
        assert!(raw.contains("BEGIN PGP SIGNATURE"), "{raw}");
    }
}

#[test]
fn land_outside_a_repository_does_not_suggest_a_new_one() {
    let world = World::new();
    let before = world.snapshot();
    // The reason does not depend on the place of the test.
    let land = world.flux(["land"]).in_dir(world.root());
    let land = land.env("GIT_DISCOVERY_ACROSS_FILESYSTEM", "1").run();
    land.code(1).says(&expect![[r#"
        --- stderr
        error: not a git repository (or any of the parent directories): .git
        hint: the tasks of all repositories: git flux list --all-repos
    "#]]);
    world.assert_unchanged(&before);
}
