//! `git flux review`

mod comment_list;
mod file;
mod from;
mod message;
mod obstacle;
mod pairs;
mod parse;
mod send;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, bail};
use clap::Args;
use clap_complete::ArgValueCompleter;
use tempfile::NamedTempFile;

use self::file::{HELP, ReviewFile};
use self::message::{Mentions, PlacedComment, Present};
use self::obstacle::find_obstacle;
use self::parse::{Comment, find_comments};
use self::send::{Agreement, Sending};
use super::object::review::ReviewObject;
use super::text::{find_editor, read_file};
use super::{candidates, choose, choose_own};
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure, USAGE, Verb};
use crate::git::foreground::{edit, page};
use crate::interrupt;
use crate::lifecycle::copied_repository::ensure_not_copied;
use crate::lifecycle::damage::Damage;
use crate::lifecycle::review::{Scope, TaskReview};
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::task::{Task, TaskId};
use crate::ui::words::count;
use crate::ui::{Ui, quoted};

/// An editor that returns sooner may have shown nothing.
const QUICK: Duration = Duration::from_secs(1);

/// Look at a task's changes, and send its agent comments on them
#[derive(Debug, Args)]
#[command(override_usage = "git flux review [<options>] [<task>]")]
pub(crate) struct ReviewArgs {
    /// agree to sending the comments, or to having seen the files
    #[arg(short, long)]
    yes: bool,
    /// the task: its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::tasks))]
    task: Option<String>,
    /// all changes, not only what you have not looked at
    #[arg(long)]
    all: bool,
    /// only print the file that would be edited
    #[arg(long, conflicts_with_all = ["mark", "from", "json"])]
    print: bool,
    /// note that you have seen the files, without looking at them here
    #[arg(long, conflicts_with_all = ["from", "json", "all"])]
    mark: bool,
    /// take the comments from <file> instead of opening an editor; - is standard input
    #[arg(long, value_name = "file", conflicts_with = "json")]
    from: Option<PathBuf>,
    /// machine-readable output: only list the files
    #[arg(long)]
    json: bool,
}

/// A file with comments that were made elsewhere.
struct CommentFile<'a> {
    path: &'a Path,
    text: Vec<u8>,
}

impl<'a> CommentFile<'a> {
    fn read(path: &'a Path) -> Result<Self> {
        let text = read_file(path)?;
        Ok(Self { path, text })
    }
}

/// An edited file.
struct Edited {
    /// Deleted on drop: as long as the comments are nowhere else, a kill leaves them here.
    file: NamedTempFile,
    text: String,
    end: EditorEnd,
}

/// The way in which an editor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EditorEnd {
    Normal,
    /// It was quick, or left an empty file: the user may have seen nothing.
    Doubtful,
    Failed,
}

/// The comments on a file.
struct ReviewComments {
    file: ReviewFile,
    comments: Vec<Comment>,
}

impl ReviewComments {
    /// Finds the comments in an edited file.
    fn find(file: ReviewFile, edited: &str) -> Result<Self> {
        let comments = find_comments(&file.lines, edited)?;
        Ok(Self { file, comments })
    }
}

