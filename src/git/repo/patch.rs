//! The difference of two trees as lines, each with its place.

use std::path::PathBuf;

use anyhow::Result;
use bstr::ByteSlice as _;
use git2::{
    Diff, DiffDelta, DiffFile, DiffFindOptions, DiffFormat, DiffLine, DiffLineType, DiffOptions,
    Patch,
};

use super::Repo;
use crate::git::ObjectId;

/// The size in bytes above which a file counts as binary: its lines would take the memory of many.
const LARGE_FILE_BYTES: i64 = 32 << 20;

/// A file that differs between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilePatch {
    /// The path in the new tree, or in the old one if it is deleted.
    pub(crate) path: PathBuf,
    /// The object in the new tree; `None` if the file is deleted.
    pub(crate) new: Option<ObjectId>,
    /// The object in the old tree; `None` if the file is new.
    pub(crate) old: Option<ObjectId>,
    /// The path in the old tree, if it is another one.
    pub(crate) renamed_from: Option<PathBuf>,
    pub(crate) lines: Vec<PatchLine>,
}

/// A line of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatchLine {
    pub(crate) place: Place,
    /// The line as git prints it, with its sign and without its newline.
    pub(crate) text: Vec<u8>,
}

/// The place that a line of a patch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is about the file, or begins a hunk.
    Header,
    /// It is in the old file alone, at this line, from 1.
    Old(u32),
    /// It is in the new file.
    New(u32),
}

impl Repo {
    /// Returns the difference of two trees, with renames, as `git diff` prints it; without starting
    /// git, and with neither its configuration nor attributes. A file above 32 MiB counts as binary.
    pub(crate) fn patches(&self, old: &ObjectId, new: &ObjectId) -> Result<Vec<FilePatch>> {
        let diff = self.diff_with_renames(old, new)?;
        let mut files: Vec<FilePatch> = Vec::new();
        diff.print(DiffFormat::Patch, |delta, _, line| {
            // Two may have the same path: a file is deleted, and a link is new.
            if line.origin_value() == DiffLineType::FileHeader {
                files.push(FilePatch::of(&delta));
            }
            if let Some(patch) = files.last_mut() {
                patch.lines.extend(split(&line));
            }
            true
        })?;
        Ok(files)
    }

    /// Counts the files that differ between two trees; a renamed file counts once.
    pub(crate) fn count_changed(&self, old: &ObjectId, new: &ObjectId) -> Result<usize> {
        match old == new {
            true => Ok(0),
            false => Ok(self.diff_with_renames(old, new)?.deltas().len()),
        }
    }

    fn diff_with_renames(&self, old: &ObjectId, new: &ObjectId) -> Result<Diff<'_>> {
        let (old, new) = (self.tree(old)?, self.tree(new)?);
        let mut options = DiffOptions::new();
        options.indent_heuristic(true).context_lines(3);
        options.max_size(LARGE_FILE_BYTES);
        let diff = self
            .git2
            .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options));
        let mut diff = diff?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
        Ok(diff)
    }
}

/// Lines that differ between two texts, as in the header of a hunk without context: of an empty
/// range, the start is the line before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangedLines {
    pub(crate) old_start: usize,
    pub(crate) old_lines: usize,
    pub(crate) new_start: usize,
    pub(crate) new_lines: usize,
}

/// Compares two texts line by line, without white space at the ends of lines.
pub(crate) fn compare_lines(old: &[u8], new: &[u8]) -> Result<Vec<ChangedLines>> {
    let mut options = DiffOptions::new();
    options.context_lines(0).interhunk_lines(0).force_text(true);
    options.ignore_whitespace_eol(true);
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options))?;
    let hunks = 0..patch.num_hunks();
    let lines = hunks.map(|at| {
        let (hunk, _) = patch.hunk(at)?;
        Ok(ChangedLines {
            old_start: hunk.old_start() as usize,
            old_lines: hunk.old_lines() as usize,
            new_start: hunk.new_start() as usize,
            new_lines: hunk.new_lines() as usize,
        })
    });
    lines.collect()
}

/// Returns the place, from 1, that the line `line` of the text `old` has in `new`; `None` if it was
/// changed or removed.
pub(crate) fn find_line(old: &[u8], new: &[u8], line: usize) -> Result<Option<usize>> {
    let mut moved = line;
    for hunk in compare_lines(old, new)? {
        // An empty range begins behind its line.
        let first = hunk.old_start + usize::from(hunk.old_lines == 0);
        if first > line {
            break;
        }
        if line < first + hunk.old_lines {
            return Ok(None);
        }
        moved = moved + hunk.new_lines - hunk.old_lines;
    }
    Ok(Some(moved))
}

fn path_of(file: &DiffFile) -> PathBuf {
    let path = file.path_bytes().unwrap_or_default();
    path.to_path_lossy().into_owned()
}

impl FilePatch {
    fn of(delta: &DiffDelta) -> Self {
        let object = |file: &DiffFile| {
            let id = file.exists().then(|| file.id().to_string());
            id.map(ObjectId::from)
        };
        let (old, new) = (delta.old_file(), delta.new_file());
        let (old_path, path) = (path_of(&old), path_of(&new));
        Self {
            renamed_from: (old_path != path).then_some(old_path),
            path,
            new: object(&new),
            old: object(&old),
            lines: Vec::new(),
        }
    }
}

