//! Tests `git flux run`: the steps from a description to a running agent.

use std::fs;

use crate::world::*;

/// Asserts the id that a description gets, without its random part.
#[track_caller]
fn assert_slug(world: &World, description: &str, expected: &str) {
    let plan = world.flux(["run", "--dry-run", "--", description]).ok();
    let id = plan
        .lines()
        .find_map(|line| line.trim().strip_prefix("Task ID: "));
    let (slug, random) = id.and_then(|id| id.rsplit_once('-')).unwrap();
    assert_eq!(slug, expected);
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    assert!(random.len() == 6 && random.chars().all(hex), "{random}");
}

#[test]
fn run_creates_an_id_a_branch_a_worktree_a_session_and_an_agent() {
    let world = World::new();
    let head = world.git(["rev-parse", "HEAD"]);
    let id = world.start("Add OAuth authentication");
    assert!(id.starts_with("add-oauth-authentication-"), "{id}");

    let branch = format!("feature/{id}");
    let worktree = world.worktree(&id);
    assert_eq!(world.git(["rev-parse", &branch]), head);
    assert_eq!(
        world.git_in(&worktree, ["symbolic-ref", "HEAD"]),
        format!("refs/heads/{branch}")
    );
    assert_eq!(world.git_in(&worktree, ["status", "--porcelain"]), "");
    assert_eq!(
        world.git(["rev-parse", &format!("refs/flux/base/{id}")]),
        head
    );
    assert_eq!(
        world.git(["show", &format!("refs/flux/tasks/{id}:prompt.md")]),
        "Add OAuth authentication"
    );
    assert_eq!(
        world.git(["config", &format!("branch.{branch}.fluxTask")]),
        id
    );
    assert_eq!(
        world.git(["config", &format!("branch.{branch}.description")]),
        "Add OAuth authentication"
    );
    assert_eq!(
        world.tmux(["list-sessions", "-F", "#{session_name}"]),
        format!("flux-myapp-{id}")
    );

    let agent = world.agent(&id);
    assert_eq!(agent.cwd(), worktree);
    let argv = agent.arguments();
    assert_eq!(argv.len(), 3);
    assert_eq!(argv[..2], [&b"--dangerously-skip-permissions"[..], b"--"]);
    let prompt = String::from_utf8(agent.prompt()).unwrap();
    for part in [
        "Add OAuth authentication",
        worktree.to_str().unwrap(),
        &branch,
        &head,
        "myapp",
    ] {
        assert!(prompt.contains(part), "no {part:?} in\n{prompt}");
    }
    assert!(!prompt.contains("{{"), "a placeholder is left in\n{prompt}");
}

#[test]
fn run_leaves_uncommitted_changes_of_the_user_alone() {
    let world = World::new();
    world.write("README.md", "changed");
    world.write("new.txt", "new");
    world.write("src/staged.txt", "staged");
    world.git(["add", "src/staged.txt"]);
    let before = world.snapshot();
    let id = world.start("Fix login");
    let changes = before.changes(&world.snapshot());
    let myapp = format!("{}/", world.repo().display());
    for change in &changes {
        let ours = change.contains(&id) || change.starts_with("! config file");
        let within = change.contains(&format!("file {myapp}"));
        assert!(ours && !within, "{change}");
    }
    assert!(!world.worktree(&id).join("new.txt").exists());
}

#[test]
fn run_derives_the_id_from_the_description() {
    let world = World::new();
    assert_slug(
        &world,
        "Add OAuth authentication",
        "add-oauth-authentication",
    );
    assert_slug(
        &world,
        "Fix the login redirect for users with two accounts",
        "fix-the-login-redirect-for",
    );
    assert_slug(&world, "\n\n  First line\nsecond line", "first-line");
    assert_slug(&world, "Größe prüfen", "grosse-prufen");
    assert_slug(&world, "修复登录", "xiu-fu-deng-lu");
    assert_slug(&world, "?! …", "task");
    assert_slug(&world, "../../etc/passwd", "etc-passwd");
    assert_slug(
        &world,
        "donaudampfschifffahrtsgesellschaftskapitän",
        "donaudampfschifffahrtsgesellsc",
    );
}

#[test]
fn run_creates_two_tasks_for_the_same_description() {
    let world = World::new();
    let (one, two) = (world.start("Fix login"), world.start("Fix login"));
    assert_ne!(one, two);
    assert!(world.worktree(&one).is_dir() && world.worktree(&two).is_dir());
    world.agent(&one).wait_started();
    world.agent(&two).wait_started();
}

#[test]
fn run_sets_no_upstream_for_the_new_branch() {
    let world = World::new();
    world.git(["config", "branch.autoSetupMerge", "always"]);
    world.git(["remote", "add", "origin", "../myapp"]);
    world.git(["fetch", "-q", "origin"]);
    for base in ["main", "origin/main"] {
        let id = world.flux(["run", "-q", "--base", base, "Fix"]).ok();
        for name in ["remote", "merge"] {
            let found = world.try_git(["config", &format!("branch.feature/{id}.{name}")]);
            assert!(found.is_err(), "{base}: {found:?}");
        }
    }
}

