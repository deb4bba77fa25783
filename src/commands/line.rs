//! The command line that is being completed.

use std::env;
use std::sync::atomic::AtomicBool;

/// Whether the shell shows descriptions; bash does not.
pub(super) static DESCRIBED: AtomicBool = AtomicBool::new(true);

/// The words of the line that is being completed, after the program's.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) before: Vec<String>,
    /// What is typed of the word at the cursor.
    pub(super) current: String,
    pub(super) after: Vec<String>,
}

/// Returns the words after the program's name, if the shell gives any.
pub(super) fn words() -> Option<Vec<String>> {
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