impl ReviewArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let stored = match self.print || self.json {
            true => choose(&flux, &store, self.task.as_deref(), Verb::Review)?,
            false => choose_own(&flux, &store, self.task.as_deref(), Verb::Review)?,
        };
        let from = self.from.as_deref().map(CommentFile::read).transpose()?;
        let task = stored.readable()?;
        ensure_not_copied(&flux, task)?;
        if let Some(broken) = Damage::find(&flux, task)? {
            bail!(broken.failure());
        }
        if let Some(from) = from {
            self.ensure_can_ask(&flux, stored)?;
            return self.take(&flux, &store, stored, &from);
        }
        let review = self.find_review(&flux, &store, task)?;
        if self.json {
            return flux.ui.json(&ReviewObject::of(&review)?);
        }
        if self.mark {
            return mark(&flux, &review);
        }
        let title = if self.all {
            "All changes"
        } else {
            "What you have not seen"
        };
        let obstacle = find_obstacle(&flux, &store, stored)?;
        let help =
            obstacle.map_or_else(|| HELP.to_owned(), |why| file::help_without_comments(&why));
        let file = ReviewFile::new(&review, title, &help, review.trees())?;
        if self.print {
            return print(&flux, &file.text());
        }
        if file.patches.is_empty() {
            return self.report_none(&flux, &store, stored);
        }
        self.ensure_can_ask(&flux, stored)?;
        self.edit_and_send(stored, &review, file)
    }

    /// Finds the changes to look at.
    fn find_review<'a>(
        &self,
        flux: &'a Flux,
        store: &Store,
        task: &Task,
    ) -> Result<TaskReview<'a>> {
        let scope = if self.all { Scope::All } else { Scope::Unseen };
        let review = TaskReview::find(flux, store, task, scope);
        review.with_context(|| format!("could not read the files of '{}'", task.id))
    }

    /// Opens the file in an editor, and sends the comments that the user has added; asks whether the
    /// user has seen the files if there are none.
    fn edit_and_send(
        &self,
        stored: &StoredTask,
        review: &TaskReview,
        file: ReviewFile,
    ) -> Result<()> {
        let flux = review.flux;
        let Edited {
            file: kept,
            text,
            end,
        } = self.edit(flux, stored, &file)?;
        let edited = match ReviewComments::find(file, &text) {
            Ok(edited) => edited,
            Err(error) => return Err(keep_file(kept, error, &stored.id)),
        };
        if edited.comments.is_empty() {
            return self.ask_seen(flux, review, end);
        }
        send_comments(stored, review, &edited, self.agreement(end))?;
        mark(flux, review)
    }

    /// Says why there is nothing to look at: there are no changes, or all have been seen.
    fn report_none(&self, flux: &Flux, store: &Store, stored: &StoredTask) -> Result<()> {
        let id = &stored.id;
        let all = || TaskReview::find(flux, store, stored.readable()?, Scope::All);
        if self.all || all()?.count()? == 0 {
            flux.ui.status(format_args!("'{id}' has no changes yet"));
            return Ok(());
        }
        flux.ui
            .status(format_args!("you have seen all changes of '{id}'"));
        flux.ui.hint(format_args!(
            "to see them again: git flux review --all {id}"
        ));
        Ok(())
    }

    /// Returns how the user agrees to sending comments: by `--yes`, or by a question. If the editor
    /// failed, `--yes` does not count, and the default answer is no.
    fn agreement(&self, end: EditorEnd) -> Agreement {
        match (end, self.yes) {
            (EditorEnd::Failed, true) => Agreement::Refused,
            (EditorEnd::Failed, false) => Agreement::AskedInDoubt,
            (_, true) => Agreement::Given,
            (_, false) => Agreement::Asked,
        }
    }

    /// Fails without a terminal unless `--yes` is given, before the user writes comments that could
    /// not be sent.
    fn ensure_can_ask(&self, flux: &Flux, stored: &StoredTask) -> Result<()> {
        if self.yes || flux.ui.can_ask() {
            return Ok(());
        }
        let id = &stored.id;
        let failure = Failure::new("cannot show a review without a terminal");
        let failure = failure.hint(format!(
            "to print the changes: git flux review --print {id}"
        ));
        bail!(
            failure
                .hint(format!(
                    "to send comments from a file: git flux review --yes --from <file> {id}"
                ))
                .code(USAGE)
        )
    }

    /// Opens the file in git's editor.
    fn edit(&self, flux: &Flux, stored: &StoredTask, file: &ReviewFile) -> Result<Edited> {
        let id = &stored.id;
        let print = format!("git flux review --print {id}");
        let editor = find_editor(flux.repo.home(), &print)?;
        let mut edited = tempfile::Builder::new()
            .prefix("FLUX_REVIEW_")
            .suffix(".diff")
            .tempfile()
            .context("could not make a temporary file")?;
        edited.write_all(file.text().as_bytes())?;
        let begun = Instant::now();
        let code = match edit(&editor, edited.path()) {
            Ok(code) => code,
            Err(error) if failure::exit_code(&error) == DECLINED => {
                return Err(keep_file(edited, error, id));
            }
            Err(error) => return Err(error),
        };
        // ^C was for the editor.
        interrupt::clear();
        let text = match fs::read(edited.path()).context("could not read the edited file") {
            Ok(text) => text,
            Err(error) => return Err(keep_file(edited, error, id)),
        };
        if code != 0 {
            flux.ui
                .warning(format_args!("the editor failed with exit code {code}"));
        }
        let is_doubtful = begun.elapsed() < QUICK || text.trim_ascii().is_empty();
        Ok(Edited {
            file: edited,
            text: String::from_utf8_lossy(&text).into_owned(),
            end: match code {
                0 if is_doubtful => EditorEnd::Doubtful,
                0 => EditorEnd::Normal,
                _ => EditorEnd::Failed,
            },
        })
    }

    /// Asks whether the user has seen the files, and notes it.
    fn ask_seen(&self, flux: &Flux, review: &TaskReview, end: EditorEnd) -> Result<()> {
        let is_doubtful = end != EditorEnd::Normal;
        let files = match review.count()? {
            1 => "this file".to_owned(),
            files => format!("these {files} files"),
        };
        let question = format!("No comments. Have you seen {files}?");
        if self.yes && is_doubtful {
            let failure = Failure::new("the editor may have shown nothing; nothing was changed");
            bail!(failure.hint(format!("git flux review --mark {}", review.id)));
        }
        if !self.yes {
            flux.ui.ensure_agreed(question, !is_doubtful)?;
        }
        mark(flux, review)
    }
}

