//! Tests that each task has a stash of its own.

mod plain;
mod repositories;
mod signals;

use std::fs;

use crate::world::*;

/// Starts a task whose agent waits.
fn task(world: &World, name: &str) -> (String, AgentShell) {
    world.behaviour("raw");
    let id = world.start(name);
    let shell = world.agent_shell(&id);
    (id, shell)
}

/// Returns the subjects of the user's own stash.
fn users_stash(world: &World) -> String {
    world.git(["stash", "list", "--format=%gs"])
}

/// Returns the refs that keep entries of the task's stash.
fn pins(world: &World, id: &str) -> Vec<String> {
    let prefix = format!("refs/flux/stashed/{id}/");
    let refs = world.git(["for-each-ref", "--format=%(refname) %(objectname)", &prefix]);
    let object = |line: &str| line.strip_prefix(&prefix).unwrap().to_owned();
    let mut objects = Vec::new();
    for line in refs.lines().map(object) {
        let (name, object) = line.split_once(' ').unwrap();
        assert_eq!(name, object);
        objects.push(name.to_owned());
    }
    objects
}

#[test]
fn stash_returns_own_changes_in_every_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let world = World::new();
    let (id_a, a) = task(&world, "Task a");
    let (id_b, b) = task(&world, "Task b");
    let user = AgentShell::of_user(&world);
    let shells = [&user, &a, &b];
    for pushed in orders {
        for popped in orders {
            for who in pushed {
                shells[who].ok(&format!(
                    "echo {who} >>README.md; echo {who} >new; git stash -u -q"
                ));
                assert_eq!(shells[who].ok("git status --short"), "");
            }
            assert_eq!(
                [pins(&world, &id_a).len(), pins(&world, &id_b).len()],
                [1; 2]
            );
            for who in popped {
                assert_eq!(shells[who].stash().len(), 1);
                shells[who].ok("git stash pop -q");
                let text = shells[who].ok("cat README.md new; git checkout -q .; rm new");
                assert_eq!(text, format!("# myapp\n{who}\n{who}\n"));
                // Nothing is left to pop, whatever the others have.
                let text = shells[who].sh("git stash -u; false; git stash pop");
                assert_eq!(
                    text,
                    "No local changes to save\nNo stash entries found.\n[exit status: 1]\n"
                );
            }
        }
    }
    assert_eq!(pins(&world, &id_a), [""; 0]);
}

