//! The configuration of a scratch repository: includes of the user's files, and its own values.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;

use super::repository::{Original, c_quoted, set_head, write as write_file};
use super::wrappers::HOOKS;
use crate::git::command::records::records;
use crate::git::hooks::Hooks;
use crate::git::repo::parse_bool;
use crate::git::{Checkout, Git};
use crate::task::RefName;

/// Keys that git reads only from the file itself, not from an include.
const EXTENSIONS: [&[u8]; 3] = [
    b"extensions.objectformat",
    b"extensions.compatobjectformat",
    b"extensions.partialclone",
];
const SPARSE: [&[u8]; 2] = [b"core.sparsecheckout", b"core.sparsecheckoutcone"];

/// Writes `.git/config` of the scratch worktree at `path`: a copy of the entries in the
/// repository's own file, includes of all other files that git reads in the original, and values
/// that override these. Returns the hooks of the branch to check out.
pub(super) fn write(original: &Original<'_>, path: &Path) -> Result<Hooks> {
    let file = path.join(".git/config");
    let listed = original.asking().words(LIST).output()?;
    let settings = Entries::read(&listed)?;
    let common = original.repo.common_dir().join("config");
    let mut base = settings.base(original, &common)?;
    write_file(&file, &base)?;
    // With the same branch, the files differ only in those that depend on the path.
    let head = original.asking().words("symbolic-ref --quiet HEAD");
    let head = RefName::new(head.answer()?.unwrap_or("refs/heads/.none".to_owned()));
    set_head(path, &head)?;
    let listed = Git::reading(path).words(LIST).output()?;
    let mut found = Entries::read(&listed)?.files(path);
    found.push(common.canonicalize().unwrap_or(common));
    let mut files = settings.files(original.top());
    files.retain(|file| !found.contains(file));
    base.extend(files.iter().flat_map(|file| include(file)));
    let branch_ref = original.head.full();
    let mut entries = settings.0.iter();
    let hooks = if entries.any(|entry| entry.key.starts_with(b"includeif.onbranch:")) {
        write_file(&file, &base)?;
        hooks_on(original, path, [&head, &branch_ref])?
    } else {
        original.hooks.clone()
    };
    set_head(path, &branch_ref)?;
    base.extend(settings.tail(original, path, &hooks));
    write_file(&file, &base)?;
    Ok(hooks)
}

/// Options that list all entries with their files.
const LIST: &str = "config --list --show-origin --includes -z";

/// An entry of a configuration.
struct ConfigEntry<'a> {
    /// `file:<path>`, for one.
    origin: &'a [u8],
    key: &'a [u8],
    value: &'a [u8],
}

/// The whole configuration of a repository.
struct Entries<'a>(Vec<ConfigEntry<'a>>);

impl<'a> Entries<'a> {
    fn read(listed: &'a [u8]) -> Result<Self> {
        let fields: Vec<&[u8]> = records(listed)?.collect();
        let (pairs, rest) = fields.as_chunks();
        ensure!(rest.is_empty(), "`git config` printed an incomplete entry");
        let entries = pairs.iter().map(|&[origin, entry]| {
            let (key, value) = split_entry(entry);
            ConfigEntry { origin, key, value }
        });
        Ok(Self(entries.collect()))
    }

    fn last(&self, key: &[u8]) -> Option<&[u8]> {
        let found = self.0.iter().rev().find(|entry| entry.key == key);
        found.map(|entry| entry.value)
    }

    /// Returns lines for a configuration file that set each of `keys` to its last value; leaves out
    /// those that are not set.
    fn lines_of(&self, keys: &[&[u8]]) -> Vec<u8> {
        let set = |key: &&[u8]| self.last(key).map(|value| line(key, value));
        keys.iter().filter_map(set).flatten().collect()
    }

    /// Lists the configuration files that contain the entries, each once, in order, with symbolic
    /// links resolved; relative names begin at `top`.
    fn files(&self, top: &Path) -> Vec<PathBuf> {
        let origins = self.0.iter().map(|entry| entry.origin);
        let names = origins.filter_map(|origin| origin.strip_prefix(b"file:"));
        let files = names.map(|name| top.join(name.to_path_lossy()));
        let files = files.map(|file| file.canonicalize().unwrap_or(file));
        let mut seen = HashSet::new();
        files.filter(|file| seen.insert(file.clone())).collect()
    }

    /// Returns the first part of the scratch configuration: the repository's format, the entries of
    /// the user's file `common` and an include of `config.worktree`.
    fn base(&self, original: &Original<'_>, common: &Path) -> Result<Vec<u8>> {
        let mut base = Vec::new();
        // A merge uses the last value, a rebase the first.
        if self.last(b"pull.twohead").is_some() {
            base.extend(line(b"pull.twohead", b"ort"));
        }
        base.extend(b"[core]\n\trepositoryFormatVersion = 1\n\tbare = false\n");
        base.extend(self.lines_of(&EXTENSIONS));
        base.extend(copy_local(original, common)?);
        let of_worktree = original.git_dir().join("config.worktree");
        let is_read = self.last(b"extensions.worktreeconfig");
        let is_read = is_read.and_then(|value| parse_bool(value.to_str().ok()?));
        if is_read == Some(true) && of_worktree.exists() {
            base.extend(include(&of_worktree));
        }
        Ok(base)
    }

