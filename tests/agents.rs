//! Tests how each known agent, and an agent of the user's own, is started: prompt, options, hooks and files.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::reports::Task;
use crate::world::*;

/// A prompt that every shell and every parser of options would take for something else.
const HARD: &str = "--yes \"$(x)\" 'y'\n\t-n `z` \u{e4}\n\n#{pane_id};\n";

/// An agent that reads its standard input, and stays when that has ended.
const READER: &str = "sh cat >\"$dir/stdin\"; exec sleep 1000";

/// Starts a task by the agent of this name, with this prompt and no more.
#[track_caller]
fn start(world: &World, agent: &str, prompt: &str) -> Agent {
    let output = tell(world, agent, prompt).run();
    world.agent(output.success().stdout.trim_end())
}

fn tell<'a>(world: &'a World, agent: &str, prompt: &str) -> Flux<'a> {
    let args = ["run", "-q", "--no-template", "--agent", agent, "-F", "-"];
    world.flux(args).stdin(prompt)
}

#[track_caller]
fn arguments(agent: &Agent) -> Vec<String> {
    let argv = agent.wait_started().argv().into_iter();
    argv.map(|arg| String::from_utf8(arg).unwrap()).collect()
}

#[track_caller]
fn run_dir(agent: &Agent) -> String {
    agent.env("FLUX_RUN").unwrap()
}

/// Starts a task with this agent and prompt, and asserts its arguments; `<run>` stands for the run directory.
#[track_caller]
fn assert_arguments(world: &World, name: &str, prompt: &str, expected: &[&str]) -> Agent {
    world.install_agent(name);
    let agent = start(world, name, prompt);
    let found = arguments(&agent);
    let dir = run_dir(&agent);
    let expected: Vec<String> = expected
        .iter()
        .map(|it| it.replace("<run>", &dir))
        .collect();
    assert_eq!(found, expected, "{name}");
    agent
}

#[test]
fn agent_receives_its_prompt_byte_for_byte_with_the_options_for_its_hooks() {
    let world = World::new();
    let program = world.flux(["--version"]).ok();
    assert!(program.starts_with("git-flux"), "{program}");
    let prompt = |option: &str| format!("{option}{HARD}");
    assert_arguments(
        &world,
        "claude",
        HARD,
        &[
            "--dangerously-skip-permissions",
            "--settings",
            "<run>/claude.json",
            "--",
            HARD,
        ],
    );
    assert_arguments(&world, "opencode", HARD, &[&prompt("--prompt=")]);
    assert_arguments(&world, "gemini", HARD, &[&prompt("--prompt-interactive=")]);
    assert_arguments(&world, "copilot", HARD, &[&prompt("--interactive=")]);
    assert_arguments(&world, "cursor-agent", HARD, &["--", HARD]);
    let aider = assert_arguments(&world, "aider", HARD, &["--message-file=<run>/prompt"]);
    let file = Path::new(&run_dir(&aider)).join("prompt");
    assert_eq!(fs::read_to_string(file).unwrap(), HARD);
    world.behaviour(READER);
    let amp = assert_arguments(&world, "amp", HARD, &[]);
    world.behaviour("wait");
    assert_eq!(amp.wait_stdin("#{pane_id};\n"), HARD.as_bytes());

    world.install_agent("codex");
    let codex = arguments(&start(&world, "codex", HARD));
    let [option, notify, dashes, last] = codex.as_slice() else {
        panic!("{codex:?}");
    };
    assert_eq!([option, dashes, last], ["-c", "--", HARD]);
    let notify: Vec<String> =
        serde_json::from_str(notify.strip_prefix("notify=").unwrap()).unwrap();
    assert!(Path::new(&notify[0]).is_absolute());
    assert_eq!(notify[1..], ["__hook", "codex", "notify"]);
}

#[test]
fn agent_receives_a_prompt_too_long_for_an_argument_in_a_file() {
    let world = World::new();
    for name in ["gemini", "cursor-agent"] {
        world.install_agent(name);
    }
    let text = |size: usize| format!("-{}\n", "0123456789 \n".repeat(size / 12));
    for size in [4_000, 100_000] {
        let long = text(size);
        let gemini = arguments(&start(&world, "gemini", &long));
        assert_eq!(gemini, [format!("--prompt-interactive={long}")]);
        let claude = start(&world, "claude", &long);
        assert_eq!(claude.wait_started().prompt(), long.as_bytes());
    }
    let long = text(130_000);
    let cursor = start(&world, "cursor-agent", &long);
    let told = arguments(&cursor);
    let file = Path::new(&run_dir(&cursor)).join("prompt");
    let line = format!("Read the file {} completely", file.display());
    assert!(told.len() == 2 && told[1].starts_with(&line), "{told:?}");
    assert_eq!(fs::read_to_string(file).unwrap(), long);
}

