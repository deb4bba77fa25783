//! Tests that hints repeat the options of the command.

use crate::failure::{self, Failure};
use crate::lifecycle::cleanup::called_command::{CalledCommand, commit_option, into_option};
use crate::task::TaskId;

#[track_caller]
fn case(command: &CalledCommand, extra: &str, expected: [&str; 2]) {
    let id: TaskId = "fix".parse().unwrap();
    let found = [command.with(&id, extra), command.cleanup_with(&id, extra)];
    assert_eq!(found, expected, "{extra}");
}

fn cleanup(options: &[&str]) -> CalledCommand {
    CalledCommand::cleanup(options.iter().map(ToString::to_string))
}

fn land(options: &[&str]) -> CalledCommand {
    CalledCommand::land(options.iter().map(ToString::to_string))
}

#[test]
fn hints_repeat_the_options_of_a_cleanup() {
    let drop = &["--discard-stash", "--discard-branch"][..];
    let merge = &["--into release", "--squash", "--commit='a b'", "--gate"];
    for (options, extra, expected) in [
        (&[][..], "", ""),
        (drop, "", "--discard-stash --discard-branch"),
        (drop, "--yes", "--discard-stash --discard-branch --yes"),
        (drop, "--update", "--discard-stash --update"),
        (merge, "", "--into release --squash --commit='a b' --gate"),
        (
            merge,
            "--discard",
            "--into release --squash --gate --discard",
        ),
        (
            merge,
            "--rebase",
            "--into release --commit='a b' --gate --rebase",
        ),
        (
            merge,
            "--into main",
            "--squash --commit='a b' --gate --into main",
        ),
        (merge, "--discard-branch", "--commit='a b' --discard-branch"),
        (&["--rebase", "--gate"], "--update", "--update"),
    ] {
        let expected = format!("git flux cleanup fix {expected}");
        case(&cleanup(options), extra, [expected.trim_end(); 2]);
    }
}

#[test]
fn hints_repeat_a_selection_that_no_task_can_be_named_with() {
    let merged = cleanup(&["--merged=v1", "--gone"]);
    let yes = "git flux cleanup --merged=v1 --gone --yes";
    case(&merged, "--yes", [yes; 2]);
    let into = "git flux cleanup fix --gone --into main";
    case(&merged, "--into main", [into; 2]);
    let other = cleanup(&["--into v2", "--gone"]).for_tasks("", "--merged=v2");
    assert_eq!(other, "git flux cleanup --gone --merged=v2");
}

#[test]
fn hints_never_lead_around_the_gate() {
    let options = ["--into release", "--squash", "--keep", "--keep-config"];
    let untested = land(&options);
    let both = "--into release --squash --keep-config";
    let land = "git flux land fix --into release --squash --keep --keep-config";
    let cleanup = format!("git flux cleanup fix {both}");
    case(&untested, "", [land, &cleanup]);
    let mut tested = untested;
    tested.is_tested = true;
    let expected = [
        &format!("{land} --yes"),
        &*format!("{cleanup} --gate --yes"),
    ];
    case(&tested, "--yes", expected);
    let id: TaskId = "fix".parse().unwrap();
    let drop = "git flux cleanup fix --keep-config --discard-branch";
    assert_eq!(tested.cleanup_with(&id, "--discard-branch"), drop);
}

#[test]
fn hints_about_a_trial_try_again() {
    let trial = land(&["--ff-only", "--check"]);
    let rebase = "git flux land fix --check --rebase";
    case(
        &trial,
        "--rebase",
        [rebase, "git flux cleanup fix --rebase"],
    );
    let commit = "git flux land fix --ff-only --commit";
    let cleanup = "git flux cleanup fix --ff-only --commit";
    case(&trial, "--commit", [commit, cleanup]);
}

#[test]
fn options_are_quoted_for_a_shell() {
    assert_eq!(into_option("a;b"), "--into 'a;b'");
    assert_eq!(commit_option(""), "--commit");
    assert_eq!(commit_option("Don't"), r#"--commit='Don'\''t'"#);
    assert_eq!(commit_option("a\n'b'"), r"--commit=$'a\n\'b\''");
}

#[test]
fn complete_hints_adds_options_to_the_command_alone() {
    let failure = Failure::new("there is no task 'fox'")
        .hint("git flux cleanup fix")
        .hint("git flux list");
    let error = cleanup(&["--discard-branch"]).complete_hints(failure.into());
    let hints: Vec<String> = failure::hints(&error).collect();
    let completed = "git flux cleanup fix --discard-branch";
    assert_eq!(hints, [completed, "git flux list"]);
}