#[test]
fn run_uses_an_empty_directory_as_the_worktree() {
    let world = World::new();
    fs::create_dir(world.worktree("fix")).unwrap();
    world
        .flux(["run", "-q", "--name", "fix", "Fix"])
        .run()
        .success()
        .stdout_is("fix\n");
    assert!(world.worktree("fix").join("README.md").exists());
}

#[test]
fn run_works_from_a_subdirectory_and_from_another_task() {
    let world = World::new();
    let below = world.flux(["run", "-q", "One"]).in_dir("src").ok();
    assert_eq!(
        world.agent(&below).cwd(),
        world.worktree(&below).join("src")
    );
    let commit = world.commit_in(world.worktree(&below), "a.txt", "a");
    let beside = world
        .flux(["run", "-q", "Two"])
        .in_dir(world.worktree(&below))
        .ok();
    // Beside the main worktree, and from the HEAD of where its user stands.
    assert_eq!(world.agent(&beside).cwd(), world.worktree(&beside));
    assert_eq!(
        world.git(["rev-parse", &format!("feature/{beside}")]),
        commit
    );
    let into = world.flux(["status", "--json", &beside]).run().json();
    assert_eq!(into["into"], format!("feature/{below}"));
    assert_eq!(
        world.agent(&beside).env("FLUX_SOURCE").unwrap(),
        world.repo().to_str().unwrap()
    );
}

#[test]
fn run_passes_no_description_to_tmux_or_a_shell() {
    let world = World::new();
    world.shim();
    let hostile = "Fix \"$(touch hacked)\" `touch hacked`; touch hacked; #(touch hacked) ;";
    let id = world
        .flux(["run", "-q", "--no-template", "--", hostile])
        .ok();
    assert_eq!(world.agent(&id).prompt(), hostile.as_bytes());
    let calls = world.calls();
    let tmux: Vec<&Call> = calls.iter().filter(|call| call.program == "tmux").collect();
    assert!(!tmux.is_empty());
    for call in tmux {
        assert!(!call.line().contains("touch hacked"), "{}", call.line());
    }
    for dir in [
        world.root().to_path_buf(),
        world.repo(),
        world.worktree(&id),
    ] {
        assert!(!dir.join("hacked").exists(), "{}", dir.display());
    }
}

#[test]
fn run_executes_no_tmux_format_in_a_directory_name() {
    let world = World::at("it's #(touch hacked) #{pid} $(touch hacked);");
    let id = world.start("Fix login");
    assert_eq!(world.agent(&id).cwd(), world.worktree(&id));
    assert!(!world.root().join("hacked").exists() && !world.repo().join("hacked").exists());
}

#[test]
fn run_passes_the_environment_of_the_caller_without_git_and_tmux_variables() {
    let world = World::new();
    let caller = world.terminal_inside();
    let callers = caller.ask("#{socket_path},#{pid},99");
    let path = format!("/opt/some where/bin:{}", world.path().to_str().unwrap());
    let id = world
        .flux(["run", "-q", "Fix"])
        .env("PATH", &path)
        .env("OWN", "line one\nline two \u{fc}")
        .env("GIT_DIR", world.repo().join(".git"))
        .env("GIT_INDEX_FILE", world.repo().join(".git/index"))
        .env("GIT_EDITOR", "true")
        .env("TMUX", &callers)
        .env("TMUX_PANE", "%77")
        .env("TMUX_PLUGIN", "x")
        .env("DIRENV_DIR", "x")
        .env("FLUX_TASK", "another")
        .env("FLUX_SOMETHING", "x")
        // The caller may be an agent, and tell that to what it starts.
        .env("CLAUDECODE", "1")
        .env("CLAUDE_CODE_CHILD_SESSION", "1")
        .env("CLAUDE_CODE_USE_BEDROCK", "1")
        .ok();
    let agent = world.agent(&id);
    agent.wait_started();
    assert_eq!(agent.env("CLAUDE_CODE_USE_BEDROCK").as_deref(), Some("1"));
    assert_eq!(agent.env("PATH"), Some(with_own_git(&world, &id, &path)));
    assert_eq!(
        agent.env("OWN").as_deref(),
        Some("line one\nline two \u{fc}")
    );
    let foreign = |line: &String| {
        [
            "GIT_",
            "TMUX",
            "DIRENV_",
            "FLUX_",
            "CLAUDECODE",
            "CLAUDE_CODE_CHILD",
        ]
        .iter()
        .any(|prefix| line.starts_with(prefix))
    };
    let mut names: Vec<String> = agent.environment().into_iter().filter(foreign).collect();
    names.retain(|line| !line.starts_with("TMUX=") && !line.starts_with("TMUX_PANE="));
    names.sort();
    let worktree = world.worktree(&id);
    let port = &world.flux(["status", "--json", &id]).run().json()["port"];
    assert_eq!(
        names,
        [
            format!("FLUX_BASE={}", world.git(["rev-parse", "HEAD"])),
            format!("FLUX_BRANCH=feature/{id}"),
            format!("FLUX_PORT={port}"),
            format!("FLUX_RUN={}/.git/flux/run/{id}", world.repo().display()),
            format!("FLUX_SOURCE={}", world.repo().display()),
            format!("FLUX_TASK={id}"),
            format!("FLUX_WORKTREE={}", worktree.display()),
        ]
    );
    assert_eq!(agent.env("PWD").as_deref(), worktree.to_str());
    // The pane's own.
    assert_ne!(agent.env("TMUX"), Some(callers));
    let panes = world.tmux(["list-panes", "-a", "-F", "#{@flux_task}#{pane_id}"]);
    let pane = panes.lines().find_map(|line| line.strip_prefix(&*id));
    assert_eq!(agent.env("TMUX_PANE").as_deref(), pane);
}

