//! Help and usage errors, in the form and the words of git's own.

use std::env;

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Command, CommandFactory as _, FromArgMatches as _};
use clap_complete::ArgValueCompleter;

use super::{Cli, candidates};
use crate::failure::{Failure, USAGE, nearest};
use crate::ui::Ui;

/// Show this help, or that of a command
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// The command
    #[arg(add = ArgValueCompleter::new(candidates::commands))]
    command: Option<String>,
}

impl Help {
    pub(crate) fn run(self) -> Result<()> {
        let mut all = command();
        all.build();
        let Some(name) = self.command else {
            return Ui::default().data(all.render_help().to_string().trim_end());
        };
        if let Some(found) = all.find_subcommand_mut(&name).filter(|c| !c.is_hide_set()) {
            return Ui::default().data(found.render_help().to_string().trim_end());
        }
        Err(unknown(&name).into())
    }
}

/// The error for a command that there is not.
fn unknown(name: &str) -> Failure {
    let all = command();
    let known = all.get_subcommands().filter(|c| !c.is_hide_set());
    let failure = Failure::new(format!("'{name}' is not a git flux command")).code(USAGE);
    let near = nearest(name, known.map(Command::get_name));
    let hints = near.iter().map(|near| format!("git flux {near}"));
    hints
        .chain(["git flux -h".to_owned()])
        .fold(failure, Failure::hint)
}

/// Reads the command line. What asks for help or the version is answered here.
///
/// # Errors
/// When it is wrong, with what may be meant.
pub(crate) fn parse() -> Result<Cli> {
    let parsed = command().try_get_matches();
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(cli),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
            _ => Err(wrong(&error).into()),
        },
    }
}

/// The command line, as git would describe it.
pub(crate) fn command() -> Command {
    let flag = |name: &'static str, action| Arg::new(name).long(name).action(action);
    let version = flag("version", ArgAction::Version)
        .short('v')
        .short_alias('V');
    let command = Cli::command()
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .arg(version.help("Print the version"));
    let usage = "git flux [-v | --version] [-h | --help] [<command> [<args>]]";
    like_git(command)
        .override_usage(usage)
        .mut_subcommands(|command| {
            let usage = usage_of(&command);
            let short = |arg: Arg| arg.action(ArgAction::HelpShort);
            like_git(command)
                .override_usage(usage)
                .mut_arg("help", short)
        })
}

/// `git flux attach [<task>]`
fn usage_of(command: &Command) -> String {
    let mut usage = format!("git flux {}", command.get_name());
    if command.get_arguments().any(|arg| !arg.is_positional()) {
        usage.push_str(" [<options>]");
    }
    if command.get_name() == "run" {
        // A task may begin with a dash.
        usage.push_str(" [--]");
    }
    for arg in command.get_positionals() {
        let many = arg.get_num_args().is_some_and(|n| n.max_values() > 1)
            || matches!(arg.get_action(), ArgAction::Append);
        let name = format!("<{}>{}", name_of(arg), if many { "..." } else { "" });
        usage.push_str(&match (arg.is_last_set(), arg.is_required_set()) {
            (true, _) => format!(" [-- {name}]"),
            (false, true) => format!(" {name}"),
            (false, false) => format!(" [{name}]"),
        });
    }
    usage
}

/// What stands for the value of an argument: `branch`, where clap has `<BRANCH>`.
fn name_of(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first());
    let name = name.map_or(arg.get_id().as_str(), |name| name.as_str());
    name.to_lowercase()
}

/// Options in git's order and case, names of values in lower case, no headings in colour.
fn like_git(command: Command) -> Command {
    let mut at = 10;
    let help = Arg::new("help").short('h').long("help");
    command
        .disable_help_flag(true)
        .arg(help.action(ArgAction::Help).help("Show this help"))
        .styles(clap::builder::Styles::plain())
        .help_template("usage: {usage}\n\n{about-with-newline}\n{all-args}")
        .mut_args(|arg| {
            at += 1;
            let order = match arg.get_id().as_str() {
                "quiet" => 0,
                "dry_run" => 1,
                "yes" => 2,
                "json" => 100,
                "porcelain" => 101,
                "nul" => 102,
                "version" => 103,
                "help" => 104,
                _ => at,
            };
            let text = arg.get_help().map(|help| lower(&help.to_string()));
            let name = name_of(&arg);
            // clap itself has a required one in such brackets.
            let name = match arg.is_positional() && !arg.is_required_set() {
                true => format!("<{name}>"),
                false => name,
            };
            let takes_value = arg.get_action().takes_values();
            let arg = arg.display_order(order).help(text.unwrap_or_default());
            if takes_value {
                arg.value_name(name)
            } else {
                arg
            }
        })
}

/// A sentence that begins in lower case.
fn lower(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|c| c.to_lowercase().to_string());
    first.unwrap_or_default() + rest.as_str()
}

/// A usage error of clap's as one of ours: its tips become hints.
fn wrong(error: &clap::Error) -> Failure {
    if let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) {
        return unknown(name);
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = message.join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let tips = rest.lines().filter_map(|line| line.strip_prefix("  tip: "));
    let failure = tips.fold(Failure::new(message).code(USAGE), Failure::hint);
    // clap does not always say of which command it speaks: no option with a value comes before.
    let first = env::args_os().nth(1).and_then(|arg| arg.into_string().ok());
    let named = first.filter(|name| command().find_subcommand(name).is_some());
    let named = named.map_or_else(String::new, |name| format!(" {name}"));
    failure.hint(format!("git flux{named} -h"))
}
