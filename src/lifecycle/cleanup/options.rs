//! The options of a cleanup and the consents given to it.

use super::called_command::CalledCommand;
use crate::git::{ObjectId, Style};
use crate::task::BranchName;

/// The handling of uncommitted files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edits {
    Ask,
    /// Commit them with this message; with a default if it is empty.
    Commit(String),
    /// Move them to the trash with the worktree.
    Discard,
}

/// The handling of a task's commits.
#[derive(Clone, Debug)]
pub(crate) enum Branch {
    /// Merge them into this branch; by default into the task's own target.
    Merge {
        into: Option<BranchName>,
        style: Style,
    },
    /// They are in this commit already, which the user named.
    MergedIn { name: String, commit: ObjectId },
    /// Drop them.
    Discard,
}

/// The handling of conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflicts {
    Ask,
    /// Merge the target into the task's worktree.
    Update,
    Refuse,
}

/// The hooks to run: `--no-verify` excludes those that can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    All,
    None,
}

/// The signatures of the commits of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// Those that `commit.gpgSign` asks for.
    Configured,
    /// None: the commits may never land.
    Never,
}

/// The way to make the commits of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitRules {
    pub(crate) verify: Verify,
    pub(crate) signing: Signing,
}

/// The use of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateUse {
    /// Known verdicts are shown.
    Shown,
    /// Refuse unless the merged tree passes: `--gate`.
    Required,
}

/// The state of a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// Given by an option or an earlier answer.
    Yes,
    /// The user has to be asked.
    Ask,
    /// Not given, and the user cannot be asked.
    No,
}

/// A question before a task is removed, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// Remove the task, although its worktree is gone? Answered by `--discard`.
    WorktreeGone,
    /// The place to resolve conflicts. Answered by `--update`.
    Conflicts,
    /// Commit or discard uncommitted files? Answered by `--commit` and `--discard`.
    Uncommitted,
    /// Commit large files? No option answers it.
    LargeFiles,
    /// Discard the entries of the task's stash? Answered by `--discard-stash`.
    Stash,
    /// Keep a change of the shared configuration that runs a program? Answered by `--keep-config`.
    Configuration,
    /// Keep another change of the shared configuration? Answered by `--keep-config` and `--yes`,
    /// and without a terminal by the command itself.
    PlainConfiguration,
    /// Merge into a branch that the user is not on? Answered by `--into`, and on a terminal
    /// together with [`Self::Removal`].
    OtherBranch,
    /// Remove the task as planned? Answered by `--yes`, and without a terminal by the command
    /// itself.
    Removal,
    /// Has an agent ended that was started on another machine? Answered by `--gone`.
    AgentEnded,
    /// May other processes lose their working directory? Answered by `--yes`.
    Processes,
    /// May background jobs end with the pane? Answered by `--yes`.
    Jobs,
    /// May suspended jobs, which may have unsaved work? No option answers it.
    SuspendedJobs,
    /// Stop the program in the pane? Answered by `--yes`.
    Stop,
    /// Close the pane that the command was called in? Answered by `--yes`, and on a terminal by
    /// the call itself.
    OwnPane,
}

impl Question {
    /// The questions that `--yes` answers.
    pub(crate) const BY_YES: [Self; 6] = [
        Self::Removal,
        Self::PlainConfiguration,
        Self::Processes,
        Self::Jobs,
        Self::Stop,
        Self::OwnPane,
    ];

    /// Returns the name of the check that needs the consent to this question.
    pub(super) fn check(self) -> &'static str {
        match self {
            Self::WorktreeGone => "worktree",
            Self::Conflicts | Self::Removal => "merge",
            Self::Uncommitted => "uncommitted",
            Self::LargeFiles => "large files",
            Self::Stash => "stash",
            Self::Configuration | Self::PlainConfiguration => "configuration",
            Self::OtherBranch => "current branch",
            Self::AgentEnded | Self::Stop | Self::OwnPane => "agent",
            Self::Processes | Self::Jobs | Self::SuspendedJobs => "processes",
        }
    }

    /// Returns whether the question can be asked if several tasks are removed, once for all or
    /// again for each. `false` for conflicts, a missing worktree, uncommitted files, stash entries
    /// and an agent on another machine: such a task is refused then.
    pub(crate) fn is_joint(self) -> bool {
        use Question::{AgentEnded, Conflicts, Stash, Uncommitted, WorktreeGone};
        !matches!(
            self,
            Conflicts | WorktreeGone | Uncommitted | Stash | AgentEnded
        )
    }

    /// Returns whether the user must see more than a plan of several tasks shows to answer this
    /// question, so that the one question of `git flux land` does not include it.
    fn needs_look(self) -> bool {
        use Question::{Configuration, LargeFiles, SuspendedJobs};
        matches!(self, Configuration | LargeFiles | SuspendedJobs)
    }
}

/// The questions that the user can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    Everything,
    /// Those that can be asked once for several tasks.
    Jointly,
    /// Those that the one question of a landing answers.
    Once,
    /// None: there is no terminal.
    Nothing,
}

/// The options of a cleanup and the consents given to it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// For hints.
    pub(crate) command: CalledCommand,
    pub(crate) uncommitted: Edits,
    pub(crate) branch: Branch,
    pub(crate) conflicts: Conflicts,
    /// The questions that options answer.
    pub(crate) given: Vec<Question>,
    pub(crate) verify: Verify,
    pub(crate) gate: GateUse,
    pub(crate) asking: Asking,
    /// The answers, with the findings that they are about.
    pub(crate) answers: Vec<(Question, String)>,
}

impl Options {
    /// Adds the user's consent to a finding; another finding of the same question needs another
    /// consent.
    pub(crate) fn agree(&mut self, question: Question, finding: &str) {
        self.answers.push((question, finding.to_owned()));
    }

    /// Returns the state of the consent to a finding: `Yes` if the options or an answer give it,
    /// `Ask` if the user can be asked, `No` if not.
    pub(super) fn agreed(&self, question: Question, finding: &str) -> Agreed {
        let mut answers = self.answers.iter();
        let is_answered = answers.any(|(asked, found)| *asked == question && found == finding);
        match self.asking {
            _ if is_answered || self.agrees(question) => Agreed::Yes,
            Asking::Everything => Agreed::Ask,
            Asking::Jointly if question.is_joint() => Agreed::Ask,
            Asking::Once if question.is_joint() && !question.needs_look() => Agreed::Ask,
            Asking::Jointly | Asking::Once | Asking::Nothing => Agreed::No,
        }
    }

    /// Returns whether the options give the consent to a question, whatever the finding, as `--yes`
    /// does. Consents added by [`Self::agree`] do not count.
    pub(crate) fn agrees(&self, question: Question) -> bool {
        match question {
            Question::Conflicts => self.conflicts == Conflicts::Update,
            Question::Uncommitted => self.uncommitted != Edits::Ask,
            other => self.given.contains(&other),
        }
    }
}
