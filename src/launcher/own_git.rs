//! The git of the task's own, as far as the launcher completes it.

use anyhow::Result;

use super::job::Job;
use super::setup::print_line;

impl Job {
    /// Completes the task's own git, so that hooks and shell aliases use the task's stash. Prints a
    /// warning if that fails: the agent starts nevertheless.
    pub(super) fn link_git_programs(&self) -> Result<()> {
        let mut vars = self.launch.env.iter();
        let Some((_, path)) = vars.find(|(name, _)| name.0 == "PATH") else {
            return Ok(());
        };
        match self.run.link_git_programs(&path.0) {
            Ok(()) => Ok(()),
            Err(error) => print_line(format_args!(
                "warning: hooks would use the shared stash: {error:#}"
            )),
        }
    }
}
