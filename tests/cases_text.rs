//! Tests that text of users, agents and repositories is neither executed nor sent to the terminal unescaped.

use crate::world::removal::*;
use crate::world::*;

/// Asserts that no shell has created the file `mark`.
#[track_caller]
fn assert_nothing_executed(world: &World, mark: &str) {
    let dirs = [
        world.root().to_owned(),
        world.repo(),
        world.tools().join("home"),
        "/".into(),
    ];
    for dir in dirs
        .iter()
        .chain(&[world.tools().to_owned(), "/tmp".into()])
    {
        assert!(
            !dir.join(mark).exists(),
            "something made {}/{mark}",
            dir.display()
        );
    }
    let worktrees = world.git(["worktree", "list"]);
    let files = world.git(["status", "--porcelain", "-uall"]);
    assert!(!files.contains(mark), "{files}\n{worktrees}");
}
#[test]
fn run_and_cleanup_execute_no_text_of_a_description() {
    let mark = format!("pwned-3-{}", std::process::id());
    let texts = [
        format!("$(touch {mark})"),
        format!("`touch {mark}`"),
        format!("'; touch {mark}; '"),
        format!("\"; touch {mark}; \""),
        format!("fix; touch {mark}"),
        format!("fix\ntouch {mark}\n"),
        format!("#(touch {mark})"),
        format!("#{{q:x}} %% fix ; run-shell 'touch {mark}' ;"),
        "run-shell 'exit' \\;".to_owned(),
        format!("-x $(touch {mark})"),
    ];
    let world = World::new();
    world.behaviour("raw");
    let inside = world.terminal_inside();
    let (tmux, pane) = (
        inside.ask("#{socket_path},#{pid},0"),
        inside.pane().to_owned(),
    );
    for (n, text) in texts.iter().enumerate() {
        // In a session of its own, and in a window of one there is.
        for layout in ["--session", "--window"] {
            let name = format!("task{n}{layout}");
            let run = [
                "run",
                "-q",
                "--no-template",
                layout,
                "--name",
                &name,
                "--",
                text,
            ];
            let run = world.flux(run).env("TMUX", &tmux).env("TMUX_PANE", &pane);
            assert_eq!(run.ok(), name);
            let agent = world.agent(&name);
            assert_eq!(String::from_utf8(agent.prompt()).unwrap(), *text);
            assert_eq!(agent.cwd(), world.worktree(&name));
            agent.tell("commit one");
            end_agent(&world, &name);
            world.flux(["list"]).run().success();
            world.flux(["status", &name]).run().success();
            world
                .flux(["cleanup", "--discard-branch", &name])
                .run()
                .success();
            assert_removed(&world, &name);
            assert_nothing_executed(&world, &mark);
        }
    }
}
#[test]
fn run_and_cleanup_execute_no_text_of_a_setting() {
    let mark = format!("pwned-3s-{}", std::process::id());
    let world = World::new();
    world.behaviour("raw");
    world.git([
        "config",
        "flux.branchPrefix",
        &format!("$(touch${{IFS}}{mark});'\"/"),
    ]);
    let dir = world
        .root()
        .join(format!("#(touch {mark}) $(touch {mark}) ;"));
    world.git(["config", "flux.worktreeDir", dir.to_str().unwrap()]);
    let id = world.start("Fix login");
    let agent = world.agent(&id);
    assert_eq!(agent.cwd(), dir.join(format!("myapp-{id}")));
    agent.tell("commit one");
    end_agent(&world, &id);
    world.flux(["list"]).run().success();
    world
        .flux(["status", &id])
        .run()
        .success()
        .stdout_has(&mark);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
    assert_nothing_executed(&world, &mark);
}
#[test]
fn run_and_cleanup_execute_no_tmux_command_in_a_directory_name() {
    let mark = format!("pwned-19-{}", std::process::id());
    let world = World::at(format!("#(touch {mark})"));
    world.behaviour("raw");
    let inside = world.terminal_inside();
    let tmux = inside.ask("#{socket_path},#{pid},0");
    for layout in ["--session", "--window", "--pane"] {
        let run = world.flux(["run", "-q", layout, "Fix login"]);
        let id = run.env("TMUX", &tmux).env("TMUX_PANE", inside.pane()).ok();
        assert_eq!(world.agent(&id).cwd(), world.worktree(&id));
        world.agent(&id).tell("commit one");
        world
            .flux(["list", "--all-repos"])
            .run()
            .success()
            .stdout_has(&id);
        world.flux(["status", &id]).run().success();
        world
            .flux(["cleanup", "-y", "--discard-branch", &id])
            .run()
            .success();
        assert_removed(&world, &id);
        assert_nothing_executed(&world, &mark);
    }
}

