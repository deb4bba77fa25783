//! Tests which ignored files of the checkout the hooks of a merge see.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::hooks::hook;
use crate::world::removal::*;
use crate::world::*;

/// Makes a task that adds `file`, ready to be merged into a main that has moved and ignores some things.
fn ready(world: &World, file: &str, text: &str) -> String {
    let ignored =
        "node_modules/\n/.venv\n.tox/\n/build/\nvendor/\n.env\nod d[[]1]*\n.pnp.cjs\n.husky/_/\n";
    world.write(".gitignore", ignored);
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    let id = done_task(world);
    world.commit_in(world.worktree(&id), file, text);
    world.commit_in(world.repo(), "README.md", "moved\n");
    id
}

fn install(world: &World, name: &str, script: &str) {
    hook(world, &world.repo().join(".git/hooks"), name, script);
}

#[test]
fn hook_sees_workspace_packages_of_the_merge() {
    for (link, name) in [
        ("../../packages/a", "node_modules/@x/a"),
        ("../packages/a", "node_modules/a"),
        ("@/packages/a", "node_modules/b"),
    ] {
        let world = World::new();
        world.commit_in(world.repo(), "packages/a/code", "good\n");
        let id = ready(&world, "packages/a/code", "BROKEN\n");
        let at = world.repo().join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(link.replace('@', world.repo().to_str().unwrap()), &at).unwrap();
        let check = format!("test -e {name}/code && ! grep BROKEN {name}/code");
        install(&world, "pre-merge-commit", &check);
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", &id]).run();
        output.code(1).stderr_has("nothing was changed");
        fs::remove_file(world.tools().join("hooks.log")).unwrap();
        world.assert_unchanged(&before);
        // As the hint says: the same by hand, which the same hook refuses; and without it.
        let by_hand = format!("git -C {0} merge feature/{id}", quoted(&world));
        output.stderr_has(&format!("{by_hand} && git flux cleanup {id}"));
        fs::remove_file(world.repo().join(".git/hooks/pre-merge-commit")).unwrap();
        world.git(["merge", "-q", "--no-edit", &format!("feature/{id}")]);
        world.flux(["cleanup", &id]).run().success();
        assert_removed(&world, &id);
    }
}

fn quoted(world: &World) -> String {
    format!("'{}'", world.repo().display())
}

#[test]
fn hook_sees_ignored_files_but_does_not_add_them() {
    let world = World::new();
    let id = ready(&world, "src/new.txt", "new\n");
    for file in [
        "node_modules/tool/run.js",
        "node_modules/.bin/other",
        "src/node_modules/deep/x",
        ".venv/pyvenv.cfg",
        ".venv/lib/python3.12/site-packages/tool.py",
        ".env",
        "od d[1] x",
        "od d[1] dir/file",
    ] {
        world.write(file, "ignored\n");
    }
    symlink(
        "../tool/run.js",
        world.repo().join("node_modules/.bin/tool"),
    )
    .unwrap();
    let check = "set -e\n\
        for file in node_modules/tool/run.js node_modules/.bin/tool src/node_modules/deep/x .venv/pyvenv.cfg .env\n\
        do grep -q ignored \"$file\"; done\n\
        grep -q ignored 'od d[1] x'; grep -q ignored 'od d[1] dir/file'\n\
        test -z \"$(git status --porcelain --untracked-files=all | grep '^?' || :)\"\n\
        git add -A; git stash list; git clean -fdx -q";
    install(&world, "pre-merge-commit", check);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
    let files = world.git(["ls-tree", "-r", "--name-only", "main"]);
    assert!(
        !files.contains("node_modules") && !files.contains("od d"),
        "{files}"
    );
    for file in [
        "node_modules/tool/run.js",
        ".venv/pyvenv.cfg",
        ".env",
        "od d[1] dir/file",
    ] {
        assert_eq!(world.read(file), "ignored\n", "{file}");
    }
}

#[test]
fn hook_does_not_see_directories_that_contain_the_path_of_the_checkout() {
    let site = ".venv/lib/python3.12/site-packages";
    for (file, text, name) in [
        (format!("{site}/mine.pth"), "@/src\n", ".venv"),
        (
            format!("{site}/__editable___mine_finder.py"),
            "M = {'mine': '@/src'}\n",
            ".venv",
        ),
        (
            format!("{site}/mine-1.dist-info/direct_url.json"),
            "{\"url\": \"file://%\", \"dir_info\": {\"editable\": true}}",
            ".venv",
        ),
        (
            ".tox/py3/lib/python3.12/site-packages/mine.egg-link".into(),
            "@\n.",
            ".tox",
        ),
        (
            "build/CMakeCache.txt".into(),
            "# c\nCMAKE_HOME_DIRECTORY:INTERNAL=@\n",
            "build",
        ),
    ] {
        let world = World::new();
        let id = ready(&world, "src/new.txt", "new\n");
        let repo = world.repo().to_str().unwrap().to_owned();
        let text = text
            .replace('@', &repo)
            .replace('%', &repo.replace(' ', "%20"));
        world.write(&file, text);
        install(&world, "pre-merge-commit", &format!("test -e '{file}'"));
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", &id]).run();
        output
            .code(1)
            .stderr_has(&format!(
                "hooks run in a copy of the worktree without '{name}': it contains the path '{repo}'"
            ))
            .stderr_has(&format!("merge feature/{id} && git flux cleanup {id}"));
        fs::remove_file(world.tools().join("hooks.log")).unwrap();
        world.assert_unchanged(&before);
        world.git(["merge", "-q", "--no-edit", &format!("feature/{id}")]);
        world.flux(["cleanup", &id]).run().success();
        assert_removed(&world, &id);
    }
}

