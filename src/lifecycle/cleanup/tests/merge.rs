//! Plans of merges.

use super::*;

#[test]
fn plan_asks_or_refuses_on_conflicts_by_option() {
    let scene = Scene::new();
    commit(&scene.repo, "work", "mine\n");
    let why = "conflict in 'work' (contents)";
    let never_update = Options {
        conflicts: Conflicts::Update,
        ..never()
    };
    scene.assert(
        "merge",
        &[
            (ask(), "asks", why),
            (jointly(), "not agreed", why),
            (never(), "not agreed", why),
            (yes(), "not agreed", why),
            (conflicts(Conflicts::Refuse), "refused", why),
            (
                conflicts(Conflicts::Update),
                "agreed",
                "'main' is merged into",
            ),
            (never_update, "agreed", "'main' is merged into"),
            (merge(Style::Squash), "asks", why),
            (merge(Style::Rebase), "refused", why),
            (
                merge(Style::FastForward),
                "refused",
                "cannot be fast-forwarded",
            ),
            (drop_branch(), "ok", "is dropped"),
        ],
    );
    let error = scene.plan(&never()).ensure_not_refused().unwrap_err();
    assert_eq!(failure::exit_code(&error), CONFLICTS);
    let update = scene
        .plan(&conflicts(Conflicts::Update))
        .ensure_not_refused()
        .unwrap();
    assert!(update.is_update());
}

#[test]
fn plan_refuses_an_update_over_changed_files() {
    let scene = Scene::new();
    commit(&scene.repo, "work", "mine\n");
    commit(&scene.repo, "new", "mine\n");
    let assert = |expected: &str, why: &str| {
        scene.assert(
            "collisions",
            &[(conflicts(Conflicts::Update), expected, why)],
        );
    };
    fs::write(scene.worktree.join("other"), "").unwrap();
    assert("ok", "");
    git(&scene.worktree, &["add", "other"]);
    assert("refused", "would overwrite 'other'");
    git(&scene.worktree, &["reset", "--quiet", "--hard"]);
    fs::write(scene.worktree.join("work"), "more\n").unwrap();
    assert("refused", "would overwrite 'work'");
    git(&scene.worktree, &["checkout", "--quiet", "work"]);
    fs::write(scene.worktree.join("new"), "theirs\n").unwrap();
    fs::write(scene.repo.join(".git/info/exclude"), "new\n").unwrap();
    assert("refused", "would overwrite 'new'");
}

#[test]
fn plan_finds_conflicts_of_uncommitted_files() {
    let scene = Scene::new();
    fs::write(scene.worktree.join("README"), "theirs\n").unwrap();
    commit(&scene.repo, "README", "mine\n");
    scene.assert(
        "merge",
        &[
            (discard(), "ok", "1 commit"),
            (commit_all(), "refused", "conflict in 'README'"),
        ],
    );
}

#[test]
fn plan_refuses_a_missing_or_own_target() {
    let scene = Scene::new();
    let merged_in = |rev: &str| Options {
        branch: Branch::MergedIn {
            name: rev.to_owned(),
            commit: git(&scene.repo, &["rev-parse", rev]).into(),
        },
        ..never()
    };
    scene.assert(
        "target",
        &[
            (never(), "ok", "'main', checked out in"),
            (into("none"), "refused", "there is no branch 'none'"),
            (into("feature/fix"), "refused", "merged into itself"),
            (merged_in("main"), "refused", "lacks commits of"),
            (merged_in("feature/fix"), "ok", "contains its commits"),
        ],
    );
}

#[test]
fn plan_needs_a_target_if_the_user_is_on_another_branch() {
    let scene = Scene::new();
    git(&scene.repo, &["switch", "--quiet", "--create", "mine"]);
    scene.assert(
        "current branch",
        &[
            (ask(), "asks", "you are on 'mine'"),
            (jointly(), "asks", "you are on 'mine'"),
            (never(), "not agreed", "you are on 'mine'"),
            (yes(), "not agreed", "you are on 'mine'"),
            (into("main"), "agreed", "you are on 'mine'"),
            (drop_branch(), "ok", ""),
        ],
    );
    let error = scene.plan(&yes()).ensure_not_refused().unwrap_err();
    assert_eq!(failure::exit_code(&error), USAGE);
}
