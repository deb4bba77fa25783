//! Errors, as the user sees them.
//!
//! Functions return `anyhow::Result`. If the user can do something about an error, it contains a
//! [`Failure`], below any number of contexts; `main` takes hints and exit code from it.

use std::cmp::Reverse;
use std::fmt;
use std::mem;

use strum::Display;

/// Failed, or refused.
const REFUSED: u8 = 1;
/// The command line was wrong; clap uses this code, too.
pub(crate) const USAGE: u8 = 2;
/// Merge conflicts; nothing was changed.
pub(crate) const CONFLICTS: u8 = 3;
/// The timeout expired, as for `timeout`.
pub(crate) const TIMED_OUT: u8 = 124;
/// A gate has neither passed nor failed, as for `git bisect run`.
pub(crate) const NO_VERDICT: u8 = 125;
/// The user declined or interrupted.
pub(crate) const DECLINED: u8 = 130;

/// An error with hints to paste and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hints: Vec<String>,
    code: u8,
}

impl Failure {
    /// Creates an error for the user with a message, no hints, and exit code 1.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            hints: Vec::new(),
            code: REFUSED,
        }
    }

    /// Creates an error for the user with exit code 130: the user declined or pressed ^C.
    pub(crate) fn declined(message: impl fmt::Display) -> Self {
        Self::new(message).code(DECLINED)
    }

    /// Adds a hint, such as a command to paste, which is printed as a `hint:` line below the error.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Adds several hints, each of which is printed as a `hint:` line below the error.
    pub(crate) fn hints(self, hints: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        hints.into_iter().fold(self, Self::hint)
    }

    /// Adds the hint `did you mean '…'?` with the name of `known` that is most similar to `name`.
    /// Adds nothing if none is similar enough.
    pub(crate) fn did_you_mean<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let near = nearest(name, known).into_iter().take(1);
        self.hints(near.map(|near| format!("did you mean '{near}'?")))
    }

    /// Replaces the exit code that the process has after this error.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A command of git flux in hints: `git flux <verb> …`.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Verb {
    Attach,
    Cleanup,
    Conflicts,
    Diff,
    Gate,
    Land,
    Log,
    Restore,
    Resume,
    Review,
    Send,
    Status,
    Stop,
    Wait,
}

/// Returns the exit code for an error: that of the [`Failure`] in it, or 1 if it contains none.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Failure>().map_or(REFUSED, |f| f.code)
}

/// Returns the exit code of a command for the exit codes of its parts: 1 beats any other, and any
/// other beats 3, since conflicts must be all that stopped something. 0 without any.
pub(crate) fn worst_exit_code(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: &u8| match *code {
        0 => 0,
        CONFLICTS => 1,
        REFUSED => 3,
        _ => 2,
    };
    codes.into_iter().max_by_key(rank).unwrap_or_default()
}

