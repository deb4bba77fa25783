//! Tests each way to call git flux: by git with options, aliases, hooks, and with variables of git in the environment.

use std::fs;

use crate::world::cycle::Cycle;
use crate::world::removal::{assert_removed, done_task, end_agent};
use crate::world::*;

/// Runs a whole cycle, each command of which `call` runs.
#[track_caller]
fn cycle(world: &World, call: impl Fn(&[&str]) -> Output) {
    cycle_in(world, "", call);
}

/// Runs the same cycle as `cycle`, called from the directory `below`, in which the agent then starts.
#[track_caller]
fn cycle_in(world: &World, below: &str, call: impl Fn(&[&str]) -> Output) {
    world.behaviour("raw");
    let ok = |args: &[&str]| {
        let output = call(args);
        output.success().has_not("panicked");
        output
    };
    let run = ok(&["run", "-q", "Fix login"]);
    let id = run.stdout.trim_end();
    let agent = world.agent(id);
    let worktree = world.worktree(id);
    let place = match below {
        "" => worktree,
        below => worktree.join(below),
    };
    assert_eq!(agent.cwd(), place);
    // Nothing of the caller's git leads the agent to another repository.
    agent.tell("commit one");
    let inherited: Vec<_> = agent
        .environment()
        .into_iter()
        .filter(|line| line.starts_with("GIT_"))
        .collect();
    let harmless =
        |line: &String| !line.starts_with("GIT_AUTHOR_") && !line.starts_with("GIT_COMMITTER_");
    assert_eq!(
        inherited.into_iter().filter(harmless).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    assert_eq!(
        world.git_in(world.worktree(id), ["log", "-1", "--format=%s"]),
        "one"
    );
    assert_eq!(ok(&["list", "--json"]).json()[0]["ahead"], 1);
    ok(&["status", id]).stdout_has("fake agent ready");
    ok(&["diff", id]).stdout_has("+one");
    end_agent(world, id);
    ok(&["cleanup", id]).says(&expect![[r#"
        --- stderr
        merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_eq!(
        world.read(world.repo().join(below).join("agent.txt")),
        "one\n"
    );
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert_removed(world, id);
}

#[test]
fn run_and_cleanup_work_when_called_by_git() {
    let world = World::new();
    cycle(&world, |args| world.flux(args).via_git().run());
}

#[test]
fn run_and_cleanup_work_when_called_by_git_with_another_directory() {
    let world = World::new();
    let repo = world.repo();
    let home = world.tools().join("home");
    let call = |args: &[&str]| {
        let options = ["-C", repo.to_str().unwrap()];
        world.flux(args).via_git_with(options).in_dir(&home).run()
    };
    cycle(&world, call);
}

#[test]
fn run_and_cleanup_work_when_called_by_git_with_settings() {
    let world = World::new();
    cycle(&world, |args| {
        world
            .flux(args)
            .via_git_with(["-c", "core.editor=false", "-c", "flux.layout=session"])
            .run()
    });
    world.behaviour("raw");
    let options = [
        "-c",
        "flux.branchPrefix=topic/",
        "-c",
        "branch.topic/x.description=of the command",
    ];
    let id = world
        .flux(["run", "-q", "Fix login"])
        .via_git_with(options)
        .ok();
    assert_eq!(
        world.git(["rev-parse", &format!("topic/{id}")]),
        world.git(["rev-parse", "main"])
    );
    world.flux(["cleanup", "-y", &id]).run().success();
}

#[test]
fn run_and_cleanup_work_with_git_dir_and_work_tree_options() {
    let world = World::new();
    let (repo, home) = (world.repo(), world.tools().join("home"));
    let git_dir = repo.join(".git");
    let call = |args: &[&str]| {
        let options = [
            "--git-dir",
            git_dir.to_str().unwrap(),
            "--work-tree",
            repo.to_str().unwrap(),
        ];
        world.flux(args).via_git_with(options).in_dir(&home).run()
    };
    cycle(&world, call);
}

#[test]
fn run_and_cleanup_work_with_git_variables_in_the_environment() {
    let world = World::new();
    let (repo, home) = (world.repo(), world.tools().join("home"));
    let git_dir = repo.join(".git");
    cycle(&world, |args| world.flux(args).env("GIT_DIR", ".git").run());
    world.git(["reset", "-q", "--hard", "main~1"]);
    cycle(&world, |args| {
        let flux = world
            .flux(args)
            .env("GIT_DIR", &git_dir)
            .env("GIT_WORK_TREE", &repo);
        flux.in_dir(&home).run()
    });
    world.git(["reset", "-q", "--hard", "main~1"]);
    // As in a hook of a commit with paths, which has an index of its own.
    let index = world.tools().join("index");
    fs::copy(git_dir.join("index"), &index).unwrap();
    cycle(&world, |args| {
        let flux = world
            .flux(args)
            .env("GIT_INDEX_FILE", &index)
            .env("GIT_PREFIX", "src/");
        flux.env("GIT_DIR", ".git").run()
    });
}

#[test]
fn list_works_in_a_linked_worktree_with_the_git_dir_of_the_repository() {
    let world = World::new();
    world.git(["worktree", "add", "-q", "../linked"]);
    let linked = world.root().join("linked");
    let git_dir = world.repo().join(".git");
    let list = |args| world.flux(args).env("GIT_DIR", &git_dir);
    let alone = list(["list"]).in_dir(&linked).run();
    alone.success().stderr_has("no tasks\n");
    let list = list(["list"]).env("GIT_WORK_TREE", &linked);
    list.in_dir(&linked).run().success();
}

#[test]
fn run_and_cleanup_work_through_aliases() {
    for alias in [
        "flux",
        "!git flux",
        "!git-flux",
        "!f() { git flux \"$@\"; }; f",
    ] {
        let world = World::new();
        world.git(["config", "alias.fx", alias]);
        let script = "cd src && exec git fx \"$@\"";
        // git runs what begins with a `!` at the top.
        let below = if alias.starts_with('!') { "" } else { "src" };
        cycle_in(&world, below, |args| {
            let mut command = world.command("/bin/sh");
            command
                .current_dir(world.repo())
                .args(["-c", script, "sh"])
                .args(args);
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "git fx {args:?}: {said}");
            outcome(&world, output.stdout, &said)
        });
    }
}

/// Makes an `Output` of these texts.
fn outcome(world: &World, bytes: Vec<u8>, said: &str) -> Output {
    let mut output = world.flux(["--version"]).run();
    output.stdout = String::from_utf8_lossy(&bytes).into_owned();
    output.bytes = bytes;
    said.clone_into(&mut output.stderr);
    output
}

#[test]
fn run_and_list_work_from_a_hook() {
    let world = World::new();
    let (listed, started) = (world.tools().join("listed"), world.tools().join("started"));
    let script = format!(
        "#!/bin/sh\ngit flux list >'{}' 2>&1 || exit\n[ -e '{1}' ] || {{ : >'{1}'; git flux run -q 'Fix login' >'{1}' 2>&1; }}\n",
        listed.display(),
        started.display()
    );
    let hook = world.repo().join(".git/hooks/post-commit");
    install_at(&hook, &script);
    world.behaviour("raw");
    // The index that such a commit gives its hooks is not the repository's.
    world.write("README.md", "committed\n");
    world.git(["commit", "-q", "-m", "With paths", "--", "README.md"]);
    fs::remove_file(hook).unwrap();
    let list = world.read(listed);
    assert!(list.contains("no tasks"), "{list}");
    let id = world.read(started).trim_end().to_owned();
    let agent = world.agent(&id);
    assert_eq!(agent.cwd(), world.worktree(&id));
    agent.tell("commit one");
    assert_eq!(
        world.git_in(world.worktree(&id), ["status", "--porcelain"]),
        ""
    );
    assert_eq!(world.git(["status", "--porcelain"]), "");
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_eq!(world.read("README.md"), "committed\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_works_from_a_hook_of_a_linked_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let cleaned = world.tools().join("cleaned");
    let script = format!(
        "#!/bin/sh\ngit flux cleanup {id} --into main >'{}' 2>&1\n",
        cleaned.display()
    );
    let hook = world.repo().join(".git/hooks/post-checkout");
    install_at(&hook, &script);
    let linked = world.root().join("linked");
    world.git([
        "worktree",
        "add",
        "-q",
        "-b",
        "topic",
        linked.to_str().unwrap(),
    ]);
    fs::remove_file(hook).unwrap();
    let said = world.read(cleaned);
    assert!(said.contains("merged 1 commit"), "{said}");
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_eq!(world.git_in(&linked, ["status", "--porcelain"]), "");
    assert_removed(&world, &id);
}

#[test]
fn run_and_cleanup_work_from_a_subdirectory_and_list_refuses_outside() {
    let world = World::new();
    for dir in ["src", "."] {
        let cycle = Cycle {
            dir: world.repo().join(dir),
            ..Cycle::of(&world)
        };
        cycle.run();
        world.git(["reset", "-q", "--hard", "main~1"]);
    }
    let outside = world
        .flux(["list"])
        .in_dir(world.tools().join("home"))
        .run();
    outside
        .code(1)
        .stderr_has("not a git repository")
        .stderr_has("hint: ");
}
