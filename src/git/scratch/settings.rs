//! Its configuration: the user's, by `include`, and what it has for itself.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use super::files::write as write_file;
use super::original::Original;
use super::repository::point_head;
use super::wrappers::BEFORE;
use crate::git::command::failed;
use crate::git::command::records::records;
use crate::git::hooks::Hooks;
use crate::git::repo::parse_bool;
use crate::git::{Checkout, Git};

/// What git reads from the file itself, whatever that includes: it must say what kind of repository this is.
const EXTENSIONS: [&str; 3] = [
    "extensions.objectformat",
    "extensions.compatobjectformat",
    "extensions.partialclone",
];
const SPARSE: [&str; 2] = ["core.sparsecheckout", "core.sparsecheckoutcone"];

/// Writes `config` for the worktree at `path`. Each file that git reads in the original is read
/// here too, also where that depends on the path (`includeIf.gitdir`):
/// `git config --list --show-origin --includes -z`, in both. Returns the hooks that are configured, which
/// may depend on the branch (`includeIf.onbranch`).
///
/// # Errors
/// When git fails or the file cannot be written.
pub(super) fn write(original: &Original<'_>, path: &Path) -> Result<Hooks> {
    let file = path.join(".git/config");
    let settings = Settings(parse(&original.asking("config").args(LIST).output()?)?);
    let common = original.repo.common_dir().join("config");
    let mut base = settings.base(original, &common)?;
    write_file(&file, &base)?;
    // What counts on one branch alone (`includeIf.onbranch`) is told from what does by the path.
    let head = original
        .reading("symbolic-ref")
        .args(["--quiet", "HEAD"])
        .answer()?;
    let head = head.unwrap_or_else(|| "refs/heads/.none".to_owned());
    point_head(path, &head)?;
    let found = Git::reading(path, "config").args(LIST).output()?;
    let found = files(&parse(&found)?, path);
    let missing = files(&settings.0, original.top());
    let common = common.canonicalize().unwrap_or(common);
    let is_missing = |file: &&PathBuf| **file != common && !found.contains(file);
    for file in missing.iter().filter(is_missing) {
        base.extend(line("include.path", file.as_os_str().as_bytes()));
    }
    let branch_ref = format!("refs/heads/{}", original.head);
    let is_of_branch = |one: &Entry| one.key.starts_with(b"includeif.onbranch:");
    let hooks = if settings.0.iter().any(is_of_branch) {
        write_file(&file, &base)?;
        hooks_on(original, path, [&head, &branch_ref])?
    } else {
        original.hooks.clone()
    };
    point_head(path, &branch_ref)?;
    let tail = settings.tail(original, path, &hooks);
    write_file(&file, &[base, tail].concat())?;
    Ok(hooks)
}

/// What asks for all settings, and where they are from.
const LIST: [&str; 4] = ["--list", "--show-origin", "--includes", "-z"];

/// All settings of the original.
struct Settings(Vec<Entry>);

impl Settings {
    fn last(&self, key: &str) -> Option<&[u8]> {
        let mut entries = self.0.iter().rev();
        let found = entries.find(|one| one.key == key.as_bytes());
        found.map(|one| one.value.as_slice())
    }

    /// Those of these keys as they are.
    fn own(&self, keys: &[&str]) -> Vec<u8> {
        let lines = keys
            .iter()
            .filter_map(|key| Some(line(key, self.last(key)?)));
        lines.flatten().collect()
    }

    /// What comes first: what kind of repository it is, and the user's configuration in the file
    /// `common`.
    fn base(&self, original: &Original<'_>, common: &Path) -> Result<Vec<u8>> {
        let mut base = b"[core]\n\trepositoryFormatVersion = 1\n\tbare = false\n".to_vec();
        base.extend(self.own(&EXTENSIONS));
        base.extend(copied(original, common)?);
        let of_worktree = original.git_dir().join("config.worktree");
        let is_read = self.last("extensions.worktreeconfig");
        let is_read = is_read.map(String::from_utf8_lossy);
        if is_read.is_some_and(|value| parse_bool(&value) == Some(true)) && of_worktree.exists() {
            base.extend(line("include.path", of_worktree.as_os_str().as_bytes()));
        }
        // A merge takes the last of these, a rebase the first.
        if self.last("pull.twohead").is_some() {
            base = [line("pull.twohead", b"ort"), base].concat();
        }
        Ok(base)
    }

    /// What comes last: what it has for itself.
    fn tail(&self, original: &Original<'_>, path: &Path, hooks: &Hooks) -> Vec<u8> {
        let mut tail = self.own(&SPARSE);
        if self.last("pull.twohead").is_some() {
            tail.extend(line("pull.twohead", b"ort"));
        }
        for hook in &hooks.configured {
            let key = format!("hook.{}.event", hook.name);
            // An empty one takes back what was said before.
            tail.extend(line(&key, b""));
            let before = hook.events.iter();
            let before = before.filter(|event| BEFORE.contains(&event.as_str()));
            tail.extend(before.flat_map(|event| line(&key, event.as_bytes())));
        }
        let dir = if hooks.is_usual {
            PathBuf::from(".git/hooks")
        } else {
            path.join(".git/hooks")
        };
        if self.last("core.hookspath").is_some() || !hooks.is_usual {
            tail.extend(line("core.hooksPath", dir.as_os_str().as_bytes()));
        }
        // What a merge by hand would be told besides would make another one of it.
        let options = format!("branch.{}.mergeOptions", original.head);
        let of_its_own: [(&str, &[u8]); 6] = [
            ("core.bare", b"false"),
            ("core.fsmonitor", b"false"),
            ("gc.auto", b"0"),
            ("maintenance.auto", b"false"),
            // What is made is asked for by its name, whatever is hidden.
            ("uploadpack.allowAnySHA1InWant", b"true"),
            (&options, b""),
        ];
        tail.extend(of_its_own.iter().flat_map(|(key, value)| line(key, value)));
        tail
    }
}