/// Shows the comments on a file, with their lines where they are now, and sends them.
fn send_comments(
    stored: &StoredTask,
    review: &TaskReview,
    edited: &ReviewComments,
    agreement: Agreement,
) -> Result<()> {
    let (flux, id) = (review.flux, &stored.id);
    let ReviewComments { file, comments } = edited;
    let placed = place_comments(stored, review, edited).unwrap_or_else(|error| {
        let what = format!("the lines below may be different now in '{id}'");
        flux.ui.warning(format_args!("{what}: {error:#}"));
        comments.iter().map(|one| file.place(one)).collect()
    });
    let mentions = Mentions::of(&stored.readable()?.agent);
    let list = message::list(&placed, mentions);
    flux.ui
        .status(format_args!("comments on '{id}':\n\n{list}"));
    let stale = placed.iter().filter(|comment| comment.is_stale).count();
    if stale > 0 {
        let lines = match stale {
            1 => "1 line that you commented on has".to_owned(),
            _ => format!("{stale} lines that you commented on have"),
        };
        flux.ui.warning(format_args!("{lines} changed meanwhile"));
    }
    let question = format!("Send {} to '{id}'", count(comments.len(), "comment"));
    let sending = Sending {
        flux,
        stored,
        question: &question,
        message: &message::message(&placed, mentions),
        file: None,
        agreement,
    };
    sending.send()
}

/// Returns the comments with the present places of their lines, after reading the task's files
/// again: the agent may have changed them while the user wrote.
fn place_comments<'a>(
    stored: &StoredTask,
    review: &TaskReview,
    edited: &'a ReviewComments,
) -> Result<Vec<PlacedComment<'a>>> {
    let flux = review.flux;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let now = TaskReview::find(flux, &store, stored.readable()?, Scope::All)?;
    let present = Present {
        before: review.objects()?,
        objects: now.objects()?,
        tree: now.trees()[1],
    };
    Ok(present.place(&edited.file, &edited.comments))
}

/// Keeps an edited file, and returns the error with a hint at it; without the hint if the editor has
/// removed the file.
fn keep_file(edited: NamedTempFile, error: Error, id: &TaskId) -> Error {
    let Ok((_, path)) = edited.keep() else {
        return error;
    };
    let code = failure::exit_code(&error);
    let failure = Failure::new(match code {
        DECLINED => "the editor was killed; nothing was changed".to_owned(),
        _ => format!("the comments on '{id}' were not sent"),
    });
    let from = path.exists().then(|| quoted(&path));
    let hint = from.map(|from| format!("git flux review --from {from} {id}"));
    failure::wrap_in_failure(error, failure.hints(hint).code(code))
}

/// Notes that the user has seen the files, and says so.
fn mark(flux: &Flux, review: &TaskReview) -> Result<()> {
    let files = count(review.count()?, "file");
    review.mark_seen()?;
    flux.ui.status(format_args!(
        "noted that you have seen {files} of '{}'",
        review.id
    ));
    Ok(())
}

/// Prints the file: on a terminal in git's pager, without control characters; else as it is.
fn print(flux: &Flux, text: &str) -> Result<()> {
    match flux.ui.width() {
        Some(_) => page(flux.repo.home(), sanitize::text(text)),
        None => flux.ui.bytes(text.as_bytes()),
    }
}
