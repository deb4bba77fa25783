//! A shell asks what could stand at the cursor: `COMPLETE=<shell> git-flux -- git-flux <words>`, with the word's
//! number in `_CLAP_COMPLETE_INDEX`. The wrappers in `completions/` do.

use std::env;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use clap::{Arg, Command, ValueEnum as _};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use super::candidates::DESCRIBED;
use super::completions::Shell;
use super::help;

/// The words of the line that is being completed, after the program's.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) before: Vec<String>,
    /// What is typed of the word at the cursor.
    pub(super) current: String,
    pub(super) after: Vec<String>,
}

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

fn words() -> Option<Vec<String>> {
    let mut args = env::args_os().skip_while(|arg| arg != "--").skip(1);
    args.next()?;
    Some(args.map(|arg| arg.to_string_lossy().into_owned()).collect())
}

/// The line, as the shell has it.
pub(super) fn line() -> Line {
    let mut words = words().unwrap_or_default();
    let index = env::var("_CLAP_COMPLETE_INDEX").ok();
    let index = index.and_then(|index| index.parse::<usize>().ok());
    // fish gives the words up to the cursor alone.
    let at = index.map_or(words.len(), |index| index).saturating_sub(1);
    if at >= words.len() {
        words.resize(at + 1, String::new());
    }
    let after = words.split_off(at + 1);
    let current = words.pop().unwrap_or_default();
    Line {
        before: words,
        current,
        after,
    }
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
    let mut command = help::command();
    // Now, so that --help is among them.
    command.build();
    command
        .mut_args(offer)
        .mut_subcommands(|command| command.mut_args(offer))
}
