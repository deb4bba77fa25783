//! What becomes of commits.

use super::*;

#[test]
fn conflicts_are_resolved_where_that_was_said_or_refuse() {
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
    let error = scene.plan(&never()).ensure().unwrap_err();
    assert_eq!(failure::exit_code(&error), CONFLICTS);
    let update = scene.plan(&conflicts(Conflicts::Update)).ensure().unwrap();
    assert!(update.is_update());
}

#[test]
fn an_update_refuses_what_git_would_not_merge_over() {
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
fn conflicts_with_what_is_not_committed_yet_are_foreseen() {
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
fn the_target_is_a_branch_that_can_be_merged_into() {
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
            (merged_in("main"), "refused", "has not all of"),
            (merged_in("feature/fix"), "ok", "has its work"),
        ],
    );
}

#[test]
fn the_user_who_is_elsewhere_has_to_say_where_the_work_goes() {
    let scene = Scene::new();
    git(&scene.repo, &["switch", "--quiet", "--create", "mine"]);
    scene.assert(
        "standing",
        &[
            (ask(), "asks", "you are on 'mine'"),
            (jointly(), "asks", "you are on 'mine'"),
            (never(), "not agreed", "you are on 'mine'"),
            (yes(), "not agreed", "you are on 'mine'"),
            (into("main"), "agreed", "you are on 'mine'"),
            (drop_branch(), "ok", ""),
        ],
    );
    let error = scene.plan(&yes()).ensure().unwrap_err();
    assert_eq!(failure::exit_code(&error), USAGE);
}
