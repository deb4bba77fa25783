//! The user's merge drivers: programs that merge files which both sides changed (gitattributes(5),
//! `merge`). They run in real merges, not in trial merges.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::git::records::{join_records, records};
use crate::git::{Git, ObjectId};

/// The configured merge drivers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drivers {
    /// The names in `merge.<name>.driver`.
    pub(crate) names: Vec<String>,
    /// The driver of files without an attribute: `merge.default`.
    pub(crate) default: Option<String>,
}

/// The environment variable with the command of a disabled driver.
const NO_DRIVER_ENV: &str = "GIT_FLUX_NO_DRIVER";

impl Drivers {
    /// Adds options to `git` that make every merge driver of the user fail, so that all files with
    /// a driver conflict.
    pub(in crate::git) fn disable_in(&self, git: Git) -> Git {
        self.names
            .iter()
            .fold(git.env(NO_DRIVER_ENV, "false"), |git, name| {
                git.option(format!("--config-env=merge.{name}.driver={NO_DRIVER_ENV}"))
            })
    }

    /// Returns whether every one of `files` has a configured merge driver, as
    /// [`Drivers::can_merge_each`] finds them.
    pub(in crate::git) fn can_merge(
        &self,
        dir: &Path,
        ours: &ObjectId,
        files: &[&Path],
    ) -> Result<bool> {
        let each = self.can_merge_each(dir, ours, files)?;
        Ok(each.into_iter().all(|has_driver| has_driver))
    }

    /// Returns for each of `files` whether it has a configured merge driver, by the attributes in
    /// the commit `ours` (before git 2.41, in the main worktree): `git check-attr --stdin -z
    /// merge`. Starts no git if no driver is configured.
    pub(in crate::git) fn can_merge_each(
        &self,
        dir: &Path,
        ours: &ObjectId,
        files: &[&Path],
    ) -> Result<Vec<bool>> {
        if self.names.is_empty() {
            return Ok(vec![false; files.len()]);
        }
        // git before 2.41 ignores it and uses the attributes of the main worktree.
        let git = Git::reading(dir).env("GIT_ATTR_SOURCE", ours);
        let git = git.words("check-attr --stdin -z merge");
        let out = git.input(join_records(files)).output()?;
        // Each file has three records: path, `merge` and value.
        let values: Vec<&[u8]> = records(&out)?.skip(2).step_by(3).collect();
        let is_driver = |value: &&[u8]| {
            let name = match (*value, &self.default) {
                (b"unspecified", Some(default)) => default.as_bytes(),
                (value, _) => value,
            };
            self.names.iter().any(|driver| driver.as_bytes() == name)
        };
        ensure!(
            values.len() == files.len(),
            "`git check-attr` printed an incomplete record"
        );
        Ok(values.iter().map(is_driver).collect())
    }
}
