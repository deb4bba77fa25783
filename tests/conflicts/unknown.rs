//! What cannot be compared is unknown, never without conflicts.

use std::fs;

use super::*;
use crate::world::output::row;

/// Removes a worktree, which git locks for its task, with all that is uncommitted in it.
fn remove_worktree(world: &World, worktree: &Path) {
    let path = worktree.to_str().unwrap();
    world.git(["worktree", "remove", "--force", "--force", path]);
}

#[test]
fn conflicts_fails_if_a_task_cannot_be_compared() {
    let world = World::new();
    with_code(&world);
    let [one, two, three] = tasks(&world, ["one", "two", "three"]);
    world.write(one.join("f"), lines(" one"));
    world.write(two.join("f"), lines(" two"));
    world.write(three.join("f"), lines(" three"));
    world.git_in(&three, ["checkout", "-q", "--detach"]);
    commit(&world, &three);
    let output = world.flux(["conflicts"]).run();
    output.code(1).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        one       two   f (contents)
        three           unknown: its worktree is not at the tip of its branch

        order of landing: one, two (1 task with conflicts to resolve)
        --- stderr
        error: not everything could be compared
    "#]]);
    let list = world.flux(["list", "--json"]).run().json();
    let unknown = serde_json::json!([{
        "with": null,
        "target": null,
        "files": null,
        "same": false,
        "approximate": false,
        "why": "its worktree is not at the tip of its branch",
    }]);
    assert_eq!(list[2]["conflicts"], unknown);
    assert_eq!(list[0]["conflicts"][0]["with"], "two");
    let table = world.flux(["list"]).ok();
    assert!(row(&table, "three").contains(&"?".to_owned()), "{table}");
    let status = world.flux(["status", "three"]).run();
    status.stdout_has("Conflicts: unknown: its worktree is not at the tip of its branch\n");
    // Without its worktree, its commits are all there is.
    world.git_in(&three, ["checkout", "-q", "feature/three"]);
    let index = world.git_in(&three, ["rev-parse", "--git-path", "index"]);
    fs::write(three.join(index), "damaged").unwrap();
    let status = world.flux(["status", "three"]).run();
    status.stdout_has("Conflicts: unknown: its worktree cannot be read\n");
    let output = world.flux(["list"]).run();
    let cells = row(&output.code(1).stdout, "three");
    let unknown = cells.iter().filter(|cell| *cell == "?");
    assert_eq!(unknown.count(), 2, "{output}");
    remove_worktree(&world, &three);
    world.flux(["conflicts"]).run().code(3).has_not("three");
    let broken = "refs/flux/tasks/three";
    world.edit_record(broken, |_| "{}".to_owned());
    let output = world.flux(["conflicts"]).run();
    output
        .code(1)
        .stdout_has("unknown: its record cannot be read");
    output.stdout_has("f (contents)");
}

