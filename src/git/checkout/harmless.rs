//! Configuration files that others write: read without git, and only if every line is harmless.
//!
//! The rule is closed. A file is accepted if each of its lines is understood, and each key is one
//! that names no program and leads to no other file. git itself may read more than this does,
//! never anything else.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::git::checkout::distrust::Distrust;
use crate::git::checkout::small_file::read_small;

/// The keys that are accepted, in lower case; `*` is any subsection.
const KEYS: [&str; 87] = [
    "author.email",
    "author.name",
    "branch.*.description",
    "branch.*.merge",
    "branch.*.pushremote",
    "branch.*.rebase",
    "branch.*.remote",
    "commit.gpgsign",
    "committer.email",
    "committer.name",
    "core.abbrev",
    "core.autocrlf",
    "core.bare",
    "core.bigfilethreshold",
    "core.checkstat",
    "core.commitgraph",
    "core.compression",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.logallrefupdates",
    "core.multipackindex",
    "core.precomposeunicode",
    "core.preloadindex",
    "core.protecthfs",
    "core.protectntfs",
    "core.quotepath",
    "core.repositoryformatversion",
    "core.safecrlf",
    "core.sharedrepository",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.splitindex",
    "core.symlinks",
    "core.trustctime",
    "core.untrackedcache",
    "diff.algorithm",
    "diff.ignoresubmodules",
    "diff.renames",
    "extensions.compatobjectformat",
    "extensions.noop",
    "extensions.noop-v1",
    "extensions.partialclone",
    "extensions.preciousobjects",
    "extensions.refstorage",
    "extensions.relativeworktrees",
    "extensions.worktreeconfig",
    "feature.experimental",
    "feature.manyfiles",
    "fetch.prune",
    "gc.auto",
    "index.recordendofindexentries",
    "index.recordoffsettable",
    "index.skiphash",
    "index.sparse",
    "index.threads",
    "index.version",
    "lfs.repositoryformatversion",
    "maintenance.auto",
    "merge.conflictstyle",
    "merge.ff",
    "pull.ff",
    "pull.rebase",
    "push.autosetupremote",
    "push.default",
    "remote.*.fetch",
    "remote.*.mirror",
    "remote.*.partialclonefilter",
    "remote.*.promisor",
    "remote.*.prune",
    "remote.*.push",
    "remote.*.pushurl",
    "remote.*.skipfetchall",
    "remote.*.tagopt",
    "remote.*.url",
    "rerere.enabled",
    "status.showuntrackedfiles",
    "submodule.*.active",
    "submodule.*.branch",
    "submodule.*.ignore",
    "submodule.*.path",
    "submodule.*.shallow",
    "submodule.*.url",
    "submodule.active",
    "user.email",
    "user.name",
    "user.signingkey",
];

/// The keys that are accepted besides in a repository of its own: where its files are, and hooks,
/// which git is told to leave out there.
const OF_REPOSITORY: [&str; 2] = ["core.hookspath", "core.worktree"];

/// The keys that are accepted with these values, as they stand.
const VALUES: [(&str, [&str; 2]); 2] = [
    // Another value is a program.
    ("core.fsmonitor", ["false", "true"]),
    ("extensions.objectformat", ["sha1", "sha256"]),
];

/// Those of a configuration file's keys that [`VALUES`] has, with their values; none of a file
/// that is not there.
///
/// # Errors
/// When it has anything in it that is not known to be harmless, or cannot be read.
pub(in crate::git) fn read(file: &Path, of: Of) -> Result<BTreeMap<String, String>> {
    let Some(text) = read_small(file)? else {
        return Ok(BTreeMap::new());
    };
    parse(&text, of).map_err(|what| {
        let file = file.to_owned();
        match what {
            Foreign::Key(key) => Distrust::Key { file, key },
            Foreign::Line(line) => Distrust::Line { file, line },
        }
        .into()
    })
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::git) enum Of {
    /// A worktree's alone.
    Worktree,
    Repository,
}

/// What is not known to be harmless.
#[derive(Debug, PartialEq, Eq)]
enum Foreign {
    Key(String),
    /// By its number.
    Line(usize),
}

fn parse(text: &[u8], of: Of) -> Result<BTreeMap<String, String>, Foreign> {
    let mut found = BTreeMap::new();
    let mut section = None;
    for (at, line) in text.split(|&b| b == b'\n').enumerate() {
        let odd = Foreign::Line(at + 1);
        let line = std::str::from_utf8(line).map_err(|_| Foreign::Line(at + 1))?;
        // Such a line goes on in the next one, or is not what it looks like.
        if line.ends_with('\\') || line.contains(|c: char| c.is_control() && c != '\t') {
            return Err(odd);
        }
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            section = Some(header(rest).ok_or(odd)?);
            continue;
        }
        let variable = section.as_ref().and_then(|section| variable(section, line));
        let Variable {
            key,
            pattern,
            value,
        } = variable.ok_or(odd)?;
        let accepted = |keys: &[&str]| keys.contains(&&*pattern);
        let has_value =
            |(name, values): &(&str, [&str; 2])| pattern == *name && values.contains(&value);
        if VALUES.iter().any(has_value) {
            found.insert(key, value.to_owned());
        } else if !(accepted(&KEYS) || of == Of::Repository && accepted(&OF_REPOSITORY)) {
            return Err(Foreign::Key(key));
        }
    }
    Ok(found)
}

