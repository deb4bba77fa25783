//! Tests the options that hints repeat.

use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use super::CleanupArgs;
use crate::commands::cli;
use crate::lifecycle::cleanup::called_command::CalledCommand;
use crate::task::TaskId;

#[derive(Parser)]
struct Parsed {
    #[command(flatten)]
    args: CleanupArgs,
}

/// Options that hints add to both commands, and to a cleanup alone.
const EXTRA: [&str; 6] = [
    "",
    "--commit",
    "--into main",
    "--keep-config",
    "--rebase",
    "--yes",
];
const OF_CLEANUPS: [&str; 6] = [
    "--discard",
    "--discard --discard-branch",
    "--discard-branch",
    "--discard-stash",
    "--gone",
    "--update",
];

#[test]
fn called_command_repeats_every_option_but_those_of_the_output_and_the_selection() {
    let mut left_out = Vec::new();
    for option in Parsed::command().get_arguments() {
        let Some(name) = option.get_long().map(|name| format!("--{name}")) else {
            continue;
        };
        let (typed, repeated) = match option.get_action().takes_values() {
            true if name == "--into" => (format!("{name}=a b"), format!("{name} 'a b'")),
            true => (format!("{name}=a b"), format!("{name}='a b'")),
            false => (name.clone(), name.clone()),
        };
        let matches = Parsed::command().get_matches_from(["cleanup", &typed]);
        let args = Parsed::from_arg_matches(&matches).unwrap().args;
        let called = args.called_command().for_tasks("", "");
        match called.split_once(&repeated) {
            Some(parts) => assert_eq!(parts, ("git flux cleanup ", "")),
            None => left_out.push(name),
        }
    }
    let expected = ["--dry-run", "--yes", "--all", "--json", "--porcelain"];
    assert_eq!(left_out, expected);
}

#[test]
fn called_command_can_be_pasted_with_each_extra_option() {
    let id: TaskId = "fix".parse().unwrap();
    let mut cli = cli::command();
    let mut is_accepted = |pasted: &str| {
        let words = shell_words::split(pasted).unwrap();
        let words = words.iter().skip(1);
        cli.try_get_matches_from_mut(words).is_ok()
    };
    let both = "--into=a --merge --squash --rebase --ff-only --commit --keep-config";
    let cleanup = "--merged=a --discard --discard-stash --discard-branch --update --gate";
    let mut case = |options: &str, called: fn(Vec<String>) -> CalledCommand| {
        let options: Vec<&str> = both.split(' ').chain(options.split(' ')).collect();
        let pairs = options
            .iter()
            .flat_map(|one| options.iter().map(move |it| [*one, *it]));
        for pair in pairs {
            let command = called(pair.map(String::from).to_vec());
            if !is_accepted(&command.with(&id, "")) {
                continue;
            }
            let cleanups = EXTRA.iter().chain(&OF_CLEANUPS);
            let cleanups = cleanups.map(|extra| command.cleanup_with(&id, extra));
            for pasted in cleanups.chain(EXTRA.map(|extra| command.with(&id, extra))) {
                assert!(is_accepted(&pasted), "{pasted}");
            }
        }
    };
    case(cleanup, CalledCommand::cleanup);
    case("--keep --check --no-gate", CalledCommand::land);
}
