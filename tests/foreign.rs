//! Tests that commands only show tasks whose refs were fetched, forged or made symbolic.

use std::fs;

use crate::world::archive::{archived, done};
use crate::world::{Fault, Mode, World, expect};

/// Makes the record of a task as another repository would have: it is not marked.
fn record(world: &World, name: &str, json: &str) {
    let other = world.root().join("other");
    if !other.exists() {
        world.make_repository(&other);
    }
    world.write(other.join("task.json"), json);
    world.write(other.join("prompt.md"), "told\n");
    world.git_in(&other, ["add", "task.json", "prompt.md"]);
    world.git_in(
        &other,
        [
            "rm",
            "-q",
            "--cached",
            "-r",
            "README.md",
            "src",
            ".gitignore",
        ],
    );
    let tree = world.git_in(&other, ["write-tree"]);
    world.git_in(&other, ["reset", "-q"]);
    world.git_in(&other, ["update-ref", name, &tree]);
    world.git(["fetch", "-q", "../other", &format!("+{name}:{name}")]);
}

fn task(id: &str, phase: &str, branch: &str, base: &str, rest: &str) -> String {
    format!(
        r#"{{"version":1,"id":"{id}","title":"From elsewhere","phase":"{phase}","agent":"fake","agent_args":["--evil"],
        "branch":"{branch}","base":"{base}","into":"main","worktree":"/nonexistent/x","created":1,"target":null{rest}}}"#
    )
}

/// Every command that changes something settles what was interrupted first.
const CHANGING: [&[&str]; 5] = [
    &["run", "--name", "ok", "hello"],
    &["cleanup", "--merged", "-y"],
    &["cleanup", "--all", "-y", "--discard", "--discard-branch"],
    &["resume", "--all"],
    &["gc", "--trash", "-y"],
];

