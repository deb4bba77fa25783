//! Pastes the hints of all commands and checks that each works.

use std::fs;

use crate::world::hints::*;
use crate::world::*;

/// What stands in hints for what only the reader knows, and what is put there.
const FILLED: [(&str, &str); 8] = [
    ("\"<description>\"", "'Do it'"),
    ("<description>", "Do it"),
    ("<another name>", "other-name"),
    ("<another prefix>", "other-"),
    ("<another branch>", "other"),
    ("<somewhere else>", "../somewhere-else"),
    ("<branch>", "other"),
    ("<task>", "fix"),
];

/// Hints that are not pasted, and why.
const LEFT_OUT: [(&str, &str); 6] = [
    (
        "choose another name with --name",
        "words, since the command line is the user's",
    ),
    ("the tasks are: ", "a list of names"),
    ("the settings are ", "a list of names"),
    ("use one of ", "a list of values"),
    ("installed agents: ", "a list of names"),
    (" in file ", "a place"),
];

/// Hints that lead to the next state by a command that fails there: conflicts are left to be resolved.
const CONFLICTING: [&str; 2] = [" merge main", " --update"];

/// Pastes the hints of one refusal after the other, and counts them.
struct Paste<'a> {
    world: &'a World,
    base: Saved<'a>,
    pasted: usize,
    left_out: usize,
    wrong: Vec<String>,
}

impl<'a> Paste<'a> {
    /// Makes it so, asserts that the command is refused so, and pastes each hint in the state that it was given in.
    /// Those that ask for the same command again are pasted once the user has done `by_hand` what is asked.
    #[track_caller]
    fn case(
        &mut self,
        said: &str,
        args: &[&str],
        make: impl FnOnce(&World),
        by_hand: impl Fn(&World),
    ) {
        let world = self.world;
        world.kill_tmux();
        self.base.put_back();
        make(world);
        let output = world.flux(args).run();
        let lines = output.stderr.lines();
        let hints: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("hint: "))
            .collect();
        if output.code == Some(0) || !output.stderr.contains(said) || hints.is_empty() {
            self.wrong
                .push(format!("not refused with {said:?} and a hint\n{output}"));
            return;
        }
        let refused = Saved::of(world);
        for hint in hints {
            if LEFT_OUT.iter().any(|(words, _)| hint.contains(words)) {
                self.left_out += 1;
                continue;
            }
            let mut text = command(hint).to_owned();
            for (place, filled) in FILLED {
                text = text.replace(place, filled);
            }
            let again = format!("git flux {} {}", args[0], args.get(1).unwrap_or(&""));
            if hint.starts_with("then: ") || text == again.trim_end() {
                by_hand(world);
            }
            if hint.starts_with("did you mean ") {
                by_hand(world);
                text = format!("git flux {}", args.join(" "));
            }
            world.kill_tmux();
            let done = match text.starts_with("git flux attach ") {
                true => attach(world, &text),
                false => paste(world, &text).map(drop),
            };
            match done {
                Err(_) if CONFLICTING.iter().any(|end| text.ends_with(end)) => {}
                Err(said) => self.wrong.push(format!("{said}\nafter {output}")),
                Ok(()) => {}
            }
            self.pasted += 1;
            refused.put_back();
        }
    }
}

/// Attaches on a terminal, in a new session if need be, and detaches again.
fn attach(world: &World, command: &str) -> Result<(), String> {
    let terminal = world.terminal(200, 30);
    terminal.command(command);
    let is_attached = || {
        let clients = world.try_tmux(["list-clients"]);
        clients.is_some_and(|clients| !clients.is_empty())
    };
    let asked = "Open a new session";
    let ended = "[exit ";
    let mut answered = false;
    wait_until("a client, or an end", || {
        let screen = terminal.screen();
        if !answered && screen.contains(asked) {
            terminal.keys(["y"]);
            answered = true;
        }
        is_attached() || screen.matches(ended).count() > 1
    });
    if is_attached() {
        terminal.keys(["C-b", "d"]);
    }
    let code = terminal.exit_code();
    let screen = terminal.screen();
    match code {
        0 => Ok(()),
        code => Err(format!("{command}: {code}\n{screen}")),
    }
}

