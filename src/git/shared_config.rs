//! The configuration that all worktrees of a repository share: its files, and their entries.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::{BString, ByteSlice as _};
use serde::{Deserialize, Serialize};

use super::checkout::gitfile::list_dir;
use super::hooks::Hooks;
use super::records::records;
use super::{Git, Repo, exclude};
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;
use crate::task::{Bytes, ObjectId};

pub(crate) mod keys;

/// The files with configuration: the repository's, and the main worktree's own.
pub(crate) const CONFIG_FILES: [&str; 2] = ["config", "config.worktree"];

/// The file with patterns of ignored files, where git flux has lines of its own.
pub(crate) const EXCLUDE: &str = "info/exclude";

const ATTRIBUTES: &str = "info/attributes";

/// A longer hook is recorded only by its hash.
const MAX_HOOK_BYTES: usize = 64 * 1024;

/// The files of the shared configuration at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SharedConfig {
    pub(crate) files: Vec<SharedFile>,
    /// The directory of `core.hooksPath`, if it is in the repository and not git's default.
    hooks_dir: Option<Bytes>,
}

/// A file of the shared configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SharedFile {
    /// Relative to the common git directory, or absolute outside of it.
    pub(crate) path: Bytes,
    pub(crate) is_executable: bool,
    pub(crate) content: FileContent,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FileContent {
    Whole(Bytes),
    /// The name of a blob with the content of a long file.
    Hash(ObjectId),
    /// The target of a symbolic link.
    Link(Bytes),
    /// It cannot be read, or is no file.
    Unreadable,
}

impl SharedFile {
    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.path.0)
    }

    /// Returns the recorded content of the file; `None` for a link, an unreadable file or a hook
    /// over 64 KiB, whose content is not recorded.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            FileContent::Whole(bytes) => Some(bytes.0.as_bytes()),
            FileContent::Hash(_) | FileContent::Link(_) | FileContent::Unreadable => None,
        }
    }
}

impl SharedConfig {
    /// Reads the files that configure all worktrees of a repository: `config`, `config.worktree`,
    /// `info/attributes`, `info/exclude` and the hooks in the common git directory. Adds the hooks
    /// in `hooks_path`, the value of `core.hooksPath`, if that is in the common git directory or
    /// the main worktree.
    pub(crate) fn read(repo: &Repo, hooks_path: Option<&str>) -> Result<Self> {
        let hooks = match hooks_path {
            // Only git can expand it.
            Some(path) if path.starts_with(['~', '%']) => Some(Hooks::find(repo, None, vec![])?),
            Some(path) => Some(Hooks::with_dir(Path::new(path), repo, repo.main(), vec![])),
            None => None,
        };
        let dir = hooks.filter(|hooks| !hooks.is_default_dir);
        let dir = dir.and_then(|hooks| hooks.dir.canonicalize().ok());
        let is_shared = |dir: &PathBuf| dir.starts_with(repo.home());
        let is_shared = |dir: &PathBuf| is_shared(dir) || dir.starts_with(repo.common_dir());
        Self::read_with(repo, dir.filter(is_shared))
    }

    /// Reads the shared configuration again, with the hooks in the same directories.
    pub(crate) fn read_again(&self, repo: &Repo) -> Result<Self> {
        let dir = self.hooks_dir.clone();
        Self::read_with(repo, dir.map(|dir| dir.0.into()))
    }

    fn read_with(repo: &Repo, hooks_dir: Option<PathBuf>) -> Result<Self> {
        let common = repo.common_dir();
        let mut files = Vec::new();
        for name in CONFIG_FILES.iter().chain([&ATTRIBUTES, &EXCLUDE]) {
            files.extend(read_whole(common, name)?);
        }
        let default = common.join("hooks");
        for dir in [Some(&default), hooks_dir.as_ref()].into_iter().flatten() {
            let found = none_if_missing(fs::metadata(dir))?;
            if found.is_none_or(|found| !found.is_dir()) {
                continue;
            }
            let mut paths = list_dir(dir)?;
            paths.sort_unstable();
            let is_hook = |path: &PathBuf| !path.as_os_str().as_bytes().ends_with(b".sample");
            for path in paths.into_iter().filter(is_hook) {
                files.extend(read_hook(common, &path)?);
            }
        }
        let hooks_dir = hooks_dir.map(|dir| Bytes(dir.into()));
        Ok(Self { files, hooks_dir })
    }

    /// Returns the recorded file with this path, relative to the common git directory or absolute
    /// outside of it; `None` if the file was missing.
    pub(crate) fn file(&self, path: &Path) -> Option<&SharedFile> {
        self.files.iter().find(|file| file.path() == path)
    }

