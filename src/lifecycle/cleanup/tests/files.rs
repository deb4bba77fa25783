//! Plans of tasks with uncommitted and ignored files.

use super::*;

#[test]
fn plan_asks_about_uncommitted_files_without_an_option() {
    let scene = Scene::new();
    fs::write(scene.worktree.join("new"), "new\n").unwrap();
    scene.assert(
        "uncommitted",
        &[
            (ask(), "asks", "commit or discard new"),
            (jointly(), "not agreed", "commit or discard new"),
            (never(), "not agreed", "commit or discard new"),
            (yes(), "not agreed", "commit or discard new"),
            (commit_all(), "ok", "committed: new"),
            (discard(), "ok", "can be restored: new"),
            (drop_branch(), "not agreed", "commit or discard new"),
        ],
    );
    let error = scene.plan(&never()).ensure_not_refused().unwrap_err();
    assert_eq!(error.to_string(), "'fix' has 1 uncommitted file");
    let hints: Vec<String> = failure::hints(&error).collect();
    let expected = [
        "to commit and merge: git flux cleanup fix --commit",
        "to merge only what is committed: git flux cleanup fix --discard",
    ];
    assert_eq!(hints, expected);
}

#[test]
fn plan_asks_about_large_files_with_any_option() {
    let scene = Scene::new();
    let file = File::create(scene.worktree.join("huge")).unwrap();
    file.set_len(101 << 20).unwrap();
    let mut answered = discard();
    answered.agree(Question::LargeFiles, "'huge' has 101.00 MiB");
    let mut smaller = discard();
    smaller.agree(Question::LargeFiles, "'huge' has 100.50 MiB");
    scene.assert(
        "large files",
        &[
            (ask(), "asks", "'huge' has 101.00 MiB"),
            (jointly(), "asks", "'huge'"),
            (yes(), "not agreed", "'huge'"),
            (discard(), "not agreed", "'huge'"),
            (answered, "agreed", "'huge'"),
            (smaller, "not agreed", "'huge'"),
        ],
    );
}

#[test]
fn plan_refuses_to_commit_a_nested_repository() {
    let scene = Scene::new();
    let inner = scene.worktree.join("inner");
    fs::create_dir(&inner).unwrap();
    git(&inner, &["init", "--quiet"]);
    commit(&inner, "a", "a\n");
    let why = "'inner/' is another repository";
    scene.assert(
        "repositories",
        &[
            (commit_all(), "refused", why),
            (discard(), "ok", "can be restored: inner/"),
        ],
    );
}

#[test]
fn plan_names_ignored_files() {
    let scene = Scene::new();
    fs::write(scene.repo.join(".git/info/exclude"), "*.log\n").unwrap();
    fs::write(scene.worktree.join("a.log"), "").unwrap();
    scene.assert("ignored", &[(never(), "ok", "can be restored: a.log")]);
}

#[test]
fn plan_discards_unreadable_files_only_with_the_worktree() {
    let scene = Scene::new();
    commit(&scene.worktree, "a.x", "one\n");
    let attributes = scene.repo.join(".git/info/attributes");
    fs::write(attributes, "*.x filter=lost\n").unwrap();
    git(
        &scene.repo,
        &["config", "filter.lost.clean", "no-such-program"],
    );
    git(&scene.repo, &["config", "filter.lost.required", "true"]);
    fs::write(scene.worktree.join("a.x"), "two\n").unwrap();
    let why = "could not read the uncommitted files";
    scene.assert(
        "uncommitted",
        &[
            (ask(), "refused", why),
            (commit_all(), "refused", why),
            (discard(), "ok", "the whole worktree can be restored"),
        ],
    );
}

#[test]
fn plan_refuses_to_merge_over_files() {
    let scene = Scene::new();
    fs::write(scene.repo.join("work"), "mine\n").unwrap();
    scene.assert(
        "collisions",
        &[
            (yes(), "refused", "would overwrite 'work'"),
            (drop_branch(), "ok", ""),
        ],
    );
}
