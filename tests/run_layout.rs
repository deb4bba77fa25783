//! Tests whether a task runs in a pane, a window or a session.

use crate::world::*;

/// Starts a task from a terminal and gives its object.
#[track_caller]
fn run(world: &World, terminal: &Terminal, options: &str) -> serde_json::Value {
    let before = world.started_agents();
    let command = format!("git flux run -q {options} Fix the login");
    assert_eq!(
        terminal.command(&command).exit_code(),
        0,
        "{}",
        terminal.screen()
    );
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let id = world.next_agent(&before);
    world.flux(["status", "--json", &id]).run().success().json()
}

/// Returns the kind of target a task got, and whether it is in the terminal's own window and session.
fn place(terminal: &Terminal, task: &serde_json::Value) -> (String, bool, bool) {
    let kind = task["target"]["kind"].as_str().unwrap().to_owned();
    let window = task["target"]["window"] == terminal.ask("#{window_id}");
    let session = task["target"]["session"] == terminal.ask("#{session_name}");
    (kind, window, session)
}

#[track_caller]
fn assert_target(options: &str, settings: &[&str], expected: (&str, bool, bool)) {
    let world = World::new();
    if let [key, value] = settings {
        world.git(["config", key, value]);
    }
    let terminal = world.terminal_inside();
    let task = run(&world, &terminal, options);
    let (kind, window, session) = place(&terminal, &task);
    assert_eq!((&*kind, window, session), expected);
    let panes = world.tmux(["list-panes", "-a", "-F", "#{pane_id} #{@flux_task}"]);
    let line = format!(
        "{} {}",
        task["target"]["pane"].as_str().unwrap(),
        task["id"].as_str().unwrap()
    );
    assert!(
        panes.lines().any(|pane| pane == line),
        "no {line:?} in\n{panes}"
    );
    // The user stays where they are.
    assert_eq!(terminal.ask("#{pane_active} #{window_active}"), "1 1");
}

#[test]
fn run_opens_a_pane_in_the_current_window_inside_tmux() {
    assert_target("", &[], ("pane", true, true));
}

#[test]
fn run_opens_a_pane_window_or_session_by_option() {
    assert_target("--pane", &[], ("pane", true, true));
    assert_target("--window", &[], ("window", false, true));
    assert_target("--session", &[], ("session", false, false));
}

#[test]
fn run_opens_a_pane_window_or_session_by_setting() {
    assert_target("", &["flux.layout", "auto"], ("pane", true, true));
    assert_target("", &["flux.layout", "pane"], ("pane", true, true));
    assert_target("", &["flux.layout", "window"], ("window", false, true));
    assert_target("", &["flux.layout", "session"], ("session", false, false));
    // A flag overrides a setting.
    assert_target("--pane", &["flux.layout", "session"], ("pane", true, true));
}

#[test]
fn run_opens_a_session_for_every_setting_outside_tmux() {
    let world = World::new();
    for layout in ["auto", "pane", "window", "session"] {
        world.git(["config", "flux.layout", layout]);
        let task = world.flux(["run", "--json", "Fix"]).run().success().json();
        assert_eq!(task["target"]["kind"], "session", "{layout}");
        world.flux(["run", "-q", "--session", "Fix"]).ok();
    }
}

#[test]
fn run_refuses_a_pane_or_window_outside_tmux() {
    let world = World::new();
    let before = world.snapshot();
    for flag in ["--pane", "--window"] {
        let output = world.flux(["run", flag, "Fix"]).run();
        output
            .code(1)
            .stderr_has("outside tmux")
            .stderr_has("hint: ");
        world.assert_unchanged(&before);
    }
    world
        .flux(["run", "--pane", "--session", "Fix"])
        .run()
        .code(2);
    world.assert_unchanged(&before);
}

#[test]
fn run_opens_a_session_from_a_terminal_with_an_inherited_tmux_variable() {
    let world = World::new();
    let inside = world.terminal_inside();
    let nested = world.terminal(200, 50);
    let tmux = inside.ask("#{socket_path},#{pid},0");
    nested.command(&format!(
        "export TMUX='{tmux}' TMUX_PANE='{}'",
        inside.pane()
    ));
    assert_eq!(nested.exit_code(), 0);
    let task = run(&world, &nested, "");
    assert_eq!(task["target"]["kind"], "session");
}

