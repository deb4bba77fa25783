//! Merge drivers of the user's: programs that decide about files which both sides have changed
//! (gitattributes(5), `merge`). They run where files may be written, and not where a merge is only foreseen.

use std::path::Path;

use anyhow::Result;

use crate::git::records::{join_records, records};
use crate::git::{Git, ObjectId};

/// What is configured of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drivers {
    /// Their names: `merge.<name>.driver`
    pub(crate) names: Vec<String>,
    /// The one for files that name none: `merge.default`
    pub(crate) default: Option<String>,
}

/// What a driver that does not run has as its command, in the environment.
const NO_DRIVER_ENV: &str = "GIT_FLUX_NO_DRIVER";

impl Drivers {
    /// Has `git` run none: each file that one would decide about is in conflict then.
    pub(in crate::git) fn without(&self, git: Git) -> Git {
        self.names
            .iter()
            .fold(git.env(NO_DRIVER_ENV, "false"), |git, name| {
                git.option(format!("--config-env=merge.{name}.driver={NO_DRIVER_ENV}"))
            })
    }

    /// Whether drivers decide about all these files, with the attributes of the commit `ours`:
    /// `git check-attr --stdin -z merge`.
    ///
    /// # Errors
    /// When git fails.
    pub(in crate::git) fn decide(
        &self,
        dir: &Path,
        ours: &ObjectId,
        files: &[&Path],
    ) -> Result<bool> {
        if self.names.is_empty() {
            return Ok(false);
        }
        // git before 2.41 does not know it, and takes those of the main worktree.
        let git = Git::reading(dir, "check-attr").env("GIT_ATTR_SOURCE", ours);
        let git = git.words("--stdin -z merge").input(join_records(files));
        let out = git.output()?;
        // Of each a path, `merge` and its value.
        let values: Vec<&[u8]> = records(&out)?.skip(2).step_by(3).collect();
        let is_driver = |value: &&[u8]| {
            let name = match (*value, &self.default) {
                (b"unspecified", Some(default)) => default.as_bytes(),
                (value, _) => value,
            };
            self.names.iter().any(|driver| driver.as_bytes() == name)
        };
        Ok(values.len() == files.len() && values.iter().all(is_driver))
    }
}
