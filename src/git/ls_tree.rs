//! Directories in a tree: `git ls-tree`. `git replace` is ignored, so that an object's content
//! matches its name.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use super::records::records;
use super::{Git, ObjectId};

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    pub(crate) path: PathBuf,
    pub(crate) kind: EntryKind,
    pub(crate) object: ObjectId,
    /// The size in bytes of a file or symbolic link, otherwise 0.
    pub(crate) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Executable,
    Link,
    Directory,
    /// The commit of a submodule.
    Other,
}

impl EntryKind {
    /// Returns the kind of an entry with the mode `mode`, in octal; `None` for `000000`, which
    /// means that there is none, and for a number that is no mode.
    pub(in crate::git) fn of_mode(mode: &[u8]) -> Option<Self> {
        match mode {
            b"100755" => Some(Self::Executable),
            b"120000" => Some(Self::Link),
            b"040000" => Some(Self::Directory),
            b"160000" => Some(Self::Other),
            [b'1', b'0', b'0', _, _, _] => Some(Self::File),
            _ => None,
        }
    }
}

/// Returns the entry of a commit's tree at `path`, `None` if there is none:
/// `git ls-tree -z -l --full-tree <commit> -- <path>`. Ignores `git replace`.
pub(crate) fn find_entry(dir: &Path, commit: &ObjectId, path: &Path) -> Result<Option<TreeEntry>> {
    let git = without_replacements(dir).words("ls-tree -z -l --full-tree");
    Ok(parse_entries(&git.arg(commit).arg("--").arg(path).output()?)?.pop())
}

/// Lists all files, links and submodules in a tree and its subdirectories, sorted by path:
/// `git ls-tree -r -z -l --full-tree <tree>`. Ignores `git replace`.
pub(crate) fn list_files(dir: &Path, tree: &ObjectId) -> Result<Vec<TreeEntry>> {
    let git = without_replacements(dir).words("ls-tree -r -z -l --full-tree");
    parse_entries(&git.arg(tree).output()?)
}

/// Returns the content of a blob, without filters: `git cat-file blob <object>`. Ignores
/// `git replace`.
pub(crate) fn read_blob(dir: &Path, object: &ObjectId) -> Result<Vec<u8>> {
    let git = without_replacements(dir).words("cat-file blob");
    git.arg(object).output()
}

fn without_replacements(dir: &Path) -> Git {
    Git::reading(dir).env("GIT_NO_REPLACE_OBJECTS", "1")
}

/// Parses the output of `git ls-tree -z -l`: records of the form
/// `<mode> <type> <object> <size>\t<path>`. Fails if one is cut off or unknown.
fn parse_entries(out: &[u8]) -> Result<Vec<TreeEntry>> {
    let entry = |record| parse(record).context("`git ls-tree` printed an unknown record");
    records(out)?.map(entry).collect()
}

fn parse(record: &[u8]) -> Option<TreeEntry> {
    let (facts, path) = record.split_once_str("\t")?;
    let mut facts = facts.to_str().ok()?.split_ascii_whitespace();
    let (mode, _, object) = (facts.next()?, facts.next()?, facts.next()?);
    Some(TreeEntry {
        path: path.to_path_lossy().into_owned(),
        kind: EntryKind::of_mode(mode.as_bytes())?,
        object: object.to_owned().into(),
        // The size of a directory is `-`.
        size: facts.next()?.parse().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_entries_reads_every_kind_of_entry() {
        let out = [
            "100755 blob 1a      12\ta\tb\nc",
            "120000 blob 2b       3\tlink",
            "040000 tree 3c       -\tdir",
            "160000 commit 4d       -\tsub",
            "100644 blob 5e 0\tf\0",
        ];
        let out = out.join("\0").into_bytes();
        let found = parse_entries(&out).unwrap();
        let kinds: Vec<_> = found.iter().map(|entry| (entry.kind, entry.size)).collect();
        let expected = [
            (EntryKind::Executable, 12),
            (EntryKind::Link, 3),
            (EntryKind::Directory, 0),
            (EntryKind::Other, 0),
            (EntryKind::File, 0),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(found[0].path, Path::new("a\tb\nc"));
        assert_eq!(&*found[0].object, "1a");
        assert!(parse_entries(b"what\0").is_err());
        assert!(parse_entries(&out[..out.len() - 1]).is_err());
    }
}