    /// Returns the recorded content of the file `name` in the common git directory; empty if the
    /// file was missing.
    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        let file = self.file(Path::new(name));
        file.and_then(SharedFile::bytes).unwrap_or_default()
    }
}

fn bytes_of(bytes: Vec<u8>) -> Bytes {
    Bytes(OsString::from_vec(bytes))
}

/// Reads the file `name` in the common git directory, of `info/exclude` without the lines of git
/// flux; `None` if it is missing, or empty without those.
fn read_whole(common: &Path, name: &str) -> Result<Option<SharedFile>> {
    let what = || format!("could not read '{}'", common.join(name).display());
    // The file may be a link of the user.
    let real = none_if_missing(common.join(name).canonicalize()).with_context(what)?;
    let Some(real) = real else { return Ok(None) };
    let found = none_if_missing(read_file(&real)).with_context(what)?;
    let mut bytes = found.unwrap_or_default();
    if name == EXCLUDE {
        bytes = exclude::split_own(&bytes).0;
    }
    Ok((!bytes.is_empty()).then(|| SharedFile {
        path: Bytes(name.into()),
        is_executable: false,
        content: FileContent::Whole(bytes_of(bytes)),
    }))
}

/// Reads a file of a hooks directory; `None` for a directory, or if it is gone meanwhile.
fn read_hook(common: &Path, path: &Path) -> Result<Option<SharedFile>> {
    let Some(found) = none_if_missing(path.symlink_metadata())? else {
        return Ok(None);
    };
    if found.is_dir() {
        return Ok(None);
    }
    let content = if found.is_symlink() {
        FileContent::Link(Bytes(fs::read_link(path)?.into()))
    } else {
        match read_file(path) {
            Ok(bytes) if bytes.len() > MAX_HOOK_BYTES => FileContent::Hash(Repo::hash(&bytes)?),
            Ok(bytes) => FileContent::Whole(bytes_of(bytes)),
            Err(_) => FileContent::Unreadable,
        }
    };
    let name = path.strip_prefix(common).unwrap_or(path);
    Ok(Some(SharedFile {
        path: Bytes(name.into()),
        is_executable: !found.is_symlink() && found.permissions().mode() & 0o111 != 0,
        content,
    }))
}

/// The keys of a configuration file, as git prints them, with their values in order.
pub(crate) type ConfigValues = BTreeMap<BString, Vec<BString>>;

/// Parses a configuration file, without the files that it includes: `git config --file -
/// --no-includes --list -z`
pub(crate) fn parse(repo: &Repo, text: &[u8]) -> Result<ConfigValues> {
    let git = Git::reading(repo.home()).words("config --file - --no-includes --list -z");
    let listed = git.input(text).output()?;
    let mut values = ConfigValues::new();
    for entry in records(&listed)? {
        // A key without a value is true.
        let (key, value) = entry.split_once_str("\n").unwrap_or((entry, b"true"));
        let all = values.entry(key.into()).or_default();
        all.push(value.into());
    }
    Ok(values)
}

/// Returns the lines of a configuration file without its sections `[branch "<name>"]`. Returns all
/// lines if one continues on the next, so that two files with the same result differ only in such
/// sections.
pub(crate) fn without_branches(text: &[u8]) -> Vec<u8> {
    if text.contains_str(b"\\\n") || text.contains_str(b"\\\r") {
        return text.to_vec();
    }
    let mut is_branch = false;
    let mut rest = Vec::new();
    for line in text.lines_with_terminator() {
        let start = line.trim_start();
        if start.starts_with(b"[") {
            let name = start.trim_end().strip_prefix(b"[branch \"");
            let name = name.and_then(|name| name.strip_suffix(b"\"]"));
            is_branch = name.is_some_and(|name| !name.contains_str(b"]"));
        }
        if !is_branch {
            rest.extend(line);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_branches_drops_only_sections_of_branches() {
        #[track_caller]
        fn case(text: &str, expected: &str) {
            let rest = without_branches(text.as_bytes());
            assert_eq!(rest.to_str().unwrap(), expected);
        }
        case(
            "[core]\n\ta = 1\n[branch \"x\"]\n\tremote = o\n# c\n[user]\n\tname = n\n",
            "[core]\n\ta = 1\n[user]\n\tname = n\n",
        );
        case("[branch \"x\"]\n\tremote = o", "");
        // git accepts a second section in the line.
        for kept in [
            "[branch \"x\"][core] hooksPath = y\n",
            "[branch \"x\"] [core \"y\"]\n\tz = 1\n",
            "[branch]\n\tautoSetupMerge = false\n",
            "[branch \"x\"]\n\tdescription = a\\\n[core]\n",
        ] {
            case(kept, kept);
        }
    }
}
