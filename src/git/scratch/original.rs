//! What a scratch repository is made after.

use std::path::Path;

use crate::git::hooks::Hooks;
use crate::git::{Checkout, Git, ObjectId, Repo};

/// The repository that a scratch repository is made after.
pub(crate) struct Original<'a> {
    pub(crate) repo: &'a Repo,
    /// Where the target is checked out.
    pub(crate) checkout: Option<&'a Checkout>,
    /// The main worktree, whose configuration counts if the target is checked out nowhere; none
    /// if the repository is bare.
    pub(crate) main: Option<&'a Checkout>,
    pub(crate) hooks: &'a Hooks,
    /// Branches, and the commits at which they are to stand, wherever they are by now.
    pub(crate) branches: [(&'a str, &'a ObjectId); 2],
    /// The one of them that is checked out.
    pub(crate) head: &'a str,
    /// Whether the hooks run that `--no-verify` leaves out.
    pub(crate) verify: bool,
}

impl Original<'_> {
    /// The worktree whose configuration counts.
    pub(super) fn place(&self) -> Option<&Checkout> {
        self.checkout.or(self.main)
    }

    pub(super) fn top(&self) -> &Path {
        self.place().map_or(self.repo.home(), Checkout::path)
    }

    pub(super) fn git_dir(&self) -> &Path {
        self.place()
            .map_or(self.repo.common_dir(), Checkout::git_dir)
    }

    /// `git <subcommand>` that only looks.
    pub(super) fn reading(&self, subcommand: &str) -> Git {
        match self.place() {
            Some(checkout) => checkout.reading(subcommand),
            None => Git::reading(self.repo.home(), subcommand),
        }
    }

    /// `git <subcommand>` that only asks what is configured.
    pub(super) fn asking(&self, subcommand: &str) -> Git {
        match self.place() {
            Some(checkout) => checkout.asking(subcommand),
            None => Git::reading(self.repo.home(), subcommand),
        }
    }
}
