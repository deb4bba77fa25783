//! Tests that the prompt arrives byte for byte, from one byte to ten megabytes.

use std::fs;

use crate::world::*;

/// Starts a task with this prompt alone.
#[track_caller]
fn give(world: &World, prompt: &[u8]) -> Agent {
    let id = world
        .flux(["run", "-q", "--no-template", "-F", "-"])
        .stdin(prompt)
        .ok();
    let recorded = world.git(["rev-parse", &format!("refs/flux/tasks/{id}:prompt.md")]);
    world.write("../given", prompt);
    assert_eq!(
        recorded,
        world.git(["hash-object", "--no-filters", "../given"])
    );
    world.agent(&id)
}

#[track_caller]
fn as_argument(world: &World, prompt: &[u8]) {
    let arrived = give(world, prompt).prompt();
    assert!(
        arrived == prompt,
        "{} bytes arrived as {}",
        prompt.len(),
        arrived.len()
    );
}

#[track_caller]
fn as_file(world: &World, prompt: &[u8]) {
    let agent = give(world, prompt);
    let said = String::from_utf8(agent.prompt()).unwrap();
    let file = said
        .strip_prefix("Read the file ")
        .and_then(|rest| rest.strip_suffix(" completely and follow the instructions in it."))
        .unwrap_or_else(|| panic!("{said}"));
    let arrived = fs::read(file).unwrap();
    assert!(
        arrived == prompt,
        "{} bytes arrived as {}",
        prompt.len(),
        arrived.len()
    );
    // Nobody else on the machine reads it, and it is not part of the work.
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(world.git_in(agent.cwd(), ["status", "--porcelain"]), "");
}

/// Returns text of this length with every kind of byte but NUL in it.
fn text(length: usize) -> Vec<u8> {
    let noise = (0..length).map(|n| u8::try_from(n * 7 % 255 + 1).unwrap());
    b"Task ".iter().copied().chain(noise).take(length).collect()
}

#[test]
fn run_delivers_prompts_with_any_characters_unchanged() {
    let world = World::new();
    for prompt in [
        &b"x"[..],
        b"Fix\n\n\n",
        b"\n\n  Fix",
        b"\tFix\twith\ttabs\t",
        b"--version",
        b"-",
        b"Fix \"it\" and 'that' and \\ and `tick` and $HOME and $(touch hacked); ~ * # ! %s",
        b"Fix;",
        b"Fix \\;",
        b"#{pane_id} #(touch hacked) {{task}} {{branch}}",
        b"Fix \xff\xfe\x80 bytes",
        b"Fix\r\nwindows\r\n",
        b"Fix \x1b[201~ \x1b[31m \x07",
        "Größe prüfen, 修复登录 🎯".as_bytes(),
    ] {
        as_argument(&world, prompt);
    }
    assert!(!world.repo().join("hacked").exists());
}

#[test]
fn run_passes_a_prompt_of_up_to_120_000_bytes_as_an_argument() {
    let world = World::new();
    for length in [100, 4096, 16_384, 70_000, 119_999, 120_000] {
        as_argument(&world, &text(length));
    }
}

#[test]
fn run_passes_a_longer_prompt_in_a_file() {
    let world = World::new();
    as_file(&world, &text(120_001));
    as_file(&world, &text(1 << 20));
    as_file(&world, &text(10_000_000));
    let mut lines = text(131_072);
    lines.extend(b"\n\n\t\n");
    as_file(&world, &lines);
}

#[test]
fn run_passes_a_prompt_with_a_nul_byte_in_a_file() {
    as_file(&World::new(), b"Fix \0 this");
}

#[test]
fn run_replaces_the_placeholders_of_the_template_in_one_pass() {
    let world = World::new();
    world.write(
        "template.md",
        "On {{branch}} in {{project}}:\n{{task}}\n{{other}} {{ {{task}}\n",
    );
    world.git(["config", "flux.template", "template.md"]);
    let task = "Say {{branch}} and {{task}}\n\tin \"quotes\"";
    world
        .flux(["run", "--name", "fix", "--", task])
        .run()
        .success();
    let expected = format!("On feature/fix in myapp:\n{task}\n{{{{other}}}} {{{{ {task}\n");
    assert_eq!(
        String::from_utf8(world.agent("fix").prompt()).unwrap(),
        expected
    );
    // What was asked for is what is recorded.
    assert_eq!(world.git(["show", "refs/flux/tasks/fix:prompt.md"]), task);
}

#[test]
fn run_delivers_a_long_description_in_the_template_completely() {
    let world = World::new();
    let text = "0123456789\n".repeat(20_000);
    let id = world.flux(["run", "-q", "-F", "-"]).stdin(&text).ok();
    let said = String::from_utf8(world.agent(&id).prompt()).unwrap();
    let file = said.split(' ').find(|word| word.starts_with('/'));
    assert!(
        file.is_some() && said.starts_with("Read the file "),
        "{said}"
    );
    let file = said
        .trim_start_matches("Read the file ")
        .split(" completely")
        .next()
        .unwrap();
    let prompt = fs::read_to_string(file).unwrap();
    assert!(prompt.contains(text.trim_end()) && prompt.contains(&format!("feature/{id}")));
}
