//! A parser for index files: gitformat-index(5). It saves a `git ls-files` for each worktree; without
//! it, `list` in `cargo bench -- list` takes a sixth longer. libgit2 takes as long to read a large
//! index as the rest of a cleanup.

use std::path::Path;

use bstr::ByteSlice as _;

use crate::system::regular_file::read_file;

/// The offset of the mode in an entry, and of the flags without the object name before them.
const MODE_OFFSET: usize = 24;
const FLAGS_OFFSET: usize = 40;
/// The mode of a gitlink.
const GITLINK_MODE: u32 = 0o160_000;
/// The bits of the flags that are the length of the name.
const NAME_LENGTH: u16 = 0xfff;
/// Bits of the first byte of the flags: assume-unchanged, and extended flags follow.
const ASSUME_UNCHANGED: u8 = 0x80;
const EXTENDED_FLAGS: u8 = 0x40;
/// The skip-worktree bit of the first byte of the extended flags.
const SKIP_WORKTREE: u8 = 0x40;

/// The special entries of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::git) struct IndexSummary {
    /// Has assume-unchanged or skip-worktree entries, or sparse directories.
    pub(in crate::git) hides_changes: bool,
    /// Has entries for other repositories.
    pub(in crate::git) has_gitlinks: bool,
}

impl IndexSummary {
    /// Reads from the index in `file`, without git, whether it has assume-unchanged or
    /// skip-worktree entries, and whether it has gitlinks (submodules). `None` if it is missing,
    /// unreadable, a split index or in a format only git knows.
    pub(in crate::git) fn read(file: &Path, oid_bytes: usize) -> Option<Self> {
        parse(&read_file(file).ok()?, oid_bytes)
    }
}

/// Finds in an index, with object names of `oid_bytes` bytes, whether it has assume-unchanged or
/// skip-worktree entries, and whether it has gitlinks. `None` if it is cut off, a split index or of
/// an unknown version.
fn parse(index: &[u8], oid_bytes: usize) -> Option<IndexSummary> {
    let byte = |at: usize| index.get(at).copied();
    let word = |at: usize| Some(u32::from_be_bytes(*index.get(at..)?.first_chunk()?));
    let version = word(4)?;
    if !index.starts_with(b"DIRC") || !(2..=4).contains(&version) {
        return None;
    }
    let mut found = IndexSummary::default();
    let mut at = 12;
    for _ in 0..word(8)? {
        let flags = at + FLAGS_OFFSET + oid_bytes;
        let more = version > 2 && byte(flags)? & EXTENDED_FLAGS != 0;
        found.hides_changes |=
            byte(flags)? & ASSUME_UNCHANGED != 0 || (more && byte(flags + 2)? & SKIP_WORKTREE != 0);
        found.has_gitlinks |= word(at + MODE_OFFSET)? == GITLINK_MODE;
        let mut path = flags + if more { 4 } else { 2 };
        if version == 4 {
            // Skip the length of the shared path prefix, a variable-width integer.
            path += index
                .get(path..)?
                .iter()
                .position(|byte| byte & 0x80 == 0)?
                + 1;
        }
        // Longer names have this length in the flags, too.
        let known = usize::from(u16::from_be_bytes([byte(flags)?, byte(flags + 1)?]) & NAME_LENGTH);
        let end = match version < 4 && known < usize::from(NAME_LENGTH) {
            true => path + known,
            false => path + index.get(path..)?.find_byte(0)?,
        };
        at = match version {
            4 => end + 1,
            // One to eight NUL bytes of padding.
            _ => at + (end - at) / 8 * 8 + 8,
        };
    }
    // Extensions and a checksum follow. A split index has most entries in another file.
    while at + oid_bytes < index.len() {
        if index.get(at..at + 4)? == b"link" {
            return None;
        }
        at += 8 + usize::try_from(word(at + 4)?).ok()?;
    }
    (at + oid_bytes == index.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{Git, Repo};
    use std::fs;

    fn git(dir: &Path, command: &str) {
        let git = Git::new(dir).args(command.split(' ')).config("user.name=a");
        git.config("user.email=a@b").run().unwrap();
    }

    fn of(hides_changes: bool, has_gitlinks: bool) -> Option<IndexSummary> {
        Some(IndexSummary {
            hides_changes,
            has_gitlinks,
        })
    }

    #[test]
    fn read_supports_all_versions_except_split_index() {
        for format in ["sha1", "sha256"] {
            for version in ["2", "3", "4"] {
                let temp = tempfile::tempdir().unwrap();
                let dir = temp.path();
                git(dir, &format!("init -q --object-format {format}"));
                let repo = Repo::open_at(&dir.join(".git")).unwrap();
                let known = || repo.checkout(repo.home()).unwrap().read_index();
                assert_eq!(known(), None, "there is none yet");
                fs::create_dir(dir.join("b")).unwrap();
                for name in ["a", "b/seven77", "b/sixteen16sixteen", "c"] {
                    fs::write(dir.join(name), name).unwrap();
                }
                git(dir, "add .");
                git(dir, "commit -qm x");
                git(dir, &format!("update-index --index-version {version}"));
                assert_eq!(known(), of(false, false), "{format} {version}");
                git(dir, "update-index --assume-unchanged c");
                assert_eq!(known(), of(true, false), "{format} {version}");
                git(dir, "update-index --no-assume-unchanged c");
                git(dir, "update-index --skip-worktree b/seven77");
                assert_eq!(known(), of(true, false), "{format} {version}");
                git(dir, "update-index --no-skip-worktree b/seven77");
                let inner = dir.join("b/inner");
                git(dir, &format!("init -q --object-format {format} b/inner"));
                git(&inner, "commit -qm x --allow-empty");
                git(dir, "add b/inner");
                assert_eq!(known(), of(false, true), "{format} {version}");
                for bytes in [4094, 4095, 5000] {
                    let long = format!("{}/file", "n".repeat(bytes - 5));
                    let empty = Git::new(dir)
                        .words("hash-object -w --stdin")
                        .object()
                        .unwrap();
                    let entry = format!("100644,{empty},{long}");
                    git(dir, &format!("update-index --add --cacheinfo {entry}"));
                    assert_eq!(known(), of(false, true), "{format} {version} {bytes}");
                }
                git(dir, "update-index --split-index");
                assert_eq!(known(), None, "{format} {version}");
            }
        }
    }

    #[test]
    fn parse_returns_none_when_truncated() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        git(dir, "init -q");
        fs::write(dir.join("file"), "x").unwrap();
        git(dir, "add .");
        let whole = fs::read(dir.join(".git/index")).unwrap();
        assert_eq!(parse(&whole, 20), of(false, false));
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length], 20), None, "{length} bytes");
        }
    }
}