/// Returns the lines to print for an error, each with its label: `error`, `caused by`, then `hint`.
/// A message of several lines, as git prints it, gives one line for each. Omits blank lines and
/// repeated hints.
pub(crate) fn lines(error: &anyhow::Error) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for (depth, cause) in error.chain().enumerate() {
        let label = if depth == 0 { "error" } else { "  caused by" };
        for line in cause.to_string().lines().filter(|l| !l.trim().is_empty()) {
            lines.push((label, line.to_owned()));
        }
    }
    // A Failure used as anyhow *context* is not in the chain under its own type.
    let outer = error.downcast_ref::<Failure>();
    let causes = error.chain();
    let inner = causes.filter_map(|cause| cause.downcast_ref::<Failure>());
    for hint in outer.into_iter().chain(inner).flat_map(|f| &f.hints) {
        let line = ("hint", hint.clone());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Returns the messages of an error and its causes as one line, as the reason for something unknown;
/// without hints. A message of several lines, as git prints it, is joined by spaces.
pub(crate) fn reason(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Adds a failure to an error as its context: the failure's message comes before that of the error,
/// and the failure's hints before those of the error.
pub(crate) fn wrap_in_failure(error: anyhow::Error, failure: Failure) -> anyhow::Error {
    let hints: Vec<String> = hints(&error).collect();
    error.context(failure.hints(hints))
}

/// Adds a hint to an error. An error that is no [`Failure`] gets `message` before its own.
pub(crate) fn add_hint(mut error: anyhow::Error, message: &str, hint: String) -> anyhow::Error {
    let Some(failure) = error.downcast_mut::<Failure>() else {
        return error.context(Failure::new(message).hint(hint));
    };
    failure.hints.push(hint);
    error
}

/// Replaces a hint of an error by another one, or removes it. Does nothing if the error has no such
/// hint.
pub(crate) fn replace_hint(
    mut error: anyhow::Error,
    hint: &str,
    other: Option<&str>,
) -> anyhow::Error {
    if let Some(failure) = error.downcast_mut::<Failure>()
        && let Some(at) = failure.hints.iter().position(|one| one == hint)
    {
        failure.hints.splice(at..=at, other.map(str::to_owned));
    }
    error
}

/// Replaces each hint of an error by what `change` makes of it.
pub(crate) fn map_hints(
    mut error: anyhow::Error,
    change: impl Fn(String) -> String,
) -> anyhow::Error {
    if let Some(failure) = error.downcast_mut::<Failure>() {
        let hints = mem::take(&mut failure.hints);
        failure.hints = hints.into_iter().map(change).collect();
    }
    error
}

/// Returns the texts of all hints of an error, without repetitions.
pub(crate) fn hints(error: &anyhow::Error) -> impl Iterator<Item = String> {
    let lines = lines(error).into_iter();
    lines.filter_map(|(label, line)| (label == "hint").then_some(line))
}

/// Returns at most three of `known` that are similar to `name`, the most similar first; empty for
/// an empty `name`. A `name` that begins a known name, or is a part of it with at least three
/// characters, is similar; case is ignored.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let length = name.chars().count();
    let similarity = |known: &str| {
        let known = known.to_lowercase();
        let beginning: String = known.chars().take(length).collect();
        let part = length >= MIN_PART_CHARS && known.contains(&name);
        let similarity = strsim::jaro(&name, &known).max(strsim::jaro(&name, &beginning));
        // In thousandths, which can be sorted.
        (if part { 1.0 } else { similarity } * 1000.0) as u32
    };
    let known = known.into_iter().map(|known| (similarity(known), known));
    let near = known.filter(|(similarity, _)| length > 0 && *similarity > MIN_SIMILARITY);
    let mut near: Vec<(u32, &str)> = near.collect();
    near.sort_by_key(|(similarity, _)| Reverse(*similarity));
    near.into_iter().map(|(_, known)| known).take(3).collect()
}

/// The least similarity of a suggestion, in thousandths: the limit of clap.
const MIN_SIMILARITY: u32 = 700;
/// The shortest part that is searched for.
const MIN_PART_CHARS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn lines_finds_a_failure_below_contexts() {
        let failure = Failure::new("conflicts").hint("git status").code(CONFLICTS);
        let error = anyhow::Error::new(failure)
            .context("merging")
            .context("cleaning up");
        assert_eq!(exit_code(&error), CONFLICTS);
        assert_eq!(
            lines(&error),
            [
                ("error", "cleaning up".to_owned()),
                ("  caused by", "merging".to_owned()),
                ("  caused by", "conflicts".to_owned()),
                ("hint", "git status".to_owned()),
            ]
        );
    }

    #[test]
    fn lines_finds_a_failure_used_as_context() {
        let cause: anyhow::Result<()> = Err(anyhow::anyhow!("fatal: no"));
        let error = cause
            .context(Failure::new("could not").hint("try").code(3))
            .unwrap_err();
        assert_eq!(exit_code(&error), 3);
        assert_eq!(lines(&error).last(), Some(&("hint", "try".to_owned())));
    }

    #[test]
    fn worst_exit_code_is_that_of_conflicts_only_if_nothing_else_failed() {
        #[track_caller]
        fn case(codes: &[u8], expected: u8) {
            let reversed = codes.iter().rev().copied();
            assert_eq!(
                worst_exit_code(codes.iter().copied()),
                expected,
                "{codes:?}"
            );
            assert_eq!(worst_exit_code(reversed), expected, "{codes:?} reversed");
        }
        case(&[], 0);
        case(&[0, 0], 0);
        case(&[0, CONFLICTS], CONFLICTS);
        case(&[CONFLICTS, USAGE], USAGE);
        case(&[CONFLICTS, REFUSED, 0], REFUSED);
        case(&[CONFLICTS, REFUSED, USAGE], REFUSED);
    }

    #[test]
    fn nearest_matches_prefix_substring_and_similarity() {
        let ids = [
            "add-oauth-343524",
            "fix-the-login-5c3c4d",
            "speed-up-0d23e9",
        ];
        #[track_caller]
        fn case(name: &str, known: &[&str], expected: &[&str]) {
            assert_eq!(nearest(name, known.iter().copied()), expected, "{name}");
        }
        case("fix-teh-login", &ids, &["fix-the-login-5c3c4d"]);
        case("oauth", &ids, &["add-oauth-343524"]);
        case("ad-oauth", &ids, &["add-oauth-343524"]);
        case("0d23e9", &ids, &["speed-up-0d23e9"]);
        case("nothing", &ids, &[]);
        case("", &ids, &[]);
        case("cluade", &["claude", "shell", "codex"], &["claude"]);
        case(
            "FF_only",
            &["merge", "squash", "rebase", "ff-only"],
            &["ff-only"],
        );
    }
}
