//! Usage errors, with what may be meant.

use clap::Command;
use clap::error::{ContextKind, ContextValue};

use super::typed;
use crate::failure::{Failure, USAGE};

/// Returns the error for a command that there is not; `rest` is what follows it.
pub(super) fn unknown(all: &Command, name: &str, rest: &[String]) -> Failure {
    let known = all.get_subcommands().filter(|c| !c.is_hide_set());
    let known: Vec<&str> = known.map(Command::get_name).collect();
    let failure = Failure::new(format!("'{name}' is not a git flux command")).code(USAGE);
    let hints = typed::instead_of(name, rest, &known).into_iter();
    hints
        .chain(["git flux -h".to_owned()])
        .fold(failure, Failure::hint)
}

/// The text of a context of clap's error.
fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Returns a usage error of clap's as one of ours: its tips become hints. `args` are the words after `git flux`.
pub(super) fn wrong(all: &Command, error: &clap::Error, args: &[String]) -> Failure {
    if let Some(name) = context(error, ContextKind::InvalidSubcommand) {
        let rest = args.iter().skip_while(|arg| *arg != name).skip(1);
        return unknown(all, name, &rest.cloned().collect::<Vec<_>>());
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = message.join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let failure = Failure::new(message).code(USAGE);
    // clap does not always say of which command it speaks: no option with a value comes before.
    let named = args.first().map_or("", String::as_str);
    let named = all.find_subcommand(named).map_or("", |_| named);
    let instead = instead(error, named, args);
    let failure = if instead.is_empty() {
        let tips = rest.lines().filter_map(|line| line.strip_prefix("  tip: "));
        // Only a text may begin with a dash.
        let is_text = ["run", "send"].contains(&named);
        tips.filter(|tip| is_text || !tip.starts_with("to pass '"))
            .fold(failure, Failure::hint)
    } else {
        instead.into_iter().fold(failure, Failure::hint)
    };
    failure.hint(format!("git flux {named} -h").replace("  ", " "))
}

/// What may be meant by an option that a command has not, or by a value that is none.
fn instead(error: &clap::Error, command: &str, args: &[String]) -> Vec<String> {
    let Some(option) = context(error, ContextKind::InvalidArg) else {
        return Vec::new();
    };
    let value = context(error, ContextKind::InvalidValue);
    if command == "run" && option.starts_with("--count") {
        // In other commands -n is a dry run.
        let texts = value.filter(|value| value.parse::<i64>().is_err() && !value.is_empty());
        let texts = texts.map(|text| typed::run(text).replacen("run", "run --dry-run", 1));
        return texts.into_iter().collect();
    }
    let rest = args.get(1..).unwrap_or_default();
    let (options, words): (Vec<&String>, Vec<&String>) =
        rest.iter().partition(|word| word.starts_with('-'));
    let words: Vec<String> = match options.as_slice() {
        [_] => words.into_iter().cloned().collect(),
        _ => Vec::new(),
    };
    typed::instead_of_option(command, option, &words)
}
