//! Refs: read by `git for-each-ref`, written by `git update-ref --stdin`, many at once.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Git, Lock};

/// What asks for refs; [`parse`] takes the answer apart.
pub(super) const ASK: [&str; 3] = [
    "for-each-ref",
    "--no-sort",
    "--format=%(objectname) %(refname)",
];

/// The refs that are, or lie below, one of `patterns`, each with the object it
/// stands at: `git for-each-ref --no-sort --format=… <patterns>`. Names that are not UTF-8 are
/// left out.
///
/// # Errors
/// When git fails.
pub(crate) fn list(dir: &Path, patterns: &[&str]) -> Result<BTreeMap<String, String>> {
    let out = Git::reading(dir, ASK.iter().chain(patterns)).output()?;
    Ok(parse(&out))
}

pub(super) fn parse(out: &[u8]) -> BTreeMap<String, String> {
    let pair = |line| std::str::from_utf8(line).ok()?.split_once(' ');
    let pairs = out.split(|&b| b == b'\n').filter_map(pair);
    pairs
        .map(|(object, name)| (name.to_owned(), object.to_owned()))
        .collect()
}

/// A branch by its short name, which may be given in full: `refs/heads/x` is `x`.
pub(crate) fn short(branch: &str) -> &str {
    branch.strip_prefix("refs/heads/").unwrap_or(branch)
}

/// Changes to several refs: all happen, or none.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Transaction(Vec<u8>);

impl Transaction {
    fn line(mut self, verb: &str, name: &str, values: &[&str]) -> Self {
        self.0
            .extend_from_slice(format!("{verb} {name}\0").as_bytes());
        for value in values {
            self.0.extend_from_slice(value.as_bytes());
            self.0.push(0);
        }
        self
    }

    /// Makes `name`; fails if it exists.
    pub(crate) fn create(self, name: &str, new: &str) -> Self {
        self.line("create", name, &[new])
    }

    /// Moves `name`, which stands at `old`.
    pub(crate) fn update(self, name: &str, new: &str, old: &str) -> Self {
        self.line("update", name, &[new, old])
    }

    /// Deletes `name`, which stands at `old`.
    pub(crate) fn delete(self, name: &str, old: &str) -> Self {
        self.line("delete", name, &[old])
    }

    /// Fails unless `name` stands at `old`.
    pub(crate) fn verify(self, name: &str, old: &str) -> Self {
        self.line("verify", name, &[old])
    }

    /// `git update-ref -z --stdin -m <message>`
    ///
    /// # Errors
    /// When one of the refs is not as expected: then none has changed.
    pub(crate) fn commit(self, dir: &Path, message: &str, lock: &Lock) -> Result<()> {
        let args = ["update-ref", "-m", message, "--stdin", "-z"];
        Git::new(dir, args)
            .input(self.0)
            .holding(lock)?
            .run()
            .context("could not change the refs; none was changed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::check::is_branch_name;

    #[test]
    fn names_of_branches_are_those_that_git_takes() {
        let right = "a ä @ a@b { a.b a.lock.b a-b a/b a+b=c # ' \" $(x) `x` ; |".split(' ');
        let wrong = [
            "-a", "HEAD", "", "a..b", ".a", "a.", "a.lock", "a/.b", "a.lock/b", "/a", "a/", "a//b",
            "a b", "a\tb", "a\u{7f}", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "@{",
            "a@{b",
        ];
        for name in right.chain(wrong) {
            let args = ["check-ref-format", &format!("refs/heads/{name}")];
            let (code, _) = Git::reading(Path::new("."), args).outcome().unwrap();
            // These two are refs to git, but no branches.
            let taken = code == 0 && !name.starts_with('-') && name != "HEAD";
            assert_eq!(is_branch_name(name), taken, "{name:?}");
        }
    }
}