#[test]
fn agent_settings_override_the_built_in_definitions() {
    let world = World::new();
    for name in ["codex", "mine", "amp"] {
        world.install_agent(name);
    }
    for (key, value) in [
        ("flux.codex.yolo", "true"),
        ("flux.claude.yolo", "no"),
        ("flux.mine.command", "mine --big"),
        ("flux.mine.promptArg", "--ask="),
        ("flux.mine.yolo", "--all 'with it'"),
        ("flux.amp.promptArg", "file"),
        ("flux.amp.yolo", ""),
    ] {
        world.git(["config", key, value]);
    }
    let codex = arguments(&start(&world, "codex", "Fix"));
    assert_eq!(codex[0], "--dangerously-bypass-approvals-and-sandbox");
    let claude = arguments(&start(&world, "claude", "Fix"));
    assert_eq!(claude[..2], ["--permission-mode", "default"]);
    assert_arguments(
        &world,
        "mine",
        "-Fix",
        &["--big", "--all", "with it", "--ask=-Fix"],
    );
    assert_arguments(&world, "amp", "Fix", &["<run>/prompt"]);
    world.git(["config", "flux.mine.promptArg", "stdin"]);
    world.behaviour(READER);
    let mine = assert_arguments(&world, "mine", "-Fix\n", &["--big", "--all", "with it"]);
    assert_eq!(mine.wait_stdin("Fix"), b"-Fix\n");
}

#[test]
fn agent_settings_with_bad_values_are_refused() {
    let world = World::new();
    world.install_agent("opencode");
    for (key, value, error) in [
        (
            "flux.opencode.promptArg",
            "prompt",
            "error: bad value 'prompt' for 'flux.opencode.promptArg'",
        ),
        (
            "flux.opencode.resume",
            "a 'b",
            "error: bad value 'a 'b' for 'flux.opencode.resume'",
        ),
        (
            "flux.opencode.yolo",
            "a 'b",
            "error: bad value 'a 'b' for 'flux.opencode.yolo'",
        ),
        (
            "flux.opencode.yolo",
            "true",
            "error: no known option of 'opencode' skips permissions",
        ),
    ] {
        world.git(["config", key, value]);
        let before = world.snapshot();
        tell(&world, "opencode", "Fix")
            .run()
            .code(1)
            .stderr_has(error);
        world.assert_unchanged(&before);
        world.git(["config", "--unset", key]);
    }
}

#[test]
fn agent_hooks_are_files_in_the_run_directory_and_keep_the_settings_of_the_user() {
    let world = World::new();
    for name in ["opencode", "gemini", "codex"] {
        world.install_agent(name);
    }
    let agent = start(&world, "opencode", "Fix");
    let config = agent.wait_started().env("OPENCODE_CONFIG_CONTENT").unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let plugin = format!("file://{}/opencode.js", run_dir(&agent).replace(' ', "%20"));
    assert_eq!(config, serde_json::json!({ "plugin": [plugin] }));
    let plugin = Path::new(&run_dir(&agent)).join("opencode.js");
    let plugin = fs::read_to_string(plugin).unwrap();
    assert!(
        plugin.contains("git-flux\"\n") && !plugin.contains("PROGRAM"),
        "{plugin}"
    );

    let set = [
        ("OPENCODE_CONFIG_CONTENT", "{}"),
        ("GEMINI_CLI_SYSTEM_DEFAULTS_PATH", "/mine"),
    ];
    for (name, (key, value)) in ["opencode", "gemini"].into_iter().zip(set) {
        let output = tell(&world, name, "Fix").env(key, value).run();
        let agent = world.agent(output.success().stdout.trim_end());
        assert_eq!(agent.wait_started().env(key).as_deref(), Some(value));
    }
    let home = world.tools().join("home/.codex");
    fs::create_dir_all(&home).unwrap();
    // Where it cannot be told who is to be notified.
    for config in ["notify = \"no list\"\n", "notify = [\n", "notify = [1]\n"] {
        fs::write(home.join("config.toml"), config).unwrap();
        assert_eq!(arguments(&start(&world, "codex", "Fix")), ["--", "Fix"]);
    }
    let output = tell(&world, "codex", "Fix")
        .env("CODEX_HOME", "/nowhere")
        .run();
    let agent = world.agent(output.success().stdout.trim_end());
    assert_eq!(arguments(&agent).len(), 4);
}

