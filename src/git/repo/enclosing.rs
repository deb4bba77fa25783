//! The work tree that a directory lies in.

use std::path::Path;

use anyhow::{Context as _, Result};
use git2::{ErrorCode, Repository};

use super::{Checkout, Repo};

impl Repo {
    /// Returns the innermost work tree that the worktree at `path` lies in, of whatever
    /// repository; none where git shows it to nobody. Looks for `.git` alone: no process is
    /// started, and libgit2 runs nothing that is configured there.
    ///
    /// # Errors
    /// When there is one that libgit2 cannot read.
    pub(in crate::git) fn enclosing(path: &Path) -> Result<Option<Checkout>> {
        for dir in path.ancestors().skip(1) {
            if dir.join(".git").symlink_metadata().is_err() {
                continue;
            }
            let found = match Repository::open(dir) {
                Ok(found) => found,
                // git does not stop there either.
                Err(error) if error.code() == ErrorCode::NotFound => continue,
                // Nor does it show anything there.
                Err(error) if error.code() == ErrorCode::Owner => return Ok(None),
                Err(error) => {
                    Err(error).with_context(|| format!("could not open '{}'", dir.display()))?
                }
            };
            // A bare repository beside its worktrees has none.
            let is_top = found.workdir().is_some_and(|top| top == dir);
            return Ok(is_top.then(|| Checkout::enclosing(dir, found.path(), found.commondir())));
        }
        Ok(None)
    }
}