    /// Returns the last part of the scratch configuration: values that override the user's, such as
    /// the hooks directory and only those configured hooks that run before a commit.
    fn tail(&self, original: &Original<'_>, path: &Path, hooks: &Hooks) -> Vec<u8> {
        let mut tail = self.lines_of(&SPARSE);
        if self.last(b"pull.twohead").is_some() {
            tail.extend(line(b"pull.twohead", b"ort"));
        }
        for hook in &hooks.configured {
            let key = format!("hook.{}.event", hook.name);
            // An empty value clears the previous ones.
            tail.extend(line(key.as_bytes(), b""));
            for event in &hook.events {
                if HOOKS.contains(&event.as_str()) {
                    tail.extend(line(key.as_bytes(), event.as_bytes()));
                }
            }
        }
        if !hooks.is_default_dir {
            let dir = path.join(".git/hooks");
            tail.extend(line(b"core.hooksPath", dir.as_os_str().as_bytes()));
        } else if self.last(b"core.hookspath").is_some() {
            tail.extend(line(b"core.hooksPath", b".git/hooks"));
        }
        if !original.signs {
            tail.extend(line(b"commit.gpgSign", b"false"));
        }
        // Options of a merge by hand could change the result.
        let options = format!("branch.{}.mergeOptions", original.head);
        let values: [(&[u8], &[u8]); 6] = [
            (b"core.bare", b"false"),
            (b"core.fsmonitor", b"false"),
            (b"gc.auto", b"0"),
            (b"maintenance.auto", b"false"),
            // The new commit is fetched by its id.
            (b"uploadpack.allowAnySHA1InWant", b"true"),
            (options.as_bytes(), b""),
        ];
        tail.extend(values.iter().flat_map(|(key, value)| line(key, value)));
        tail
    }
}

/// Returns the hooks of the scratch worktree at `path` if `HEAD` is the second of `branches`: those
/// of the original, unless the branches have different hooks directories. Leaves `HEAD` at the
/// second: `git rev-parse --git-path hooks` on both
fn hooks_on(original: &Original<'_>, path: &Path, branches: [&RefName; 2]) -> Result<Hooks> {
    let [before, after] = branches.map(|branch| {
        set_head(path, branch)?;
        let ask = Git::reading(path).words("rev-parse --git-path hooks");
        ask.output()
    });
    let after = after?;
    if after == before? {
        return Ok(original.hooks.clone());
    }
    let (repo, configured) = (original.repo, original.hooks.configured.clone());
    Ok(match after.strip_suffix(b"\n").unwrap_or(&after) {
        b".git/hooks" => Hooks::with_default_dir(repo, configured),
        dir => {
            let top = original.worktree().map(Checkout::path);
            Hooks::with_dir(&dir.to_path_lossy(), repo, top, configured)
        }
    })
}

/// Returns the entries of the user's configuration `file` as text, with absolute paths in
/// `include.path` and `includeIf`. Leaves out `extensions.*`, `core.bare`,
/// `core.repositoryFormatVersion` and `core.worktree`: `git config --local --no-includes --list -z`
fn copy_local(original: &Original<'_>, file: &Path) -> Result<Vec<u8>> {
    let list = "config --local --no-includes --list -z";
    let out = original.asking().words(list).output()?;
    let dir = file.parent().context("a file is in a directory")?;
    let mut copy = Vec::new();
    for entry in records(&out)? {
        let (key, value) = split_entry(entry);
        if key.starts_with(b"extensions.") || OWN_KEYS.contains(&key) {
            continue;
        }
        let is_include = key == b"include.path" || key.starts_with(b"includeif.");
        // A relative path.
        if is_include && !matches!(value, [b'/' | b'~', ..] | [b'%', b'(', ..]) {
            let path = dir.join(value.to_path_lossy());
            copy.extend(line(key, path.as_os_str().as_bytes()));
        } else {
            copy.extend(line(key, value));
        }
    }
    Ok(copy)
}

/// Keys that describe one repository and are not copied.
const OWN_KEYS: [&[u8]; 3] = [
    b"core.bare",
    b"core.repositoryformatversion",
    b"core.worktree",
];

/// Splits an entry of `git config --list -z` into key and value; a key without a value is `true`.
fn split_entry(entry: &[u8]) -> (&[u8], &[u8]) {
    entry.split_once_str("\n").unwrap_or((entry, b"true"))
}

fn include(file: &Path) -> Vec<u8> {
    line(b"include.path", file.as_os_str().as_bytes())
}

/// Formats a section with one variable, such as `[core]` and `bare = "false"`, as text for a
/// configuration file.
fn line(key: &[u8], value: &[u8]) -> Vec<u8> {
    let (section, rest) = key.split_once_str(".").unwrap_or((key, b""));
    let mut text = [b"[", section].concat();
    let variable = match rest.rsplit_once_str(".") {
        Some((subsection, variable)) => {
            let subsection = subsection.replace("\\", "\\\\").replace("\"", "\\\"");
            text.extend([b" \"", &subsection[..], b"\""].concat());
            variable
        }
        None => rest,
    };
    let value = c_quoted(value);
    text.extend([b"]\n\t", variable, b" = ", &value, b"\n"].concat());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_quotes_special_characters() {
        let text = |key: &str, value: &str| {
            String::from_utf8(line(key.as_bytes(), value.as_bytes())).unwrap()
        };
        assert_eq!(
            text("include.path", "/a \"b\";#\\c\nd"),
            "[include]\n\tpath = \"/a \\\"b\\\";#\\\\c\\nd\"\n"
        );
        assert_eq!(
            text("branch.a.b\"c.mergeOptions", ""),
            "[branch \"a.b\\\"c\"]\n\tmergeOptions = \"\"\n"
        );
        assert_eq!(text("gc.auto", "0"), "[gc]\n\tauto = \"0\"\n");
    }
}