#[test]
fn hints_work_when_pasted() {
    let world = World::new();
    crate::world::archive::done(&world, "fix");
    world.git(["branch", "other"]);
    world.kill_tmux();
    let base = Saved::of(&world);
    let mut paste = Paste {
        world: &world,
        base,
        pasted: 0,
        left_out: 0,
        wrong: Vec::new(),
    };
    let fix = world.worktree("fix");
    let dir = fix.to_str().unwrap();
    let cleanup = ["cleanup", "fix"];
    let nothing = |_: &World| {};
    let loose = |world: &World| drop(world.write(fix.join("loose.txt"), "loose\n"));
    let no_agent = ["run", "--agent", "shell", "-q"];

    // Names.
    paste.case(
        "there is no task 'fox'",
        &["status", "fox"],
        nothing,
        nothing,
    );
    paste.case("no task given", &["status"], nothing, nothing);
    paste.case(
        "there is nothing to restore",
        &["restore"],
        nothing,
        nothing,
    );
    paste.case(
        "does not name a commit",
        &["run", "--base", "nowhere", "x"],
        nothing,
        nothing,
    );
    paste.case(
        "the task 'fix' exists already",
        &["run", "--name", "fix", "x"],
        nothing,
        nothing,
    );
    let named = ["run", "--name", "new", "x"];
    paste.case(
        "exists already",
        &named,
        |world| drop(world.git(["branch", "feature/new"])),
        nothing,
    );
    let in_the_way = |world: &World| {
        world.git(["branch", "-m", "feature/fix", "fix"]);
        world.git(["branch", "feature"]);
    };
    paste.case("cannot create the branch", &named, in_the_way, nothing);
    paste.case(
        "exists already",
        &named,
        |world| drop(world.write("../myapp-new/file", "")),
        nothing,
    );
    let registered = |world: &World| {
        world.git(["worktree", "add", "-q", "../myapp-new", "other"]);
        fs::remove_dir_all(world.worktree("new")).unwrap();
    };
    paste.case("registered as a worktree", &named, registered, nothing);

    // What is uncommitted, and what is in the way.
    paste.case("1 uncommitted file", &cleanup, loose, nothing);
    let other = |world: &World| drop(world.git(["switch", "-q", "other"]));
    paste.case("you are on 'other'", &cleanup, other, nothing);
    let conflict = |world: &World| drop(world.commit_in(world.repo(), "fix.txt", "mine\n"));
    paste.case("conflict in 'fix.txt'", &cleanup, conflict, |world| {
        world.git_in(&fix, ["merge", "-q", "-X", "ours", "main"]);
    });
    // One that is younger than the merge by less than a tick of the clock may be git's own.
    let untracked = |world: &World| {
        let file = world.write("fix.txt", "mine\n");
        let written = fs::metadata(file).unwrap().modified().unwrap();
        wait_until("the clock", || {
            written.elapsed().is_ok_and(|age| age.as_millis() > 50)
        });
    };
    let move_it = |world: &World| {
        fs::rename(world.repo().join("fix.txt"), world.root().join("aside")).unwrap();
    };
    paste.case(
        "the merge would overwrite 'fix.txt' in",
        &cleanup,
        untracked,
        move_it,
    );
    let locked = |world: &World| drop(world.git(["worktree", "lock", dir]));
    paste.case("is locked", &cleanup, locked, nothing);
    let bisect = |world: &World| drop(world.git_in(&fix, ["bisect", "start"]));
    paste.case("a bisect is in progress", &cleanup, bisect, nothing);
    let inner =
        |world: &World| drop(world.git_in(&fix, ["worktree", "add", "-q", "inner", "other"]));
    paste.case("another worktree inside", &cleanup, inner, nothing);
    let nested = |world: &World| {
        world.git_in(&fix, ["init", "-q", "inner"]);
        world.write(fix.join("inner/file"), "");
    };
    paste.case(
        "is another repository",
        &["cleanup", "fix", "--commit"],
        nested,
        nothing,
    );
    let overlooked = |world: &World| {
        world.git_in(&fix, ["update-index", "--assume-unchanged", "README.md"]);
        world.write(fix.join("README.md"), "hidden\n");
    };
    paste.case(
        "it is marked assume-unchanged",
        &["cleanup", "fix", "--commit"],
        overlooked,
        nothing,
    );
    let lock = |world: &World| drop(world.write(".git/index.lock", ""));
    paste.case(
        "another git locks",
        &["cleanup", "fix", "--commit"],
        |world| {
            loose(world);
            lock(world);
        },
        nothing,
    );

    // Where the work goes.
    let no_target = |world: &World| {
        world.git(["switch", "-q", "other"]);
        world.git(["branch", "-q", "-D", "main"]);
    };
    paste.case("there is no branch 'main'", &cleanup, no_target, nothing);
    let into_itself = ["cleanup", "fix", "--into", "feature/fix"];
    paste.case(
        "cannot be merged into itself",
        &into_itself,
        nothing,
        nothing,
    );
    let target_is_gone = |world: &World| {
        world.git(["switch", "-q", "other"]);
        world.git(["worktree", "add", "-q", "../of-main", "main"]);
        fs::rename(world.root().join("of-main"), world.root().join("moved")).unwrap();
    };
    let into = ["cleanup", "fix", "--into", "main"];
    paste.case(
        "the worktree of 'main' is gone",
        &into,
        target_is_gone,
        |world| {
            world.git(["worktree", "repair", "../moved"]);
        },
    );

    // What comes back, or is made a task.
    let restore = ["restore", "fix"];
    let removed = |world: &World| {
        let drop = ["cleanup", "fix", "--discard-branch"];
        world.flux(drop).run().success();
    };
    paste.case(
        "another task has the id 'fix'",
        &restore,
        |world| {
            removed(world);
            world
                .flux(no_agent.into_iter().chain(["--name", "fix", "Do"]))
                .run()
                .success();
            world.kill_tmux();
        },
        |world| drop(world.flux(["cleanup", "fix", "-y"]).run()),
    );
    paste.case(
        "the branch 'feature/fix' exists already",
        &restore,
        |world| {
            removed(world);
            world.git(["branch", "feature/fix"]);
        },
        |world| drop(world.git(["branch", "-D", "feature/fix"])),
    );
    paste.case(
        "cannot create the branch 'feature/fix'",
        &restore,
        |world| {
            removed(world);
            world.git(["branch", "feature/fix/deeper"]);
        },
        |world| drop(world.git(["branch", "-D", "feature/fix/deeper"])),
    );
    paste.case(
        "exists already",
        &restore,
        |world| {
            removed(world);
            world.write(fix.join("file"), "");
            world.write("../myapp-fix.away/file", "");
        },
        |_| fs::remove_dir_all(&fix).unwrap(),
    );
    paste.case(
        "which is missing",
        &restore,
        |world| {
            removed(world);
            world.git(["worktree", "add", "-q", dir, "other"]);
            fs::remove_dir_all(&fix).unwrap();
        },
        |world| drop(world.git(["worktree", "prune"])),
    );
    paste.case(
        "the main worktree",
        &["adopt", "."],
        |world| drop(world.write("loose", "")),
        nothing,
    );
    paste.case(
        "is the worktree of the task",
        &["adopt", dir],
        nothing,
        nothing,
    );
    let detached =
        |world: &World| drop(world.git(["worktree", "add", "-q", "--detach", "../theirs"]));
    paste.case(
        "has no branch checked out",
        &["adopt", "../theirs"],
        |world| {
            detached(world);
            world.git(["branch", "-D", "other"]);
        },
        nothing,
    );
    paste.case(
        "there is nothing at",
        &["adopt", "../nothing"],
        nothing,
        nothing,
    );

    let lock_it = |world: &World| {
        world.git(["worktree", "add", "-q", "../theirs", "other"]);
        world.git(["worktree", "lock", "../theirs"]);
    };
    paste.case("is locked", &["adopt", "../theirs"], lock_it, nothing);
    paste.case("no removed task given", &["restore"], removed, nothing);

    // What is missing; `broken` has more of it.
    let moved_on = |world: &World| drop(world.commit_in(world.repo(), "new.txt", "new\n"));
    let fast_forward = ["cleanup", "fix", "--ff-only"];
    paste.case(
        "'main' cannot be fast-forwarded",
        &fast_forward,
        moved_on,
        nothing,
    );
    let gone = |_: &World| fs::remove_dir_all(&fix).unwrap();
    for command in ["cleanup", "diff", "resume"] {
        paste.case(
            "the worktree of 'fix' is gone",
            &[command, "fix"],
            gone,
            nothing,
        );
    }
    let no_branch = |world: &World| {
        world.git(["update-ref", "-d", "refs/heads/feature/fix"]);
    };
    paste.case(
        "the branch 'feature/fix' of 'fix' is gone",
        &cleanup,
        no_branch,
        nothing,
    );

    // Agents.
    paste.case(
        "is not running",
        &["send", "fix", "hello"],
        nothing,
        nothing,
    );
    paste.case(
        "attach needs a terminal",
        &["attach", "fix"],
        nothing,
        nothing,
    );

    // Settings.
    let set = |key: &'static str, value: &'static str| {
        move |world: &World| drop(world.git(["config", key, value]))
    };
    let mend = |world: &World| drop(world.git(["config", "--unset-all", "flux.layuot"]));
    paste.case("flux.layuot", &["list"], set("flux.layuot", "pane"), mend);
    let squash = set("flux.merge", "squash");
    paste.case("sqaush", &cleanup, set("flux.merge", "sqaush"), squash);
    let agent = set("flux.agent", "shell");
    paste.case(
        "no agent 'shel'",
        &["run", "x"],
        set("flux.agent", "shel"),
        agent,
    );

    // An agent that runs: to attach comes first, and ends nothing.
    paste.base.put_back();
    world.behaviour("raw");
    let id = world.start("Run");
    for args in [&["resume", &*id][..], &["cleanup", &id]] {
        for hint in hints(world.flux(args).run().code(1)) {
            let done = match hint.starts_with("git flux attach ") {
                true => attach(&world, &hint),
                false => crate::world::hints::paste(&world, &hint).map(drop),
            };
            paste.wrong.extend(done.err());
            paste.pasted += 1;
        }
    }
    assert!(
        world
            .try_git(["show-ref", "--verify", &format!("refs/flux/tasks/{id}")])
            .is_err()
    );

    assert!(paste.wrong.is_empty(), "{}", paste.wrong.join("\n\n"));
    let all = paste.pasted + paste.left_out;
    assert!(
        paste.left_out * 10 <= all,
        "{} of {all} are left out",
        paste.left_out
    );
}