#[test]
fn agent_claude_runs_with_its_agent_view_disabled() {
    let world = World::new();
    let agent = start(&world, "claude", "Fix");
    agent.wait_started();
    let settings = fs::read(Path::new(&run_dir(&agent)).join("claude.json")).unwrap();
    let settings: Value = serde_json::from_slice(&settings).unwrap();
    assert_eq!(settings["disableAgentView"], true);
}

#[test]
fn agent_codex_still_calls_the_notify_command_of_the_user() {
    let world = World::new();
    world.install_agent("codex");
    let told = world.tools().join("told");
    world.install(
        "tell-me",
        &format!("#!/bin/sh\nprintf '<%s>' \"$@\" >>'{}'\n", told.display()),
    );
    let home = world.tools().join("home/.codex");
    fs::create_dir_all(&home).unwrap();
    let config = format!(
        "model = \"x\" # notify = [\"nobody\"]\nnotify = [ # whom?\n  {:?}, \"it's $HOME\", '',\n]\n\
         [tui]\nnotify = [\"nobody\"]\n",
        world.tools().join("bin/tell-me").display().to_string()
    );
    fs::write(home.join("config.toml"), config).unwrap();
    let agent = start(&world, "codex", "Fix");
    let notify = &arguments(&agent)[1];
    let notify: Vec<String> =
        serde_json::from_str(notify.strip_prefix("notify=").unwrap()).unwrap();
    let done = r#"{"type":"agent-turn-complete","thread-id":"t","turn-id":"1"}"#;
    let (program, args) = notify.split_first().unwrap();
    let mut hook = world.command(program);
    let hook = hook
        .args(args)
        .arg(done)
        .env("FLUX_TASK", agent.env("FLUX_TASK").unwrap())
        .env("FLUX_RUN", run_dir(&agent));
    assert!(
        hook.status().unwrap().success(),
        "the hook of codex succeeds"
    );
    let told = || fs::read_to_string(&told).is_ok_and(|said| said.ends_with('>'));
    wait_until("the user's own to be told", told);
    let said = fs::read_to_string(world.tools().join("told")).unwrap();
    assert_eq!(said, format!("<it's $HOME><><{done}>"));
}

#[test]
fn agent_hooks_change_no_file_or_tmux_option_of_the_user() {
    let world = World::new();
    for name in ["codex", "gemini", "opencode"] {
        world.install_agent(name);
    }
    let home = world.tools().join("home");
    for (file, text) in [
        (".claude/settings.json", "{ \"hooks\": {} }\n"),
        (".claude.json", "{}"),
        (".codex/config.toml", "model = \"x\"\n"),
        (".gemini/settings.json", "{}\n"),
        (".config/opencode/opencode.json", "{}\n"),
    ] {
        let path = home.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    world.tmux(["new-session", "-d", "-s", "mine"]);
    let kept = || {
        let options = ["-s", "-g", "-gw"].map(|scope| world.tmux(["show-options", scope]));
        let hooks = world.tmux(["show-hooks", "-g"]);
        let mine = world.tmux([
            "list-panes",
            "-t",
            "mine",
            "-F",
            "#{pane_id} #{@flux_state}",
        ]);
        (files(&home), options, hooks, mine)
    };
    let before = kept();
    assert!(before.0.len() >= 5);
    for name in ["codex", "gemini", "opencode"] {
        start(&world, name, "Fix").wait_started();
    }
    let task = Task::new(&world);
    task.fire(
        "UserPromptSubmit",
        &serde_json::json!({ "session_id": "s" }),
    );
    task.fire("Stop", &serde_json::json!({ "session_id": "s" }));
    assert!(kept() == before);
    for id in world.started_agents() {
        let args = ["cleanup", "--yes", "--discard", "--discard-branch", &id];
        world.flux(args).run().success();
    }
    assert!(kept() == before);
    assert!(!task.run_dir().exists());
}

/// Returns every file of the user below `dir` with its content.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // What git flux keeps for itself is not the user's.
        if path.ends_with(".local/state/git-flux") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}
