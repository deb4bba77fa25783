//! `git flux conflicts`: which tasks change the same lines, and their order.

mod git_dies;
mod known;
mod shown;
mod targets;
mod unknown;
mod work;

use std::path::{Path, PathBuf};

use crate::world::*;

/// Starts a task with this id.
#[track_caller]
fn task(world: &World, id: &str) -> PathBuf {
    let output = world.flux(["run", "-q", "--name", id, "--", id]).run();
    output.success();
    world.agent(id).wait_started();
    world.worktree(id)
}

/// Starts tasks with these ids, oldest first.
#[track_caller]
fn tasks<const N: usize>(world: &World, ids: [&str; N]) -> [PathBuf; N] {
    let worktrees = ids.map(|id| task(world, id));
    age(world, &ids);
    worktrees
}

/// Makes the tasks a day apart, the first one the oldest: their times are seconds.
fn age(world: &World, ids: &[&str]) {
    for (at, id) in ids.iter().enumerate() {
        let created = 1_000_000_000 + 86_400 * at;
        world.edit_record(&format!("refs/flux/tasks/{id}"), |json| {
            let (before, after) = json.split_once("\"created\":").unwrap();
            let rest = after.trim_start();
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
            format!("{before}\"created\": {created}{}", &rest[end..])
        });
    }
}

/// Commits everything in a worktree.
fn commit(world: &World, worktree: &Path) {
    world.git_in(worktree, ["add", "--all"]);
    world.git_in(worktree, ["commit", "-q", "-m", "Work"]);
}

const CODE: &str = "fn login() {\n    one\n    two\n    three\n}\n\nfn logout() {\n    one\n    two\n    three\n}\n";

/// Commits `src/auth.rs`, with two functions, and `f` of twenty lines on main.
fn with_code(world: &World) {
    world.write("src/auth.rs", CODE);
    world.write("f", lines(""));
    world.git(["add", "--all"]);
    world.git(["commit", "-q", "-m", "Code"]);
}

/// Returns the numbers from 1 to 20, the fifth with `text` after it.
fn lines(text: &str) -> String {
    let line = |n: usize| match n {
        5 => format!("{n}{text}\n"),
        _ => format!("{n}\n"),
    };
    (1..=20).map(line).collect()
}