#[test]
fn hints_name_the_directory_after_git_with_another_directory() {
    let world = World::new();
    let elsewhere = world.root().join("else where");
    fs::create_dir(&elsewhere).unwrap();
    let flux = |args: &[&str]| {
        let flux = world.flux(args).env("PWD", &elsewhere);
        flux.run()
    };
    let here = format!("git -C '{}' flux", world.repo().display());
    let started = flux(&["run", "Fix the login"]);
    started
        .success()
        .stdout_has(&format!("\n   {here} attach fix"))
        .stdout_has(&format!("\nWhen complete: {here} cleanup fix"));
    flux(&["attach", "nosuch"]).code(1).says(&expect![[r#"
        --- stderr
        error: there is no task 'nosuch'
        hint: the tasks are: fix-the-login-XXXXXX
    "#]]);
    flux(&["cleanup", "fix"]).code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix-the-login-XXXXXX' is still running
        hint: to look at the pane: git -C '$WORLD/myapp' flux attach fix-the-login-XXXXXX
        hint: to clean up anyway: git -C '$WORLD/myapp' flux cleanup fix-the-login-XXXXXX --yes
    "#]]);
    // Who stands in it is told what is short.
    let within = world.repo().join("src");
    fs::create_dir_all(&within).unwrap();
    let cleanup = world.flux(["cleanup", "fix"]).env("PWD", &within).run();
    cleanup.code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix-the-login-XXXXXX' is still running
        hint: to look at the pane: git flux attach fix-the-login-XXXXXX
        hint: to clean up anyway: git flux cleanup fix-the-login-XXXXXX --yes
    "#]]);
}
