//! The command line: all commands, and their help in git's form.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::builder::Styles;
use clap::{Arg, ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::{
    adopt, attach, cleanup, completions, config, conflicts, diff, gate, gc, help, install, land,
    list, log, restore, resume, review, run, send, status, stop, wait, watch,
};
use crate::context::Flux;
use crate::launcher;
use crate::run::stash_notes::StashMoment;
use crate::task::TaskId;
use crate::ui::Ui;
use crate::ui::raw_terminal::keep_terminal;

/// Run coding agents in parallel on one repository
#[derive(Debug, Parser)]
#[command(name = "git-flux", bin_name = "git flux", version, styles = Styles::plain())]
#[command(override_usage = "git flux [-v | --version] [-h | --help] [<command> [<args>]]")]
#[command(
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    List(list::ListArgs),
    Watch(watch::WatchArgs),
    Status(status::StatusArgs),
    Attach(attach::AttachArgs),
    Send(send::SendArgs),
    Wait(wait::WaitArgs),
    Log(log::LogArgs),
    Diff(diff::DiffArgs),
    Review(review::ReviewArgs),
    Conflicts(conflicts::ConflictsArgs),
    Gate(gate::GateArgs),
    Cleanup(cleanup::CleanupArgs),
    Land(land::LandArgs),
    Restore(restore::RestoreArgs),
    Stop(stop::StopArgs),
    Resume(resume::ResumeArgs),
    Adopt(adopt::AdoptArgs),
    Install(install::InstallArgs),
    Config(config::ConfigArgs),
    Gc(gc::GcArgs),
    Completions(completions::CompletionsArgs),
    Help(help::HelpArgs),
    /// Start the agent of a task in its pane
    #[command(name = "__run", hide = true)]
    Launcher {
        /// The launch file
        file: PathBuf,
    },
    /// Delete expired worktrees and archives
    #[command(name = "__expire", hide = true)]
    Expire,
    /// Pin and note the entries of the shared stash
    #[command(name = "__stash", hide = true)]
    Stash {
        /// `start` or `change`
        moment: StashMoment,
        /// the task
        task: TaskId,
    },
    /// Run a shell in a task's worktree
    #[command(name = "__shell", hide = true)]
    Shell {
        /// The worktree
        worktree: PathBuf,
    },
    /// Restore the terminal of a killed watch
    #[command(name = "__terminal", hide = true)]
    Terminal,
    /// Run a program without this terminal
    #[command(name = "__alone", hide = true)]
    Alone {
        /// the program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

impl Cli {
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            None => list::run_default(),
            Some(Command::Run(args)) => args.run(),
            Some(Command::List(args)) => args.run(),
            Some(Command::Watch(args)) => args.run(),
            Some(Command::Status(args)) => args.run(),
            Some(Command::Attach(args)) => args.run(),
            Some(Command::Send(args)) => args.run(),
            Some(Command::Wait(args)) => args.run(),
            Some(Command::Log(args)) => args.run(),
            Some(Command::Diff(args)) => args.run(),
            Some(Command::Review(args)) => args.run(),
            Some(Command::Conflicts(args)) => args.run(),
            Some(Command::Gate(args)) => args.run(),
            Some(Command::Cleanup(args)) => args.run(),
            Some(Command::Land(args)) => args.run(),
            Some(Command::Restore(args)) => args.run(),
            Some(Command::Stop(args)) => args.run(),
            Some(Command::Resume(args)) => args.run(),
            Some(Command::Adopt(args)) => args.run(),
            Some(Command::Install(args)) => args.run(),
            Some(Command::Config(args)) => args.run(),
            Some(Command::Gc(args)) => args.run(),
            Some(Command::Completions(args)) => args.run(),
            Some(Command::Help(args)) => args.run(command()),
            Some(Command::Expire) => Flux::open_lenient(Ui { quiet: true })?.expire(),
            Some(Command::Stash { moment, task }) => {
                Flux::open_lenient(Ui { quiet: true })?.note_stash(&task, moment)
            }
            Some(Command::Launcher { file }) => launcher::run(&file),
            Some(Command::Shell { worktree }) => launcher::exec_shell(&worktree),
            Some(Command::Terminal) => keep_terminal(),
            Some(Command::Alone { words }) => install::exec_alone(&words),
        }
    }
}

