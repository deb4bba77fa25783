//! A shell asks what could stand at the cursor: `COMPLETE=<shell> git-flux -- git-flux <words>`, with the word's
//! number in `_CLAP_COMPLETE_INDEX`. The wrappers in `completions/` do.

use std::env;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use clap::{Arg, Command, ValueEnum as _};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCompleter, CompleteEnv, CompletionCandidate};

use super::candidates::{DESCRIBED, line, words};
use super::cli;
use super::completions::Shell;

/// Answers a shell's question, if it is one. Whatever goes wrong, there is nothing to offer then:
/// an error would be printed into the line that somebody is typing.
pub(crate) fn complete() -> bool {
    let Some(asked) = env::var_os("COMPLETE") else {
        return false;
    };
    let name = Path::new(&asked).file_stem().unwrap_or_default();
    let name = name.to_string_lossy();
    if Shells::builtins().completer(&name).is_none() {
        return false;
    }
    if let (None, Ok(shell)) = (words(), Shell::from_str(&name, false)) {
        drop(std::io::stdout().write_all(shell.text().as_bytes()));
        return true;
    }
    DESCRIBED.store(name != "bash", Ordering::Relaxed);
    let dir = env::current_dir().ok();
    drop(CompleteEnv::with_factory(command).try_complete(env::args_os(), dir.as_deref()));
    true
}

/// The command line as it is offered: options once a dash is typed, or where there is nothing else;
/// and each by its long name, if that is not begun otherwise.
fn command() -> Command {
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
    let mut command = cli::command().mut_subcommand("help", |help| {
        help.mut_arg("command", |name| name.add(ArgValueCompleter::new(commands)))
    });
    // Now, so that --help is among them.
    command.build();
    command
        .mut_args(offer)
        .mut_subcommands(|command| command.mut_args(offer))
}

/// Returns the commands, for `help`.
fn commands(current: &OsStr) -> Vec<CompletionCandidate> {
    let all = cli::command();
    let known = all.get_subcommands().filter(|c| !c.is_hide_set());
    let begun = |c: &&Command| c.get_name().starts_with(&*current.to_string_lossy());
    let candidate =
        |c: &Command| CompletionCandidate::new(c.get_name()).help(c.get_about().cloned());
    known.filter(begun).map(candidate).collect()
}
