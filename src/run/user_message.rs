//! The mark that the user has sent a message to the agent: a file in the run directory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::RunDir;
use super::file::write_private;
use crate::system::none_if_missing;

impl RunDir {
    fn user_message(&self) -> PathBuf {
        self.0.join("from-user")
    }

    /// Records that the user, not a landing, has sent a message to the agent.
    pub(crate) fn note_user_message(&self) -> Result<()> {
        write_private(&self.user_message(), b"")
    }

    /// Returns whether the user has sent a message to the agent since
    /// [`Self::forget_user_message`].
    pub(crate) fn has_user_message(&self) -> bool {
        self.user_message().exists()
    }

    pub(crate) fn forget_user_message(&self) -> Result<()> {
        let path = self.user_message();
        let removed = none_if_missing(fs::remove_file(&path)).map(drop);
        removed.with_context(|| format!("could not remove '{}'", path.display()))
    }
}
