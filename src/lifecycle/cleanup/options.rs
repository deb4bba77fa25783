//! What is wanted of a cleanup, and what is agreed to.

use crate::git::{ObjectId, Style};
use crate::task::BranchName;

/// What becomes of uncommitted files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Uncommitted {
    Ask,
    /// They are committed with this message; with one of ours where it is empty.
    Commit(String),
    /// They go to the trash with the worktree.
    Discard,
}

/// What becomes of a task's commits.
#[derive(Clone, Debug)]
pub(crate) enum Branch {
    /// They come into this branch, or the one that the task belongs to.
    Merge {
        into: Option<BranchName>,
        style: Style,
    },
    /// They are in this commit, which has a name, already.
    MergedIn { name: String, commit: ObjectId },
    /// They are dropped.
    Discard,
}

/// What is done where both sides changed the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflicts {
    Ask,
    /// The target is merged into the task's worktree.
    Update,
    Refuse,
}

/// Which hooks run: those that can refuse are left out by `--no-verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    All,
    None,
}

/// How far something is agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// By an option, or by an answer that was given before.
    Yes,
    /// It has to be asked about.
    Ask,
    /// No, and it cannot be asked about.
    No,
}

/// A question that has to be answered before a task is removed; in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// Is the task to go, though its worktree is gone already? Answered by `--discard`.
    WorktreeGone,
    /// Where are conflicts to be resolved? Answered by `--update`.
    Conflicts,
    /// What becomes of uncommitted files? Answered by `--commit` and `--discard`.
    Uncommitted,
    /// Are large files to go into the repository? No option says so.
    LargeFiles,
    /// Is the work to go to a branch that is not the user's? Answered by `--into`, and on a
    /// terminal with the question whether to remove the task.
    OtherBranch,
    /// Is the task to go, with its work where the plan says? Answered by `--yes`, and off a
    /// terminal by the command itself.
    Removal,
    /// Has an agent ended that was started on another machine? Answered by `--gone`.
    AgentEnded,
    /// May other processes lose the worktree they are in? Answered by `--yes`.
    Processes,
    /// May jobs end with the pane? Answered by `--yes`.
    Jobs,
    /// May they, though they may hold what is not saved? No option says so.
    SuspendedJobs,
    /// Is what runs in the pane to be stopped? Answered by `--yes`.
    Stop,
    /// Is the pane to go that the command was called in? Answered by `--yes`, and on a
    /// terminal by who called it.
    OwnPane,
}

impl Question {
    /// Those that `--yes` answers.
    pub(crate) const BY_YES: [Self; 5] = [
        Self::Removal,
        Self::Processes,
        Self::Jobs,
        Self::Stop,
        Self::OwnPane,
    ];

    /// Returns whether one answer is enough for several tasks.
    pub(crate) fn is_joint(self) -> bool {
        use Question::{AgentEnded, Conflicts, Uncommitted, WorktreeGone};
        !matches!(self, Conflicts | WorktreeGone | Uncommitted | AgentEnded)
    }
}

/// What can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Everything.
    Everything,
    /// What can be asked about for several tasks at once.
    Jointly,
    /// Nothing: there is no terminal.
    Nothing,
}

/// What is wanted of a cleanup, and what is agreed to.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) uncommitted: Uncommitted,
    pub(crate) branch: Branch,
    pub(crate) conflicts: Conflicts,
    /// The questions that options answer.
    pub(crate) given: Vec<Question>,
    pub(crate) verify: Verify,
    pub(crate) asking: Asking,
    /// What was agreed to when it was asked about, as it was found then.
    pub(crate) answers: Vec<(Question, String)>,
}

impl Options {
    /// Agrees to something as it was found: to nothing else, should it be found again.
    pub(crate) fn agree(&mut self, question: Question, what: &str) {
        self.answers.push((question, what.to_owned()));
    }

    /// Returns how far options and answers agree to what was found.
    pub(super) fn agreed(&self, question: Question, what: &str) -> Agreed {
        let mut answers = self.answers.iter();
        let is_answered = answers.any(|(asked, found)| *asked == question && found == what);
        match self.asking {
            _ if is_answered || self.agrees(question) => Agreed::Yes,
            Asking::Everything => Agreed::Ask,
            Asking::Jointly if question.is_joint() => Agreed::Ask,
            Asking::Jointly | Asking::Nothing => Agreed::No,
        }
    }

    /// Returns whether an option answers a question.
    pub(crate) fn agrees(&self, question: Question) -> bool {
        match question {
            Question::Conflicts => self.conflicts == Conflicts::Update,
            Question::Uncommitted => self.uncommitted != Uncommitted::Ask,
            other => self.given.contains(&other),
        }
    }
}
