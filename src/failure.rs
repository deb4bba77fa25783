//! What can go wrong, as the user sees it.
//!
//! Everything below returns `anyhow::Result`. Where the user can do something
//! about an error, a [`Failure`] travels inside it: it survives any number of
//! contexts, and `main` takes hint and exit code from it.

use std::cmp::Reverse;
use std::fmt;

/// Could not do it, or refused to.
const REFUSED: u8 = 1;
/// The command line was wrong; clap uses the same code.
pub(crate) const USAGE: u8 = 2;
/// Stopped at merge conflicts; nothing was touched.
pub(crate) const CONFLICTS: u8 = 3;
/// Waited as long as it was told to, as `timeout` has it.
pub(crate) const TIMED_OUT: u8 = 124;
/// The user declined, or interrupted.
pub(crate) const DECLINED: u8 = 130;

/// An error with a hint that can be pasted and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hints: Vec<String>,
    code: u8,
}

impl Failure {
    /// A refusal (exit code 1).
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            hints: Vec::new(),
            code: REFUSED,
        }
    }

    /// The user said no, or pressed ^C: exit code 130.
    pub(crate) fn declined(message: impl fmt::Display) -> Self {
        Self::new(message).code(DECLINED)
    }

    /// Adds a line that says what to do about it.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Adds several such lines, or none.
    pub(crate) fn hints(self, hints: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        hints.into_iter().fold(self, Self::hint)
    }

    /// Adds which of `known` may be meant with `name`, if one is like it.
    pub(crate) fn did_you_mean<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let near = nearest(name, known).into_iter().take(1);
        self.hints(near.map(|near| format!("did you mean '{near}'?")))
    }

    /// Replaces the exit code.
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

/// The exit code that belongs to `error`.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Failure>().map_or(REFUSED, |f| f.code)
}

/// The lines to show for `error`, each with its label: `error`, `caused by`, `hint`.
///
/// Git's own messages carry labels already (`fatal:`, `error:`); those of a
/// cause are shown as they are, one line each.
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

/// Puts a failure on top of an error. The hints of that, which would be lost, come after its own.
pub(crate) fn over(error: anyhow::Error, failure: Failure) -> anyhow::Error {
    let hints: Vec<String> = hints(&error).collect();
    error.context(failure.hints(hints))
}

/// Returns the hints that belong to `error`.
pub(crate) fn hints(error: &anyhow::Error) -> impl Iterator<Item = String> {
    let lines = lines(error).into_iter();
    lines.filter_map(|(label, line)| (label == "hint").then_some(line))
}

/// Those of `known` that `name` may be meant to be, the likeliest first, three at most. A name may
/// be the beginning of what is meant, or a part of it; case does not count.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let length = name.chars().count();
    let likeness = |known: &str| {
        let known = known.to_lowercase();
        let beginning: String = known.chars().take(length).collect();
        let part = length >= PART && known.contains(&name);
        let likeness = strsim::jaro(&name, &known).max(strsim::jaro(&name, &beginning));
        // In thousandths, to be put in order.
        (if part { 1.0 } else { likeness } * 1000.0) as u32
    };
    let known = known.into_iter().map(|known| (likeness(known), known));
    let near = known.filter(|(likeness, _)| length > 0 && *likeness > LIKE);
    let mut near: Vec<(u32, &str)> = near.collect();
    near.sort_by_key(|(likeness, _)| Reverse(*likeness));
    near.into_iter().map(|(_, known)| known).take(3).collect()
}

/// How like two names are that one may be meant with the other, in thousandths: clap's measure for commands.
const LIKE: u32 = 700;
/// How long a part of a name is that says which one is meant.
const PART: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_failure_is_found_through_any_number_of_contexts() {
        let failure = Failure::new("conflicts").hint("git status").code(CONFLICTS);
        let error = anyhow::Error::new(failure)
            .context("merging")
            .context("cleaning up");
        assert_eq!(code(&error), CONFLICTS);
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
    fn a_failure_as_context_keeps_its_hint_and_code() {
        let cause: anyhow::Result<()> = Err(anyhow::anyhow!("fatal: no"));
        let error = cause
            .context(Failure::new("could not").hint("try").code(3))
            .unwrap_err();
        assert_eq!(code(&error), 3);
        assert_eq!(lines(&error).last(), Some(&("hint", "try".to_owned())));
    }

    #[test]
    fn what_is_meant_is_found_by_its_beginning_its_parts_and_its_likeness() {
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