#[test]
fn hook_does_not_see_directories_that_would_not_be_ignored_as_links() {
    let world = World::new();
    let id = ready(&world, "src/new.txt", "new\n");
    let ignored = format!("{}!/out\n/out/\n!/one.log\n", world.read(".gitignore"));
    world.write("one.log/kept", "1\n");
    world.write(".git/info/exclude", "/one.log/\n");
    world.commit_in(world.repo(), ".gitignore", &ignored);
    world.write("out/made", "1\n");
    install(&world, "pre-merge-commit", "git add -A");
    let output = world.flux(["cleanup", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        warning: hooks run in a copy of the worktree without 'out': git would not ignore a symbolic link of that name
        merged 2 commits of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_eq!(
        world.git(["ls-tree", "--name-only", "HEAD", "out", "one.log"]),
        ""
    );
    assert_eq!(world.read("out/made"), "1\n");
    assert_removed(&world, &id);
}

#[test]
fn hook_sees_copies_of_files_that_resolve_their_own_path() {
    let world = World::new();
    let id = ready(&world, "src/code", "BROKEN\n");
    // As PHP's and Yarn's do: from where the file really is.
    let look = "cat \"$(dirname \"$(readlink -f \"$0\")\")/";
    world.write(
        "vendor/composer/autoload_real.php",
        format!("{look}../../src/code\"\n"),
    );
    world.write("vendor/autoload.php", format!("{look}../src/code\"\n"));
    world.write("vendor/lib/file", "ignored\n");
    world.write(".pnp.cjs", format!("{look}src/code\"\n"));
    let check = "grep -q ignored vendor/lib/file || exit 2\n\
        for file in vendor/composer/autoload_real.php vendor/autoload.php .pnp.cjs; do\n\
        sh $file | grep -q BROKEN || exit 3; done";
    install(&world, "pre-merge-commit", check);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn hook_in_an_ignored_directory_runs_at_every_merge_and_commit() {
    for (style, name) in [
        ("--merge", "pre-merge-commit"),
        ("--squash", "pre-commit"),
        ("--rebase", "pre-rebase"),
        ("--commit", "pre-commit"),
    ] {
        for moved in [false, true] {
            let world = World::new();
            let id = ready(&world, "src/new.txt", "new\n");
            let worktree = world.worktree(&id);
            if style == "--commit" {
                world.write(worktree.join("loose.txt"), "loose\n");
            }
            if moved {
                world.commit_in(world.repo(), "README.md", "again\n");
            }
            let dir = world.repo().join(".husky/_");
            world.git(["config", "core.hooksPath", ".husky/_"]);
            hook(&world, &dir, name, "echo because of the hook >&2; exit 1");
            let before = world.snapshot();
            let output = world.flux(["cleanup", "-y", style, &id]).run();
            output.code(1).stderr_has("because of the hook");
            fs::remove_file(world.tools().join("hooks.log")).unwrap();
            world.assert_unchanged(&before);
            let args = ["cleanup", "-y", style, "--no-verify", &id];
            world.flux(args).run().success();
            assert_removed(&world, &id);
        }
    }
}

#[test]
fn hook_sees_ignored_files_beside_files_that_the_task_added() {
    let world = World::new();
    world.write(".gitignore", ".husky/_/\nrules/\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    for file in [".husky/_/README", "rules/deep/mine"] {
        world.write(worktree.join(file), "of the task\n");
    }
    world.git_in(&worktree, ["add", "-f", "."]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Below"]);
    world.write("rules/deep/all", "refuse\n");
    world.write("rules/other/all", "refuse\n");
    world.git(["config", "core.hooksPath", ".husky/_"]);
    let check = "test -f rules/other/all; grep -q refuse rules/deep/all && test -f rules/deep/mine && exit 1";
    hook(
        &world,
        &world.repo().join(".husky/_"),
        "pre-merge-commit",
        check,
    );
    let before = world.snapshot();
    world.flux(["cleanup", "-y", &id]).run().code(1);
    let log = world.tools().join("hooks.log");
    assert!(world.read(&log).contains("pre-merge-commit"));
    fs::remove_file(log).unwrap();
    world.assert_unchanged(&before);
}

#[test]
fn hook_sees_links_out_of_the_checkout_unchanged() {
    let world = World::new();
    let id = ready(&world, "src/new.txt", "new\n");
    world.write("../shared/file", "shared\n");
    symlink("../shared/file", world.repo().join(".env")).unwrap();
    fs::create_dir(world.repo().join("node_modules")).unwrap();
    symlink("../../shared", world.repo().join("node_modules/lib")).unwrap();
    let check = "grep -q shared .env && grep -q shared node_modules/lib/file";
    install(&world, "pre-merge-commit", check);
    world.flux(["cleanup", &id]).run().success();
}
