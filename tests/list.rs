//! `git flux list`: the tasks of a repository, or of every one.

use console::measure_text_width;
use serde_json::Value;

use crate::world::output::*;
use crate::world::*;

#[test]
fn list_hints_at_run_without_tasks() {
    let world = World::new();
    let before = world.snapshot();
    world.flux(["list"]).run().success().says(&expect![[r#"
        --- stderr
        no tasks
        hint: to start a task: git flux run "<description>"
    "#]]);
    world
        .flux(["list", "--json"])
        .run()
        .success()
        .stdout_is("[]\n");
    world
        .flux(["list", "--porcelain"])
        .run()
        .success()
        .stdout_is("")
        .stderr_is("");
    world
        .flux(["list", "--all-repos"])
        .run()
        .success()
        .stdout_is("");
    world.assert_unchanged(&before);
}

#[test]
fn list_shows_the_state_changes_and_commits_of_every_task() {
    let world = World::new();
    let description = "Fix the login redirect for users with two accounts, in all browsers, on every page of the site";
    let one = world.start(description);
    let two = world.start("Other things");
    world.agent(&one).tell("commit One");
    world.agent(&one).tell("commit Two");
    world.commit_in(world.repo(), "main.txt", "main");
    let worktree = world.worktree(&one);
    world.write(worktree.join("README.md"), "changed");
    world.write(worktree.join("new.txt"), "new");
    world.write(worktree.join("staged.txt"), "staged");
    world.git_in(&worktree, ["add", "staged.txt"]);
    world.agent(&two).tell("exit 3");
    wait_until("the end of the agent to be recorded", || {
        world.flux(["list", "--json"]).run().json()[1]["state"] == "exited"
    });
    let before = world.snapshot();
    let output = world.flux(["list"]).run();
    output.success();
    world.assert_unchanged(&before);
    // Piped, nothing is cut and nothing coloured.
    let first = row(&output.stdout, &one);
    assert_eq!(
        (&*first[1], &*first[4], &*first[5], &*first[6]),
        ("running", "3", "+2 -1", description)
    );
    for time in [&first[2], &first[3]] {
        assert!(time.ends_with(['s', 'm']), "{first:?}");
    }
    let second = row(&output.stdout, &two);
    assert_eq!(
        (&*second[1], &*second[4], &*second[5]),
        ("exited(3)", "0", "+0 -1")
    );
    assert_eq!(second[6], "Other things");
    output.stderr_is("");
    assert_eq!(
        world.flux::<&str>([]).run().stdout.lines().count(),
        output.stdout.lines().count()
    );
}

#[test]
fn list_fits_the_width_of_the_terminal() {
    let world = World::new();
    let wide = "修复登录重定向 for users with two accounts, in all browsers, on every page of the site, and in the application too";
    let ids = [
        world.start("Fix the login redirect for users with two accounts, in all browsers, on every page of the site"),
        world.start(wide),
        world.start("Short"),
    ];
    for cols in [40, 80, 200] {
        let terminal = world.terminal(cols, 30);
        terminal.command("git flux list 2>/dev/null");
        assert_eq!(terminal.exit_code(), 0);
        let screen = terminal.screen();
        let rows: Vec<&str> = screen
            .lines()
            .filter(|line| !line.contains(['$', '[']))
            .collect();
        assert_eq!(rows.len(), 4, "{cols}\n{screen}");
        // Those of one second are in no order.
        for id in &ids {
            let row = rows.iter().find(|row| row.starts_with(&id[..5]));
            let row = row.unwrap_or_else(|| panic!("{cols}: no {id} in\n{screen}"));
            assert!(
                measure_text_width(row) <= usize::from(cols),
                "{cols}: {row}"
            );
            assert!(
                row.starts_with(&id[..5]) && row.contains("running"),
                "{cols}: {row}"
            );
            // A name is cut only where the state alone leaves no room for it.
            if cols >= 80 || id.len() < 20 {
                assert!(row.contains(id.as_str()), "{cols}: {row}");
            }
        }
        let has_short = rows.iter().any(|row| row.ends_with("Short"));
        assert!(cols < 80 || has_short, "{cols}\n{screen}");
    }
    let piped = world.flux(["list"]).ok();
    assert!(piped.contains(wide), "{piped}");
    for id in &ids {
        row(&piped, id);
    }
}

#[test]
fn list_json_prints_every_field_of_every_task() {
    let world = World::new();
    let created = ["one", "two"].map(|name| {
        let run = world.flux(["run", "--json", "--name", name, "Fix"]).run();
        let mut task = run.success().json();
        // `run` compares it with nothing.
        assert_eq!(task["conflicts"], Value::Null);
        task["conflicts"] = serde_json::json!([]);
        task
    });
    let before = world.snapshot();
    let list = world.flux(["list", "--json"]).run().success().json();
    world.assert_unchanged(&before);
    assert_eq!(list, serde_json::json!(created));
    world.flux(["list", "--json", "--porcelain"]).run().code(2);
}

#[test]
fn list_porcelain_prints_the_documented_lines() {
    let world = World::new();
    let run = world.flux(["run", "--json", "--name", "one", "Fix it\nsoon"]);
    let task = run.run().success().json();
    world.write(world.worktree("one").join("new.txt"), "");
    let text = |name: &str| task[name].as_str().unwrap().to_owned();
    let target = |name: &str| task["target"][name].as_str().unwrap().to_owned();
    let lines = [
        "task one".to_owned(),
        "state running".to_owned(),
        "phase active".to_owned(),
        "agent claude".to_owned(),
        "branch feature/one".to_owned(),
        format!("base {}", text("base")),
        "into main".to_owned(),
        format!("worktree {}", text("worktree")),
        format!("created {}", task["created"]),
        format!(
            "session {} {} {}",
            target("window"),
            target("pane"),
            target("session")
        ),
        "commits +0 -0".to_owned(),
        "changes 0 0 1 0".to_owned(),
        "title Fix it".to_owned(),
    ];
    let expected = lines.join("\n") + "\n\n";
    world
        .flux(["list", "--porcelain"])
        .run()
        .success()
        .stdout_is(&expected)
        .stderr_is("");
    let expected = lines.join("\0") + "\0\0";
    world
        .flux(["list", "--porcelain", "-z"])
        .run()
        .success()
        .stdout_is(&expected);
    world.flux(["list", "-z"]).run().code(2);
    world.agent("one").tell("exit 3");
    wait_until("the exit status to be listed", || {
        world
            .flux(["list", "--porcelain"])
            .ok()
            .contains("state exited\nstatus 3\nphase active\n")
    });
}

#[test]
fn list_porcelain_z_prints_paths_with_newlines_exactly() {
    let world = World::at("new\nline");
    let id = world.start("Fix");
    let output = world.flux(["list", "--porcelain", "-z"]).run();
    let line = format!("\0worktree {}\0", world.worktree(&id).display());
    assert!(output.stdout.contains(&line), "{output}");
    // A newline is not the end of a line.
    let output = world.flux(["list", "--porcelain"]).run();
    let lines = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("worktree "));
    assert_eq!(lines.count(), 1, "{output}");
    assert!(
        output
            .stdout
            .lines()
            .all(|line| line.is_empty() || line.contains(' ')),
        "{output}"
    );
}

#[test]
fn list_is_the_same_from_every_directory_of_the_repository() {
    let world = World::new();
    let (one, two) = (world.start("One"), world.start("Two"));
    for dir in [
        world.repo().join("src"),
        world.repo().join(".git"),
        world.worktree(&one),
        world.worktree(&two).join("src"),
    ] {
        let output = world.flux(["list", "--json"]).in_dir(&dir).run();
        assert_eq!(
            ids(&output.success().json()),
            [&one, &two],
            "{}",
            dir.display()
        );
    }
    let repo = world.repo();
    let from_outside = ["-C".as_ref(), repo.as_os_str()];
    let output = world
        .flux(["list", "--json"])
        .in_dir(world.root())
        .via_git_with(from_outside)
        .run();
    assert_eq!(ids(&output.success().json()), [&one, &two]);
}

#[test]
fn list_everywhere_shows_every_repository_with_a_pane() {
    let world = World::new();
    let other = world.root().join("it's #(another) one");
    world.make_repository(&other);
    world.make_repository(&world.root().join("without tasks"));
    let one = world.start("One");
    let two = world.flux(["run", "-q", "Two"]).in_dir(&other).ok();
    let three = world.flux(["run", "-q", "Three"]).in_dir(&other).ok();
    world.shim();
    // Also where there is no repository.
    let output = world
        .flux(["list", "--all-repos", "--json"])
        .in_dir(world.root())
        .run();
    let list = output.success().json();
    let mut found = ids(&list);
    found.sort_unstable();
    let mut expected = [&*one, &*two, &*three];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let table = world
        .flux(["list", "--all-repos"])
        .in_dir(world.root())
        .ok();
    for line in [world.repo().to_str().unwrap(), other.to_str().unwrap()] {
        assert!(
            table.lines().any(|shown| shown == line),
            "no {line:?} in\n{table}"
        );
    }
    assert!(!table.contains("without tasks"), "{table}");
    for id in [&one, &two, &three] {
        row(&table, id);
    }
    let found = world.flux(["list", "--json"]).in_dir(&other).run().json();
    let mut found = ids(&found);
    found.sort_unstable();
    assert_eq!(found, [&*three, &*two]);
    // A repository that is gone is said to be, and spoils nothing.
    std::fs::remove_dir_all(&other).unwrap();
    let output = world
        .flux(["list", "--all-repos", "--json"])
        .in_dir(world.root())
        .run();
    assert_eq!(ids(&output.success().json()), [&one]);
    output.stderr_has("warning: ").stderr_has("another");
}

#[test]
fn list_shows_the_agent_if_there_are_several() {
    let world = World::new();
    world.start("One");
    assert!(!world.flux(["list"]).ok().contains("AGENT"));
    let shell = ["run", "-q", "--agent", "shell", "--name", "two", "Two"];
    world.flux(shell).ok();
    let table = world.flux(["list"]).ok();
    assert!(
        table
            .lines()
            .next()
            .unwrap()
            .contains("  FOR  AGENT   AGE  "),
        "{table}"
    );
    assert_eq!(row(&table, "two")[3], "shell");
}

#[test]
fn list_shows_the_time_in_the_state_and_the_age() {
    let world = World::new();
    let id = world.start("Fix");
    world.agent(&id).wait_started();
    let earlier = |text: &str| {
        let mut task: Value = serde_json::from_str(text).unwrap();
        task["created"] = (task["created"].as_u64().unwrap() - 7300).into();
        task.to_string()
    };
    world.edit_record(&format!("refs/flux/tasks/{id}"), earlier);
    let table = world.flux(["list"]).ok();
    let row = row(&table, &id);
    assert!(row[2].ends_with('s') || row[2].ends_with('m'), "{row:?}");
    assert_eq!(row[3], "2h");
}

/// Returns the output of list with these settings on a terminal, with its colours.
fn coloured(world: &World, settings: &str) -> String {
    let terminal = world.terminal(100, 30);
    terminal.command(&format!("git {settings} flux list"));
    terminal.exit_code();
    let colours = terminal.colours();
    let (_, table) = colours.split_once("flux list").unwrap();
    table.to_owned()
}

#[test]
fn list_uses_the_colours_configured_for_git() {
    let world = World::new();
    let id = world.start("Fix");
    world.agent(&id).wait_started();
    let is_coloured = |settings: &str| coloured(&world, settings).contains("running\x1b[");
    assert!(is_coloured(""));
    for settings in ["color.ui=auto", "color.ui=true", "color.flux=always"] {
        assert!(is_coloured(&format!("-c {settings}")), "{settings}");
    }
    for settings in ["color.ui=false", "color.ui=never", "color.flux=never"] {
        let settings = format!("-c color.ui=always -c {settings}");
        let printed = coloured(&world, &settings);
        assert!(!printed.contains("\x1b[3"), "{settings}: {printed:?}");
    }
    assert!(is_coloured("-c color.ui=never -c color.flux=auto"));
    let blue = coloured(
        &world,
        "-c color.flux.running='bold blue' -c color.flux.hint=red",
    );
    assert!(
        blue.contains("\x1b[1m\x1b[34mrunning") || blue.contains("\x1b[1;34mrunning"),
        "{blue:?}"
    );
    assert!(blue.contains("\x1b[31mhint:"), "{blue:?}");
    // In a pipe.
    let piped = |settings: &[&str]| {
        let list = world
            .flux(["list"])
            .via_git_with(settings.iter().flat_map(|one| ["-c", one]));
        list.run()
    };
    assert!(!piped(&[]).success().stdout.contains('\x1b'));
    let always = piped(&["color.ui=always"]);
    assert!(
        always.success().stdout.contains("\x1b[32mrunning\x1b[0m"),
        "{always}"
    );
    let slot = piped(&["color.flux=always", "color.flux.running=yellow"]);
    assert!(
        slot.success().stdout.contains("\x1b[33mrunning\x1b[m"),
        "{slot}"
    );
    // What programs read has none.
    let json = world
        .flux(["list", "--json"])
        .via_git_with(["-c", "color.ui=always"]);
    assert!(!json.ok().contains('\x1b'));
}

#[test]
fn list_names_the_origin_of_an_invalid_colour() {
    let world = World::new();
    let before = world.snapshot();
    for (setting, said) in [
        (
            "color.flux=sometimes",
            "bad value 'sometimes' for 'color.flux' from the command line",
        ),
        (
            "color.flux.waiting=purplish",
            "'purplish' is not a colour for 'color.flux.waiting' from the command line",
        ),
    ] {
        let output = world.flux(["list"]).via_git_with(["-c", setting]).run();
        output
            .code(1)
            .stderr_has(&format!("error: {said}\n"))
            .stderr_has("hint: ");
        world.assert_unchanged(&before);
    }
}
