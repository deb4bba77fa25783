//! Help and usage errors, in the form and the words of git's own.

use std::env;
use std::ffi::OsString;

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Command, CommandFactory as _, FromArgMatches as _};
use clap_complete::ArgValueCompleter;

use super::{Cli, candidates, typed};
use crate::failure::{Failure, USAGE};
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
        Err(unknown(&name, &[]).into())
    }
}

/// The error for a command that there is not; `rest` is what follows it.
fn unknown(name: &str, rest: &[String]) -> Failure {
    let all = command();
    let known = all.get_subcommands().filter(|c| !c.is_hide_set());
    let known: Vec<&str> = known.map(Command::get_name).collect();
    let failure = Failure::new(format!("'{name}' is not a git flux command")).code(USAGE);
    let hints = typed::instead_of(name, rest, &known).into_iter();
    hints
        .chain(["git flux -h".to_owned()])
        .fold(failure, Failure::hint)
}

/// Reads the command line. What asks for help or the version is answered here.
///
/// # Errors
/// When it is wrong, with what may be meant.
pub(crate) fn parse() -> Result<Cli> {
    let args: Vec<OsString> = env::args_os().collect();
    let parsed = command().try_get_matches_from(&args);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(cli),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
            _ => {
                let args = args.iter().skip(1);
                let args: Vec<String> =
                    args.map(|arg| arg.to_string_lossy().into_owned()).collect();
                Err(wrong(&error, &args).into())
            }
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

/// The text of a context of clap's error.
fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// A usage error of clap's as one of ours: its tips become hints. `args` are the words after `git flux`.
fn wrong(error: &clap::Error, args: &[String]) -> Failure {
    if let Some(name) = context(error, ContextKind::InvalidSubcommand) {
        let rest = args.iter().skip_while(|arg| *arg != name).skip(1);
        return unknown(name, &rest.cloned().collect::<Vec<_>>());
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = message.join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let failure = Failure::new(message).code(USAGE);
    // clap does not always say of which command it speaks: no option with a value comes before.
    let named = args.first().map_or("", String::as_str);
    let named = command().find_subcommand(named).map_or("", |_| named);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure;

    /// The first hint for what is typed after `git flux`.
    fn hint(typed: &str) -> String {
        let args = shell_words::split(typed).unwrap();
        let words = ["git-flux".to_owned()].into_iter().chain(args.clone());
        let parsed = command().try_get_matches_from(words);
        let failure = wrong(&parsed.expect_err(typed), &args);
        let hints = failure::lines(&failure.into()).into_iter();
        let mut hints = hints.filter(|(label, _)| *label == "hint");
        hints.next().unwrap().1
    }

    #[test]
    fn what_people_type_is_answered_with_the_command_that_they_mean() {
        for (typed, expected) in [
            ("'Fix it'", "run \"Fix it\""),
            ("'Fix the login redirect'", "run \"Fix the login redirect\""),
            ("'Say \"hi\" to $USER'", "run 'Say \"hi\" to $USER'"),
            ("Fix the login", "run \"Fix the login\""),
            ("start", "run \"<what is to be done>\""),
            ("start 'Fix it'", "run \"Fix it\""),
            ("new Fix it", "run \"Fix it\""),
            ("add x", "run \"x\""),
            ("create x", "run \"x\""),
            ("rm slow", "cleanup slow"),
            ("remove slow", "cleanup slow"),
            ("delete slow", "cleanup slow"),
            ("merge slow", "cleanup slow"),
            ("done slow", "cleanup slow"),
            ("finish", "cleanup"),
            ("kill slow", "stop slow"),
            ("drop slow", "cleanup --discard-branch slow"),
            ("next", "attach --waiting"),
            ("clean", "cleanup"),
            ("clenaup slow", "cleanup slow"),
            ("ls", "list"),
            ("ps", "list"),
            ("lst", "list"),
            ("stauts fix", "status fix"),
            ("show fix", "log fix"),
            ("info fix", "status fix"),
            ("open fix", "attach fix"),
            ("switch fix", "attach fix"),
            ("tell fix 'Test it'", "send fix 'Test it'"),
            ("undo fix", "restore fix"),
            ("continue fix", "resume fix"),
            ("history", "log"),
            ("changes fix", "diff fix"),
            ("settings", "config"),
            ("version", "--version"),
            ("cleanup -d slow", "cleanup --discard-branch slow"),
            ("cleanup -a", "cleanup --all"),
            (
                "cleanup --onto main slow",
                "cleanup --into <branch> main slow",
            ),
            ("run -n 'do it'", "run --dry-run \"do it\""),
            ("run -m 'Fix it'", "run \"Fix it\""),
            ("run --id x", "run --name <id> \"x\""),
            ("run --stdin", "run -F -"),
            ("list -a", "list --everywhere"),
            ("wait -t 5 fix", "wait --timeout <time> 5 fix"),
        ] {
            assert_eq!(hint(typed), format!("git flux {expected}"), "{typed}");
        }
        for typed in ["cleanup --force x", "cleanup -f x"] {
            let expected =
                "to agree to the merge and to stopping the agent: git flux cleanup --yes x";
            assert_eq!(hint(typed), expected);
        }
    }
}
