//! The command that the user has called, as hints name it.

use anyhow::Error;

use crate::failure::{Verb, map_hints};
use crate::task::TaskId;
use crate::ui::{exact_word, word};

/// The command that the user has called. Hints repeat its options, so that what was refused does not
/// become something else: a landing a cleanup, which tests nothing, or a branch to drop one to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CalledCommand {
    verb: Verb,
    /// The gate runs on the merge.
    pub(crate) is_tested: bool,
    /// The options given, quoted for a shell, in the order of the help.
    options: Vec<String>,
}

const STYLES: &[&str] = &["--merge", "--squash", "--rebase", "--ff-only"];

/// The options that cannot be given together.
const EXCLUSIVE: [(&[&str], &[&str]); 6] = [
    (STYLES, STYLES),
    (&["--commit"], &["--discard", "--check"]),
    (&["--discard-branch"], &["--into", "--update", "--gate"]),
    (&["--discard-branch"], STYLES),
    (&["--update"], &["--rebase", "--gate"]),
    (&["--merged"], &["--into", "--commit", "--discard-branch"]),
];

/// The options that `git flux cleanup` does not have.
const OF_LANDINGS: [&str; 3] = ["--keep", "--check", "--no-gate"];

impl CalledCommand {
    /// Returns `git flux cleanup` with these options.
    pub(crate) fn cleanup(options: impl IntoIterator<Item = String>) -> Self {
        let options: Vec<String> = options.into_iter().collect();
        Self {
            verb: Verb::Cleanup,
            is_tested: options.iter().any(|option| option == "--gate"),
            options,
        }
    }

    /// Returns `git flux land` with these options, and without a gate.
    pub(crate) fn land(options: impl IntoIterator<Item = String>) -> Self {
        Self {
            verb: Verb::Land,
            is_tested: false,
            options: options.into_iter().collect(),
        }
    }

    pub(crate) fn is_cleanup(&self) -> bool {
        matches!(self.verb, Verb::Cleanup)
    }

    /// Returns this command for a task, with its options and then `extra` options, which replace
    /// those that they exclude: `git flux land <id> --into release --commit`.
    pub(crate) fn with(&self, id: &TaskId, extra: &str) -> String {
        self.for_tasks(id.as_str(), extra)
    }

    /// Returns this command as [`Self::with`] does, for `tasks`, which are separated by spaces. Names
    /// none with `--merged=<commit>`, which selects them.
    pub(crate) fn for_tasks(&self, tasks: &str, extra: &str) -> String {
        let added: Vec<&str> = extra.split(' ').map(name).collect();
        let is_kept = |option: &&str| !added.iter().any(|new| is_exclusive(new, name(option)));
        let options = self.options.iter().map(String::as_str).filter(is_kept);
        let options: Vec<&str> = options.collect();
        let is_selective = options.iter().any(|option| name(option) == "--merged");
        let tasks = if is_selective { "" } else { tasks };
        let command = format!("git flux {}", self.verb);
        let parts = [&[&command, tasks], &options[..], &[extra]].concat();
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" ")
    }

    /// Returns `git flux cleanup` for a task, as [`Self::with`] does. For a landing, keeps the
    /// options that both commands have, and adds `--gate` if it has a gate.
    pub(crate) fn cleanup_with(&self, id: &TaskId, extra: &str) -> String {
        if self.is_cleanup() {
            return self.with(id, extra);
        }
        let options = self.options.iter().cloned();
        let options = options.filter(|option| !OF_LANDINGS.contains(&name(option)));
        let gate = self.is_tested.then(|| "--gate".to_owned());
        Self::cleanup(options.chain(gate)).with(id, extra)
    }

    /// Adds the options to each hint of an error that names the command without any, as for a
    /// misspelled task.
    pub(crate) fn complete_hints(&self, error: Error) -> Error {
        let plain = format!("git flux {} ", self.verb);
        map_hints(error, |hint| match hint.strip_prefix(&plain) {
            Some(tasks) => self.for_tasks(tasks, ""),
            None => hint,
        })
    }
}

/// Returns an option without a value; `None` if it is not given.
pub(crate) fn flag((is_given, name): (bool, &str)) -> Option<String> {
    is_given.then(|| name.to_owned())
}

/// Returns the option `--into` for a branch, quoted for a shell.
pub(crate) fn into_option(branch: &str) -> String {
    format!("--into {}", word(branch))
}

/// Returns the option `--commit` for a message, quoted for a shell; empty for the default message.
pub(crate) fn commit_option(message: &str) -> String {
    match message {
        "" => "--commit".to_owned(),
        message => format!("--commit={}", exact_word(message)),
    }
}

/// Returns the name of an option that may have a value.
fn name(option: &str) -> &str {
    option.split([' ', '=']).next().unwrap_or(option)
}

/// Returns whether an option replaces another one: it is the same, or they cannot be given together.
fn is_exclusive(one: &str, other: &str) -> bool {
    let has = |(these, those): &(&[&str], &[&str])| {
        let is = |first, second| these.contains(first) && those.contains(second);
        is(&one, &other) || is(&other, &one)
    };
    one == other || EXCLUSIVE.iter().any(has)
}
