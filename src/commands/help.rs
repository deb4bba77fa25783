//! `git flux help`, and usage errors with what may be meant.

use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command};

use super::typed;
use crate::failure::{Failure, USAGE};
use crate::ui::Ui;

/// Show this help, or that of a command
#[derive(Debug, Args)]
#[command(override_usage = "git flux help [<command>]")]
pub(crate) struct Help {
    /// the command
    #[arg(value_name = "<command>")]
    command: Option<String>,
}

impl Help {
    pub(crate) fn run(self, mut all: Command) -> Result<()> {
        all.build();
        let Some(name) = self.command else {
            return Ui::default().data(all.render_help().to_string().trim_end());
        };
        if let Some(found) = all.find_subcommand_mut(&name).filter(|c| !c.is_hide_set()) {
            return Ui::default().data(found.render_help().to_string().trim_end());
        }
        Err(unknown(&all, &name, &[]).into())
    }
}

/// Returns the error for a command that there is not; `rest` is what follows it.
fn unknown(all: &Command, name: &str, rest: &[String]) -> Failure {
    let known = all.get_subcommands().filter(|c| !c.is_hide_set());
    let known: Vec<&str> = known.map(Command::get_name).collect();
    let failure = Failure::new(format!("'{name}' is not a git flux command")).code(USAGE);
    let hints = typed::instead_of(name, rest, &known).into_iter();
    hints.fold(failure, Failure::hint).hint("git flux -h")
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
        let at = args.iter().position(|arg| arg == name);
        return unknown(all, name, at.map_or(&[], |at| &args[at + 1..]));
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = message.join(" ");
    // clap does not always say of which command it speaks: no option with a value comes before.
    let named = args
        .first()
        .filter(|name| all.find_subcommand(name).is_some());
    let named = named.map_or("", String::as_str);
    let mut hints = instead(error, named);
    if hints.is_empty() {
        // Only a text may begin with a dash.
        let is_text = ["run", "send"].contains(&named);
        let tips = rest.lines().filter_map(|line| line.strip_prefix("  tip: "));
        let tips = tips.filter(|tip| is_text || !tip.starts_with("to pass '"));
        hints.extend(tips.map(str::to_owned));
    }
    hints.push(format!("git flux {named} -h").replace("  ", " "));
    let failure = Failure::new(message.trim_start_matches("error: ")).code(USAGE);
    hints.into_iter().fold(failure, Failure::hint)
}

/// What may be meant by an option that a command has not, or by a value that is none.
fn instead(error: &clap::Error, command: &str) -> Vec<String> {
    let value = context(error, ContextKind::InvalidValue);
    match (command, context(error, ContextKind::InvalidArg)) {
        ("cleanup", Some("--force" | "-f")) => typed::FORCE.map(str::to_owned).to_vec(),
        // In other commands -n is a dry run.
        ("run", Some(option)) if option.starts_with("--count") => {
            let texts = value.filter(|value| value.parse::<i64>().is_err() && !value.is_empty());
            let texts = texts.map(|text| typed::run(text).replacen("run", "run --dry-run", 1));
            texts.into_iter().collect()
        }
        _ => Vec::new(),
    }
}
