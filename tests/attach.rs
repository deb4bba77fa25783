//! Tests `git flux attach`: it goes to the pane of a task, inside and outside tmux.

use crate::world::*;

/// Returns the names of the sessions that have a client.
fn attached_sessions(world: &World) -> Vec<String> {
    let names = world
        .try_tmux(["list-clients", "-F", "#{client_session}"])
        .unwrap_or_default();
    names.lines().map(str::to_owned).collect()
}

/// Runs `git flux attach` in a terminal.
#[track_caller]
fn go(terminal: &Terminal, id: &str) {
    let code = terminal
        .command(&format!("git flux attach {id}"))
        .exit_code();
    assert_eq!(code, 0, "{}", terminal.screen());
}

/// Returns the active pane of a session.
fn active_pane(world: &World, session: &str) -> String {
    let session = format!("={session}:");
    world.tmux(["display-message", "-p", "-t", &session, "#{pane_id}"])
}

#[test]
fn attach_attaches_the_terminal_to_the_session_outside_tmux() {
    let world = World::new();
    let id = world.start("Fix the login");
    world.start("Something else");
    let terminal = world.terminal(150, 40);
    terminal.command("git flux attach fix-the");
    wait_until("the terminal to be attached", || {
        attached_sessions(&world) == [format!("flux-myapp-{id}")]
    });
    terminal.wait_for_screen("fake agent ready");
    terminal.type_line("hello");
    world.agent(&id).wait_stdin("hello\n");
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn attach_selects_the_pane_of_the_task() {
    let world = World::new();
    let inside = world.terminal_inside();
    assert_eq!(
        inside
            .command("git flux run -q --name first --pane First")
            .exit_code(),
        0
    );
    assert_eq!(
        inside
            .command("git flux run -q --name second --window Second")
            .exit_code(),
        0
    );
    let session = inside.ask("#{session_name}");
    for id in ["first", "second", "first"] {
        // The user looks at another pane of another window.
        world.tmux(["select-window", "-t", inside.pane()]);
        world.tmux(["select-pane", "-t", inside.pane()]);
        let outside = world.terminal(150, 40);
        outside.command(&format!("git flux attach {id}"));
        wait_until("the pane to be shown", || {
            attached_sessions(&world) == [&*session]
                && active_pane(&world, &session) == world.pane(id)
        });
        outside.keys(["C-b", "d"]);
        assert_eq!(outside.exit_code(), 0);
    }
}

#[test]
fn attach_switches_the_client_inside_tmux() {
    let world = World::new();
    let id = world.start("Fix the login");
    let inside = world.terminal_inside();
    let client = inside.client(150, 40);
    let own = inside.ask("#{session_name}");
    assert_eq!(attached_sessions(&world), [&*own]);
    go(&inside, &id);
    wait_until("the client to be switched", || {
        attached_sessions(&world) == [format!("flux-myapp-{id}")]
    });
    client.wait_for_screen("fake agent ready");
    client.type_line("hello");
    world.agent(&id).wait_stdin("hello\n");
}

#[test]
fn attach_selects_a_pane_in_another_window_inside_tmux() {
    let world = World::new();
    let inside = world.terminal_inside();
    let _client = inside.client(200, 50);
    assert_eq!(
        inside
            .command("git flux run -q --name fix --window Fix")
            .exit_code(),
        0
    );
    let session = inside.ask("#{session_name}");
    assert_eq!(active_pane(&world, &session), inside.pane());
    go(&inside, "fix");
    wait_until("the pane to be shown", || {
        active_pane(&world, &session) == world.pane("fix")
    });
    assert_eq!(attached_sessions(&world), [&*session]);
}

#[test]
fn attach_finds_a_renamed_session_and_a_moved_pane() {
    let world = World::new();
    let inside = world.terminal_inside();
    let _client = inside.client(200, 50);
    let id = world.start("Fix the login");
    world.tmux(["rename-session", "-t", &format!("=flux-myapp-{id}"), "mine"]);
    go(&inside, &id);
    wait_until("the client to be switched", || {
        attached_sessions(&world) == ["mine"]
    });
    // Into a window of the user's own.
    let pane = world.pane(&id);
    // Its session ends with that, and the client of it.
    world.tmux(["join-pane", "-d", "-s", &pane, "-t", inside.pane()]);
    let _client = inside.client(200, 50);
    let session = inside.ask("#{session_name}");
    go(&inside, &id);
    wait_until("the client to be back", || {
        attached_sessions(&world) == [&*session] && active_pane(&world, &session) == pane
    });
}

#[test]
fn attach_distinguishes_names_with_a_common_prefix() {
    let world = World::new();
    for name in ["fix-1", "fix-10", "fix"] {
        world
            .flux(["run", "-q", "--name", name, "Fix"])
            .run()
            .success();
    }
    for name in ["fix-1", "fix"] {
        let terminal = world.terminal(150, 40);
        terminal.command(&format!("git flux attach {name}"));
        wait_until("the terminal to be attached", || {
            attached_sessions(&world) == [format!("flux-myapp-{name}")]
        });
        terminal.keys(["C-b", "d"]);
        assert_eq!(terminal.exit_code(), 0);
    }
}

/// Makes a task with work in its worktree, and ends its session.
fn task_without_session(world: &World) -> String {
    let id = world.start("Fix the login");
    let agent = world.agent(&id);
    agent.tell("commit One");
    world.write(world.worktree(&id).join("new.txt"), "new");
    world.tmux(["kill-session", "-t", &format!("=flux-myapp-{id}")]);
    agent.wait_gone();
    wait_until("the end of the agent to be recorded", || {
        world.flux(["status", "--json", &id]).run().json()["state"] == "killed"
    });
    id
}

#[test]
fn attach_offers_a_new_session_if_the_session_is_gone() {
    let world = World::new();
    let id = task_without_session(&world);
    let worktree = world.worktree(&id);
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux attach {id}"));
    terminal.wait_for_screen("Open a new session in its worktree?");
    terminal.keys(["y"]);
    wait_until("the terminal to be attached", || {
        attached_sessions(&world) == [format!("flux-myapp-{id}")]
    });
    terminal.type_line("pwd -P >here; git log -1 --format=%s >>here");
    let expected = format!("{}\nOne\n", worktree.display());
    wait_until("the shell to say where it is", || {
        std::fs::read_to_string(worktree.join("here")).is_ok_and(|text| text == expected)
    });
    // How the agent ended stays known: a shell is no agent.
    let task = world.flux(["status", "--json", &id]).run().json();
    let states = (&task["state"], &task["target"]["kind"]);
    assert_eq!(states, (&"killed".into(), &"session".into()));
    assert_eq!(world.read(worktree.join("new.txt")), "new");
    assert_eq!(world.agent(&id).starts(), 1);
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
    // It is the task's own session from now on.
    terminal.command("git flux attach fix");
    wait_until("the terminal to be attached", || {
        !attached_sessions(&world).is_empty()
    });
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn attach_goes_to_the_session_of_a_task_resumed_during_the_question() {
    let world = World::new();
    let id = task_without_session(&world);
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux attach {id}"));
    terminal.wait_for_screen("Open a new session in its worktree?");
    world.flux(["resume", &id]).run().success();
    let pane = world.pane(&id);
    terminal.keys(["y"]);
    wait_until("the terminal to be attached", || {
        attached_sessions(&world) == [format!("flux-myapp-{id}")]
    });
    assert_eq!(world.pane(&id), pane);
    assert!(world.agent(&id).is_alive());
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn attach_changes_nothing_if_the_new_session_is_declined() {
    let world = World::new();
    let id = task_without_session(&world);
    let terminal = world.terminal(150, 40);
    let before = world.snapshot();
    for key in ["n", "C-c", "Escape"] {
        terminal.command(&format!("git flux attach {id}"));
        terminal.wait_for_screen("Open a new session in its worktree?");
        terminal.keys([key]);
        assert_eq!(terminal.exit_code(), 130, "{key}");
        world.assert_unchanged(&before);
    }
}

#[test]
fn attach_refuses_without_a_terminal() {
    let world = World::new();
    let id = world.start("Fix");
    let before = world.snapshot();
    let output = world.flux(["attach", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: attach needs a terminal
        hint: to see the state of the task: git flux status fix-XXXXXX
    "#]]);
    world.assert_unchanged(&before);
    let terminal = world.terminal(150, 40);
    assert_eq!(
        terminal
            .command(&format!("git flux attach {id} </dev/null"))
            .exit_code(),
        1
    );
    assert_eq!(
        terminal
            .command(&format!("git flux attach {id} | cat; (exit 1)"))
            .exit_code(),
        1
    );
    assert!(terminal.screen().contains("needs a terminal"));
    assert_eq!(attached_sessions(&world), [""; 0]);
}

#[test]
fn attach_refuses_if_the_worktree_is_gone() {
    let world = World::new();
    let id = task_without_session(&world);
    std::fs::remove_dir_all(world.worktree(&id)).unwrap();
    let before = world.snapshot();
    let terminal = world.terminal(150, 40);
    assert_eq!(
        terminal
            .command(&format!("git flux attach {id}"))
            .exit_code(),
        1
    );
    let screen = terminal.screen();
    assert!(
        screen.contains("is gone") && screen.contains(": git worktree add "),
        "{screen}"
    );
    world.assert_unchanged(&before);
}

#[test]
fn attach_without_a_name_takes_the_task_of_the_worktree_or_asks() {
    let world = World::new();
    let (one, two) = (world.start("One"), world.start("Two"));
    let terminal = world.terminal_in(&world.worktree(&one), 150, 40);
    terminal.command("git flux attach");
    wait_until("the terminal to be attached", || {
        attached_sessions(&world) == [format!("flux-myapp-{one}")]
    });
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
    let terminal = world.terminal(150, 40);
    terminal.command("git flux attach");
    terminal.wait_for_screen("Which task? (attach)");
    terminal.keys(["Down", "Enter"]);
    wait_until("the terminal to be attached", || {
        attached_sessions(&world) == [format!("flux-myapp-{two}")]
    });
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn attach_waiting_selects_the_longest_waiting_task_of_all_repositories() {
    let world = World::new();
    let [first, second, third] = ["One", "Two", "Three"].map(|title| world.start(title));
    let terminal = world.terminal(200, 20);
    terminal.command("git flux attach --waiting");
    assert_eq!(terminal.exit_code(), 1);
    terminal.wait_for_screen("error: no task waits for you\nhint: git flux wait --next\n");
    let since = |id: &str| world.flux(["status", "--json", id]).run().json()["stateSince"].as_u64();
    let ask = |id: &str| {
        for event in ["SessionStart", "UserPromptSubmit", "PermissionRequest"] {
            crate::world::reports::hook(&world, id, event, r#"{"session_id":"1"}"#);
        }
        wait_until("the agent to wait", || {
            world.flux(["status", "--json", id]).run().json()["state"] == "waiting"
        });
    };
    ask(&third);
    // Times are whole seconds.
    wait_until("another second", || {
        ask(&first);
        since(&first) > since(&third)
    });
    // From wherever its user is.
    let other = world.root().join("other");
    world.make_repository(&other);
    let from = format!("git -C '{}' flux", other.display());
    terminal.clear();
    terminal.type_line(&format!("{from} attach --waiting"));
    wait_until("the client", || {
        let clients = world.try_tmux(["list-clients", "-F", "#{session_name}"]);
        clients.is_some_and(|clients| clients.contains(&third))
    });
    assert_ne!(second, third);
}

/// Returns the messages that tmux has shown in its status lines.
fn tmux_messages(world: &World) -> String {
    let clients = world.tmux(["list-clients", "-F", "#{client_name}"]);
    let client = clients.lines().next().unwrap_or_default();
    world.tmux(["show-messages", "-t", client])
}

#[test]
fn attach_shows_the_key_that_goes_back() {
    let world = World::new();
    let id = world.start("Fix the login");
    let inside = world.terminal_inside();
    let client = inside.client(200, 50);
    inside.command("git flux run -q --name window --window Fix");
    inside.command("git flux run -q --name pane --pane Fix");
    for (name, back) in [
        ("pane", "git flux: Ctrl+b ; goes back"),
        ("window", "git flux: Ctrl+b l goes back"),
        (&*id, "git flux: Ctrl+b L goes back"),
    ] {
        go(&inside, name);
        wait_until(back, || tmux_messages(&world).contains(back));
        world.tmux(["switch-client", "-t", inside.pane()]);
    }
    world.tmux(["set-option", "-g", "prefix", "None"]);
    go(&inside, &id);
    let back = "git flux: 'tmux switch-client -l' goes back";
    wait_until(back, || tmux_messages(&world).contains(back));
    client.keys(["C-b"]);
    let outside = world.terminal(150, 40);
    outside.command(&format!("git flux attach {id}"));
    let back = "git flux: 'tmux detach-client' detaches; the session keeps running";
    wait_until(back, || tmux_messages(&world).contains(back));
}

#[test]
fn attach_attaches_its_own_terminal_despite_an_inherited_tmux_variable() {
    let world = World::new();
    let id = world.start("Fix the login");
    let inside = world.terminal_inside();
    let _client = inside.client(150, 40);
    let own = inside.ask("#{session_name}");
    // As the terminal of an editor that was started there.
    let tmux = inside.ask("#{socket_path},#{pid},0");
    let other = world.terminal(150, 40);
    other.command(&format!(
        "TMUX='{tmux}' TMUX_PANE='{}' git flux attach {id}",
        inside.pane()
    ));
    other.wait_for_screen("fake agent ready");
    let mut both = attached_sessions(&world);
    both.sort_unstable();
    let mut wanted = [own, format!("flux-myapp-{id}")];
    wanted.sort_unstable();
    assert_eq!(both, wanted);
}

#[test]
fn attach_in_a_popup_switches_the_client_that_shows_the_popup() {
    let world = World::new();
    let id = world.start("Fix the login");
    let [one, two] = [world.terminal_inside(), world.terminal_inside()];
    let (client, _other) = (one.client(150, 40), two.client(150, 40));
    let clients = world.tmux(["list-clients", "-F", "#{session_id} #{client_name}"]);
    let name_of = |terminal: &Terminal| {
        let session = format!("{} ", terminal.ask("#{session_id}"));
        let mut names = clients
            .lines()
            .filter_map(|line| line.strip_prefix(&session));
        names.next().unwrap().to_owned()
    };
    let popup = format!("cd '{}' && git flux attach {id}", world.repo().display());
    let name = name_of(&one);
    // The other one was used last.
    two.type_line("true");
    world.tmux(["display-popup", "-c", &name, "-t", one.pane(), "-E", &popup]);
    client.wait_for_screen("fake agent ready");
    let mut shown = attached_sessions(&world);
    shown.sort_unstable();
    let mut wanted = [two.ask("#{session_name}"), format!("flux-myapp-{id}")];
    wanted.sort_unstable();
    assert_eq!(shown, wanted);
}

#[test]
fn attach_uses_a_session_recreated_under_the_name_of_the_task() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.kill_tmux();
    world.wait_ended("fix");
    let worktree = world.worktree("fix");
    let worktree = worktree.to_str().unwrap();
    world.tmux(["new-session", "-d", "-s", "flux-myapp-fix", "-c", worktree]);
    world.tmux(["send-keys", "exec bash", "Enter"]);
    wait_until("its shell", || {
        world.tmux(["list-panes", "-a", "-F", "#{pane_current_command}"]) == "bash"
    });
    let terminal = world.terminal(150, 40);
    terminal.type_line("git flux attach fix");
    terminal.wait_for_screen("Open a new session in its worktree?");
    terminal.text("y");
    terminal.wait_for_screen("detaches; the session keeps running");
    assert_eq!(attached_sessions(&world), ["flux-myapp-fix"]);
    assert_eq!(world.tmux(["list-sessions"]).lines().count(), 1);
}
