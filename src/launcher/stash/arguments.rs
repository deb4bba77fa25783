//! The arguments of `git stash`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// The arguments of `git stash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StashArgs(pub(super) Vec<OsString>);

/// Names that git finds in its stash, or before the number of an entry.
const STASH_PREFIXES: [&[u8]; 3] = [b"stash", b"refs/stash", b"@"];

impl StashArgs {
    /// Returns the name of the subcommand, `push` if there is none.
    pub(super) fn subcommand(&self) -> &str {
        let first = self.0.first().and_then(|word| word.to_str());
        let named = first.filter(|word| !word.starts_with('-'));
        named.unwrap_or("push")
    }

    /// Returns whether the command changes no entry and no file.
    pub(super) fn is_reading(&self) -> bool {
        matches!(self.subcommand(), "list" | "show")
    }

    /// Returns the position of an argument that names an entry by its commit, not by its number.
    pub(super) fn commit(&self) -> Option<usize> {
        let skipped = match self.subcommand() {
            "apply" | "drop" | "pop" | "show" => 0,
            "branch" => 1,
            _ => return None,
        };
        let words = self.0.iter().enumerate().skip(1);
        let mut words = words.filter(|(_, word)| !word.as_bytes().starts_with(b"-"));
        let (at, word) = words.nth(skipped)?;
        let word = word.as_bytes();
        // A long number is an object name.
        let is_number = word.iter().all(u8::is_ascii_digit) && word.len() < 40;
        let is_of_stash = STASH_PREFIXES.iter().any(|it| word.starts_with(it));
        (!is_of_stash && !is_number).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_finds_an_entry_that_has_no_number() {
        for (text, at) in [
            ("", None),
            ("push -m abc", None),
            ("apply", None),
            ("apply abc", Some(1)),
            ("apply --index -q abc", Some(3)),
            ("pop 1", None),
            ("pop 1234567890123456789012345678901234567890", Some(1)),
            ("drop stash@{1}", None),
            ("show stash", None),
            ("show -p refs/stash@{0}", None),
            ("branch abc", None),
            ("branch abc def", Some(2)),
            ("branch abc 1", None),
        ] {
            let words = text.split_whitespace().map(OsString::from);
            assert_eq!(StashArgs(words.collect()).commit(), at, "{text}");
        }
    }
}