#[test]
fn conflicts_shows_files_kinds_functions_and_order_of_uncommitted_work() {
    let world = World::new();
    with_code(&world);
    let [oauth, login, docs] = tasks(&world, ["add-oauth", "fix-login", "write-docs"]);
    world.write(oauth.join("src/auth.rs"), CODE.replacen("two", "oauth", 1));
    world.write(oauth.join("NEWS"), "oauth\n");
    world.write(oauth.join("f"), lines(" oauth"));
    world.write(login.join("src/auth.rs"), CODE.replacen("two", "login", 1));
    world.git_in(&login, ["add", "src/auth.rs"]);
    world.git_in(&login, ["rm", "-q", "f"]);
    world.write(docs.join("NEWS"), "docs\n");
    commit(&world, &docs);
    world.commit_in(world.repo(), "README.md", "# other\n");
    world.write(docs.join("README.md"), "# docs\n");
    let before = world.snapshot();
    let objects = world.git(["count-objects"]);
    let output = world.flux(["conflicts"]).run();
    output.code(3).says(&expect![[r#"
        TASK        WITH        CONFLICTS
        add-oauth   fix-login   f (modify/delete)
        add-oauth   fix-login   src/auth.rs (contents, fn login())
        add-oauth   write-docs  NEWS (contents)
        write-docs  main        README.md (contents)

        order of landing: fix-login, write-docs, add-oauth (1 task with conflicts to resolve; in order of age 2)
    "#]]);
    world.assert_unchanged(&before);
    assert_eq!(world.git(["count-objects"]), objects);
    world
        .flux(["conflicts", "fix-login"])
        .run()
        .code(3)
        .says(&expect![[r#"
            TASK       WITH       CONFLICTS
            add-oauth  fix-login  f (modify/delete)
            add-oauth  fix-login  src/auth.rs (contents, fn login())
        "#]]);
    world
        .flux(["conflicts", "--porcelain"])
        .run()
        .code(3)
        .says(&expect![[r#"
            task add-oauth
            with fix-login
            path f
            kind modify/delete
            path src/auth.rs
            kind contents
            function fn login()

            task add-oauth
            with write-docs
            path NEWS
            kind contents

            task write-docs
            target main
            path README.md
            kind contents

            order fix-login
            order write-docs
            order add-oauth
            resolve 1

        "#]]);
    let json = world.flux(["conflicts", "--json"]).run().json();
    assert_eq!(json["toResolve"], 1);
    assert_eq!(json["conflicts"][0]["with"], "fix-login");
}

#[test]
fn conflicts_prints_the_conflicting_text_of_two_tasks() {
    let world = World::new();
    with_code(&world);
    let [one, two] = tasks(&world, ["one", "two"]);
    world.write(
        one.join("src/auth.rs"),
        CODE.replace("two", "o\u{1b}[31mne"),
    );
    world.write(two.join("src/auth.rs"), CODE.replace("two", "2"));
    let output = world.flux(["conflicts", "two", "one"]).run();
    output.code(3).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        one       two   src/auth.rs (contents, fn login())

        src/auth.rs
        <<<<<<< one
            o\u{1b}[31mne
        =======
            2
        >>>>>>> two

        src/auth.rs
        <<<<<<< one
            o\u{1b}[31mne
        =======
            2
        >>>>>>> two
    "#]]);
    // The text is there, too, if the conflict is known.
    let again = world.flux(["conflicts", "one", "two"]).run();
    again.code(3).stdout_is(&output.stdout);
    world.write(two.join("src/auth.rs"), CODE);
    world
        .flux(["conflicts", "one", "two"])
        .run()
        .success()
        .says(&expect![[r#"
            no conflicting lines
        "#]]);
}

#[test]
fn conflicts_says_no_conflicting_lines_without_any() {
    let world = World::new();
    let none = &expect![[r#"
        no conflicting lines
    "#]];
    world.flux(["conflicts"]).run().success().says(none);
    with_code(&world);
    let [one, two] = tasks(&world, ["one", "two"]);
    world.flux(["conflicts"]).run().success().says(none);
    // In one file, but not in the same lines.
    world.write(one.join("f"), lines("").replace("1\n2\n", "1\nnew\n2\n"));
    world.write(two.join("f"), lines("").replace("20\n", "20\nnew\n"));
    world.flux(["conflicts"]).run().success().says(none);
    // Whether the changes fit together is another question.
    world.write(one.join("caller"), "logout(1)\n");
    world.write(two.join("src/auth.rs"), CODE.replace("logout", "leave"));
    world.flux(["conflicts"]).run().success().says(none);
    let list = world.flux(["list"]).run();
    list.success().has_not("CONFLICTS");
}

#[test]
fn conflicts_calls_equal_changes_the_same() {
    let world = World::new();
    with_code(&world);
    let [one, two, _] = tasks(&world, ["one", "two", "idle"]);
    for worktree in [&one, &two] {
        world.write(worktree.join("f"), lines(" same"));
    }
    commit(&world, &two);
    world.flux(["conflicts"]).run().success().says(&expect![[r#"
            no conflicting lines
            TASK      WITH  CONFLICTS
            one       two   none: both make the same changes
        "#]]);
    let status = world.flux(["status", "one"]).run();
    status.stdout_has("Conflicts: none with two: both make the same changes\n");
}

#[test]
fn conflicts_blames_no_task_for_changes_of_the_target() {
    let world = World::new();
    with_code(&world);
    let old = task(&world, "old");
    world.write(old.join("f"), lines(" old"));
    world.commit_in(world.repo(), "f", &lines(" main"));
    // It has line 5 from the target, and changes another line.
    let new = task(&world, "new");
    world.write(new.join("f"), lines(" main").replace("20\n", "twenty\n"));
    world.write(new.join("src/auth.rs"), CODE.replace("two", "new"));
    let third = task(&world, "third");
    world.write(third.join("f"), lines(" third"));
    age(&world, &["old", "new", "third"]);
    world.flux(["conflicts"]).run().code(3).says(&expect![[r#"
        TASK      WITH   CONFLICTS
        old       third  f (contents)
        old       main   f (contents)

        order of landing: old, new, third (1 task with conflicts to resolve)
    "#]]);
}

#[test]
fn conflicts_suggests_the_order_with_fewest_resolutions() {
    let world = World::new();
    with_code(&world);
    let all = tasks(&world, ["refactor", "a", "b", "c"]);
    for (at, worktree) in all.iter().enumerate() {
        let name = format!("file-{at}");
        world.write(worktree.join(&name), format!("{at}\n"));
        world.write(all[0].join(&name), "refactored\n");
    }
    world.flux(["conflicts"]).run().code(3).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        refactor  a     file-1 (contents)
        refactor  b     file-2 (contents)
        refactor  c     file-3 (contents)

        order of landing: a, b, c, refactor (1 task with conflicts to resolve; in order of age 3)
    "#]]);
}

#[test]
fn conflicts_compares_tasks_with_different_targets_by_their_own_changes() {
    let world = World::new();
    with_code(&world);
    let one = task(&world, "one");
    world.write(one.join("f"), lines(" one"));
    world.write(one.join("src/auth.rs"), CODE.replace("two", "one"));
    world.git(["checkout", "-q", "-b", "release"]);
    world.commit_in(world.repo(), "src/auth.rs", &CODE.replace("two", "release"));
    let two = task(&world, "two");
    let clean = task(&world, "clean");
    world.write(two.join("f"), lines(" two"));
    world.write(clean.join("g"), "g\n");
    age(&world, &["one", "two", "clean"]);
    // Not of src/auth.rs, which task two has from its target.
    let output = world.flux(["conflicts"]).run();
    output.code(3).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        one       two   f (contents)

        order of landing: one, two, clean (1 task with conflicts to resolve)
    "#]]);
    world
        .flux(["conflicts"])
        .run()
        .code(3)
        .stdout_is(&output.stdout);
    // A rename of what the other changes.
    world.git_in(&two, ["checkout", "-q", "--", "f"]);
    world.git_in(&two, ["mv", "f", "moved"]);
    world.write(two.join("moved"), lines(" two"));
    world.flux(["conflicts"]).run().code(3).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        one       two   moved (contents)

        order of landing: one, two, clean (1 task with conflicts to resolve)
    "#]]);
}

#[test]
fn conflicts_leaves_out_files_that_a_merge_driver_merges() {
    let world = World::new();
    world.write(".gitattributes", "lock merge=lk\n");
    world.write("lock", "base\n");
    world.git(["add", "--all"]);
    world.git(["commit", "-q", "-m", "Lock"]);
    let log = world.tools().join("driver.log");
    let driver = format!("echo ran >>'{}'", log.display());
    world.git(["config", "merge.lk.driver", &driver]);
    let [one, two] = tasks(&world, ["one", "two"]);
    for (worktree, text) in [(&one, "one\n"), (&two, "two\n")] {
        world.write(worktree.join("lock"), text);
    }
    world.commit_in(world.repo(), "lock", "main\n");
    world
        .flux(["conflicts"])
        .run()
        .success()
        .stdout_is("no conflicting lines\n");
    world.write(one.join("README.md"), "one\n");
    world.write(two.join("README.md"), "two\n");
    let output = world.flux(["conflicts"]).run();
    output
        .code(3)
        .stdout_has("README.md (contents)")
        .has_not("lock");
    assert!(!log.exists(), "the driver has run");
}

#[test]
fn conflicts_refuses_wrong_names() {
    let world = World::new();
    tasks(&world, ["one", "two"]);
    let before = world.snapshot();
    world
        .flux(["conflicts", "one", "one"])
        .run()
        .code(2)
        .says(&expect![[r#"
            --- stderr
            error: both tasks are 'one'
            hint: to compare it with all others: git flux conflicts one
        "#]]);
    world
        .flux(["conflicts", "three"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: there is no task 'three'
            hint: the tasks are: one, two
        "#]]);
    world
        .flux(["conflicts", "one", "two", "three"])
        .run()
        .code(2);
    world
        .flux(["conflicts", "--json", "--porcelain"])
        .run()
        .code(2);
    world.assert_unchanged(&before);
}