#[test]
fn run_passes_the_path_of_the_user_when_called_by_git() {
    let world = World::new();
    let id = world.flux(["run", "-q", "Fix"]).via_git().ok();
    let path = world.path().into_string().unwrap();
    assert_eq!(
        world.agent(&id).env("PATH"),
        Some(with_own_git(&world, &id, &path))
    );
}

/// Returns PATH with the directory of the agent's git as the first.
fn with_own_git(world: &World, id: &str, path: &str) -> String {
    let run = world.repo().join(".git/flux/run").join(id);
    format!("{}:{path}", run.join("bin").display())
}

#[test]
fn run_on_a_terminal_shows_the_last_lines_of_an_agent_that_fails_at_once() {
    let world = World::new();
    world.behaviour("sh echo first words; echo last words; exit 3");
    let terminal = world.terminal(200, 50);
    terminal.command("git-flux run --name fix Fix");
    let screen = terminal.wait_for_screen("error: the agent of 'fix' exited with status 3 at once");
    assert_eq!(terminal.exit_code(), 1);
    for said in [
        "Task ID: fix",
        "last words",
        "git flux resume fix --restart",
    ] {
        assert!(screen.contains(said), "no {said:?} in\n{screen}");
    }
    world.behaviour("signal KILL");
    terminal.clear();
    terminal.command("git-flux run --name other Fix");
    terminal.wait_for_screen("error: the agent of 'other' was ended by signal 9 at once");
    assert_eq!(terminal.exit_code(), 1);
}

#[test]
fn run_on_a_terminal_succeeds_if_the_agent_finishes_at_once() {
    let world = World::new();
    world.behaviour("exit 0");
    let terminal = world.terminal(200, 50);
    terminal.command("git-flux run --name fix Fix");
    let screen = terminal.wait_for_screen("The agent of 'fix' ended at once.");
    assert_eq!(terminal.exit_code(), 0);
    assert!(!screen.contains("error"), "{screen}");
}

#[test]
fn run_without_a_terminal_does_not_wait_for_its_agent() {
    let world = World::new();
    world.behaviour("sh echo last words; exit 3");
    let note = world.tools().join("note");
    let command = format!("echo \"$FLUX_TASK $FLUX_STATE\" >>'{}'", note.display());
    world.git(["config", "flux.notify", &command]);
    for (name, option) in [
        ("plain", None),
        ("quiet", Some("-q")),
        ("json", Some("--json")),
    ] {
        let run = ["run", "--name", name].into_iter().chain(option);
        let output = world.flux(run.chain(["Fix"])).run();
        output.success().stderr_is("").has_not("at once");
        match option {
            Some("--json") => assert_eq!(output.json()["state"], "running"),
            Some(_) => assert_eq!(output.stdout, "quiet\n"),
            None => assert!(
                output.stdout.contains("is working on your task"),
                "{output}"
            ),
        }
        let output = world.flux(["wait", name]).run();
        output.code(1).stdout_is(&format!("{name} exited(3)\n"));
        wait_until("the notice", || {
            let notes = std::fs::read_to_string(&note).unwrap_or_default();
            notes.contains(&format!("{name} exited"))
        });
    }
    let list = world.flux(["list"]).ok();
    assert_eq!(list.matches("exited(3)").count(), 3, "{list}");
}

#[test]
fn run_fails_if_the_agent_cannot_be_executed() {
    let world = World::new();
    world.install("claude", "#!/no/such/interpreter\n");
    for option in [None, Some("-q"), Some("--json")] {
        let output = world
            .flux(["run"].into_iter().chain(option).chain(["Fix"]))
            .run();
        output.code(1).stdout_is("");
        output
            .stderr_has("error: the agent of 'fix-")
            .stderr_has("could not be started");
    }
    world.flux(["run", "--name", "fix", "Fix"]).run().code(1);
    let task = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(task["state"], "failed");
}
