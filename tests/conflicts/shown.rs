//! Conflicts in `list` and `status`, and what is not known.

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
