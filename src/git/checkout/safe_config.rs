//! Configuration files that an agent may have written: parsed without git, accepted only if every
//! line is safe.
//!
//! This is an allow list: each line must parse, and each key must be one that names no program and
//! includes no file. git may accept more syntax, but never reads an accepted file differently.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::git::checkout::distrust::{Distrust, read_small};

/// The accepted keys in lower case: each line has a section (`*` for any subsection) and its
/// variables.
const SAFE_KEYS: &str = "
author email name
branch.* description merge pushremote rebase remote
commit gpgsign
committer email name
core abbrev autocrlf bare bigfilethreshold checkstat commitgraph compression eol filemode ignorecase
core logallrefupdates multipackindex precomposeunicode preloadindex protecthfs protectntfs quotepath
core repositoryformatversion safecrlf sharedrepository sparsecheckout sparsecheckoutcone splitindex
core symlinks trustctime untrackedcache
diff algorithm ignoresubmodules renames
extensions compatobjectformat noop noop-v1 partialclone preciousobjects refstorage
extensions relativeworktrees worktreeconfig
feature experimental manyfiles
fetch prune
gc auto
index recordendofindexentries recordoffsettable skiphash sparse threads version
lfs repositoryformatversion
maintenance auto
merge conflictstyle ff
pull ff rebase
push autosetupremote default
remote.* fetch mirror partialclonefilter promisor prune push pushurl skipfetchall tagopt url
rerere enabled
status showuntrackedfiles
submodule active
submodule.* active branch ignore path shallow url
user email name signingkey
";

/// Further accepted keys in a nested repository: the location of its files, and hooks, which git
/// flux disables there.
const SAFE_REPOSITORY_KEYS: &str = "core hookspath worktree";

/// The keys that are accepted only with these values. Any other monitor is a program.
const SAFE_VALUES: &str = "
core.fsmonitor false true
extensions.objectformat sha1 sha256
";

/// The characters that git treats as white space.
const BLANKS: [char; 2] = [' ', '\t'];

/// The scope of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) enum Scope {
    Worktree,
    Repository,
}

/// Verifies that each line of a git configuration file sets a key listed as safe (in
/// [`Scope::Repository`], `core.hooksPath` and `core.worktree` are, too), and returns the values of
/// `core.fsmonitor` and `extensions.objectformat`, if set. A missing file is safe and empty.
///
/// # Errors
/// With a [`Distrust`] if a line is unknown or a key is not listed.
pub(in crate::git) fn read(file: &Path, scope: Scope) -> Result<BTreeMap<String, String>> {
    let text = read_small(file)?.unwrap_or_default();
    Ok(parse(file, &text, scope)?)
}

fn parse(file: &Path, text: &[u8], scope: Scope) -> Result<BTreeMap<String, String>, Distrust> {
    let mut found = BTreeMap::new();
    let mut section = None;
    for (at, line) in text.split(|&b| b == b'\n').enumerate() {
        let invalid_line = || Distrust::Line {
            file: file.to_owned(),
            line: at + 1,
        };
        let line = std::str::from_utf8(line).map_err(|_| invalid_line())?;
        // A continued line, or one with control characters.
        if line.ends_with('\\') || line.contains(|c: char| c.is_control() && c != '\t') {
            return Err(invalid_line());
        }
        let line = line.trim_matches(BLANKS);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            section = Some(parse_header(rest).ok_or_else(invalid_line)?);
            continue;
        }
        let (section, pattern) = section.as_ref().ok_or_else(invalid_line)?;
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let name = name.trim_end_matches(BLANKS).to_ascii_lowercase();
        if !is_name(&name) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(invalid_line());
        }
        let (key, value) = (format!("{section}.{name}"), value.trim_matches(BLANKS));
        let is_known = |table| table_has(table, pattern, &name);
        if table_has(SAFE_VALUES, &key, value) {
            found.insert(key, value.to_owned());
        } else if !(is_known(SAFE_KEYS)
            || scope == Scope::Repository && is_known(SAFE_REPOSITORY_KEYS))
        {
            let file = file.to_owned();
            return Err(Distrust::Key { file, key });
        }
    }
    Ok(found)
}

/// Returns whether `table`, lines of words with a space between two, has a line whose first word is
/// `first` and one of whose other words is `word`.
fn table_has(table: &str, first: &str, word: &str) -> bool {
    let mut lines = table.lines().map(|line| line.split(' '));
    lines.any(|mut line| line.next() == Some(first) && line.any(|known| known == word))
}

fn is_name(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !name.is_empty() && name.bytes().all(is_part)
}