/// A section in lower case, and its subsection.
type Section = (String, Option<String>);

/// A line that sets something.
struct Variable<'a> {
    key: String,
    /// The same with `*` for the subsection.
    pattern: String,
    value: &'a str,
}

/// Takes a line of a section apart; none if it does not begin with the name of a variable.
fn variable<'a>((section, subsection): &Section, line: &'a str) -> Option<Variable<'a>> {
    let (name, value) = line.split_once('=').unwrap_or((line, ""));
    let name = name.trim_end_matches([' ', '\t']).to_ascii_lowercase();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let key = match subsection {
        Some(part) => format!("{section}.{part}.{name}"),
        None => format!("{section}.{name}"),
    };
    let pattern = match subsection {
        Some(_) => format!("{section}.*.{name}"),
        None => key.clone(),
    };
    let value = value.trim_matches([' ', '\t']);
    is_name.then_some(Variable {
        key,
        pattern,
        value,
    })
}

/// The section in lower case and the subsection of `section]` or `section "subsection"]`, if it
/// is nothing else.
fn header(text: &str) -> Option<Section> {
    let text = text.strip_suffix(']')?;
    let (section, subsection) = match text.split_once([' ', '\t']) {
        Some((section, quoted)) => {
            let quoted = quoted.trim_start_matches([' ', '\t']);
            let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
            (section, Some(inner.to_owned()))
        }
        None => (text, None),
    };
    let is_name = section
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_plain = |part: &String| !part.contains(['"', '\\']);
    (is_name && !section.is_empty() && subsection.as_ref().is_none_or(is_plain))
        .then(|| (section.to_ascii_lowercase(), subsection))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::git::Git;

    fn case(text: &str) -> Result<BTreeMap<String, String>, Foreign> {
        parse(text.as_bytes(), Of::Worktree)
    }

    #[test]
    fn what_git_writes_for_a_worktree_is_accepted() {
        let text = "# mine\n[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone=true\n\tbare = false\n\
                    \tfsmonitor = true\n\n[index]\n\tsparse\n[branch \"a.b/c\"]\n\tremote = \"o \\\" x\" ; y\n\
                    [extensions]\n  objectFormat = sha256\n";
        let found = case(text).unwrap();
        assert_eq!(found["extensions.objectformat"], "sha256");
        let of_repository = "[core]\n\tworktree = ../../../sub\n\thooksPath = .husky/_\n";
        assert!(parse(of_repository.as_bytes(), Of::Repository).is_ok());
        let key = |key: &str| Err(Foreign::Key(key.to_owned()));
        assert_eq!(case(of_repository), key("core.worktree"));
    }

    #[test]
    fn a_key_that_may_name_a_program_is_named() {
        let key = |key: &str| Err(Foreign::Key(key.to_owned()));
        assert_eq!(case("[CORE]\n\tfsMonitor = /x/y\n"), key("core.fsmonitor"));
        assert_eq!(case("[filter \"Q\"]\n\tclean = x\n"), key("filter.Q.clean"));
        assert_eq!(
            case("[core \"x\"]\n\tbare = no\n"),
            key("core.x.bare"),
            "a subsection is another key"
        );
        assert_eq!(
            case("[includeIf \"gitdir:/\"]\npath = x"),
            key("includeif.gitdir:/.path")
        );
        assert_eq!(
            case("[extensions]\n\tobjectFormat = \"sha256\"\n"),
            key("extensions.objectformat")
        );
    }

    #[test]
    fn a_line_that_is_not_understood_is_refused() {
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
            assert_eq!(case(text), Err(Foreign::Line(line)), "{text:?}");
        }
    }

    /// git agrees on every file that is accepted, whatever it is made of.
    #[test]
    fn git_reads_no_other_key_in_what_is_accepted() {
        use rand::rngs::StdRng;
        use rand::{RngExt as _, SeedableRng as _};
        const PARTS: [&str; 18] = [
            "[core]",
            "[core",
            "]",
            " \"x\"",
            "\"",
            "\\",
            "\n",
            "\n",
            "\t",
            " ",
            "=",
            "bare",
            "true",
            "#",
            ";",
            "fsmonitor",
            "[branch \"a\"]\nremote",
            "/x",
        ];
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        let mut random = StdRng::seed_from_u64(11);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let parts = random.random_range(1..12);
            let text: String = (0..parts)
                .map(|_| PARTS[random.random_range(0..PARTS.len())])
                .collect();
            let dangerous = text.contains("fsmonitor");
            if !dangerous || parse(text.as_bytes(), Of::Worktree).is_err() {
                continue;
            }
            accepted += 1;
            fs::write(&file, &text).unwrap();
            let args = ["--file", "config", "--get-regexp", "fsmonitor"];
            let (_, said) = Git::reading(dir.path(), "config")
                .args(args)
                .outcome()
                .unwrap();
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let value = said.trim_end().split_once(' ').map(|(_, value)| value);
            assert!(
                matches!(value, None | Some("true" | "false")),
                "{text:?}: {said}"
            );
        }
        assert!(accepted > 10, "only {accepted} were accepted");
    }
}