/// What no terminal may be sent from somebody else's text.
const EVIL: [&str; 5] = [
    "\x1b]2;owned\x07",
    "\x1b[31m",
    "\u{9b}31m",
    "\u{202e}",
    "\u{2066}",
];
#[track_caller]
fn assert_escaped(output: &Output) {
    for (name, text) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        for evil in [
            '\x1b', '\x07', '\u{9b}', '\u{202e}', '\u{2066}', '\r', '\x08',
        ] {
            assert!(!text.contains(evil), "{evil:?} in {name}\n{text:?}");
        }
    }
}
#[test]
fn output_escapes_control_characters_from_names_and_files() {
    let world = World::new();
    world.behaviour("raw");
    let evil = EVIL.concat();
    world.git(["config", "flux.branchPrefix", "f\u{202e}\u{2066}/"]);
    let output = world
        .flux([
            "run",
            "--name=evil",
            "--",
            &format!("Fix {evil}\rlogin\x08"),
        ])
        .run();
    assert_escaped(output.success());
    let worktree = world.worktree("evil");
    world.write(worktree.join(format!("file {evil}\n")), "x");
    world.write(worktree.join(format!("{evil}.log")), "ignored");
    world
        .agent("evil")
        .tell("say \\033]2;owned\\007\\033[31mred \\302\\2335m \\342\\200\\256bidi");
    let key = "branch.f\u{202e}\u{2066}/evil.description";
    world.git(["config", key, &format!("Other {evil}")]);
    for args in [
        &["list"][..],
        &["list", "--all-repos"],
        &["status", "evil"],
        &["cleanup", "evil"],
        &["cleanup", "-n", "evil"],
        &["cleanup", &evil],
        &["status", &evil],
        &["run", "--agent", &evil, "x"],
        &["run", "--base", &evil, "x"],
        &["run", "--name", &evil, "x"],
        &["cleanup", "--into", &evil, "evil"],
    ] {
        let output = world.flux(args).run();
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty());
        assert_escaped(&output);
    }
    let output = world.flux(["cleanup", "-y", "--discard", "evil"]).run();
    assert_escaped(output.success());
}
#[test]
fn output_does_not_change_the_title_of_the_pane() {
    let world = World::new();
    let evil = EVIL.concat();
    let id = world.start("Fix login");
    world.git([
        "config",
        &format!("branch.feature/{id}.description"),
        &format!("Other {evil}"),
    ]);
    world.agent(&id).tell("say \\033]2;owned\\007");
    let terminal = world.terminal(100, 40);
    let title = terminal.ask("#{pane_title}");
    terminal.command(&format!(
        "git flux list; git flux status {id}; git flux cleanup {id} </dev/null"
    ));
    assert_eq!(terminal.exit_code(), 1);
    assert_eq!(terminal.ask("#{pane_title}"), title);
}

/// A branch name of a stranger's, that git allows.
const HOSTILE: &str = "x;touch${IFS}pwned";

/// Asserts that a cleanup is refused with a hint that names the branch, and pastes it.
#[track_caller]
fn paste_hint(world: &World, id: &str, code: i32, command: &str) {
    let before = world.snapshot();
    let output = world.flux(["cleanup", id]).run();
    output.code(code).stderr_has(&format!("'{HOSTILE}'"));
    world.assert_unchanged(&before);
    let hint = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hint: "))
        .find(|hint| hint.contains("pwned"))
        .unwrap_or_else(|| panic!("no hint\n{output}"));
    assert!(hint.contains(command), "{hint}");
    let hint = hint.split_once(": ").map_or(hint, |(_, command)| command);
    let pasted = world
        .command("sh")
        .current_dir(world.repo())
        .args(["-c", hint])
        .output();
    drop(pasted.unwrap());
    for dir in [world.repo(), world.worktree(id)] {
        assert!(!dir.join("pwned").exists(), "{hint}");
    }
}

#[test]
fn cleanup_quotes_a_hostile_branch_name_in_its_hints() {
    let world = World::new();
    world.git(["switch", "-q", "-c", HOSTILE]);
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "README.md", "theirs\n");
    world.commit_in(world.repo(), "README.md", "mine\n");
    paste_hint(&world, &id, 3, "merge");
    let status = ["status", "--porcelain"];
    assert_eq!(world.git_in(&worktree, status), "UU README.md");
    world.git_in(&worktree, ["merge", "--abort"]);
    world.git(["reset", "-q", "--hard", "HEAD~"]);
    world.git(["switch", "-q", "main"]);
    paste_hint(&world, &id, 2, "--into");
    let merged = world.git(["show", &format!("{HOSTILE}:README.md")]);
    assert_eq!(merged, "theirs");
    assert_removed(&world, &id);
    // The task's own branch.
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.git(["branch", "-q", "-D", HOSTILE]);
    world.git(["branch", "-m", &format!("feature/{id}"), HOSTILE]);
    world.git_in(&worktree, ["checkout", "-q", "--detach"]);
    paste_hint(&world, &id, 1, "switch");
    let head = world.git_in(&worktree, ["symbolic-ref", "HEAD"]);
    assert_eq!(head, format!("refs/heads/{HOSTILE}"));
}
