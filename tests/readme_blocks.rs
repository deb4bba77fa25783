//! Tests that each block of commands in README and docs is typed by a test.

use std::fs;

use crate::world::documents::document;
use crate::world::*;

const PAGES: [&str; 7] = [
    "README.md",
    "docs/settings.md",
    "docs/files.md",
    "docs/landing.md",
    "docs/others.md",
    "docs/scale.md",
    "docs/speed.md",
];

/// The headings below which there are blocks, and how many; those of the last column are typed by a test elsewhere.
const BLOCKS: [(&str, &str, usize); 10] = [
    ("README.md", "## Set up", 1),
    ("README.md", "## Everyday", 1),
    ("README.md", "## Your repository", 2),
    ("README.md", "## What an agent may do", 1),
    ("README.md", "## Ending in a pull request", 1),
    ("README.md", "## Tests", 1),
    ("docs/settings.md", "## An agent of your own", 1),
    ("docs/settings.md", "## tmux", 1),
    ("docs/files.md", "## Bringing something back", 2),
    ("docs/scale.md", "## Set up", 1),
];

/// Returns the blocks of a page, each with the heading above it.
fn blocks(page: &str) -> Vec<(String, String)> {
    let text = document(page);
    let (mut heading, mut block, mut found) = (String::new(), None::<String>, Vec::new());
    for line in text.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => found.push((heading.clone(), block.take().unwrap())),
            (Some(block), line) => *block += &format!("{line}\n"),
            (None, line) if line.starts_with("## ") => heading = line.to_owned(),
            _ => {}
        }
    }
    found
}

/// Returns the blocks below one heading.
#[track_caller]
fn below(page: &str, heading: &str) -> Vec<String> {
    let blocks = blocks(page)
        .into_iter()
        .filter(|(above, _)| above == heading);
    let blocks: Vec<String> = blocks.map(|(_, block)| block).collect();
    assert!(!blocks.is_empty(), "{page} has no block below '{heading}'");
    blocks
}

/// Types a block in a shell at the top of the repository.
#[track_caller]
fn type_in(world: &World, block: &str) {
    let mut shell = world.command("bash");
    shell.args(["-euc", block]).current_dir(world.repo());
    let output = shell.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{block}: {stderr}");
}

#[test]
fn readme_and_docs_have_only_blocks_that_a_test_runs() {
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for page in PAGES {
        for (heading, _) in blocks(page) {
            match found.last_mut() {
                Some((last, above, count)) if last == page && *above == heading => *count += 1,
                _ => found.push((page.to_owned(), heading, 1)),
            }
        }
    }
    let typed = BLOCKS.map(|(page, heading, count)| (page.to_owned(), heading.to_owned(), count));
    assert_eq!(found, typed);
    let pages = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    for name in names.filter(|name| name.ends_with(".md")) {
        assert!(PAGES.contains(&format!("docs/{name}").as_str()), "{name}");
    }
}

#[test]
fn readme_commands_for_new_worktrees_copy_files_and_run_setup() {
    let world = World::new();
    world.write(".gitignore", "/.env\n/node_modules\n/.venv\n/npm\n/pip\n");
    world.git(["add", ".gitignore"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    world.write(".env", "SECRET=1\n");
    world.write("node_modules/a/index.js", "a\n");
    world.install("npm", "#!/bin/sh\necho \"$*\" >npm\n");
    let python = "#!/bin/sh\nmkdir -p .venv/bin\n\
        printf '#!/bin/sh\\necho \"$*\" >pip\\n' >.venv/bin/pip\nchmod +x .venv/bin/pip\n";
    world.install("python3", python);
    for block in below("README.md", "## Your repository") {
        type_in(&world, &block);
    }
    let id = world.start("Fix the login");
    world.agent(&id).wait_started();
    let worktree = world.worktree(&id);
    let files = [
        (".env", "SECRET=1\n"),
        ("node_modules/a/index.js", "a\n"),
        ("npm", "ci\n"),
        ("pip", "install -e .\n"),
    ];
    for (file, content) in files {
        assert_eq!(world.read(worktree.join(file)), content, "{file}");
    }
}

#[test]
fn readme_commands_for_a_pull_request_merge_and_remove_the_task() {
    let world = World::new();
    let origin = world.root().join("origin.git");
    let origin = origin.to_str().unwrap();
    world.git(["clone", "-q", "--bare", ".", origin]);
    world.git(["remote", "add", "origin", origin]);
    let id = world.start("Fix the login");
    world.commit_in(world.worktree(&id), "login", "mended\n");
    world.agent(&id).tell("exit 0");
    world.wait_ended(&id);
    let [block] = &below("README.md", "## Ending in a pull request")[..] else {
        panic!("one block");
    };
    let (push, clean_up) = block.split_once('\n').unwrap();
    type_in(&world, push);
    // What the other side does with it.
    let other = world.root().join("other");
    world.git(["clone", "-q", origin, other.to_str().unwrap()]);
    world.git_in(
        &other,
        ["merge", "-q", "--squash", &format!("origin/feature/{id}")],
    );
    world.git_in(&other, ["commit", "-q", "-m", "Fix the login (#1)"]);
    world.git_in(&other, ["push", "-q", "origin", "HEAD:main"]);
    let terminal = world.terminal(120, 30);
    terminal.command(clean_up.trim_end());
    terminal.wait_for_screen("(y/n)");
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert_eq!(world.flux(["list", "--json"]).ok(), "[]");
    assert_eq!(
        world.git(["log", "-1", "--format=%s", "origin/main"]),
        "Fix the login (#1)"
    );
}

#[test]
fn readme_and_docs_commands_make_the_settings() {
    let world = World::new();
    world.install(
        "my-agent",
        "#!/bin/sh\necho \"$@\" >arguments\ncat >prompt\n",
    );
    for (page, heading) in [
        ("README.md", "## What an agent may do"),
        ("docs/settings.md", "## An agent of your own"),
    ] {
        for block in below(page, heading) {
            type_in(&world, &block);
        }
    }
    let yolo = world.git(["config", "flux.claude.yolo"]);
    assert_eq!(yolo, "false");
    let id = world.flux(["run", "-q", "Fix the login"]).ok();
    world.wait_ended(&id);
    let worktree = world.worktree(&id);
    assert_eq!(world.read(worktree.join("arguments")), "--fast\n");
    assert!(
        world
            .read(worktree.join("prompt"))
            .contains("Fix the login")
    );
}

#[test]
fn docs_commands_set_the_wrapper_that_the_tests_of_slurm_use() {
    let world = World::new();
    for block in below("docs/scale.md", "## Set up") {
        type_in(&world, &block);
    }
    assert_eq!(world.git(["config", "flux.wrapper"]), slurm::WRAPPER);
}

#[test]
fn readme_and_docs_commands_show_tasks_in_tmux() {
    let world = World::new();
    let id = world.start("Fix the login");
    world.agent(&id).wait_started();
    for (page, heading) in [
        ("README.md", "## Everyday"),
        ("docs/settings.md", "## tmux"),
    ] {
        for block in below(page, heading) {
            type_in(&world, &block);
        }
    }
    let pane = world.pane(&id);
    let shows = |format: &str| world.tmux(["display-message", "-p", "-t", &pane, format]);
    wait_until("the state beside the window", || {
        shows("#{T:window-status-format}").ends_with(" (running)")
    });
    assert_eq!(shows("#{T:pane-border-format}"), id);
}
