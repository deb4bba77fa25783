//! Its configuration: the user's, by `include`, and what it has for itself.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;

use super::repository::{Original, c_quoted, point_head, write as write_file};
use super::wrappers::BEFORE;
use crate::git::command::records::records;
use crate::git::hooks::Hooks;
use crate::git::repo::parse_bool;
use crate::git::{Checkout, Git};
use crate::task::RefName;

/// What git reads from the file itself, whatever that includes: it must say what kind of repository this is.
const EXTENSIONS: [&[u8]; 3] = [
    b"extensions.objectformat",
    b"extensions.compatobjectformat",
    b"extensions.partialclone",
];
const SPARSE: [&[u8]; 2] = [b"core.sparsecheckout", b"core.sparsecheckoutcone"];

/// Writes `config` for the worktree at `path`. Each file that git reads in the original is read
/// here too, also where that depends on the path (`includeIf.gitdir`):
/// `git config --list --show-origin --includes -z`, in both. Returns the hooks that are configured, which
/// may depend on the branch (`includeIf.onbranch`).
///
/// # Errors
/// When git fails or the file cannot be written.
pub(super) fn write(original: &Original<'_>, path: &Path) -> Result<Hooks> {
    let file = path.join(".git/config");
    let listed = original.asking("config").args(LIST).output()?;
    let settings = Settings::read(&listed)?;
    let common = original.repo.common_dir().join("config");
    let mut base = settings.base(original, &common)?;
    write_file(&file, &base)?;
    // What counts on one branch alone (`includeIf.onbranch`) is told from what does by the path.
    let head = original.asking("symbolic-ref").args(["--quiet", "HEAD"]);
    let head = RefName::new(head.answer()?.unwrap_or("refs/heads/.none".to_owned()));
    point_head(path, &head)?;
    let listed = Git::reading(path, "config").args(LIST).output()?;
    let mut found = Settings::read(&listed)?.files(path);
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
    point_head(path, &branch_ref)?;
    base.extend(settings.tail(original, path, &hooks));
    write_file(&file, &base)?;
    Ok(hooks)
}

/// What asks for all settings, and where they are from.
const LIST: [&str; 4] = ["--list", "--show-origin", "--includes", "-z"];

/// An entry of a configuration, and where it is from.
struct Entry<'a> {
    origin: &'a [u8],
    key: &'a [u8],
    value: &'a [u8],
}

/// All settings of a repository.
struct Settings<'a>(Vec<Entry<'a>>);

impl<'a> Settings<'a> {
    fn read(listed: &'a [u8]) -> Result<Self> {
        let fields: Vec<&[u8]> = records(listed)?.collect();
        let (pairs, rest) = fields.as_chunks();
        ensure!(rest.is_empty(), "`git config` printed half an entry");
        let entries = pairs.iter().map(|&[origin, entry]| {
            let (key, value) = taken_apart(entry);
            Entry { origin, key, value }
        });
        Ok(Self(entries.collect()))
    }

    fn last(&self, key: &[u8]) -> Option<&[u8]> {
        let found = self.0.iter().rev().find(|entry| entry.key == key);
        found.map(|entry| entry.value)
    }

    /// Returns the lines of those of these keys that are set.
    fn own(&self, keys: &[&[u8]]) -> Vec<u8> {
        let set = |key: &&[u8]| self.last(key).map(|value| line(key, value));
        keys.iter().filter_map(set).flatten().collect()
    }

    /// Returns the files that they are from, each once, in order.
    fn files(&self, top: &Path) -> Vec<PathBuf> {
        let origins = self.0.iter().map(|entry| entry.origin);
        let names = origins.filter_map(|origin| origin.strip_prefix(b"file:"));
        let files = names.map(|name| top.join(name.to_path_lossy()));
        let files = files.map(|file| file.canonicalize().unwrap_or(file));
        let mut seen = HashSet::new();
        files.filter(|file| seen.insert(file.clone())).collect()
    }

    /// Returns what comes first: what kind of repository it is, and the user's configuration in the
    /// file `common`.
    fn base(&self, original: &Original<'_>, common: &Path) -> Result<Vec<u8>> {
        let mut base = Vec::new();
        // A merge takes the last of these, a rebase the first.
        if self.last(b"pull.twohead").is_some() {
            base.extend(line(b"pull.twohead", b"ort"));
        }
        base.extend(b"[core]\n\trepositoryFormatVersion = 1\n\tbare = false\n");
        base.extend(self.own(&EXTENSIONS));
        base.extend(copied(original, common)?);
        let of_worktree = original.git_dir().join("config.worktree");
        let is_read = self.last(b"extensions.worktreeconfig");
        let is_read = is_read.and_then(|value| parse_bool(value.to_str().ok()?));
        if is_read == Some(true) && of_worktree.exists() {
            base.extend(include(&of_worktree));
        }
        Ok(base)
    }

