//! The git of the task's own, as far as the launcher completes it.

use anyhow::Result;

use super::job::Job;
use super::setup::print_line;

impl Job {
    /// Links git's programs in the directory that the agent's own `git` uses as `GIT_EXEC_PATH`, so
    /// that `git stash` in hooks and shell aliases uses the task's stash, too. Prints a warning if
    /// that fails: the agent starts nevertheless.
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