/// Returns the hooks of the worktree at `path` with the second of two branches checked out; on the first
/// they are those of the original: `git config -z --type=path --get core.hooksPath`, on both.
///
/// # Errors
/// When git fails or `HEAD` cannot be written.
fn hooks_on(original: &Original<'_>, path: &Path, branches: [&str; 2]) -> Result<Hooks> {
    let get = ["-z", "--type=path", "--get", "core.hooksPath"];
    let [there, here] = branches.map(|branch| -> Result<Option<PathBuf>> {
        point_head(path, branch)?;
        match Git::reading(path, "config").args(get).outcome()? {
            (0, found) => {
                let value = found
                    .stdout
                    .strip_suffix(b"\0")
                    .context("`git config` printed half an entry")?;
                Ok(Some(PathBuf::from(OsStr::from_bytes(value))))
            }
            (1, _) => Ok(None),
            (code, found) => Err(failed("config", code, &found.stderr)),
        }
    });
    let here = here?;
    if here == there? {
        return Ok(original.hooks.clone());
    }
    let (repo, configured) = (original.repo, original.hooks.configured.clone());
    Ok(match here {
        Some(dir) => Hooks::at(&dir, repo, original.place().map(Checkout::path), configured),
        None => Hooks::usual(repo, configured),
    })
}

/// The entries of the user's configuration itself, since `git config --local` follows no include:
/// `git config --local --no-includes --list -z`. What it includes is read from where that is.
fn copied(original: &Original<'_>, file: &Path) -> Result<Vec<u8>> {
    let list = ["--local", "--no-includes", "--list", "-z"];
    let out = original.asking("config").args(list).output()?;
    let mut copy = Vec::new();
    for entry in records(&out)? {
        let (key, value) = taken_apart(entry);
        let key = String::from_utf8_lossy(key);
        let is_own = key.starts_with("extensions.") || OWN.contains(&&*key);
        if is_own {
            continue;
        }
        let is_include = key == "include.path" || key.starts_with("includeif.");
        let is_relative = !["/", "~", "%("]
            .iter()
            .any(|start| value.starts_with(start.as_bytes()));
        match file.parent() {
            Some(dir) if is_include && is_relative => {
                let path = dir.join(OsStr::from_bytes(value));
                copy.extend(line(&key, path.as_os_str().as_bytes()));
            }
            _ => copy.extend(line(&key, value)),
        }
    }
    Ok(copy)
}

/// What the repository says of itself.
const OWN: [&str; 3] = ["core.bare", "core.repositoryformatversion", "core.worktree"];

/// An entry's key and value; a key alone is true.
fn taken_apart(entry: &[u8]) -> (&[u8], &[u8]) {
    entry.split_once_str("\n").unwrap_or((entry, b"true"))
}

/// An entry of a configuration, and the file that it is from.
struct Entry {
    origin: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

fn parse(out: &[u8]) -> Result<Vec<Entry>> {
    let mut fields = records(out)?;
    let mut settings = Vec::new();
    while let Some(origin) = fields.next() {
        let entry = fields
            .next()
            .context("`git config` printed half an entry")?;
        let (key, value) = taken_apart(entry);
        settings.push(Entry {
            origin: origin.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        });
    }
    Ok(settings)
}

/// The files that they are from, each once, in order.
fn files(settings: &[Entry], top: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in settings {
        let Some(name) = entry.origin.strip_prefix(b"file:") else {
            continue;
        };
        let file = top.join(OsStr::from_bytes(name));
        let file = file.canonicalize().unwrap_or(file);
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

/// A section with one variable, as `git config` writes it.
fn line(key: &str, value: &[u8]) -> Vec<u8> {
    let (section, rest) = key.split_once('.').unwrap_or((key, ""));
    let (subsection, variable) = match rest.rsplit_once('.') {
        Some((subsection, variable)) => (Some(subsection), variable),
        None => (None, rest),
    };
    let mut text = format!("[{section}").into_bytes();
    if let Some(subsection) = subsection {
        text.extend(b" \"");
        for &byte in subsection.as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(byte);
        }
        text.push(b'"');
    }
    text.extend(b"]\n\t");
    text.extend(variable.as_bytes());
    text.extend(b" = \"");
    for &byte in value {
        match byte {
            b'\n' => text.extend(b"\\n"),
            b'\t' => text.extend(b"\\t"),
            b'"' | b'\\' => text.extend([b'\\', byte]),
            byte => text.push(byte),
        }
    }
    text.extend(b"\"\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_quotes_what_git_would_take_apart() {
        let text = |key, value: &str| String::from_utf8(line(key, value.as_bytes())).unwrap();
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
