//! Comments that were made elsewhere: `<file>:<line>: <comment>`, as compilers print errors.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use bstr::ByteSlice as _;

use super::ReviewComments;
use super::file::{ReviewFile, ReviewLine, Subject};
use super::parse::Comment;
use crate::failure::Failure;
use crate::git::repo::patch::{FilePatch, Place};
use crate::git::{ObjectId, Repo};
use crate::sanitize;
use crate::ui::shown;

/// The files that a list of comments can name.
pub(super) struct Files<'a> {
    pub(super) objects: &'a Repo,
    pub(super) tree: &'a ObjectId,
    /// The directory that may begin their paths.
    pub(super) worktree: &'a Path,
}

/// A list of comments that is being read.
struct CommentList<'a> {
    files: &'a Files<'a>,
    /// The files that have comments.
    patches: Vec<FilePatch>,
    /// The content of each of `patches`.
    contents: Vec<Vec<u8>>,
    /// The comments so far, each with the lines of its text.
    comments: Vec<(ReviewLine, Vec<String>)>,
}

/// The beginning of a comment: `<file>:<line>:`, `<file>:<line>:<column>:` or `<file>:`.
struct Start<'a> {
    path: &'a [u8],
    /// The digits of the line's number.
    line: Option<&'a str>,
    text: &'a [u8],
}

/// Reads a list of comments on the files as they are in the tree. Lines that do not begin with a
/// file belong to the comment above them. Comments without text are left out.
///
/// # Errors
/// If there is no comment, the first line does not name a file, or a line begins with
/// `<file>:<line>:` and there is no such file or line.
pub(super) fn read(files: &Files, text: &[u8]) -> Result<ReviewComments> {
    let mut list = CommentList::new(files);
    for (at, line) in text.lines().enumerate() {
        list.add(line, at + 1)?;
    }
    let comments = list.comments.iter();
    let comments: Vec<Comment> = comments
        .filter_map(|(line, text)| Comment::new(line, text))
        .collect();
    if comments.is_empty() {
        return Err(Failure::new("there is no comment").into());
    }
    Ok(ReviewComments {
        comments,
        file: ReviewFile {
            lines: Vec::new(),
            patches: list.patches,
        },
    })
}

/// Returns whether a text is a list of comments: its first line that is not blank begins with an
/// existing file.
pub(super) fn is_list(files: &Files, text: &[u8]) -> Result<bool> {
    let mut list = CommentList::new(files);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    for start in lines.next().into_iter().flat_map(find_starts) {
        if list.find(start.path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<'a> CommentList<'a> {
    fn new(files: &'a Files) -> Self {
        Self {
            files,
            patches: Vec::new(),
            contents: Vec::new(),
            comments: Vec::new(),
        }
    }

    /// Reads a line of the list: begins a comment if the line begins with an existing file, and
    /// otherwise adds it to the text of the comment above. `number` is for the errors of [`read`].
    fn add(&mut self, line: &[u8], number: usize) -> Result<()> {
        let is_indented = line.first().is_none_or(u8::is_ascii_whitespace);
        let starts = || find_starts(line).filter(|_| !is_indented);
        for start in starts() {
            if let Some(file) = self.find(start.path)? {
                let line = self.line(file, start.line)?;
                let text = start.text.trim_start().to_str_lossy();
                self.comments.push((line, vec![text.into_owned()]));
                return Ok(());
            }
        }
        let is_place =
            |start: &Start| start.line.is_some() && !start.path.iter().any(u8::is_ascii_whitespace);
        if let Some(start) = starts().find(is_place) {
            let path = shown(path(start.path));
            return Err(Failure::new(format!("there is no file '{path}' (line {number})")).into());
        }
        match self.comments.last_mut() {
            Some((_, text)) => text.push(line.to_str_lossy().into_owned()),
            None if line.trim().is_empty() => {}
            None => {
                let what = format!("line {number} does not begin with '<file>:<line>:'");
                return Err(Failure::new(what).into());
            }
        }
        Ok(())
    }

    /// Returns the index of a file in `patches`; `None` if there is no such file.
    fn find(&mut self, name: &[u8]) -> Result<Option<usize>> {
        let mut path = path(name);
        path = path.strip_prefix(self.files.worktree).unwrap_or(path);
        // As find and grep print it.
        let path: PathBuf = path
            .strip_prefix(".")
            .unwrap_or(path)
            .components()
            .collect();
        if let Some(known) = self.patches.iter().position(|patch| patch.path == path) {
            return Ok(Some(known));
        }
        // git has no other paths.
        let is_normal = |part| matches!(part, Component::Normal(_));
        if path.as_os_str().is_empty() || !path.components().all(is_normal) || name.contains(&0) {
            return Ok(None);
        }
        let Some(object) = self.files.objects.blob_at(self.files.tree, &path)? else {
            return Ok(None);
        };
        // A submodule has no lines.
        let content = self.files.objects.read_blob(&object).unwrap_or_default();
        self.contents.push(content);
        self.patches.push(FilePatch {
            path,
            new: Some(object),
            ..FilePatch::default()
        });
        Ok(Some(self.patches.len() - 1))
    }

    /// Returns the line `number` of the file with the index `file`, for a comment on it; without a
    /// number, the whole file. Fails if the file has no such line.
    fn line(&self, file: usize, number: Option<&str>) -> Result<ReviewLine> {
        let Some(number) = number else {
            return Ok(ReviewLine {
                subject: Subject::File(file),
                ..ReviewLine::whole("")
            });
        };
        let parsed: u32 = number.parse().unwrap_or(0);
        let at = parsed.checked_sub(1).map(|at| at as usize);
        let code = at.and_then(|at| self.contents[file].lines().nth(at));
        let Some(code) = code else {
            let path = shown(&self.patches[file].path);
            return Err(Failure::new(format!("'{path}' has no line {number}")).into());
        };
        Ok(ReviewLine {
            subject: Subject::Line(file, Place::New(parsed)),
            ..ReviewLine::whole(&format!(" {}", sanitize::code(&code.to_str_lossy())))
        })
    }
}

fn path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

/// Returns all ways to read the beginning of a line, the shortest path first: paths may have colons.
fn find_starts(line: &[u8]) -> impl Iterator<Item = Start<'_>> {
    line.find_iter(":").map(move |at| {
        let (path, rest) = (&line[..at], &line[at + 1..]);
        let (number, text) = split_number(rest).unzip();
        Start {
            path,
            line: number,
            // The column says nothing about a line that is quoted.
            text: text.map_or(rest, |text| {
                split_number(text).map_or(text, |(_, text)| text)
            }),
        }
    })
}

/// Splits `<digits>:<rest>`; returns `None` if the text does not begin so.
fn split_number(text: &[u8]) -> Option<(&str, &[u8])> {
    let (number, rest) = text.split_once_str(":")?;
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    Some((number.to_str().ok()?, rest)).filter(|_| is_number)
}
