//! Conflicts in `list` and `status`, and what is not known.

use std::fs;

use super::*;
use crate::world::output::row;

#[test]
fn list_names_the_tasks_and_the_target_that_conflict() {
    let world = World::new();
    with_code(&world);
    let [oauth, login, docs] = tasks(
        &world,
        [
            "add-oauth-authentication-a1b2c3",
            "fix-login-0a0b0c",
            "docs",
        ],
    );
    world.write(oauth.join("f"), lines(" oauth"));
    world.write(login.join("f"), lines(" login"));
    world.write(docs.join("new"), "docs\n");
    let list = world.flux(["list"]).ok();
    assert_eq!(row(&list, "fix")[6], "add-oauth-authen…", "{list}");
    assert_eq!(row(&list, "add")[6], "fix-login", "{list}");
    assert_eq!(row(&list, "docs")[6], "docs", "{list}");
    world.commit_in(world.repo(), "f", &lines(" main"));
    let list = world.flux(["list"]).ok();
    assert_eq!(row(&list, "add")[6], "fix-login main", "{list}");
    let json = world.flux(["list", "--json"]).run().json();
    let found = json[0]["conflicts"].as_array().unwrap();
    assert_eq!(found[0]["with"], "fix-login-0a0b0c", "{json}");
    assert_eq!(found[1]["target"], "main", "{json}");
    assert_eq!(found[1]["files"][0]["path"], "f", "{json}");
    assert_eq!(json[2]["conflicts"], serde_json::json!([]), "{json}");
    let status = world.flux(["status", "fix-login"]).ok();
    let shown: Vec<&str> = status
        .lines()
        .filter(|line| line.starts_with("Conflicts"))
        .collect();
    let expected = [
        "Conflicts: with add-oauth-authentication-a1b2c3: f (contents)",
        "Conflicts: with main: f (contents)",
    ];
    assert_eq!(shown, expected);
    let status = world.flux(["status", "--json", "docs"]).run().json();
    assert_eq!(status["conflicts"], serde_json::json!([]));
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
    assert_eq!(list[2]["conflicts"], serde_json::Value::Null);
    assert_eq!(list[0]["conflicts"][0]["with"], "two");
    // Without its worktree, its commits are all there is.
    fs::remove_dir_all(&three).unwrap();
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
