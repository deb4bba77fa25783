//! Comments that were made outside of `git flux review`, for `--from`.

use anyhow::{Context as _, Result};

use super::comment_list::{self, Files};
use super::file::{ReviewFile, find_trees};
use super::{CommentFile, EditorEnd, ReviewArgs, ReviewComments, mark, send_comments};
use crate::failure::{Failure, wrap_in_failure};
use crate::git::ObjectId;
use crate::lifecycle::review::TaskReview;
use crate::store::StoredTask;
use crate::ui::shown;

impl ReviewArgs {
    /// Takes the comments from an edited copy of what `--print` has printed, or from a list.
    pub(super) fn take(
        &self,
        stored: &StoredTask,
        review: &TaskReview,
        from: &CommentFile,
    ) -> Result<()> {
        let files = Files {
            objects: review.objects()?,
            tree: review.trees()[1],
            worktree: &stored.readable()?.worktree,
        };
        // In a list, somebody else's text may look like the head of what was printed.
        let trees = match comment_list::is_list(&files, &from.text)? {
            true => None,
            false => find_trees(&String::from_utf8_lossy(&from.text)),
        };
        match trees {
            Some(trees) => self.take_edited(stored, review, from, trees.each_ref()),
            None => self.take_list(stored, review, from, &files),
        }
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
        let file = ReviewFile::new(review, "", trees).with_context(|| {
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