/// Converts a piece of a patch, as libgit2 prints it, to lines: a header, which may have several
/// lines, or one line of a file with its sign.
fn split(line: &DiffLine) -> Vec<PatchLine> {
    let content = line.content();
    let header = |text: &[u8]| PatchLine {
        place: Place::Header,
        text: text.to_owned(),
    };
    let place = match line.origin_value() {
        DiffLineType::Context | DiffLineType::Addition => line.new_lineno().map(Place::New),
        DiffLineType::Deletion => line.old_lineno().map(Place::Old),
        DiffLineType::ContextEOFNL | DiffLineType::AddEOFNL | DiffLineType::DeleteEOFNL => {
            return vec![header(content.trim_ascii())];
        }
        _ => None,
    };
    let Some(place) = place else {
        let text = content.strip_suffix(b"\n").unwrap_or(content);
        return text.split(|byte| *byte == b'\n').map(header).collect();
    };
    let mut text = vec![u8::try_from(line.origin()).unwrap_or(b' ')];
    text.extend(content.strip_suffix(b"\n").unwrap_or(content));
    vec![PatchLine { place, text }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;

    use super::*;
    use crate::git::Git;
    use crate::git::ls_tree::EntryKind;
    use crate::git::repo::tree::TreeFile;

    fn repository() -> (TempDir, Repo) {
        let temp = tempfile::tempdir().unwrap();
        let init = Git::new(temp.path()).words("init --quiet --bare");
        init.run().unwrap();
        let repo = Repo::open_at(&temp.path().canonicalize().unwrap()).unwrap();
        (temp, repo)
    }

    #[test]
    fn find_line_follows_a_line_that_has_moved() {
        let old = b"a\nb\nc\nd\ne\n";
        let new = b"0\n1\na\nB\nc  \ne\nf\n";
        let found = (1..=5).map(|line| find_line(old, new, line).unwrap());
        let expected = [Some(3), None, Some(5), None, Some(6)];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(find_line(old, b"", 1).unwrap(), None);
        assert_eq!(find_line(old, old, 5).unwrap(), Some(5));
    }

    #[test]
    fn compare_lines_gives_empty_ranges_the_line_before() {
        let changed = |old: &str, new: &str| {
            let found = compare_lines(old.as_bytes(), new.as_bytes()).unwrap();
            let parts =
                |it: &ChangedLines| [it.old_start, it.old_lines, it.new_start, it.new_lines];
            found.iter().map(parts).collect::<Vec<_>>()
        };
        assert_eq!(changed("a\nb\n", "a\nx\ny\nb\n"), [[1, 0, 2, 2]]);
        assert_eq!(changed("a\nb\n", "x\na\nb\n"), [[0, 0, 1, 1]]);
        assert_eq!(changed("a\nb\nc\n", "a\nc\n"), [[2, 1, 1, 0]]);
        assert_eq!(changed("a\r\nb \n", "a\nb\n"), [[0; 4]; 0]);
        assert_eq!(changed("a\n", "b\n"), [[1, 1, 1, 1]]);
    }

    #[test]
    fn patches_has_a_file_that_became_a_link_twice() {
        let (_temp, repo) = repository();
        let empty = repo.empty_tree().unwrap();
        let [file, link] =
            ["text\n", "target"].map(|text| repo.write_blob(text.as_bytes()).unwrap());
        let of = |object: &ObjectId, kind| {
            let object = object.clone();
            let files = [(PathBuf::from("f"), Some(TreeFile { object, kind }))];
            repo.update_tree(&empty, &BTreeMap::from(files)).unwrap()
        };
        let (old, new) = (of(&file, EntryKind::File), of(&link, EntryKind::Link));
        let found = repo.patches(&old, &new).unwrap();
        let objects = found.iter().map(|patch| [&patch.old, &patch.new]);
        let expected = [[&Some(file), &None], [&None, &Some(link)]];
        assert_eq!(objects.collect::<Vec<_>>(), expected);
        let last = |patch: &FilePatch| {
            patch
                .lines
                .iter()
                .rev()
                .find(|it| it.place != Place::Header)
                .cloned()
        };
        let lines = found
            .iter()
            .filter_map(last)
            .map(|line| (line.place, line.text));
        let expected = [
            (Place::Old(1), b"-text".to_vec()),
            (Place::New(1), b"+target".to_vec()),
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn patches_has_no_lines_of_a_large_file() {
        let (_temp, repo) = repository();
        let empty = repo.empty_tree().unwrap();
        let of = |text: &str| {
            let object = repo.write_blob(text.as_bytes()).unwrap();
            let kind = EntryKind::File;
            let files = [(PathBuf::from("f"), Some(TreeFile { object, kind }))];
            repo.update_tree(&empty, &BTreeMap::from(files)).unwrap()
        };
        let large = format!("{}\n", "x".repeat((1 << 20) - 1)).repeat(32);
        for (text, lines) in [(&large, 32), (&(large.clone() + "\n"), 0)] {
            let found = repo.patches(&empty, &of(text)).unwrap();
            let is_code = |line: &&PatchLine| line.place != Place::Header;
            assert_eq!(found[0].lines.iter().filter(is_code).count(), lines);
        }
    }
}
