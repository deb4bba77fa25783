//! Tests `git flux land` with a gate: a small project of shell scripts.

use std::fs;

use crate::land::{assert_no_landing, tasks};
use crate::send_composer::{messages, start};
use crate::world::removal::*;
use crate::world::reports::hook;
use crate::world::*;

/// The gate notes each run, and fails if a file `red` is there, or both `left` and `right`.
const GATE: &str = "echo run >>../runs; cat main.txt; test ! -e red && \
                    { test ! -e left || test ! -e right; }";

/// Makes a repository with a gate.
fn gated(world: &World) {
    world.commit_in(world.repo(), "main.txt", "main\n");
    world.git(["config", "flux.gate", GATE]);
}

/// Starts tasks whose agents have committed a file of this name and ended.
fn done(world: &World, files: &[(&str, &str)]) {
    for (name, file) in files {
        world.behaviour("exit 0");
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        world.commit_in(world.worktree(name), file, &format!("{name}\n"));
    }
}

/// Returns how often the gate has run.
fn runs(world: &World) -> usize {
    let text = fs::read_to_string(world.root().join("runs"));
    text.map_or(0, |text| text.lines().count())
}

const EIGHT: [(&str, &str); 8] = [
    ("t1", "one"),
    ("t2", "two"),
    ("t3", "three"),
    ("t4", "red"),
    ("t5", "left"),
    ("t6", "six"),
    ("t7", "two"),
    ("t8", "right"),
];

#[test]
fn land_of_eight_tasks_takes_seven_runs_and_none_with_known_verdicts() {
    let world = World::new();
    gated(&world);
    done(&world, &EIGHT);
    let before = commit(&world, "main");
    let dry = world.flux(["land", "-n", "--all"]).run();
    dry.code(3)
        .stdout_has("2 runs of the gate, if everything passes");
    assert_eq!(runs(&world), 0);
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        t1        main    merge 1 commit
        t2        main    merge 1 commit
        t3        main    merge 1 commit
        t4        main    merge 1 commit
        t5        main    merge 1 commit
        t6        main    merge 1 commit
        t7        main    merge 1 commit
        t8        main    merge 1 commit
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        landed t1, t2, t3 (4 runs, <number> s)
        sent t4 back (its agent is not running): 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }' failed (status 1)
        hint: to start its agent again: git flux resume t4
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        landed t5, t6 (1 run, <number> s)
        sent t7 back (its agent is not running): it conflicts with its target branch
        hint: to start its agent again: git flux resume t7
        sent t8 back (its agent is not running): 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }' failed (status 1)
        hint: to start its agent again: git flux resume t8
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object> <object> <object> <object>
        error: not every task has landed
    "#]]);
    assert_eq!(runs(&world), 7);
    assert_eq!(tasks(&world), ["t4", "t7", "t8"]);
    assert_no_landing(&world);
    let tree = world.git(["rev-parse", "main^{tree}"]);
    let files = world.git(["ls-tree", "--name-only", "main"]);
    for file in ["one", "two", "three", "left", "six"] {
        assert!(files.lines().any(|line| line == file), "{files}");
    }
    // Everything again: each tree has its verdict.
    for id in ["t1", "t2", "t3", "t5", "t6"] {
        world.flux(["restore", "-q", id]).run().success();
    }
    world.git_in(world.worktree("t7"), ["merge", "--abort"]);
    world.git(["reset", "-q", "--keep", &before]);
    let output = world.flux(["land", "--all"]).run();
    output.code(1);
    assert_eq!(runs(&world), 7, "{output}");
    assert_eq!(world.git(["rev-parse", "main^{tree}"]), tree);
    assert_eq!(tasks(&world), ["t4", "t7", "t8"]);
}

#[test]
fn land_leads_to_the_same_tree_of_eight_tasks_in_each_style() {
    let mut trees = Vec::new();
    for style in ["--squash", "--rebase"] {
        let world = World::new();
        gated(&world);
        done(&world, &EIGHT);
        world.flux(["land", "--all", style]).run().code(1);
        assert_eq!(runs(&world), 7, "{style}");
        assert_eq!(tasks(&world), ["t4", "t7", "t8"], "{style}");
        trees.push(world.git(["rev-parse", "main^{tree}"]));
    }
    assert_eq!(trees[0], trees[1]);
}