/// Parses `section]` or `section "subsection"]` into the section's full name and its pattern, which
/// has `*` for the subsection. `None` for any other form, even if git accepts it.
fn parse_header(text: &str) -> Option<(String, String)> {
    let text = text.strip_suffix(']')?;
    let (section, quoted) = text.split_once(BLANKS).unwrap_or((text, ""));
    let lower = section.to_ascii_lowercase();
    if !is_name(section) {
        return None;
    }
    if section == text {
        return Some((lower.clone(), lower));
    }
    let quoted = quoted.trim_start_matches(BLANKS);
    let part = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let is_plain = !part.contains(['"', '\\']);
    is_plain.then(|| (format!("{lower}.{part}"), format!("{lower}.*")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::git::Git;

    fn parsed(text: &str, scope: Scope) -> Result<BTreeMap<String, String>, Distrust> {
        parse(Path::new("file"), text.as_bytes(), scope)
    }

    fn case(text: &str) -> Result<BTreeMap<String, String>, Distrust> {
        parsed(text, Scope::Worktree)
    }

    fn key(key: &str) -> Result<BTreeMap<String, String>, Distrust> {
        let (file, key) = ("file".into(), key.to_owned());
        Err(Distrust::Key { file, key })
    }

    #[test]
    fn parse_accepts_what_git_writes_for_a_worktree() {
        let text = "# mine\n[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone=true\n\tbare = false\n\
                    \tfsmonitor = true\n\n[index]\n\tsparse\n[branch \"a.b/c\"]\n\tremote = \"o \\\" x\" ; y\n\
                    [extensions]\n  objectFormat = sha256\n";
        let found = case(text).unwrap();
        assert_eq!(found["extensions.objectformat"], "sha256");
        let of_repository = "[core]\n\tworktree = ../../../sub\n\thooksPath = .husky/_\n";
        assert!(parsed(of_repository, Scope::Repository).is_ok());
        assert_eq!(case(of_repository), key("core.worktree"));
    }

    #[test]
    fn parse_names_the_key_when_it_may_name_a_program() {
        for (text, named) in [
            ("[CORE]\n\tfsMonitor = /x/y\n", "core.fsmonitor"),
            ("[filter \"Q\"]\n\tclean = x\n", "filter.Q.clean"),
            ("[core \"x\"]\n\tbare = no\n", "core.x.bare"),
            ("[includeIf \"a:/\"]\npath = x", "includeif.a:/.path"),
            (
                "[extensions]\nobjectFormat = \"sha256\"\n",
                "extensions.objectformat",
            ),
        ] {
            assert_eq!(case(text), key(named));
        }
    }

    #[test]
    fn parse_refuses_unknown_lines() {
        for (line, text) in [
            (2, "[core]\n\tbare = \\\n\tfsmonitor = x\n"),
            (1, "[core] fsmonitor = x\n"),
            (1, "[core]# x\n"),
            (1, "[core.x]\n"),
            (1, "[core \"a\\\"b\"]\n"),
            (1, "[core \"a\" \"b\"]\n"),
            (1, "[core\n]"),
            (1, "bare = true\n"),
            (2, "[core]\n\tba re = true\n"),
            (2, "[core]\n\tbare = true\r\n"),
            (1, "\u{feff}[core]\n"),
        ] {
            let file = "file".into();
            let expected = Err(Distrust::Line { file, line });
            assert_eq!(case(text), expected, "{text:?}");
        }
    }

    #[test]
    fn git_reads_the_same_keys_in_accepted_files() {
        use rand::rngs::StdRng;
        use rand::{RngExt as _, SeedableRng as _};
        let parts = "[core]|[core|]| \"x\"|\"|\\|\n|\n|\t| |=|bare|true|#|;|fsmonitor|/x";
        let mut parts: Vec<&str> = parts.split('|').collect();
        parts.push("[branch \"a\"]\nremote");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        let mut random = StdRng::seed_from_u64(11);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let count = random.random_range(1..12);
            let pick = |_| parts[random.random_range(0..parts.len())];
            let text: String = (0..count).map(pick).collect();
            let dangerous = text.contains("fsmonitor");
            if !dangerous || case(&text).is_err() {
                continue;
            }
            accepted += 1;
            fs::write(&file, &text).unwrap();
            let args = ["--file", "config", "--get-regexp", "fsmonitor"];
            let git = Git::reading(dir.path()).words("config").args(args);
            let (_, output) = git.outcome().unwrap();
            let line = String::from_utf8_lossy(&output.stdout).into_owned();
            let value = line.trim_end().split_once(' ').map(|(_, value)| value);
            let is_safe = matches!(value, None | Some("true" | "false"));
            assert!(is_safe, "{text:?}: {line}");
        }
        assert!(accepted > 10, "only {accepted} were accepted");
    }
}
