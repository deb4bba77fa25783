//! git dies of some merges, and takes its other answers with it.

use std::fs;

use super::*;

/// Makes the three tasks of which git 2.47 cannot merge the first two.
fn deadly(world: &World) {
    let numbers =
        |from: usize, to: usize| -> String { (from..=to).map(|n| format!("{n}\n")).collect() };
    world.write("a/x/f", numbers(1, 20));
    world.write("a/x/p/g", numbers(30, 50));
    world.git(["add", "--all"]);
    world.git(["commit", "-q", "-m", "Base"]);
    let [a, b, c, d] = tasks(world, ["a", "b", "c", "d"]);
    world.git_in(&a, ["rm", "-q", "a/x/f"]);
    world.write(a.join("a/x/h"), numbers(60, 80));
    world.git_in(&a, ["add", "a/x/h"]);
    fs::create_dir_all(a.join("a/x/x/p")).unwrap();
    world.git_in(&a, ["mv", "a/x/p/g", "a/x/x/p/g"]);
    commit(world, &a);
    world.git_in(&b, ["mv", "a/x/f", "a/f"]);
    world.git_in(&b, ["rm", "-qr", "a/x/p"]);
    commit(world, &b);
    world.commit_in(&c, "README.md", "c\n");
    world.commit_in(&d, "README.md", "d\n");
}

#[test]
fn conflicts_answers_the_other_pairs_if_git_dies_of_one() {
    let world = World::new();
    deadly(&world);
    let output = world.flux(["conflicts"]).run();
    output.code(3);
    // Which conflicts there are depends on git's version.
    let json = world.flux(["conflicts", "--json"]).run().json();
    let conflicts = json["conflicts"].as_array().unwrap().iter();
    let pairs = conflicts.map(|one| format!("{} {}", one["task"], one["with"]));
    let expected = [r#""a" "b""#, r#""c" "d""#];
    assert_eq!(pairs.collect::<Vec<_>>(), expected, "{output}");
    let again = world.flux(["conflicts"]).run();
    again.code(3).stdout_is(&output.stdout);
}

/// Installs a git that kills itself in a `merge-tree` with a conflict in the file `deadly`; with `options`, only if
/// these are not among its own.
fn install_dying_git(world: &World, options: &str) {
    let script = r#"#!/bin/sh
case " $* " in
*" merge-tree "*)
    case " $* " in @OPTIONS@) exec @GIT@ "$@" ;; esac
    cat >"$0.in"
    @GIT@ "$@" <"$0.in" >"$0.out"
    code=$?
    if grep -q deadly "$0.out"; then kill -ABRT $$; fi
    cat "$0.out"
    exit $code ;;
esac
exec @GIT@ "$@"
"#;
    let git = require("git");
    let script = script.replace("@GIT@", git.to_str().unwrap());
    world.install("git", &script.replace("@OPTIONS@", options));
}

#[test]
fn conflicts_reports_a_pair_as_unknown_if_git_always_dies_of_it() {
    let world = World::new();
    let all = tasks(&world, ["a", "b", "c", "d"]);
    for (worktree, file) in all.iter().zip(["deadly", "deadly", "other", "other"]) {
        world.write(worktree.join(file), format!("{}\n", worktree.display()));
    }
    install_dying_git(&world, "nothing");
    let before = world.snapshot();
    let output = world.flux(["conflicts"]).run();
    output.code(1).says(&expect![[r#"
        TASK      WITH  CONFLICTS
        a         b     unknown: git gives up on this pair
        c         d     other (contents)

        order of landing: a, b, c, d (1 task with conflicts to resolve)
        --- stderr
        error: not everything could be compared
    "#]]);
    world.assert_unchanged(&before);
    let list = world.flux(["list"]).ok();
    assert!(list.contains(" ? "), "{list}");
    let status = world.flux(["status", "a"]).ok();
    let line = "Conflicts: unknown with b: git gives up on this pair\n";
    assert!(status.contains(line), "{status}");
}

#[test]
fn conflicts_asks_again_without_renamed_directories_if_git_dies() {
    let world = World::new();
    let all = tasks(&world, ["a", "b"]);
    for worktree in &all {
        world.write(worktree.join("deadly"), format!("{}\n", worktree.display()));
    }
    install_dying_git(&world, "*merge.directoryRenames=false*");
    let output = world.flux(["conflicts"]).run();
    output.code(3).stdout_has("deadly (contents)");
    output.stdout_has("approximate: without renamed directories\n");
    let json = world.flux(["conflicts", "--json"]).run().json();
    assert_eq!(json["conflicts"][0]["approximate"], true, "{json}");
    let lines = world.flux(["conflicts", "--porcelain"]).run();
    lines.stdout_has("\napproximate\n");
}

#[test]
fn conflicts_works_with_a_git_that_does_not_know_stdin() {
    let world = World::new();
    with_code(&world);
    let [one, two, three] = tasks(&world, ["one", "two", "three"]);
    world.write(one.join("f"), lines(" one"));
    world.write(two.join("f"), lines(" two"));
    world.write(three.join("f"), lines("").replace("20", "twenty"));
    let expected = world.flux(["conflicts"]).run();
    fs::remove_dir_all(world.repo().join(".git/flux/cache")).unwrap();
    let git = require("git");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' merge-tree '*' --stdin '*) exit 129 ;; esac\nexec {} \"$@\"\n",
        git.display()
    );
    world.install("git", &script);
    world
        .flux(["conflicts"])
        .run()
        .code(3)
        .stdout_is(&expected.stdout);
}
