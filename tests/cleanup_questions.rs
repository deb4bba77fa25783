//! Tests each question of `git flux cleanup` on a terminal, with each answer.

use crate::world::questions::*;
use crate::world::removal::*;
use crate::world::*;

const MESSAGE: &str = "Message";
const STOP: &str = "Stop it?";

/// The keys that answer a question with "no more of this".
const WAYS_OUT: [&str; 2] = ["Escape", "C-c"];

#[test]
fn cleanup_merges_after_enter_or_y() {
    for key in ["Enter", "y"] {
        let world = World::new();
        let id = done_task(&world);
        let question =
            format!("Merge 1 commit of 'feature/{id}' into 'main' (untested), and remove '{id}'?");
        let terminal = ask(&world, 150, &id, &[(&question, &[key])]);
        assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_changes_nothing_if_the_merge_is_declined() {
    let world = World::new();
    let id = working_task(&world);
    let before = world.snapshot();
    for key in ["n", "Escape", "C-c", "q"] {
        let terminal = ask(&world, 100, &id, &[(REMOVE, &[])]);
        terminal.keys([key]);
        declined(&world, &terminal, &before);
    }
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_says_in_its_question_that_nothing_is_to_be_merged() {
    let world = World::new();
    let id = running_task(&world);
    end_agent(&world, &id);
    let question =
        format!("Nothing to merge: 'feature/{id}' has no commits of its own. Remove '{id}'?");
    let terminal = ask(&world, 150, &id, &[(&question, &["y"])]);
    assert_eq!(terminal.exit_code(), 0);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_names_the_merge_style_in_its_question() {
    for (style, verb, to) in [
        ("--merge", "Merge", "into"),
        ("--squash", "Squash", "into"),
        ("--rebase", "Rebase", "onto"),
        ("--ff-only", "Fast-forward", "into"),
    ] {
        let world = World::new();
        let id = done_task(&world);
        let question =
            format!("{verb} 1 commit of 'feature/{id}' {to} 'main' (untested), and remove");
        let args = format!("{style} {id}");
        let terminal = ask(&world, 150, &args, &[(&question, &["y"])]);
        assert_eq!(terminal.exit_code(), 0);
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_discard_branch_asks_with_no_as_the_default() {
    let world = World::new();
    let id = done_task(&world);
    let before = world.snapshot();
    let args = format!("--discard-branch {id}");
    let question = format!("Drop 'feature/{id}' without merging it");
    for key in ["Enter", "n", "Escape", "C-c"] {
        let terminal = ask(&world, 150, &args, &[(&question, &[key])]);
        declined(&world, &terminal, &before);
    }
    let main = commit(&world, "main");
    let terminal = ask(&world, 150, &args, &[(&question, &["y"])]);
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(commit(&world, "main"), main);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_asks_before_stopping_a_running_agent_with_no_as_the_default() {
    let world = World::new();
    let id = working_task(&world);
    let before = world.snapshot();
    for key in ["Enter", "n", "Escape", "C-c"] {
        let terminal = ask(&world, 100, &id, &[(REMOVE, &["y"]), (STOP, &[key])]);
        declined(&world, &terminal, &before);
        assert!(world.agent(&id).is_alive(), "{key}");
    }
    let terminal = ask(&world, 100, &id, &[(REMOVE, &["y"]), (STOP, &["y"])]);
    assert_eq!(terminal.exit_code(), 0);
    assert!(!world.agent(&id).is_alive());
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_stops_an_agent_that_is_done_with_one_question() {
    let world = World::new();
    let task = crate::world::reports::Task::new(&world);
    let id = &task.id;
    world.commit_in(world.worktree(id), "work.txt", "work\n");
    task.fire("Stop", &serde_json::json!({ "session_id": "s" }));
    assert_eq!(task.state(), "done - hook");
    let before = world.snapshot();
    let question = format!("The agent of '{id}' is done. Merge 1 commit of");
    for key in ["n", "Escape"] {
        let terminal = ask(&world, 200, id, &[(&question, &[key])]);
        declined(&world, &terminal, &before);
        assert!(task.agent.is_alive());
    }
    // Nobody can be asked: the agent runs.
    let output = world.flux(["cleanup", id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix-the-login-XXXXXX' is still running
        hint: to look at the pane: git flux attach fix-the-login-XXXXXX
        hint: to clean up anyway: git flux cleanup fix-the-login-XXXXXX --yes
    "#]]);
    let terminal = ask(&world, 200, id, &[(&question, &["Enter"])]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert!(!task.agent.is_alive());
    assert_eq!(world.read("work.txt"), "work\n");
    assert_removed(&world, id);
}

#[test]
fn cleanup_dry_run_lists_the_questions_on_a_terminal() {
    let world = World::new();
    let id = dirty_task(&world);
    let before = world.snapshot();
    let terminal = ask(&world, 150, &format!("-n {id}"), &[]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(screen.contains("asks    commit or discard"), "{screen}");
    assert!(screen.contains("would ask about 1 uncommitted"), "{screen}");
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_with_yes_asks_no_question_about_a_clean_task() {
    let world = World::new();
    let id = working_task(&world);
    let terminal = ask(&world, 100, &format!("-y {id}"), &[]);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    assert!(
        !screen.contains(REMOVE) && !screen.contains(STOP),
        "{screen}"
    );
    assert_removed(&world, &id);
}

#[test]
fn cleanup_shows_uncommitted_changes_and_commits_with_the_proposed_message() {
    let world = World::new();
    let id = dirty_task(&world);
    world.write(world.worktree(&id).join("agent.txt"), "one\ntwo\n");
    let answers: [(&str, &[&str]); 3] = [
        (UNCOMMITTED, &["Enter"]),
        (MESSAGE, &["Enter"]),
        (REMOVE, &["y"]),
    ];
    let terminal = ask(&world, 100, &id, &answers);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.wait_for_screen("has 2 uncommitted files:");
    assert!(
        screen.contains("M agent.txt") && screen.contains("?? loose.txt"),
        "{screen}"
    );
    assert!(screen.contains("Merge 2 commits of"), "{screen}");
    assert_eq!(
        world.git(["log", "-1", "--format=%s", "main^2"]),
        "WIP: Fix login"
    );
    assert_eq!(world.read("agent.txt"), "one\ntwo\n");
    assert_eq!(world.read("loose.txt"), "loose\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_lets_the_user_edit_the_commit_message() {
    let world = World::new();
    let id = dirty_task(&world);
    let terminal = ask(
        &world,
        100,
        &id,
        &[(UNCOMMITTED, &["Enter"]), (MESSAGE, &[])],
    );
    terminal.wait_for_screen("WIP: Fix login");
    terminal.text(", für alle").keys(["Enter"]);
    terminal.wait_for_screen(REMOVE);
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0);
    let subject = world.git(["log", "-1", "--format=%s", "main^2"]);
    assert_eq!(subject, "WIP: Fix login, für alle");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_discards_uncommitted_changes_into_the_trash_if_chosen() {
    let world = World::new();
    let id = dirty_task(&world);
    let answers: [(&str, &[&str]); 2] = [(UNCOMMITTED, &["Down", "Enter"]), (REMOVE, &["y"])];
    let terminal = ask(&world, 100, &id, &answers);
    assert_eq!(terminal.exit_code(), 0);
    assert!(!world.repo().join("loose.txt").exists());
    assert_eq!(world.read(trash(&world, &id).join("loose.txt")), "loose\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_with_yes_still_asks_about_uncommitted_changes() {
    let world = World::new();
    let id = dirty_task(&world);
    let before = world.snapshot();
    let args = format!("-y {id}");
    let terminal = ask(&world, 100, &args, &[(UNCOMMITTED, &["Up", "Enter"])]);
    declined(&world, &terminal, &before);
    let terminal = ask(&world, 100, &args, &[(UNCOMMITTED, &["Down", "Enter"])]);
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(world.read(trash(&world, &id).join("loose.txt")), "loose\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_changes_nothing_if_the_questions_about_changes_are_declined() {
    let world = World::new();
    let id = dirty_task(&world);
    let before = world.snapshot();
    // "abort" is the last choice.
    for keys in [
        &["Down", "Down", "Down", "Enter"][..],
        &["Escape"],
        &["C-c"],
        &["Down", "C-c"],
        &["Down", "Escape"],
    ] {
        let terminal = ask(&world, 100, &id, &[(UNCOMMITTED, keys)]);
        declined(&world, &terminal, &before);
    }
    // Having chosen to discard is not yet having done so.
    for key in ["n", "Escape", "C-c"] {
        let answers: [(&str, &[&str]); 2] = [(UNCOMMITTED, &["Down", "Enter"]), (REMOVE, &[key])];
        let terminal = ask(&world, 100, &id, &answers);
        declined(&world, &terminal, &before);
    }
    // Esc starts the keys that edit a line, so it does not leave one.
    let answers: [(&str, &[&str]); 2] = [(UNCOMMITTED, &["Enter"]), (MESSAGE, &["C-c"])];
    let terminal = ask(&world, 100, &id, &answers);
    declined(&world, &terminal, &before);
}

#[test]
fn cleanup_commits_nothing_if_the_merge_is_declined_afterwards() {
    let world = World::new();
    let id = dirty_task(&world);
    let before = world.snapshot();
    for key in ["n", "Escape", "C-c"] {
        let answers: [(&str, &[&str]); 3] = [
            (UNCOMMITTED, &["Enter"]),
            (MESSAGE, &["Enter"]),
            (REMOVE, &[key]),
        ];
        let terminal = ask(&world, 100, &id, &answers);
        declined(&world, &terminal, &before);
    }
}

#[test]
fn cleanup_names_the_target_in_its_question_if_the_user_is_on_another_branch() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["switch", "-q", "-c", "topic"]);
    let before = world.snapshot();
    let question = "into 'main' (you are on 'topic'; untested)";
    for key in ["n", "Escape", "C-c"] {
        let terminal = ask(&world, 150, &id, &[(question, &[key])]);
        declined(&world, &terminal, &before);
    }
    let topic = commit(&world, "topic");
    let terminal = ask(&world, 150, &id, &[(question, &["y"])]);
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(commit(&world, "topic"), topic);
    assert_eq!(world.git(["show", "main:agent.txt"]), "one");
    assert_eq!(world.git(["symbolic-ref", "HEAD"]), "refs/heads/topic");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_with_yes_still_asks_about_the_target_on_another_branch() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["switch", "-q", "-c", "topic"]);
    let before = world.snapshot();
    let args = format!("-y {id}");
    let terminal = ask(
        &world,
        150,
        &args,
        &[("into 'main' (you are on 'topic'; untested)", &["n"])],
    );
    declined(&world, &terminal, &before);
}

#[test]
fn cleanup_asks_for_the_task_without_a_name() {
    let world = World::new();
    world.behaviour("raw");
    for (name, file) in [("alpha", "one.txt"), ("beta", "two.txt")] {
        world.flux(["run", "-q", "--name", name, "Fix login"]).ok();
        let work = format!("sh echo x >{file}; git add . && git commit -qm {file}");
        world.agent(name).tell(&work);
        end_agent(&world, name);
    }
    let before = world.snapshot();
    for key in WAYS_OUT {
        let terminal = ask(&world, 100, "", &[("Which task? (cleanup)", &[key])]);
        declined(&world, &terminal, &before);
    }
    let terminal = ask(
        &world,
        100,
        "",
        &[("Which task? (cleanup)", &["b", "e", "t"])],
    );
    terminal.keys(["Enter"]);
    terminal.wait_for_screen("and remove 'beta'?");
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0);
    assert_removed(&world, "beta");
    assert!(world.worktree("alpha").exists());
    assert_eq!(world.read("two.txt"), "x\n");
}

#[test]
fn cleanup_shows_its_questions_correctly_in_a_narrow_window() {
    let world = World::new();
    let id = dirty_task(&world);
    let before = world.snapshot();
    // Lines that wrap must not hide which choice is marked, nor leave copies of themselves at every key.
    let terminal = ask(
        &world,
        40,
        &id,
        &[(UNCOMMITTED, &["Down", "Down", "Up", "Down", "Up"])],
    );
    wait_until("the second choice to be marked", || {
        let screen = terminal.screen();
        let marked = screen.lines().find(|line| line.starts_with('❯'));
        marked.is_some_and(|line| line.contains("discard"))
    });
    let screen = terminal.screen();
    assert_eq!(screen.matches(UNCOMMITTED).count(), 1, "{screen}");
    assert_eq!(screen.matches("commit them all").count(), 1, "{screen}");
    terminal.keys(["C-c"]);
    declined(&world, &terminal, &before);

    let answers: [(&str, &[&str]); 3] = [
        (UNCOMMITTED, &["Enter"]),
        (MESSAGE, &["Enter"]),
        ("Merge 2 commits", &["y"]),
    ];
    let terminal = ask(&world, 40, &id, &answers);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert_eq!(world.read("loose.txt"), "loose\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_escapes_control_characters_in_file_names() {
    let world = World::new();
    let id = done_task(&world);
    world.write(
        world.worktree(&id).join("a\x1b]2;owned\x07\n\u{202e}b"),
        "x",
    );
    let before = world.snapshot();
    let terminal = ask(&world, 100, &id, &[(UNCOMMITTED, &["C-c"])]);
    declined(&world, &terminal, &before);
    assert_ne!(terminal.ask("#{pane_title}"), "owned");
}