#[test]
fn stash_leaves_the_users_entries_as_they_are() {
    let world = World::new();
    let (id, a) = task(&world, "Task a");
    for n in [1, 2] {
        world.write("README.md", format!("user {n}\n"));
        world.git(["stash", "-q", "-m", &format!("of the user {n}")]);
    }
    let state = || {
        let log = fs::read(world.repo().join(".git/logs/refs/stash")).unwrap();
        (
            log,
            world.git(["rev-parse", "stash"]),
            world.git(["status", "--porcelain"]),
        )
    };
    let before = state();
    let all = "echo 1 >>README.md; git stash push -q -m one; echo 2 >>src/login.txt
        git stash save -q two; git stash store -q -m three $(git stash create); git stash list
        git stash pop -q; git stash apply -q --index; git stash drop -q; git checkout -q .
        git stash clear; git stash list; git stash pop";
    let objects = |text: &str| text.replace(&id, "<id>");
    let said = objects(&a.sh(all));
    expect![[r#"
        stash@{0}: On feature/<id>: two
        stash@{1}: On feature/<id>: one
        No stash entries found.
        [exit status: 1]
    "#]]
    .assert_eq(&said);
    assert_eq!(state(), before);
    assert_eq!(pins(&world, &id), [""; 0]);
}

#[test]
fn stash_refuses_an_entry_of_the_user_by_name() {
    let world = World::new();
    let (id, a) = task(&world, "Task a");
    world.write("README.md", "of the user\n");
    world.git(["stash", "-q"]);
    let entry = world.git(["rev-parse", "stash"]);
    // The launcher pins the entry.
    let pin = ["for-each-ref", "refs/flux/stash"];
    wait_until("the pin", || !world.git(pin).is_empty());
    let before = world.git(["for-each-ref"]);
    for command in ["apply", "pop", "drop", "show", "branch new"] {
        let said = a.sh(&format!("git stash {command} {entry}"));
        let error = format!("error: '{entry}' is no stash entry of this task\n");
        assert_eq!(said, format!("{error}[exit status: 1]\n"), "{command}");
    }
    assert_eq!(a.ok("git status --short"), "");
    assert_eq!(world.git(["for-each-ref"]), before);
    // Its own, also abbreviated, and one that `create` has made.
    a.ok("echo a >>README.md; git stash -q; git stash apply -q $(git rev-parse --short stash 2>/dev/null || git stash list --format=%h); git checkout -q .");
    a.ok(
        "echo b >>README.md; made=$(git stash create); git checkout -q .; git stash apply -q $made",
    );
    assert_eq!(a.ok("cat README.md"), "# myapp\nb\n");
    assert_eq!(pins(&world, &id).len(), 1);
}

#[test]
fn stash_is_reached_by_aliases_and_options() {
    let world = World::new();
    for (name, text) in [
        ("save-it", "stash push -u"),
        ("s", "-c core.abbrev=8 save-it -m 'a message'"),
        ("in-shell", "!git stash push -m shell"),
        (
            "script",
            "!f() { cd src && git stash list --format=%gs; }; f",
        ),
        ("loop", "loop"),
    ] {
        world.git(["config", &format!("alias.{name}"), text]);
    }
    let (id, a) = task(&world, "Task a");
    let branch = format!("feature/{id}");
    let dir = a.var("FLUX_WORKTREE").to_owned();
    let mut expected = Vec::new();
    let mut case = |git: &str, subject: &str| {
        a.ok(&format!("echo x >>README.md; {git} >/dev/null"));
        assert_eq!(a.ok("git status --short"), "", "{git}");
        expected.insert(0, format!("On {branch}: {subject}"));
        assert_eq!(a.stash(), expected, "{git}");
    };
    case("git save-it -m plain", "plain");
    case("git s", "a message");
    case("git in-shell", "shell");
    case(&format!("cd / && git -C '{dir}' stash push -m C"), "C");
    case("git -C . -c alias.q='stash push -m c' q", "c");
    let git_dir = a.ok("git rev-parse --absolute-git-dir");
    let git_dir = git_dir.trim_end();
    case(
        &format!("git --git-dir='{git_dir}' stash push -m dir"),
        "dir",
    );
    case(
        &format!("cd / && git --git-dir '{git_dir}' --work-tree='{dir}' stash push -m both"),
        "both",
    );
    case(&format!("GIT_DIR='{git_dir}' git stash push -m env"), "env");
    case("cd src && git stash push -m path ../README.md", "path");
    assert_eq!(a.ok("git script").lines().count(), expected.len());
    let said = a.sh("git loop");
    assert!(
        said.contains("recursive alias") || said.contains("alias loop"),
        "{said}"
    );
    assert_eq!(users_stash(&world), "");
}

#[test]
fn stash_is_the_tasks_own_in_hooks_of_git() {
    let world = World::new();
    // As lint-staged does: hide what is not staged, and bring it back.
    let hook = world.repo().join(".git/hooks/pre-commit");
    let script = "#!/bin/sh\nset -e\nmade=$(git stash create)\ngit stash store -q -m backup $made\n\
        git checkout -q -- .\ncat README.md >seen\ngit stash list --format=%gs >>seen\n\
        git reset -q --hard\ngit stash apply -q --index \"$made\"\ngit stash drop -q\n";
    install_at(&hook, script);
    let (id, a) = task(&world, "Task a");
    world.write("README.md", "of the user\n");
    world.git(["stash", "-q", "-m", "of the user"]);
    a.ok(
        "echo staged >>README.md; git add README.md; echo unstaged >>README.md; git commit -q -m x",
    );
    assert_eq!(a.ok("cat seen"), "# myapp\nstaged\nbackup\n");
    assert_eq!(
        a.ok("git show HEAD:README.md; git diff --shortstat")
            .lines()
            .count(),
        3
    );
    assert_eq!(a.ok("tail -n 1 README.md; git stash list"), "unstaged\n");
    assert_eq!(users_stash(&world), "On main: of the user");
    assert_eq!(pins(&world, &id), [""; 0]);
}

#[test]
fn stash_gets_what_an_autostash_leaves() {
    let world = World::new();
    let (id, a) = task(&world, "Task a");
    world.write("README.md", "of the user\n");
    world.git(["stash", "-q", "-m", "of the user"]);
    world.commit_in(world.repo(), "README.md", "# other\n");
    world.git(["checkout", "-q", "-b", "other"]);
    world.commit_in(world.repo(), "own", "of the other\n");
    world.git(["checkout", "-q", "main"]);
    let branch = format!("feature/{id}");
    let base = world.git(["rev-parse", "main~1"]);
    for (n, command) in [
        "git rebase -q --autostash main",
        "git merge -q --autostash main",
        "git pull -q --rebase --autostash . main",
        "git pull -q --no-rebase --autostash . main",
        "git merge -q --autostash other || { git checkout -q --theirs own; git add own; git commit -q -m m; }",
    ]
    .into_iter()
    .enumerate()
    {
        // Both sides have a commit, except that the last command also conflicts.
        a.ok(&format!(
            "git checkout -q -B {branch} {base}
             echo {n} >own; git add own; git commit -q -m own; echo {n} >>README.md"
        ));
        let said = a.sh(command);
        assert_eq!(a.stash().len(), n + 1, "{command}\n{said}");
        assert_eq!(a.stash()[0], "autostash", "{command}");
        a.ok("git checkout -q -f HEAD; git rebase --abort 2>/dev/null; true");
        let own = a.ok("git stash show -p");
        assert!(own.contains(&format!("+{n}")), "{own}");
        assert_eq!(users_stash(&world), "On main: of the user");
    }
    assert_eq!(pins(&world, &id).len(), 5);
}

#[test]
fn stash_takes_its_own_entry_from_the_users_stash() {
    let world = World::new();
    let (id, a) = task(&world, "Task a");
    for n in [1, 2] {
        world.write("README.md", format!("user {n}\n"));
        world.git(["stash", "-q", "-m", &format!("of the user {n}")]);
    }
    let before = world.git(["stash", "list", "--format=%H %gs"]);
    // A git that the agent calls by its path.
    let commit = a.ok("echo own >>README.md; git stash create autostash");
    world.git(["stash", "store", "-q", "-m", "autostash", commit.trim_end()]);
    world.write("README.md", "user 3\n");
    world.git(["stash", "-q", "-m", "of the user 3"]);
    assert_eq!(a.stash(), ["autostash"]);
    let after = world.git(["stash", "list", "--format=%H %gs"]);
    let (newest, rest) = after.split_once('\n').unwrap();
    assert!(newest.ends_with("of the user 3"), "{after}");
    assert_eq!(rest, before);
    // The only entry, too.
    world.git(["stash", "clear"]);
    world.git(["stash", "store", "-q", "-m", "autostash", commit.trim_end()]);
    a.ok("git checkout -q .; git stash pop -q");
    assert_eq!(a.ok("git stash list; tail -n 1 README.md"), "own\n");
    assert!(
        world
            .try_git(["rev-parse", "--verify", "-q", "refs/stash"])
            .is_err()
    );
    assert_eq!(pins(&world, &id), [""; 0]);
}
