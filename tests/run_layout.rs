//! Where a task runs: a pane, a window or a session; inside tmux and outside.

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

/// The kind of target a task got, and whether it is in the terminal's own window and session.
fn place(terminal: &Terminal, task: &serde_json::Value) -> (String, bool, bool) {
    let kind = task["target"]["kind"].as_str().unwrap().to_owned();
    let window = task["target"]["window"] == terminal.ask("#{window_id}");
    let session = task["target"]["session"] == terminal.ask("#{session_name}");
    (kind, window, session)
}

#[track_caller]
fn case(options: &str, settings: &[&str], expected: (&str, bool, bool)) {
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
fn inside_tmux_a_task_gets_a_pane_of_this_window() {
    case("", &[], ("pane", true, true));
}

#[test]
fn flags_say_where_a_task_runs() {
    case("--pane", &[], ("pane", true, true));
    case("--window", &[], ("window", false, true));
    case("--session", &[], ("session", false, false));
}

#[test]
fn settings_say_where_a_task_runs() {
    case("", &["flux.layout", "auto"], ("pane", true, true));
    case("", &["flux.layout", "pane"], ("pane", true, true));
    case("", &["flux.layout", "window"], ("window", false, true));
    case("", &["flux.layout", "session"], ("session", false, false));
    // A flag overrides a setting.
    case("--pane", &["flux.layout", "session"], ("pane", true, true));
}

#[test]
fn outside_tmux_every_setting_gives_a_session() {
    let world = World::new();
    for layout in ["auto", "pane", "window", "session"] {
        world.git(["config", "flux.layout", layout]);
        let task = world.flux(["run", "--json", "Fix"]).run().success().json();
        assert_eq!(task["target"]["kind"], "session", "{layout}");
        world.flux(["run", "-q", "--session", "Fix"]).ok();
    }
}

#[test]
fn outside_tmux_a_pane_or_window_is_refused() {
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
fn a_terminal_within_a_pane_is_not_inside() {
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
fn a_tmux_that_is_gone_is_not_inside() {
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
fn cramped(prepare: impl FnOnce(&World, &Terminal)) {
    let world = World::new();
    let terminal = world.terminal_inside();
    prepare(&world, &terminal);
    assert_eq!(
        terminal.command("git flux run Fix the login").exit_code(),
        0
    );
    let screen = terminal.wait_for_screen("There is no room for another pane here");
    assert!(screen.contains("a window of its own"), "{screen}");
    assert!(screen.contains("  Tmux Window: @"), "{screen}");
    let id = world.next_agent(&[]);
    let task = world.flux(["status", "--json", &id]).run().json();
    assert_eq!(place(&terminal, &task), ("window".to_owned(), false, true));
}

#[test]
fn without_room_for_a_pane_the_task_gets_a_window_and_that_is_said() {
    cramped(|_, terminal| {
        terminal.resize(80, 24);
    });
    cramped(|world, terminal| {
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
    cramped(|world, terminal| {
        world.tmux(["split-window", "-d", "-t", terminal.pane(), "sleep 1000"]);
        world.tmux(["resize-pane", "-Z", "-t", terminal.pane()]);
    });
}

#[test]
fn a_pane_that_is_demanded_is_made_where_it_is_narrow() {
    let world = World::new();
    let terminal = world.terminal_inside();
    terminal.resize(80, 24);
    let task = run(&world, &terminal, "--pane");
    assert_eq!(place(&terminal, &task), ("pane".to_owned(), true, true));
}

#[test]
fn a_pane_that_cannot_be_made_is_said_to_be_a_window() {
    let world = World::new();
    let terminal = world.terminal_inside();
    world.fault(&Fault::every("tmux", "split-window", Mode::Fail));
    for option in ["--pane", ""] {
        terminal.command(&format!("git-flux run {option} Fix the login"));
        assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
        terminal.wait_for_screen("There is no room for another pane here");
        terminal.wait_for_screen("  Tmux Window: @");
    }
    assert!(world.fault_fired());
}

#[test]
fn attach_goes_there_at_once() {
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
fn the_window_of_a_task_is_named_after_it_and_keeps_its_name() {
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