#[test]
fn commands_never_change_a_foreign_task() {
    let world = World::new();
    let tip = world.git(["rev-parse", "main"]);
    for branch in ["topic", "done"] {
        world.git(["branch", branch]);
    }
    for phase in ["starting", "active", "removing"] {
        let name = format!("refs/flux/tasks/evil-{phase}");
        let json = task(&format!("evil-{phase}"), phase, "topic", &tip, "");
        record(&world, &name, &json);
    }
    let foreign = world.git(["for-each-ref", "refs/flux"]);
    for args in CHANGING {
        // That one is refused does not keep it from the others.
        assert_ne!(world.flux(args).run().code, None);
        assert_eq!(world.git(["rev-parse", "topic"]), tip, "{args:?}");
        for line in foreign.lines() {
            assert!(
                world.git(["for-each-ref", "refs/flux"]).contains(line),
                "{args:?}"
            );
        }
    }
    // Those that name it say why, and lead on.
    let before = world.snapshot();
    for args in [
        &["attach", "evil-active"][..],
        &["status", "evil-active"],
        &["diff", "evil-active"],
        &["send", "evil-active", "hello"],
        &["resume", "evil-active"],
        &["cleanup", "evil-active", "-y", "--discard-branch"],
        &["cleanup", "evil-active", "evil-starting", "-y"],
        &["run", "--name", "evil-active", "hello"],
        &["wait", "evil-active"],
    ] {
        let output = world.flux(args).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: the record of 'evil-active' is foreign: it was not written in this repository
            hint: to work on its branch: git flux run --branch topic "<description>"
            hint: to forget it: git update-ref -d refs/flux/tasks/evil-active <object>
        "#]]);
        world.assert_unchanged(&before);
    }
    let list = world.flux(["list", "--json"]).run().success().json();
    let foreign = |task: &&serde_json::Value| task["state"] == "foreign";
    assert_eq!(list.as_array().unwrap().iter().filter(foreign).count(), 3);
    let hint = world
        .flux(["attach", "evil-active"])
        .run()
        .code(1)
        .stderr
        .clone();
    let hint = hint
        .lines()
        .find(|line| line.contains("update-ref -d"))
        .unwrap();
    let hint = hint.split(": ").last().unwrap().to_owned();
    let words: Vec<&str> = hint.split(' ').skip(1).collect();
    world.git(words);
    world
        .flux(["attach", "evil-active"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: there is no task 'evil-active'
            hint: to start a task: git flux run "<description>"
        "#]]);
}

#[test]
fn cleanup_refuses_a_foreign_record_with_the_id_of_a_task() {
    let world = World::new();
    done(&world, "mine");
    let tip = world.git(["rev-parse", "feature/mine"]);
    let name = "refs/flux/tasks/mine";
    let own = world.git(["rev-parse", name]);
    record(
        &world,
        name,
        &task("mine", "starting", "feature/mine", &tip, ""),
    );
    let before = world.snapshot();
    let output = world.flux(["cleanup", "mine", "-y"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the record of 'mine' is foreign: it was not written in this repository
        hint: to go back to the last record written here: git update-ref refs/flux/tasks/mine <object>
    "#]]);
    world.assert_unchanged(&before);
    let all = ["cleanup", "--all", "-y", "--discard-branch"];
    world.flux(all).run().success();
    assert_eq!(world.git(["rev-parse", "feature/mine"]), tip);
    // An earlier record of the task itself is not what it stands at either.
    let hint = world.flux(["status", "mine"]).run().code(1).stderr.clone();
    assert!(
        hint.contains(&format!("git update-ref {name} {own}")),
        "{hint}"
    );
    world.git(["update-ref", name, &own]);
    world.flux(["cleanup", "mine"]).run().success();
    assert_eq!(world.read("mine.txt"), "work\n");
    let refs = world.git([
        "for-each-ref",
        "refs/heads",
        "refs/flux/tasks",
        "refs/flux/base",
    ]);
    assert!(!refs.contains("mine"), "{refs}");
}

#[test]
fn list_shows_tasks_of_a_mirror_as_foreign_but_not_of_a_moved_repository() {
    let world = World::new();
    done(&world, "mine");
    done(&world, "gone");
    world
        .flux(["cleanup", "gone", "--discard-branch"])
        .run()
        .success();
    let mirror = world.root().join("mirror.git");
    world.git(["clone", "-q", "--mirror", ".", mirror.to_str().unwrap()]);
    let list = world
        .flux(["list", "--json"])
        .in_dir(&mirror)
        .run()
        .success()
        .json();
    assert_eq!(list[0]["state"], "foreign");
    let removed = world
        .flux(["restore", "--list", "--json"])
        .in_dir(&mirror)
        .run()
        .success()
        .json();
    assert_eq!(removed[0]["foreign"], true);
    let refs = world.git_in(&mirror, ["for-each-ref"]);
    world
        .flux(["gc", "--trash", "-y"])
        .in_dir(&mirror)
        .run()
        .success();
    let all = ["cleanup", "--all", "-y", "--discard-branch"];
    world.flux(all).in_dir(&mirror).run().success();
    assert_eq!(world.git_in(&mirror, ["for-each-ref"]), refs);
    // Its own directory moves with a repository.
    let moved = world.root().join("moved");
    fs::rename(world.repo(), &moved).unwrap();
    let list = world.flux(["list", "--json"]).in_dir(&moved).run().json();
    assert_ne!(list[0]["state"], "foreign");
    world.git_in(
        &moved,
        [
            "worktree",
            "repair",
            world.worktree("mine").to_str().unwrap(),
        ],
    );
    world
        .flux(["cleanup", "mine"])
        .in_dir(&moved)
        .run()
        .success();
    world
        .flux(["restore", "gone"])
        .in_dir(&moved)
        .run()
        .success();
    world
        .flux(["cleanup", "gone", "-y"])
        .in_dir(&moved)
        .run()
        .success();
}

#[test]
fn restore_takes_only_the_work_from_a_foreign_entry() {
    let world = World::new();
    let tip = world.commit_in(world.repo(), "README.md", "theirs\n");
    world.git(["reset", "-q", "--hard", "HEAD^"]);
    let home = world.tools().join("home/.config/autostart");
    let json = task(
        "evil",
        "removing",
        "feature/evil",
        &world.git(["rev-parse", "HEAD"]),
        r#","removal":{"at":1,"snapshot":null,"config":[["remote","/evil"],["pushremote","/evil"]],
           "own":[["worktree/x","0000000000000000000000000000000000000001"]],"into":null}"#,
    )
    .replace("/nonexistent/x", home.to_str().unwrap());
    record(&world, "refs/flux/archive/evil/task", &json);
    for part in ["tip", "base"] {
        world.git([
            "update-ref",
            &format!("refs/flux/archive/evil/{part}"),
            &tip,
        ]);
    }
    let before = world.snapshot();
    assert_eq!(archived(&world), ["evil"]);
    let output = world.flux(["restore", "evil"]).run();
    output.code(1).stderr_is(
        "error: 'evil' is foreign: it was removed in another repository\nhint: to restore it here: git flux restore evil --foreign\n",
    );
    // No beginning of its name is enough, nor does it go with all others.
    world.flux(["restore", "evi", "--foreign"]).run().code(1);
    world.flux(["gc", "--trash", "-y"]).run().success();
    world.flux(["restore", ""]).run().code(1);
    world.assert_unchanged(&before);
    let terminal = world.terminal(100, 30);
    terminal.command("git flux restore evil");
    terminal.wait_for_screen("Restore it?");
    let screen = terminal.screen();
    for shown in [
        "Branch: feature/evil",
        "Worktree: ",
        "myapp-evil",
        "Agent: fake",
    ] {
        assert!(screen.contains(shown), "{shown}: {screen}");
    }
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 130);
    world.assert_unchanged(&before);
    world.flux(["restore", "evil", "--foreign"]).run().success();
    assert_eq!(
        world.read(world.worktree("evil").join("README.md")),
        "theirs\n"
    );
    assert!(!home.exists());
    let config = world.git(["config", "--local", "--get-regexp", "^branch.feature/evil."]);
    assert!(
        !config.contains("evil\n/evil") && !config.contains("remote"),
        "{config}"
    );
    let record = world.git(["show", "refs/flux/tasks/evil:task.json"]);
    assert!(
        !record.contains("--evil") && !record.contains("autostart"),
        "{record}"
    );
    assert_eq!(archived(&world), [""; 0]);
    world.flux(["cleanup", "evil", "-y"]).run().success();
}

/// A branch is deleted without an archive only if the transaction verifies that another branch has its commits.
#[test]
fn run_archives_the_branch_of_a_failed_start_if_no_other_has_its_commits() {
    let world = World::new();
    world.shim();
    let loose = world.commit_in(world.repo(), "README.md", "loose\n");
    world.git(["reset", "-q", "--hard", "HEAD^"]);
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    let start = |base: &str| {
        let run = world
            .flux(["run", "--name", "fix", "--base", base, "Fix"])
            .run();
        run.code(1).stderr_has("could not start 'fix'");
        assert!(
            world
                .try_git(["rev-parse", "--verify", "-q", "feature/fix"])
                .is_err()
        );
    };
    start("main");
    assert_eq!(archived(&world), [""; 0]);
    start(&loose);
    assert_eq!(archived(&world), ["fix"]);
    assert_eq!(world.git(["rev-parse", "refs/flux/archive/fix/tip"]), loose);
}

#[test]
fn run_removes_the_mark_of_a_killed_start() {
    let world = World::new();
    world.shim();
    let marks = || {
        let out = world
            .command("find")
            .arg(world.repo().join(".git/flux/marks"))
            .output();
        String::from_utf8(out.unwrap().stdout).unwrap()
    };
    for (mode, said) in [
        (Mode::KillBefore, ""),
        (
            Mode::KillAfter,
            "removed what the interrupted start of 'fix' had made",
        ),
    ] {
        world.fault(&Fault::every("git", "update-ref", mode));
        world.flux(["run", "--name", "fix", "Fix"]).run().killed();
        world.wait_fault_over();
        world.clear_fault();
        assert!(
            marks().contains("tasks/fix") && marks().contains("base/fix"),
            "{}",
            marks()
        );
        world
            .flux(["resume", "--all"])
            .run()
            .success()
            .stderr_has(said);
        assert!(!marks().contains("fix"), "{}", marks());
    }
}

#[test]
fn cleanup_and_restore_follow_no_symbolic_ref_to_a_branch_of_the_users() {
    let world = World::new();
    done(&world, "mine");
    let name = |part: &str| format!("refs/flux/{part}");
    let symbolic = |part: &str| {
        let branch = part.replace('/', "-");
        let object = world.git(["rev-parse", &name(part)]);
        world.git(["branch", &branch, &format!("{object}^{{commit}}")]);
        world.git(["symbolic-ref", &name(part), &format!("refs/heads/{branch}")]);
        (branch, object)
    };
    let (base, commit) = symbolic("base/mine");
    world
        .flux(["cleanup", "mine", "--discard-branch"])
        .run()
        .success();
    assert_eq!(world.git(["rev-parse", &base]), commit);
    let (tip, commit) = symbolic("archive/mine/tip");
    world.flux(["restore", "mine"]).run().success();
    assert_eq!(world.git(["rev-parse", &tip]), commit);
    world.git(["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    world.flux(["cleanup", "mine", "-y"]).run().success();
    for branch in [&base, &tip, "alias", "main"] {
        world.git(["rev-parse", "--verify", "-q", branch]);
    }
}

/// A ref cannot be below another ref.
#[test]
fn cleanup_gives_a_hint_for_a_ref_in_place_of_a_directory_of_refs() {
    let world = World::new();
    done(&world, "mine");
    world.git(["update-ref", "refs/flux/archive", "HEAD"]);
    let output = world.flux(["cleanup", "mine", "--discard-branch"]).run();
    let hint = "git update-ref --no-deref -d refs/flux/archive";
    output.code(1).stderr_has(hint);
    world.git(hint.split(' ').skip(1));
    let output = world.flux(["cleanup", "--all"]).run();
    output.success().says(&expect![[r#"
            --- stderr
            the removal of 'mine' was interrupted; it is removed now, with its branch 'feature/mine'
            nothing to clean up
        "#]]);
    assert_eq!(archived(&world), ["mine"]);
    // Another name is free.
    done(&world, "other");
    world.git(["update-ref", "refs/flux/archive/other", "HEAD"]);
    let output = world.flux(["cleanup", "other", "--discard-branch"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        dropped 'feature/other' without merging it
        removed 'other': worktree, branch 'feature/other' and session
        its commits stay in refs/flux/archive/other.1/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/other.1'
        hint: to restore the task: git flux restore other.1
    "#]]);
}

/// An agent can make its own entry in `.git/worktrees` name the worktree of another task.
#[test]
fn cleanup_archives_worktree_refs_despite_a_second_entry_for_the_worktree() {
    let world = World::new();
    for id in ["mine", "other"] {
        done(&world, id);
    }
    let mine = world.worktree("mine");
    let aside = world.commit_in(&mine, "aside.txt", "only here\n");
    world.git_in(&mine, ["update-ref", "refs/worktree/mine", &aside]);
    world.git_in(&mine, ["reset", "-q", "--hard", "HEAD^"]);
    let entries = world.repo().join(".git/worktrees");
    for claim in ["myapp-other", "a"] {
        let entry = entries.join(claim);
        fs::create_dir_all(&entry).unwrap();
        fs::copy(entries.join("myapp-mine/HEAD"), entry.join("HEAD")).unwrap();
        fs::write(entry.join("commondir"), "../..\n").unwrap();
        fs::write(entry.join("gitdir"), format!("{}/.git\n", mine.display())).unwrap();
    }
    world
        .flux(["cleanup", "mine", "--discard-branch"])
        .run()
        .success();
    let kept = "refs/flux/archive/mine/worktree/mine";
    assert_eq!(world.git(["rev-parse", kept]), aside);
    assert!(!entries.join("myapp-mine").exists());
}

/// An agent can write the `gitdir` file of its own worktree.
#[test]
fn cleanup_of_other_tasks_ignores_an_entry_with_a_wrong_gitdir() {
    let world = World::new();
    for id in ["mine", "liar"] {
        done(&world, id);
    }
    let gitdir = world.repo().join(".git/worktrees/myapp-liar/gitdir");
    let nowhere = world.root().join("nowhere");
    fs::create_dir(&nowhere).unwrap();
    for named in [world.repo(), nowhere, world.worktree("mine")] {
        fs::write(&gitdir, format!("{}/.git\n", named.display())).unwrap();
        let output = world.flux(["cleanup", "liar", "-y"]).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: '$WORLD/myapp-liar' is no longer a worktree of this repository
            hint: to repair the worktree: git worktree repair '$WORLD/myapp-liar'
        "#]]);
    }
    world.flux(["cleanup", "mine", "-y"]).run().success();
    world.git([
        "worktree",
        "repair",
        world.worktree("liar").to_str().unwrap(),
    ]);
    world.flux(["cleanup", "liar", "-y"]).run().success();
}
