//! Comments that were made outside of `git flux review`, for `--from`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::comment_list::{self, Files};
use super::file::{HELP, ReviewFile, find_trees};
use super::message::comments_in;
use super::obstacle::find_obstacle;
use super::send::Sending;
use super::{CommentFile, EditorEnd, ReviewArgs, ReviewComments, mark, send_comments};
use crate::context::Flux;
use crate::failure::{Failure, wrap_in_failure};
use crate::git::ObjectId;
use crate::lifecycle::review::TaskReview;
use crate::store::{Store, StoredTask};
use crate::ui::shown;

impl ReviewArgs {
    /// Takes the comments from an edited copy of what `--print` has printed, from a list, or from a
    /// file in which comments were kept. Fails if the agent takes none.
    pub(super) fn take(
        &self,
        flux: &Flux,
        store: &Store,
        stored: &StoredTask,
        from: &CommentFile,
    ) -> Result<()> {
        if let Some(obstacle) = find_obstacle(flux, store, stored)? {
            // Standard input cannot be read again.
            if from.path != Path::new("-") {
                bail!(obstacle);
            }
            let text = String::from_utf8_lossy(&from.text);
            let kept = shown(&flux.run_dir(&stored.id).write_review(&text)?);
            let what = format!(
                "the comments on '{}' were not sent; they are in '{kept}'",
                stored.id
            );
            return Err(wrap_in_failure(obstacle.into(), Failure::new(what)));
        }
        if let Ok(text) = str::from_utf8(&from.text)
            && let Some(comments) = comments_in(text)
        {
            return self.take_kept(flux, stored, from, comments);
        }
        let task = stored.readable()?;
        let review = self.find_review(flux, store, task)?;
        let files = Files {
            objects: review.objects()?,
            tree: review.trees()[1],
            worktree: &task.worktree,
        };
        // In a list, somebody else's text may look like the head of what was printed.
        let trees = match comment_list::is_list(&files, &from.text)? {
            true => None,
            false => find_trees(&String::from_utf8_lossy(&from.text)),
        };
        match trees {
            Some(trees) => self.take_edited(stored, &review, from, trees.each_ref()),
            None => self.take_list(stored, &review, from, &files),
        }
    }

    /// Sends comments that could not be sent before, as they were kept: with the lines that they had
    /// then. Nothing is noted as seen.
    fn take_kept(
        &self,
        flux: &Flux,
        stored: &StoredTask,
        from: &CommentFile,
        comments: &str,
    ) -> Result<()> {
        let id = &stored.id;
        flux.ui
            .status(format_args!("comments on '{id}':\n\n{comments}"));
        let sending = Sending {
            flux,
            stored,
            question: &format!("Send these comments to '{id}'"),
            message: &String::from_utf8_lossy(&from.text),
            file: Some(from.path).filter(|path| path.as_os_str() != "-"),
            agreement: self.agreement(EditorEnd::Normal),
        };
        sending.send()
    }

    /// Takes the comments from an edited file with the changes between two trees. If the task has
    /// changed since that was printed, nothing is noted as seen.
    fn take_edited(
        &self,
        stored: &StoredTask,
        review: &TaskReview,
        from: &CommentFile,
        trees: [&ObjectId; 2],
    ) -> Result<()> {
        let (id, path) = (&stored.id, shown(from.path));
        let is_same = trees == review.trees();
        let file = ReviewFile::new(review, "", HELP, trees).with_context(|| {
            let what = format!("the files in '{path}' are not known; '{id}' may have changed");
            Failure::new(what).hint(format!("git flux review --print {id}"))
        })?;
        let edited = ReviewComments::find(file, &String::from_utf8_lossy(&from.text))?;
        let has_comments = !edited.comments.is_empty();
        if has_comments {
            let agreement = self.agreement(EditorEnd::Normal);
            send_comments(stored, review, &edited, agreement)?;
        }
        match (is_same, has_comments) {
            (true, false) => self.ask_seen(review.flux, review, EditorEnd::Normal),
            (true, true) => mark(review.flux, review),
            (false, _) => {
                let what = format!("'{id}' has changed since 'git flux review --print'");
                let ui = &review.flux.ui;
                ui.warning(format_args!("{what}; its files still count as unseen"));
                Ok(())
            }
        }
    }

    /// Takes the comments from a list. Who made it may not be the user: nothing is noted as seen.
    fn take_list(
        &self,
        stored: &StoredTask,
        review: &TaskReview,
        from: &CommentFile,
        files: &Files,
    ) -> Result<()> {
        let comments = comment_list::read(files, &from.text);
        let comments = comments.map_err(|error| {
            let what = format!("the comments in '{}' were not sent", shown(from.path));
            let help = "to see what can be commented on";
            let hint = format!("{help}: git flux review --print {}", stored.id);
            wrap_in_failure(error, Failure::new(what).hint(hint))
        })?;
        send_comments(stored, review, &comments, self.agreement(EditorEnd::Normal))
    }
}