#[test]
fn run_opens_a_session_if_tmux_names_no_server() {
    let world = World::new();
    for tmux in ["/nowhere/socket,1,0", "", "nonsense"] {
        let run = world.flux(["run", "--json", "Fix"]);
        let output = run.env("TMUX", tmux).env("TMUX_PANE", "%0").run();
        assert_eq!(
            output.success().json()["target"]["kind"],
            "session",
            "{tmux}"
        );
    }
    assert_eq!(world.tmux(["list-sessions"]).lines().count(), 3);
}

#[track_caller]
fn assert_window_without_room(prepare: impl FnOnce(&World, &Terminal)) {
    let world = World::new();
    let terminal = world.terminal_inside();
    prepare(&world, &terminal);
    assert_eq!(
        terminal.command("git flux run Fix the login").exit_code(),
        0
    );
    let screen = terminal.wait_for_screen("No room for another pane");
    assert!(screen.contains("the task has its own window"), "{screen}");
    assert!(screen.contains("  Tmux Window: @"), "{screen}");
    let id = world.next_agent(&[]);
    let task = world.flux(["status", "--json", &id]).run().json();
    assert_eq!(place(&terminal, &task), ("window".to_owned(), false, true));
}

#[test]
fn run_opens_a_window_if_there_is_no_room_for_a_pane() {
    assert_window_without_room(|_, terminal| {
        terminal.resize(80, 24);
    });
    assert_window_without_room(|world, terminal| {
        for _ in 0..3 {
            world.tmux([
                "split-window",
                "-d",
                "-l",
                "5",
                "-t",
                terminal.pane(),
                "sleep 1000",
            ]);
        }
    });
    assert_window_without_room(|world, terminal| {
        world.tmux(["split-window", "-d", "-t", terminal.pane(), "sleep 1000"]);
        world.tmux(["resize-pane", "-Z", "-t", terminal.pane()]);
    });
}

#[test]
fn run_opens_a_pane_in_a_narrow_window_by_option() {
    let world = World::new();
    let terminal = world.terminal_inside();
    terminal.resize(80, 24);
    let task = run(&world, &terminal, "--pane");
    assert_eq!(place(&terminal, &task), ("pane".to_owned(), true, true));
}

#[test]
fn run_opens_a_window_if_splitting_fails() {
    let world = World::new();
    let terminal = world.terminal_inside();
    world.fault(&Fault::every("tmux", "split-window", Mode::Fail));
    for option in ["--pane", ""] {
        terminal.command(&format!("git-flux run {option} Fix the login"));
        assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
        terminal.wait_for_screen("No room for another pane");
        terminal.wait_for_screen("  Tmux Window: @");
    }
    assert!(world.fault_fired());
}

#[test]
fn run_attach_attaches_the_terminal() {
    let world = World::new();
    let terminal = world.terminal(150, 40);
    terminal.command("git flux run --attach --name fix Fix the login");
    wait_until("the terminal to be attached", || {
        world
            .try_tmux([
                "display-message",
                "-p",
                "-t",
                "=flux-myapp-fix:",
                "#{session_attached}",
            ])
            .as_deref()
            == Some("1")
    });
    terminal.wait_for_screen("fake agent ready");
    terminal.type_line("hello");
    world.agent("fix").wait_stdin("hello");
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
    assert!(world.agent("fix").is_alive());
}

#[test]
fn run_names_the_window_after_the_task_and_disables_automatic_rename() {
    let world = World::new();
    let terminal = world.terminal_inside();
    for option in ["--window", "--session"] {
        let task = run(&world, &terminal, option);
        let window = task["target"]["window"].as_str().unwrap();
        let about = "#{window_name} #{automatic-rename}";
        let name = world.tmux(["display-message", "-p", "-t", window, about]);
        assert_eq!(name.trim_end(), "fix-the-login 0", "{option}");
    }
}