/// Parses the command line of this process. For `--help` and `--version`, prints the answer and
/// exits.
///
/// # Errors
/// A usage error, with hints at similar commands.
pub(crate) fn parse() -> Result<Cli> {
    let parsed = command().try_get_matches();
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(cli),
        Err(error) if error.exit_code() == 0 => error.exit(),
        Err(error) => {
            let args = env::args_os().skip(1);
            let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
            Err(help::usage_error(&command(), &error, &args).into())
        }
    }
}

const HELP: &str = "usage: {usage}\n\n{about-with-newline}\n{all-args}";

/// The groups of `git flux -h`, in the form of `git help`.
const GROUPS: [(&str, &[&str]); 6] = [
    ("start a task", &["run", "adopt"]),
    (
        "see the tasks",
        &[
            "list",
            "watch",
            "status",
            "log",
            "diff",
            "review",
            "conflicts",
        ],
    ),
    (
        "steer the agents",
        &["attach", "send", "wait", "stop", "resume"],
    ),
    ("bring work home", &["gate", "cleanup", "land"]),
    ("bring a removed task back", &["restore"]),
    ("set up", &["install", "config", "gc", "help"]),
];

/// Returns the template of `git flux -h`, with the commands in groups. `completions` is left out:
/// only the manual has it.
fn grouped_help(all: &clap::Command) -> String {
    let mut text = "usage: {usage}\n\n{about-with-newline}\n".to_owned();
    for (title, names) in GROUPS {
        text += &format!("{title}\n");
        for name in names {
            let command = all.find_subcommand(name).expect("a known command");
            let about = command.get_about().expect("a help text");
            text += &format!("   {name:<10}{about}\n");
        }
        text += "\n";
    }
    text + "Options:\n{options}"
}

/// Returns clap's parser of the command line, with all commands. Help shows the doc comments of
/// their structs and fields as they are written, in the order of the fields.
pub(crate) fn command() -> clap::Command {
    let help = Arg::new("help").short('h').long("help");
    let help = help.action(ArgAction::HelpShort).global(true);
    let version = Arg::new("version").short('v').long("version");
    let version = version.short_alias('V').action(ArgAction::Version);
    let all = Cli::command();
    let grouped = grouped_help(&all);
    all.arg(version.help("print the version"))
        .arg(help.help("show this help").display_order(100))
        .help_template(grouped)
        .mut_subcommands(|command| command.help_template(HELP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure;

    #[test]
    fn command_has_all_commands_in_groups() {
        command().debug_assert();
        let all = Cli::command();
        let all = all.get_subcommands().filter(|c| !c.is_hide_set());
        let mut all: Vec<_> = all.map(clap::Command::get_name).collect();
        all.retain(|name| *name != "completions");
        let mut grouped = GROUPS.map(|(_, names)| names).concat();
        grouped.push("help");
        grouped.dedup();
        all.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, all);
    }

    /// Returns the first hint for the words after `git flux`.
    fn hint(typed: &str) -> String {
        let args = shell_words::split(typed).unwrap();
        let words = ["git-flux".to_owned()].into_iter().chain(args.clone());
        let parsed = command().try_get_matches_from(words);
        let failure = help::usage_error(&command(), &parsed.expect_err(typed), &args);
        let hints = failure::lines(&failure.into()).into_iter();
        let mut hints = hints.filter(|(label, _)| *label == "hint");
        hints.next().unwrap().1
    }

    #[test]
    fn usage_error_hints_at_the_meant_command() {
        for (typed, expected) in [
            ("'Fix it'", "run \"Fix it\""),
            ("'Fix the login redirect'", "run \"Fix the login redirect\""),
            ("'Say \"hi\" to $USER'", "run 'Say \"hi\" to $USER'"),
            ("Fix the login", "run \"Fix the login\""),
            ("start", "run \"<description>\""),
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
            ("prune", "gc"),
            ("version", "--version"),
        ] {
            assert_eq!(hint(typed), format!("git flux {expected}"), "{typed}");
        }
        for words in ["cleanup --force x", "cleanup -f x"] {
            assert_eq!(hint(words), help::FORCE[0]);
        }
    }
}
