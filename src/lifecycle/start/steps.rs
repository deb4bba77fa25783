//! The steps of a start, as they follow from what there is already.

use super::plan::{Origin, Start};

/// A step of a start. The record is there before the first, and is completed after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Forgets an earlier run of the task, but for what has happened in it.
    ForgetRun,
    /// Registers the worktree, and configures the branch.
    Register,
    /// Configures the branch of a worktree that is there.
    Configure,
    /// Checks the files out, or puts them back.
    Fill,
    /// Puts back the refs that the worktree had for itself.
    PutRefsBack,
    /// Copies what git does not carry.
    Copy,
    /// Notes that no agent runs.
    NoteNoAgent,
    /// Opens the pane, and waits until its agent has started.
    OpenPane,
}

impl Start {
    /// Returns the steps of this start, in their order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = match &self.origin {
            Origin::New { .. } => vec![Step::ForgetRun, Step::Register, Step::Fill, Step::Copy],
            Origin::Archive(_) => vec![
                Step::ForgetRun,
                Step::Register,
                Step::Fill,
                Step::PutRefsBack,
            ],
            Origin::Worktree => vec![Step::Configure],
            // How an agent has ended stays known as long as no other starts.
            Origin::Task(_) if !self.has_agent() => vec![],
            Origin::Task(_) => vec![Step::ForgetRun],
        };
        // The ignored files of a worktree in the trash come back with it.
        if self.archived().is_some_and(|from| from.trash.is_none()) {
            steps.push(Step::Copy);
        }
        if !self.has_agent() && !matches!(self.origin, Origin::Task(_)) {
            steps.push(Step::NoteNoAgent);
        }
        if self.pane.is_some() {
            steps.push(Step::OpenPane);
        }
        steps
    }
}