#[test]
fn land_blames_nothing_for_a_target_that_does_not_pass() {
    let world = World::new();
    gated(&world);
    world.commit_in(world.repo(), "red", "main's\n");
    done(&world, &[("alpha", "a"), ("beta", "b")]);
    let record = world.git(["show", "refs/flux/tasks/alpha:task.json"]);
    let before = commit(&world, "main");
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        error: 'main' itself does not pass: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }' failed (status 1)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        hint: to begin with a task that mends 'main': git flux land <task>
        error: no task has landed
    "#]]);
    assert_eq!(commit(&world, "main"), before);
    assert_eq!(
        world.git(["show", "refs/flux/tasks/alpha:task.json"]),
        record
    );
    assert_no_landing(&world);
    // A task that mends it lands, and the others with it.
    world.git_in(world.worktree("beta"), ["rm", "-q", "red"]);
    world.git_in(world.worktree("beta"), ["commit", "-qm", "Mend it"]);
    let output = world.flux(["land", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 2 commits
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        landed alpha, beta (1 run, <number> s)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
    "#]]);
}

#[test]
fn land_of_a_red_target_lands_a_named_task_that_mends_it() {
    let world = World::new();
    gated(&world);
    world.commit_in(world.repo(), "red", "main's\n");
    done(&world, &[("first", "left"), ("mend", "right")]);
    world.git_in(world.worktree("mend"), ["rm", "-q", "red"]);
    world.git_in(world.worktree("mend"), ["commit", "-qm", "Mend it"]);
    // The first one does not pass itself.
    world.git(["config", "flux.gate", "test ! -e red && test ! -e left"]);
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        first     main    merge 1 commit
        mend      main    merge 2 commits
        gate: 'test ! -e red && test ! -e left'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        error: 'main' itself does not pass: 'test ! -e red && test ! -e left' failed (status 1)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        hint: to begin with a task that mends 'main': git flux land <task>
        error: no task has landed
    "#]]);
    world
        .flux(["land", "mend"])
        .run()
        .success()
        .stderr_has("landed mend (1 run, ");
    assert_eq!(tasks(&world), ["first"]);
}

#[test]
fn land_says_that_a_gate_is_flaky_and_lands() {
    let world = World::new();
    gated(&world);
    let once = "test -e ../once || { touch ../once; false; }";
    world.git(["config", "flux.gate", once]);
    done(&world, &[("alpha", "a")]);
    world.git(["branch", "-q", "elsewhere"]);
    let output = world.flux(["land", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        gate: 'test -e ../once || { touch ../once; false; }'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        warning: the gate is flaky: 'test -e ../once || { touch ../once; false; }' exited with status 1, then passed
        landed alpha (3 runs, <number> s)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert!(tasks(&world).is_empty());
}

#[test]
fn land_blames_no_task_without_a_verdict() {
    let world = World::new();
    gated(&world);
    world.git(["config", "flux.gate", "test ! -e red || exit 127"]);
    done(&world, &[("alpha", "a"), ("beta", "red"), ("gamma", "g")]);
    let record = world.git(["show", "refs/flux/tasks/beta:task.json"]);
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        gamma     main    merge 1 commit
        gate: 'test ! -e red || exit 127'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        landed alpha (3 runs, <number> s)
        warning: 'beta' did not land, no verdict: 'test ! -e red || exit 127' could not be started (status 127)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        landed gamma (1 run, <number> s)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
        error: not every task has landed
    "#]]);
    assert_eq!(tasks(&world), ["beta"]);
    assert_eq!(
        world.git(["show", "refs/flux/tasks/beta:task.json"]),
        record
    );
    world.git(["config", "flux.gate", "exit 127"]);
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        beta      main    merge 1 commit
        gate: 'exit 127'
        error: no verdict on 'main': 'exit 127' could not be started (status 127)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        error: no task has landed
    "#]]);
}

#[test]
fn land_lands_no_conflicting_task_before_one_without_a_verdict() {
    let world = World::new();
    gated(&world);
    // The first of them is killed whenever it is tested.
    let gate = "test \"$(cat same)\" != first || kill -9 $$";
    world.git(["config", "flux.gate", gate]);
    for (name, text) in [("first", "first\n"), ("second", "second\n")] {
        world.behaviour("exit 0");
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        world.commit_in(world.worktree(name), "same", text);
    }
    let before = world.git(["for-each-ref"]);
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        first     main    merge 1 commit
        second    main    merge 1 commit
        gate: 'test "$(cat same)" != first || kill -9 $$'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        warning: 'first' did not land, no verdict: 'test "$(cat same)" != first || kill -9 $$' was killed by signal 9
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        error: 'second' conflicts with 'first', which has no verdict
        hint: to land 'second' without waiting for 'first': git flux land second
        error: no task has landed
    "#]]);
    assert_eq!(world.git(["for-each-ref"]), before, "and nothing changed");
    // Named alone, it lands.
    world.flux(["land", "second"]).run().success();
    assert_eq!(tasks(&world), ["first"]);
}

/// Starts a task of an agent without hooks, which has committed a red file. Its second failure
/// blocks it.
fn red_task(world: &World) -> String {
    gated(world);
    world.git(["config", "flux.landRounds", "1"]);
    world.install_agent("mine");
    world.git(["config", "flux.agent", "mine"]);
    world.git(["config", "flux.mine.command", "mine"]);
    let id = world.start("Fix login");
    world.commit_in(world.worktree(&id), "red", "red\n");
    id
}

/// Adds a commit to a task, which does not help, and lands all tasks.
fn land_again(world: &World, id: &str) -> Output {
    world.commit_in(world.worktree(id), "more", &format!("{}\n", tip(world, id)));
    world.flux(["land", "--yes", "--all"]).run()
}

/// Returns what `list` says about the task in landings.
fn land_state(world: &World) -> String {
    let json = world.flux(["list", "--json"]).run().json();
    json[0]["land"].as_str().unwrap_or_default().to_owned()
}

/// Makes a red task that is blocked.
fn blocked_task(world: &World) -> String {
    let id = red_task(world);
    world.flux(["land", "--yes", "--all"]).run().code(1);
    land_again(world, &id)
        .code(1)
        .stderr_has("is blocked: it was sent back to its agent");
    assert_eq!(land_state(world), "blocked");
    id
}

#[test]
fn land_sends_a_red_task_back_to_its_agent_until_it_is_blocked() {
    let world = World::new();
    let id = red_task(&world);
    let output = world.flux(["land", "--yes", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK              TARGET  PLAN
        fix-login-XXXXXX  main    stop the agent of 'fix-login-XXXXXX', merge 1 commit
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        sent fix-login-XXXXXX back to its agent: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }' failed (status 1)
        its agent was told why (sent back 1 time)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        error: no task has landed
    "#]]);
    let list = world.flux(["list"]).run();
    list.success().stdout_has("back 1");
    let json = world.flux(["list", "--json"]).run().json();
    assert_eq!(
        (&json[0]["land"], &json[0]["landRounds"]),
        (&"back".into(), &1.into())
    );
    // The same commits are not counted again.
    world
        .flux(["land", "--yes", "--all"])
        .run()
        .code(1)
        .stderr_has("did not land: ")
        .stderr_has("the same as the last time")
        .has_not("sent back");
    let output = land_again(&world, &id);
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK              TARGET  PLAN
        fix-login-XXXXXX  main    stop the agent of 'fix-login-XXXXXX', merge 2 commits
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        'fix-login-XXXXXX' did not land: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }' failed (status 1)
        warning: 'fix-login-XXXXXX' is blocked: it was sent back to its agent too often
        hint: to look at its pane: git flux attach fix-login-XXXXXX
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        error: no task has landed
    "#]]);
    let waited = world.flux(["wait", &id]).run();
    waited.code(1).stdout_is(&format!("{id} blocked\n"));
    // New commits are no word of yours.
    let record = world.git(["show", &format!("refs/flux/tasks/{id}:task.json")]);
    land_again(&world, &id)
        .code(1)
        .stderr_has("is blocked: it was sent back to its agent");
    assert_eq!(
        world.git(["show", &format!("refs/flux/tasks/{id}:task.json")]),
        record
    );
    assert_eq!(land_state(&world), "blocked");
    let told = String::from_utf8(world.agent(&id).stdin()).unwrap();
    assert_eq!(told.matches("could not land").count(), 1, "{told}");
    // To name it begins anew.
    let output = world.flux(["land", "--yes", &id]).run();
    output
        .code(1)
        .stderr_has("its agent was told why (sent back 1 time)")
        .has_not("(blocked)");
}

#[test]
fn land_tries_a_blocked_task_again_once_you_have_sent_something() {
    let world = World::new();
    let id = blocked_task(&world);
    world.flux(["send", &id, "Mend it"]).run().success();
    assert_eq!(land_state(&world), "back");
    let output = land_again(&world, &id);
    output
        .code(1)
        .stderr_has(&format!("sent {id} back to its agent: "))
        .stderr_has("its agent was told why (sent back 1 time)");
    // That message counts once.
    land_again(&world, &id)
        .code(1)
        .stderr_has("is blocked: it was sent back to its agent");
    assert_eq!(land_state(&world), "blocked");
}

#[test]
fn land_tries_a_blocked_task_again_once_you_have_typed_in_its_session() {
    let world = World::new();
    let id = blocked_task(&world);
    let name = format!("refs/flux/tasks/{id}");
    let record = world.git(["show", &format!("{name}:task.json")]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let blocked = record["landing"]["at"].as_u64().unwrap() / 1000;
    let pane = world.pane(&id);
    let session = world.tmux(["display-message", "-p", "-t", &pane, "#{session_id}"]);
    let terminal = world.terminal(80, 24);
    let session = session.trim_end();
    terminal.type_line(&format!("exec tmux attach-session -t '{session}'"));
    terminal.wait_for_screen("Please mend it");
    wait_until("a key in a later second", || {
        terminal.text("x");
        let activity = ["display-message", "-p", "-t", &pane, "#{session_activity}"];
        let activity = world.tmux(activity);
        activity.trim_end().parse::<u64>().unwrap() > blocked
    });
    assert_eq!(land_state(&world), "back");
    // In a session of the user, the key may have been for another pane.
    world.edit_record(&name, |text| {
        assert!(text.contains(r#""kind": "session""#), "{text}");
        text.replace(r#""kind": "session""#, r#""kind": "pane""#)
    });
    assert_eq!(land_state(&world), "blocked");
}

#[test]
fn land_tries_a_blocked_task_again_once_its_agent_reports_a_prompt() {
    let world = World::new();
    gated(&world);
    world.git(["config", "flux.landRounds", "1"]);
    let id = start(&world, "Fix login", "", 0);
    world.commit_in(world.worktree(&id), "red", "red\n");
    world.flux(["land", "--yes", "--ready"]).run().code(1);
    land_again(&world, &id)
        .code(1)
        .stderr_has("is blocked: it was sent back to its agent");
    world
        .flux(["land", "--yes", "--ready"])
        .run()
        .success()
        .stderr_has("no task is ready to land");
    let session = r#"{"session_id":"1"}"#;
    hook(&world, &id, "SessionStart", session);
    assert_eq!(land_state(&world), "blocked");
    hook(&world, &id, "UserPromptSubmit", session);
    assert_eq!(land_state(&world), "back");
    hook(&world, &id, "Stop", session);
    let output = world.flux(["land", "--yes", "--ready"]).run();
    output
        .code(1)
        .stderr_has("its agent was told why (sent back 1 time)");
}

#[test]
fn land_check_tests_all_work_together_and_lands_nothing() {
    let world = World::new();
    gated(&world);
    done(&world, &[("alpha", "left"), ("beta", "b")]);
    world.write(world.worktree("beta").join("right"), "uncommitted\n");
    let before = commit(&world, "main");
    let output = world.flux(["land", "--check", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    try to merge 1 commit
        beta      main    try to merge 1 commit and 1 uncommitted file
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        'beta' does not pass: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }' failed (status 1)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        passes: alpha (3 runs, <number> s)
        error: not every task would land
    "#]]);
    fs::remove_file(world.worktree("beta").join("right")).unwrap();
    let output = world.flux(["land", "--check", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    try to merge 1 commit
        beta      main    try to merge 1 commit
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        pass together: alpha, beta (1 run, <number> s)
    "#]]);
    assert_eq!(commit(&world, "main"), before);
    assert_eq!(tasks(&world), ["alpha", "beta"]);
    assert_no_landing(&world);
}

#[test]
fn land_without_the_gate_runs_nothing() {
    let world = World::new();
    gated(&world);
    done(&world, &[("alpha", "red")]);
    let output = world.flux(["land", "--no-gate", "alpha"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        landed alpha (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
    "#]]);
    assert_eq!(runs(&world), 0);
}

#[test]
fn land_tells_the_agent_why_its_task_does_not_pass() {
    let world = World::new();
    gated(&world);
    let id = start(&world, "Fix login", "", 0);
    world.commit_in(world.worktree(&id), "red", "red\n");
    let output = world.flux(["land", "--yes", "--ready"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK              TARGET  PLAN
        fix-login-XXXXXX  main    stop the agent of 'fix-login-XXXXXX', merge 1 commit
        gate: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        sent fix-login-XXXXXX back to its agent: 'echo run >>../runs; cat main.txt; test ! -e red && { test ! -e left || test ! -e right; }' failed (status 1)
        its agent was told why (sent back 1 time)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        error: no task has landed
    "#]]);
    let message = messages(&world, &id).pop().unwrap();
    for text in [
        "do not pass",
        "(status 1)",
        "The whole output is in",
        "main",
        "commit",
    ] {
        assert!(message.contains(text), "{text}: {message}");
    }
}

#[test]
fn land_counts_all_runs_if_the_target_moves_meanwhile() {
    let world = World::new();
    gated(&world);
    done(&world, &[("alpha", "a")]);
    let commit_other = format!(
        "echo run >>../runs; test -e '{root}/other' || {{ touch '{root}/other'; \
         echo other >'{repo}/main.txt'; git -C '{repo}' commit -qam Other; }}",
        root = world.root().display(),
        repo = world.repo().display(),
    );
    world.git(["config", "flux.gate", &commit_other]);
    let output = world.flux(["land", "--all"]).run();
    output
        .success()
        .stderr_has("'main' or a task has changed; planning again")
        .stderr_has("landed alpha (2 runs, ");
    assert_eq!(runs(&world), 2);
}

#[test]
fn land_undoes_no_commits_that_came_between_its_landings() {
    let world = World::new();
    world.commit_in(world.repo(), "main.txt", "main\n");
    let files = ["t1", "t2", "t3", "t4", "t5"].map(|name| (name, name));
    done(&world, &files);
    // While the second batch is tested, another command moves the target.
    let commit_other = format!(
        "if test -e t5 && ! test -e '{root}/other'; then touch '{root}/other'; \
         git -C '{repo}' commit -q --allow-empty -m Other; fi",
        root = world.root().display(),
        repo = world.repo().display(),
    );
    world.git(["config", "flux.gate", &commit_other]);
    let output = world.flux(["land", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        t1        main    merge 1 commit
        t2        main    merge 1 commit
        t3        main    merge 1 commit
        t4        main    merge 1 commit
        t5        main    merge 1 commit
        gate: 'if test -e t5 && ! test -e '$WORLD/other'; then touch '$WORLD/other'; git -C '$WORLD/myapp' commit -q --allow-empty -m Other; fi'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        landed t1, t2, t3, t4 (1 run, <number> s)
        'main' or a task has changed; planning again
        landed t5 (1 run, <number> s)
        hint: to undo the landing of t5 on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
        hint: to undo the landing of t1, t2, t3, t4 on 'main' (newer commits follow it): git revert --no-edit -m 1 <object> <object> <object> <object>
    "#]]);
}
