//! Tests the description and the options of `git flux run`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::world::*;

/// Returns the prompt of the agent without the template.
#[track_caller]
fn prompt_of(world: &World, flux: Flux) -> Vec<u8> {
    let id = flux.ok();
    world.agent(&id).prompt()
}

const RUN: [&str; 3] = ["run", "-q", "--no-template"];

#[test]
fn run_joins_the_words_of_the_description_with_spaces() {
    let world = World::new();
    let run = world.flux(RUN.into_iter().chain(["Fix", "the  login", "", "now"]));
    assert_eq!(prompt_of(&world, run), b"Fix the  login  now");
}

#[test]
fn run_accepts_a_description_that_begins_with_a_dash_after_two_dashes() {
    let world = World::new();
    let run = world.flux(RUN.into_iter().chain(["--", "--help", "me", "-q"]));
    assert_eq!(prompt_of(&world, run), b"--help me -q");
    let run = world.flux(RUN.into_iter().chain(["--", "-"]));
    assert_eq!(prompt_of(&world, run), b"-");
    // Without them it is an option, known or not.
    let before = world.snapshot();
    world
        .flux(["run", "--explode", "now"])
        .run()
        .code(2)
        .says(&expect![[r#"
            --- stderr
            error: unexpected argument '--explode' found
            hint: to pass '--explode' as a value, use '-- --explode'
            hint: git flux run -h
        "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn run_accepts_options_after_the_description() {
    let world = World::new();
    world
        .flux(["run", "Fix", "it", "--name", "fix", "-q"])
        .run()
        .success()
        .stdout_is("fix\n");
    assert_eq!(
        world.git(["show", "refs/flux/tasks/fix:prompt.md"]),
        "Fix it"
    );
}

#[test]
fn run_accepts_a_description_of_any_bytes() {
    let world = World::new();
    let bytes = b"Fix \xff\xfe it";
    let args = RUN
        .map(OsStr::new)
        .into_iter()
        .chain([OsStr::from_bytes(bytes)]);
    assert_eq!(prompt_of(&world, world.flux(args)), bytes);
}

#[test]
fn run_reads_the_description_from_a_file_or_stdin() {
    let world = World::new();
    let text = "Fix login\n\n# Not a comment\n\tdetails\n\n";
    world.write("src/task.md", text);
    let by_name = world
        .flux(RUN.into_iter().chain(["-F", "task.md"]))
        .in_dir("src");
    assert_eq!(prompt_of(&world, by_name), text.as_bytes());
    let by_stdin = world
        .flux(RUN.into_iter().chain(["--file", "-"]))
        .stdin(text);
    assert_eq!(prompt_of(&world, by_stdin), text.as_bytes());
    // git runs an alias or an extension where its user stands.
    let by_git = world
        .flux(RUN.into_iter().chain(["--file=task.md"]))
        .in_dir("src")
        .via_git();
    assert_eq!(prompt_of(&world, by_git), text.as_bytes());
}

#[test]
fn run_refuses_a_missing_or_empty_description() {
    let world = World::new();
    world.write("empty", "");
    world.write("blank", " \n\t\n");
    let before = world.snapshot();
    world
        .flux(["run", "-F", "missing"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: could not read 'missing'
              caused by: No such file or directory (os error 2)
        "#]]);
    world
        .flux(["run", "-F", "src"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: could not read 'src'
              caused by: Is a directory (os error 21)
        "#]]);
    for file in ["empty", "blank", "-"] {
        world
            .flux(["run", "-F", file])
            .run()
            .code(2)
            .says(&expect![[r#"
                --- stderr
                error: the description is empty
                hint: to start a task: git flux run "<description>"
            "#]]);
    }
    world.flux(["run", "-F", "empty", "Fix"]).run().code(2);
    world.flux(["run"]).run().code(2).says(&expect![[r#"
        --- stderr
        error: no description given
        hint: git flux run "<description>"
        hint: git flux run --edit
        hint: git flux run -F -
    "#]]);
    world.flux(["run", ""]).run().code(2);
    world.flux(["run", "--", "  "]).run().code(2);
    world.assert_unchanged(&before);
}

/// An editor that notes what it is shown and leaves `text`.
fn editor(world: &World, text: &str) {
    world.write("../written", text);
    let root = world.root().display();
    world.install("editor", &format!("#!/bin/sh\ncp \"$2\" '{root}/shown' && cp '{root}/written' \"$2\" && echo \"$1\" >'{root}/option'\n"));
}

#[test]
fn run_edit_opens_the_editor_and_cuts_below_the_scissors() {
    let world = World::new();
    let cut = "# ------------------------ >8 ------------------------";
    let task = "# Goal\nFix login\n\n\n## Steps\n  - two places";
    editor(&world, &format!("\n\n{task}\n\n{cut}\n# more\nmore\n"));
    world.git(["config", "core.editor", "editor --wait"]);
    let run = world.flux(RUN.into_iter().chain(["-e"]));
    assert_eq!(prompt_of(&world, run), task.as_bytes());
    assert_eq!(world.read("../option"), "--wait\n");
    // The user's text, then comments that explain.
    let run = world
        .flux(RUN.into_iter().chain(["--edit", "The", "draft"]))
        .env("GIT_EDITOR", "editor -x");
    assert_eq!(prompt_of(&world, run), task.as_bytes());
    assert_eq!(world.read("../option"), "-x\n");
    let shown = world.read("../shown");
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("The draft"));
    assert_eq!(lines.next(), Some(""));
    assert_eq!(lines.next(), Some(cut));
    assert!(lines.all(|line| line.starts_with("# ")), "{shown}");
}

#[test]
fn run_keeps_an_edited_description_if_it_fails() {
    let world = World::new();
    let text = "Fix login\n\nin $two places";
    editor(&world, text);
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    let run = world.flux(RUN.into_iter().chain(["-e"]));
    let output = run.env("GIT_EDITOR", "editor -x").run();
    output.code(1).stderr_has("\nhint: to use the text again: ");
    let commands = hints::hints(&output).into_iter();
    let command = { commands }.find(|command| command.starts_with("git flux run -F"));
    let command = command.unwrap();
    world.clear_fault();
    let mut shell = world.command("sh");
    shell.args(["-c", &format!("{command} -q --no-template")]);
    let output = shell.current_dir(world.repo()).output().unwrap();
    let id = String::from_utf8(output.stdout).unwrap();
    assert_eq!(world.agent(id.trim()).prompt(), text.as_bytes());
}

#[test]
fn run_edit_accepts_an_unchanged_draft() {
    let world = World::new();
    let run = world
        .flux(RUN.into_iter().chain(["-e", "Fix", "login"]))
        .env("GIT_EDITOR", "true");
    assert_eq!(prompt_of(&world, run), b"Fix login");
}

#[test]
fn run_edit_starts_nothing_if_the_editor_fails_or_leaves_no_text() {
    let world = World::new();
    let cut = "# ------------------------ >8 ------------------------";
    editor(&world, &format!("\n{cut}\n# below\n"));
    let before = world.snapshot();
    let output = world
        .flux(["run", "-e"])
        .env("GIT_EDITOR", "editor -x")
        .run();
    assert!(output.code != Some(0), "{output}");
    output.says(&expect![[r#"
        --- stderr
        error: the description is empty
        hint: to start a task: git flux run "<description>"
    "#]]);
    std::fs::remove_file(world.root().join("shown")).unwrap();
    std::fs::remove_file(world.root().join("option")).unwrap();
    world.assert_unchanged(&before);
    world
        .flux(["run", "-e", "Fix"])
        .env("GIT_EDITOR", "false")
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: there was a problem with the editor; nothing was started
            hint: to set another editor: git config core.editor <editor>
        "#]]);
    world
        .flux(["run", "-e", "Fix"])
        .env("GIT_EDITOR", "no-such-editor")
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            no-such-editor: 1: no-such-editor: not found
            error: there was a problem with the editor; nothing was started
            hint: to set another editor: git config core.editor <editor>
        "#]]);
    // No vi where there is no terminal.
    world
        .flux(["run", "-e", "Fix"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: there is no terminal for an editor
            hint: git flux run -F -
        "#]]);
    // git has no default for such a terminal.
    world
        .flux(["run", "-e", "Fix"])
        .env("TERM", "dumb")
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: git has no editor for a dumb terminal
            hint: to set one: git config --global core.editor <editor>
        "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn run_passes_agent_arguments_before_the_prompt() {
    let world = World::new();
    let args = [
        "--agent-arg=--model=big",
        "--agent-arg",
        "-v",
        "--agent-arg=two words $(x)",
        "Fix",
    ];
    let id = world.flux(RUN.into_iter().chain(args)).ok();
    let expected: [&[u8]; 6] = [
        b"--dangerously-skip-permissions",
        b"--model=big",
        b"-v",
        b"two words $(x)",
        b"--",
        b"Fix",
    ];
    assert_eq!(world.agent(&id).arguments(), expected);
}

#[test]
fn run_dry_run_changes_nothing() {
    let world = World::new();
    let before = world.snapshot();
    let objects = || world.git(["count-objects", "-v"]);
    let objects_before = objects();
    for flag in ["--dry-run"] {
        let output = world
            .flux(["run", flag, "--name", "fix", "--base", "main", "Fix login"])
            .run();
        output.success();
        for part in [
            "fix",
            "feature/fix",
            "main",
            "flux-myapp-fix",
            world.worktree("fix").to_str().unwrap(),
        ] {
            output.stdout_has(part);
        }
        world.assert_unchanged(&before);
    }
    assert_eq!(objects(), objects_before);
    assert!(!world.repo().join(".git/flux").exists());
    assert!(world.started_agents().is_empty());
    assert!(world.try_tmux(["list-sessions"]).is_none());
    // What would be refused is refused.
    world
        .flux(["run", "--dry-run", "--base", "nowhere", "Fix"])
        .run()
        .code(1);
    world
        .flux(["run", "--dry-run", "--agent", "nobody", "Fix"])
        .run()
        .code(1);
}

#[test]
fn run_rejects_contradicting_options_as_a_usage_error() {
    let world = World::new();
    let before = world.snapshot();
    for args in [
        ["--pane", "--window"],
        ["-q", "--json"],
        ["--attach", "--json"],
        ["--attach", "--dry-run"],
    ] {
        world
            .flux(["run"].into_iter().chain(args).chain(["Fix"]))
            .run()
            .code(2);
    }
    world.assert_unchanged(&before);
}
