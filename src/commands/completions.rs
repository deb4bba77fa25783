//! `git flux completions`, and the answers to the scripts in `completions/`, which call
//! `COMPLETE=<shell> git-flux -- git-flux <words>` with the word's number in `_CLAP_COMPLETE_INDEX`.

use std::env;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::Result;
use clap::builder::PossibleValue;
use clap::{Arg, Args, Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use super::candidates::{DESCRIBED, line, words};
use crate::embedded;
use crate::ui::Ui;

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(override_usage = "git flux completions <shell>")]
pub(crate) struct CompletionsArgs {
    /// the shell: bash, zsh or fish
    #[arg(value_enum, value_name = "shell", hide_possible_values = true)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// Returns the completion script of this shell, for both `git flux` and `git-flux`.
    pub(super) fn script(self) -> String {
        match self {
            Self::Bash => embedded::BASH.to_owned(),
            // The other file is only for directories in $fpath.
            Self::Zsh => embedded::ZSH.to_owned(),
            Self::Fish => embedded::FISH_BELOW_GIT.to_owned() + embedded::FISH,
        }
    }
}

impl CompletionsArgs {
    pub(crate) fn run(self) -> Result<()> {
        Ui::default().bytes(self.shell.script().as_bytes())
    }
}

/// Answers a shell's request for completion on standard output, with the completion script if the
/// request has no words, and returns `true`. Returns `false` if `COMPLETE` is not set or names no
/// known shell. Ignores errors: they would be printed into the line that the user types.
pub(crate) fn complete(all: fn() -> Command) -> bool {
    let Some(shell) = env::var_os("COMPLETE") else {
        return false;
    };
    let name = Path::new(&shell).file_stem().unwrap_or_default();
    let name = name.to_string_lossy();
    if Shells::builtins().completer(&name).is_none() {
        return false;
    }
    if let (None, Ok(shell)) = (words(), Shell::from_str(&name, false)) {
        drop(std::io::stdout().write_all(shell.script().as_bytes()));
        return true;
    }
    DESCRIBED.store(name != "bash", Ordering::Relaxed);
    let dir = env::current_dir().ok();
    drop(
        CompleteEnv::with_factory(|| command_to_offer(all))
            .try_complete(env::args_os(), dir.as_deref()),
    );
    true
}

/// Returns the command line as it is offered for completion: options only if the current word
/// begins with a dash, and after a single dash their long names.
fn command_to_offer(all: fn() -> Command) -> Command {
    let current = line().current;
    let (options, one_dash) = (current.starts_with('-'), current == "-");
    let offer = |arg: Arg| {
        if arg.is_positional() {
            return arg;
        }
        let short = arg
            .get_short()
            .filter(|_| !one_dash || arg.get_long().is_none());
        let hidden = arg.is_hide_set() || !options;
        arg.short(short).hide(hidden)
    };
    let all = all();
    let commands = all.get_subcommands().filter(|c| !c.is_hide_set());
    let value = |command: &Command| {
        let help = command.get_about().cloned().unwrap_or_default();
        PossibleValue::new(command.get_name().to_owned()).help(help)
    };
    let commands: Vec<PossibleValue> = commands.map(value).collect();
    let mut command = all.mut_subcommand("help", |help| {
        help.mut_arg("command", |name| name.value_parser(commands))
    });
    // This adds --help, which `offer` needs.
    command.build();
    command
        .mut_args(offer)
        .mut_subcommands(|command| command.mut_args(offer))
}
