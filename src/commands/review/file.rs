//! The changes of a task as a file to edit, and the place that each of its lines has.

use anyhow::Result;

use crate::failure::Failure;
use crate::git::ObjectId;
use crate::git::repo::patch::{FilePatch, PatchLine, Place};
use crate::lifecycle::review::TaskReview;
use crate::sanitize;
use crate::ui::shown;
use crate::ui::words::count;

/// A file to edit.
pub(super) struct ReviewFile {
    /// Its lines, without newlines.
    pub(super) lines: Vec<ReviewLine>,
    pub(super) patches: Vec<FilePatch>,
}

/// A line of a file to edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReviewLine {
    pub(super) text: String,
    /// The line as it is in its file, if some characters of it are shown as `\u{…}`.
    pub(super) raw: Option<String>,
    pub(super) subject: Subject,
}

/// The subject of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// All files.
    Whole,
    /// A file, by its index.
    File(usize),
    /// A line of a file, by the file's index.
    Line(usize, Place),
}

/// The help in the head.
pub(super) const HELP: &str = "\
#
# To comment on a line, add lines below it. To suggest another line, change it, and
# keep its first character. What you add here is about all files, unless it begins
# with '#'. Deleted lines mean nothing. Then save the file and close the editor: you
# are asked before anything is sent.
#
";

/// Returns the head's help if comments cannot be sent, for this reason.
pub(super) fn help_without_comments(why: &Failure) -> String {
    format!("#\n# Comments cannot be sent: {why}.\n#\n")
}

/// Editors obey settings in the first and last five lines of a file, or behind the last form feed.
/// These lines keep that from the code.
const END: &str = "\
\u{c}
#
#
# These are all changes.
#
#
";

impl ReviewFile {
    /// Makes the file to edit: a head with `title` and `help`, and the differences between the trees
    /// `seen` and `present`, in the form of `git diff`.
    pub(super) fn new(
        review: &TaskReview,
        title: &str,
        help: &str,
        [seen, present]: [&ObjectId; 2],
    ) -> Result<Self> {
        let patches = review.objects()?.patches(seen, present)?;
        let id = &review.id;
        let files = count(patches.len(), "file");
        let mut head = format!("# {title} of '{id}': {files}\n{help}");
        for path in review.conflicts() {
            let path = shown(path);
            head +=
                &format!("# With all its changes, since the target has changed it, too: {path}\n");
        }
        head += &format!("# {seen}..{present}\n\n");
        let code = patches.iter().enumerate();
        let code =
            code.flat_map(|(at, patch)| patch.lines.iter().map(move |line| render(at, line)));
        let lines = head.lines().map(ReviewLine::whole).chain(code);
        Ok(Self {
            lines: lines.chain(END.lines().map(ReviewLine::whole)).collect(),
            patches,
        })
    }

    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().flat_map(|line| [&*line.text, "\n"]);
        lines.collect()
    }

    /// Returns the changed file to which the subject of a line belongs; `None` if the subject is
    /// all files.
    pub(super) fn patch(&self, subject: Subject) -> Option<&FilePatch> {
        match subject {
            Subject::Whole => None,
            Subject::File(file) | Subject::Line(file, _) => self.patches.get(file),
        }
    }
}

impl ReviewLine {
    pub(super) fn whole(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            raw: None,
            subject: Subject::Whole,
        }
    }
}

fn render(file: usize, line: &PatchLine) -> ReviewLine {
    let raw = String::from_utf8_lossy(&line.text);
    let text = sanitize::code(&raw);
    ReviewLine {
        raw: (raw != text).then(|| raw.into_owned()),
        text,
        subject: match line.place {
            Place::Header => Subject::File(file),
            place => Subject::Line(file, place),
        },
    }
}

/// Returns the two trees that the head of an edited file names.
pub(super) fn find_trees(text: &str) -> Option<[ObjectId; 2]> {
    // Lines of code begin with a sign.
    let mut ranges = text.lines().filter_map(|line| {
        let (old, new) = line.strip_prefix("# ")?.trim_end().split_once("..")?;
        let names = [old, new].map(|name| ObjectId::parse(name.as_bytes()));
        Some([names[0].clone()?, names[1].clone()?])
    });
    ranges.next()
}