#[test]
fn conflicts_reports_histories_without_a_common_commit_as_unknown() {
    let world = World::new();
    let one = task(&world, "one");
    commit(&world, &{
        world.write(one.join("new"), "new\n");
        one.clone()
    });
    world.git(["checkout", "-q", "--orphan", "pages"]);
    world.git(["commit", "-q", "-m", "Pages"]);
    world.git(["config", "branch.feature/one.fluxInto", "pages"]);
    let output = world.flux(["conflicts"]).run();
    output.code(1).says(&expect![[r#"
        TASK      WITH   CONFLICTS
        one       pages  unknown: they have no commit in common
        --- stderr
        error: not everything could be compared
    "#]]);
}

#[test]
fn conflicts_reports_a_task_as_unknown_if_its_worktree_was_moved() {
    let world = World::new();
    with_code(&world);
    let [one, two] = tasks(&world, ["one", "two"]);
    world.commit_in(&one, "f", &lines(" one"));
    world.write(two.join("f"), lines(" two"));
    let ask = || world.flux(["conflicts", "one", "two"]).run();
    ask().code(3).stdout_has("f (contents)");
    let is_unknown = |why: &str| {
        let before = world.snapshot();
        let output = ask();
        let found = output.code(1).stdout.clone();
        assert!(found.contains("two"), "{found}");
        assert!(found.contains(&format!("unknown: {why}")), "{found}");
        world.flux(["conflicts"]).run().code(1);
        world.flux(["diff", "--unseen", "two"]).run().code(1);
        world.assert_unchanged(&before);
    };
    let moved = world.root().join("moved");
    fs::rename(&two, &moved).unwrap();
    is_unknown("its worktree is gone");
    fs::rename(&moved, &two).unwrap();
    fs::rename(two.join(".git"), two.join(".away")).unwrap();
    is_unknown("its worktree cannot be read");
    fs::rename(two.join(".away"), two.join(".git")).unwrap();
    let [from, to] = [&two, &moved].map(|path| path.to_str().unwrap());
    world.git(["worktree", "move", "--force", "--force", from, to]);
    is_unknown("its worktree is gone");
    world.git_in(&moved, ["checkout", "-q", "--detach"]);
    is_unknown("its worktree is gone");
    remove_worktree(&world, &moved);
    ask().success().stdout_is("no conflicting lines\n");
}

#[test]
fn conflicts_of_two_histories_without_a_common_commit_are_unknown() {
    let world = World::new();
    with_code(&world);
    let [o, p, q] = tasks(&world, ["o", "p", "q"]);
    world.write(o.join("f"), "other\n");
    world.git_in(&o, ["add", "f"]);
    let tree = world.git_in(&o, ["write-tree"]);
    let root = world.git_in(&o, ["commit-tree", "-m", "Root", &tree]);
    world.git_in(&o, ["reset", "-q", "--hard", &root]);
    world.commit_in(&p, "f", &lines(" p"));
    world.write(q.join("f"), lines(" q"));
    let before = world.snapshot();
    world
        .flux(["conflicts", "o", "p"])
        .run()
        .code(1)
        .says(&expect![[r#"
            TASK      WITH  CONFLICTS
            o         p     unknown: 'o' has no commit in common with its target
            --- stderr
            error: not everything could be compared
        "#]]);
    world
        .flux(["conflicts", "p"])
        .run()
        .code(1)
        .says(&expect![[r#"
            TASK      WITH  CONFLICTS
            o         p     unknown: 'o' has no commit in common with its target
            p         q     f (contents)
            --- stderr
            error: not everything could be compared
        "#]]);
    world.flux(["conflicts"]).run().code(1).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        o         p     unknown: 'o' has no commit in common with its target
        o         q     unknown: 'o' has no commit in common with its target
        o         main  unknown: they have no commit in common
        p         q     f (contents)

        order of landing: o, p, q (1 task with conflicts to resolve)
        --- stderr
        error: not everything could be compared
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn conflicts_sees_changes_that_git_status_hides() {
    let world = World::new();
    with_code(&world);
    let [one, two] = tasks(&world, ["one", "two"]);
    world.commit_in(&two, "f", &lines(" two"));
    let ask = |code| {
        world.flux(["conflicts", "one", "two"]).run().code(code);
    };
    for flag in ["assume-unchanged", "skip-worktree"] {
        world.git_in(&one, ["update-index", &format!("--{flag}"), "f"]);
        ask(0);
        world.write(one.join("f"), lines(" one"));
        let index = world.git_in(&one, ["ls-files", "-v"]);
        ask(3);
        // Its name needs an index.
        world.write(one.join("\"quoted\""), "new\n");
        ask(3);
        assert_eq!(world.git_in(&one, ["ls-files", "-v"]), index);
        let list = world.flux(["list"]).ok();
        assert!(row(&list, "one").contains(&"2".to_owned()), "{list}");
        let status = world.flux(["status", "one"]).run();
        status
            .stdout_has("2 files uncommitted")
            .stdout_has("  M f\n");
        fs::remove_file(one.join("\"quoted\"")).unwrap();
        world.git_in(&one, ["update-index", &format!("--no-{flag}"), "f"]);
        world.git_in(&one, ["checkout", "-q", "--", "f"]);
    }
}

#[test]
fn conflicts_shows_a_reason_of_several_lines_as_one() {
    let world = World::new();
    world.write(".gitattributes", "*.up filter=up\n");
    world.write("a.up", "text\n");
    world.git(["add", "--all"]);
    world.git(["commit", "-q", "-m", "Filter"]);
    let [one, two] = tasks(&world, ["one", "two"]);
    world.write(one.join("a.up"), "longer text\n");
    world.write(two.join("a.up"), "another text\n");
    world.git(["config", "filter.up.clean", "a-program-that-is-missing"]);
    world.git(["config", "filter.up.required", "true"]);
    let why = "unknown: `git add` failed with exit code 128: ";
    for command in ["conflicts", "status"] {
        let output = world.flux([command, "one"]).run();
        output.stdout_has(why).has_not("\\u{a}");
        output.stdout_has("failed fatal: a.up: clean filter 'up' failed\n");
    }
    let list = world.flux(["list"]).ok();
    assert!(row(&list, "one").contains(&"?".to_owned()), "{list}");
    let json = world.flux(["conflicts", "--json"]).run().code(1).json();
    let text = json["unreadable"][0]["why"].as_str().unwrap();
    assert!(!text.contains('\n'), "{text}");
    world.git(["config", "flux.gate", "true"]);
    let output = world.flux(["gate", "one"]).run();
    output
        .code(125)
        .stdout_has("no verdict: ")
        .has_not("\\u{a}");
}
