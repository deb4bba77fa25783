//! Tests the merge styles (merge, squash, rebase, fast-forward), by option and by setting.

use std::path::Path;

use crate::world::removal::*;
use crate::world::*;

#[test]
fn cleanup_squash_creates_one_commit_that_lists_the_commits_of_the_task() {
    for moved in [false, true] {
        let world = World::new();
        let id = two_commits(&world);
        if moved {
            world.commit_in(world.repo(), "README.md", "moved\n");
        }
        let (main, tip) = (commit(&world, "main"), tip(&world, &id));
        let output = world.flux(["cleanup", "--squash", &id]).run();
        output
            .success()
            .stderr_has(&format!("squashed 2 commits of 'feature/{id}' into 'main'"))
            .says(&expect![[r#"
                --- stderr
                squashed 2 commits of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
                removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
                its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
                its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
                hint: to restore the task: git flux restore fix-login-XXXXXX
                hint: to undo the merge, on 'main': git revert <object>
            "#]]);
        assert_eq!(world.git(["log", "-1", "--format=%P", "main"]), main);
        assert_eq!(
            world.git(["log", "-1", "--format=%an|%B", "main"]),
            format!(
                "Flux Test|Fix login\n\nSquashed commit of task '{id}':\n\n* Add one\n* Change two.txt"
            )
        );
        assert_eq!(world.read("one.txt"), "one\n");
        assert_eq!(world.read("two.txt"), "two\n");
        assert_eq!(world.git(["status", "--porcelain"]), "");
        assert_eq!(commit(&world, &format!("refs/flux/archive/{id}/tip")), tip);
        output
            .stderr_has(&format!("git revert {}", &commit(&world, "main")[..9]))
            .says(&expect![[r#"
                --- stderr
                squashed 2 commits of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
                removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
                its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
                its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
                hint: to restore the task: git flux restore fix-login-XXXXXX
                hint: to undo the merge, on 'main': git revert <object>
            "#]]);
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_rebase_keeps_authors_dates_and_messages() {
    let world = World::new();
    let id = two_commits(&world);
    let main = world.commit_in(world.repo(), "README.md", "moved\n");
    let before = people(&world, &format!("main..feature/{id}"));
    let output = world.flux(["cleanup", "--rebase", &id]).run();
    output
        .success()
        .stderr_has(&format!("rebased 2 commits of 'feature/{id}' onto 'main'"))
        .says(&expect![[r#"
            --- stderr
            rebased 2 commits of 'feature/fix-login-XXXXXX' onto 'main' (<object>..<object>)
            removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
            its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
            hint: to restore the task: git flux restore fix-login-XXXXXX
            hint: to undo the merge, on 'main': git revert <object>..<object>
        "#]]);
    assert_eq!(people(&world, &format!("{main}..main")), before);
    assert_eq!(commit(&world, "main~2"), main);
    assert_eq!(world.git(["rev-list", "--merges", "main"]), "");
    assert_eq!(world.read("two.txt"), "two\n");
    assert_eq!(world.read("README.md"), "moved\n");
    assert_removed(&world, &id);
    // And back again, by the line that was printed.
    let undo = format!(
        "git revert {}..{}",
        &main[..9],
        &commit(&world, "main")[..9]
    );
    output.stderr_has(&undo).says(&expect![[r#"
        --- stderr
        rebased 2 commits of 'feature/fix-login-XXXXXX' onto 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert <object>..<object>
    "#]]);
}

#[test]
fn cleanup_rebase_and_ff_only_keep_commits_that_are_on_top_of_the_target() {
    for style in ["--rebase", "--ff-only"] {
        let world = World::new();
        let id = two_commits(&world);
        let tip = tip(&world, &id);
        world.flux(["cleanup", style, &id]).run().success();
        assert_eq!(commit(&world, "main"), tip);
        assert_eq!(world.read("two.txt"), "two\n");
        assert_eq!(world.git(["status", "--porcelain"]), "");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_ff_only_refuses_if_the_target_has_moved() {
    let world = World::new();
    let id = working_task(&world);
    world.commit_in(world.repo(), "README.md", "moved\n");
    let before = world.snapshot();
    for more in [&[][..], &["-n"], &["-y"]] {
        let args = [&["cleanup", "--ff-only", &id][..], more].concat();
        let output = world.flux(args).run();
        output
            .code(1)
            .stderr_has("'main' cannot be fast-forwarded")
            .stderr_has(&format!("git flux cleanup {id} --rebase"));
        world.assert_unchanged(&before);
    }
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_changes_nothing_after_a_conflict_in_any_style() {
    let world = World::new();
    let id = working_task(&world);
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "src/login.txt", "theirs\n");
    world.commit_in(&worktree, "other.txt", "theirs\n");
    world.commit_in(world.repo(), "src/login.txt", "ours\n");
    let before = world.snapshot();
    for (style, verb) in [
        ("--merge", "merge"),
        ("--squash", "merge"),
        ("--rebase", "rebase"),
    ] {
        let output = world.flux(["cleanup", "-y", style, &id]).run();
        output
            .code(3)
            .stdout_is("")
            .stderr_has("'src/login.txt' (contents)")
            .stderr_has(&format!("git -C '{}' {verb} main", worktree.display()));
        world.assert_unchanged(&before);
    }
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_supports_every_style_wherever_the_target_is_checked_out() {
    for style in ["--merge", "--squash", "--rebase", "--ff-only"] {
        for place in ["here", "elsewhere", "nowhere"] {
            let world = World::new();
            let id = two_commits(&world);
            if style != "--ff-only" {
                world.commit_in(world.repo(), "README.md", "moved\n");
            }
            let main = commit(&world, "main");
            let other = world.root().join("other");
            if place != "here" {
                world.git(["switch", "-q", "-c", "topic"]);
            }
            if place == "elsewhere" {
                world.git(["worktree", "add", "-q", other.to_str().unwrap(), "main"]);
            }
            // The user's own: staged, unstaged and untracked, in every worktree.
            let dirs: &[&Path] = if place == "elsewhere" {
                &[&world.repo(), &other]
            } else {
                &[&world.repo()]
            };
            for dir in dirs {
                world.write(dir.join("staged.txt"), "staged\n");
                world.git_in(dir, ["add", "staged.txt"]);
                world.write(dir.join("src/login.txt"), "changed\n");
                world.write(dir.join("loose.txt"), "loose\n");
            }
            let own = "A  staged.txt\n M src/login.txt\n?? loose.txt";
            let sorted = |dir: &Path| {
                let status = world.git_in(dir, ["status", "--porcelain", "-uall"]);
                let mut lines: Vec<&str> = status.lines().map(str::trim).collect();
                lines.sort_unstable();
                lines.join("\n")
            };
            let output = world.flux(["cleanup", style, "--into=main", &id]).run();
            output.success();
            let context = format!("{style} {place}\n{output}");
            assert_eq!(world.git(["show", "main:two.txt"]), "two", "{context}");
            let made = world.git([
                "rev-list",
                "--count",
                "--first-parent",
                &format!("{main}..main"),
            ]);
            let expected = if matches!(style, "--merge" | "--squash") {
                "1"
            } else {
                "2"
            };
            assert_eq!(made, expected, "{context}");
            for dir in dirs {
                let mut expected: Vec<&str> = own.lines().map(str::trim).collect();
                expected.sort_unstable();
                assert_eq!(sorted(dir), expected.join("\n"), "{context}");
            }
            let branch = if place == "here" { "main" } else { "topic" };
            assert_eq!(world.git(["branch", "--show-current"]), branch, "{context}");
            assert_removed(&world, &id);
        }
    }
}

#[test]
fn cleanup_refuses_to_overwrite_a_change_in_every_style() {
    for style in ["--merge", "--squash", "--rebase", "--ff-only"] {
        let world = World::new();
        let id = working_task(&world);
        world.write("agent.txt", "mine\n");
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", style, &id]).run();
        let again = format!(" 'agent.txt', then: git flux cleanup {id} {style}\n");
        output.code(1).stderr_has(&again).stderr_has(
            "error: the merge would overwrite 'agent.txt' in the worktree of 'main'\n\
             hint: to see untracked and ignored files: git -C ",
        );
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive(), "{style}");
    }
}

#[test]
fn cleanup_rejects_two_styles_as_a_usage_error() {
    let world = World::new();
    let id = done_task(&world);
    let before = world.snapshot();
    let all = ["--merge", "--squash", "--rebase", "--ff-only"];
    for (at, one) in all.iter().enumerate() {
        for other in all[at + 1..].iter().chain(&["--discard-branch"]) {
            world.flux(["cleanup", one, other, &id]).run().code(2);
        }
    }
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_takes_the_style_from_flux_merge_unless_an_option_is_given() {
    for (value, option, parents) in [
        ("merge", "", 2),
        ("squash", "", 1),
        ("rebase", "", 1),
        ("squash", "--merge", 2),
        ("nonsense", "--merge", 2),
    ] {
        let world = World::new();
        let id = two_commits(&world);
        world.commit_in(world.repo(), "README.md", "moved\n");
        let config = format!("flux.merge={value}");
        let args = ["cleanup", &id, option];
        let args = args.iter().filter(|arg| !arg.is_empty());
        world
            .flux(args)
            .via_git_with(["-c", &config])
            .run()
            .success();
        let found = world.git(["log", "-1", "--format=%P", "main"]);
        assert_eq!(found.split(' ').count(), parents, "{value} {option}");
    }
    let world = World::new();
    let id = done_task(&world);
    world.commit_in(world.repo(), "README.md", "moved\n");
    world.git(["config", "flux.merge", "ff-only"]);
    world
        .flux(["cleanup", &id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: 'main' cannot be fast-forwarded: it has commits (<number>) that 'feature/fix-login-XXXXXX' lacks
            hint: to rebase and merge it: git flux cleanup fix-login-XXXXXX --rebase
        "#]]);
}

#[test]
fn cleanup_names_the_file_of_an_unknown_style() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["config", "flux.merge", "octopus"]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: bad value 'octopus' for 'flux.merge' in file '.git/config'
        hint: use one of merge, squash, rebase, ff-only
    "#]]);
    world.assert_unchanged(&before);
    // Where nothing is merged, nobody asks.
    world
        .flux(["cleanup", "--discard-branch", &id])
        .run()
        .success();
}

#[test]
fn cleanup_takes_the_target_from_flux_into_unless_another_is_given() {
    let world = World::new();
    for name in ["develop", "release", "hotfix"] {
        world.git(["branch", name]);
    }
    world.git(["config", "flux.into", "develop"]);
    let has = |branch: &str| {
        let file = format!("{branch}:agent.txt");
        world.try_git(["cat-file", "-e", &file]).is_ok()
    };
    for (task, into, expected) in [
        (false, None, "develop"),
        (true, None, "release"),
        (true, Some("--into=hotfix"), "hotfix"),
    ] {
        let id = done_task(&world);
        if task {
            let key = format!("branch.feature/{id}.fluxInto");
            world.git(["config", &key, "release"]);
        }
        let list = world.flux(["list", "--json"]).run().json();
        assert_eq!(list[0]["into"], if task { "release" } else { "develop" });
        assert!(!has(expected));
        if into.is_none() {
            // Nobody on `main` has named it.
            let before = world.snapshot();
            let output = world.flux(["cleanup", &id]).run();
            output
                .code(2)
                .stderr_has(&format!("would be merged into '{expected}'"));
            world.assert_unchanged(&before);
        }
        let into = into.map_or(format!("--into={expected}"), str::to_owned);
        world.flux(["cleanup", &id, &into]).run().success();
        assert!(has(expected) && !has("main"));
    }
    // A branch that is not there is nothing to merge into: nothing counts as merged.
    let id = done_task(&world);
    world.git(["config", "flux.into", "gone"]);
    let output = world.flux(["cleanup", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: there is no branch 'gone' to merge 'fix-login-XXXXXX' into
        hint: 'flux.into' has the value 'gone' in file '.git/config'
        hint: to merge it elsewhere: git flux cleanup fix-login-XXXXXX --into <branch>
        hint: to remove it without a merge: git flux cleanup fix-login-XXXXXX --discard-branch
    "#]]);
}