    /// Returns what comes last: what it has for itself.
    fn tail(&self, original: &Original<'_>, path: &Path, hooks: &Hooks) -> Vec<u8> {
        let mut tail = self.own(&SPARSE);
        if self.last(b"pull.twohead").is_some() {
            tail.extend(line(b"pull.twohead", b"ort"));
        }
        for hook in &hooks.configured {
            let key = format!("hook.{}.event", hook.name);
            // An empty one takes back what was said before.
            tail.extend(line(key.as_bytes(), b""));
            for event in &hook.events {
                if BEFORE.contains(&event.as_str()) {
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
        // What a merge by hand would be told besides would make another one of it.
        let options = format!("branch.{}.mergeOptions", original.head);
        let of_its_own: [(&[u8], &[u8]); 6] = [
            (b"core.bare", b"false"),
            (b"core.fsmonitor", b"false"),
            (b"gc.auto", b"0"),
            (b"maintenance.auto", b"false"),
            // What is made is asked for by its name, whatever is hidden.
            (b"uploadpack.allowAnySHA1InWant", b"true"),
            (options.as_bytes(), b""),
        ];
        tail.extend(of_its_own.iter().flat_map(|(key, value)| line(key, value)));
        tail
    }
}

/// Returns the hooks of the worktree at `path` with the second of two branches checked out; on the first
/// they are those of the original: `git rev-parse --git-path hooks`, on both.
///
/// # Errors
/// When git fails or `HEAD` cannot be written.
fn hooks_on(original: &Original<'_>, path: &Path, branches: [&RefName; 2]) -> Result<Hooks> {
    let [there, here] = branches.map(|branch| {
        point_head(path, branch)?;
        let ask = Git::reading(path, "rev-parse").args(["--git-path", "hooks"]);
        ask.output()
    });
    let here = here?;
    if here == there? {
        return Ok(original.hooks.clone());
    }
    let (repo, configured) = (original.repo, original.hooks.configured.clone());
    Ok(match here.strip_suffix(b"\n").unwrap_or(&here) {
        b".git/hooks" => Hooks::with_default_dir(repo, configured),
        dir => {
            let top = original.place().map(Checkout::path);
            Hooks::with_dir(&dir.to_path_lossy(), repo, top, configured)
        }
    })
}

/// Returns the entries of the user's configuration itself, since `git config --local` follows no include:
/// `git config --local --no-includes --list -z`. What it includes is read from where that is.
fn copied(original: &Original<'_>, file: &Path) -> Result<Vec<u8>> {
    let list = ["--local", "--no-includes", "--list", "-z"];
    let out = original.asking("config").args(list).output()?;
    let dir = file.parent().context("a file is in a directory")?;
    let mut copy = Vec::new();
    for entry in records(&out)? {
        let (key, value) = taken_apart(entry);
        if key.starts_with(b"extensions.") || OWN.contains(&key) {
            continue;
        }
        let is_include = key == b"include.path" || key.starts_with(b"includeif.");
        // Neither absolute nor below a directory that has a name.
        if is_include && !matches!(value, [b'/' | b'~', ..] | [b'%', b'(', ..]) {
            let path = dir.join(value.to_path_lossy());
            copy.extend(line(key, path.as_os_str().as_bytes()));
        } else {
            copy.extend(line(key, value));
        }
    }
    Ok(copy)
}

/// What the repository says of itself.
const OWN: [&[u8]; 3] = [
    b"core.bare",
    b"core.repositoryformatversion",
    b"core.worktree",
];

/// Returns an entry's key and value; a key alone is true.
fn taken_apart(entry: &[u8]) -> (&[u8], &[u8]) {
    entry.split_once_str("\n").unwrap_or((entry, b"true"))
}

fn include(file: &Path) -> Vec<u8> {
    line(b"include.path", file.as_os_str().as_bytes())
}

/// Returns a section with one variable, as `git config` writes it.
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
    fn line_quotes_what_git_would_take_apart() {
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
