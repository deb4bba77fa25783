//! The results of a landing.

use std::time::Duration;

use anyhow::{Error, Result};

use super::back::SentBack;
use super::batch::GateAnswer;
use super::chain::{LeftOut, Misfit};
use super::finding::GateFinding;
use crate::failure::Failure;
use crate::lifecycle::archive::KeptParts;
use crate::lifecycle::cleanup::called_command::CalledCommand;
use crate::task::{BranchName, ObjectId, TaskId};

/// The result for one task.
#[derive(Debug)]
pub(crate) enum TaskResult {
    /// Its commits are in the target now; the parts that are kept of it, or the error of its
    /// removal. `None` with `--keep`.
    Landed(Option<Result<KeptParts>>),
    /// The target had all its changes already: the parts that are kept of it or the error of its
    /// removal, `None` with `--keep`; and what the target had.
    Integrated(Option<Result<KeptParts>>, String),
    Conflict(SentBack),
    /// It merges, and passes with those before it: `--check`.
    Fits,
    /// It conflicts with its target, or with another task before it: `--check`.
    Clash(Clash),
    /// It does not pass. It was sent back, except with `--check`.
    Red(GateFinding, Option<SentBack>),
    /// There is no verdict, and the task is not to blame.
    Unknown(GateFinding),
    Refused(Error),
}

/// The other side of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    Target,
    Task,
}

/// Something that has happened, to print at once.
pub(crate) enum LandEvent<'e> {
    /// These tasks have landed or, with `--check`, pass together.
    Passed(PassedBatch),
    Result(&'e TaskId, &'e TaskResult),
}

/// Tasks that pass together.
pub(crate) struct PassedBatch {
    pub(crate) ids: Vec<TaskId>,
    /// The number of times that the gate ran; `None` if there is none.
    pub(crate) runs: Option<usize>,
    pub(crate) time: Duration,
}

/// The move of a target by a landing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetMove {
    pub(crate) branch: BranchName,
    pub(crate) from: ObjectId,
    pub(crate) tasks: Vec<TaskId>,
    /// The commit of each task, in order.
    pub(crate) commits: Vec<ObjectId>,
}

impl TargetMove {
    /// Adds a move to earlier ones: to the last one of its branch if it continues that one. It does
    /// not if another command has moved the branch in between.
    pub(crate) fn add_to(self, moves: &mut Vec<Self>) {
        let mut latest = moves.iter_mut().rev();
        let last = latest.find(|one| one.branch == self.branch);
        match last.filter(|last| last.commits.last() == Some(&self.from)) {
            Some(last) => {
                last.tasks.extend(self.tasks);
                last.commits.extend(self.commits);
            }
            None => moves.push(self),
        }
    }
}

impl TaskResult {
    /// Returns the result of a task in a chain with `--check`, from the gate's answer about it.
    pub(super) fn of_answer(answer: GateAnswer<GateFinding>) -> Self {
        match answer {
            GateAnswer::Green => Self::Fits,
            GateAnswer::Red(finding) => Self::Red(finding, None),
            GateAnswer::Unknown(finding) => Self::Unknown(finding),
        }
    }

    /// Returns the result of a task that was left out of the chain with `--check`, from the reason.
    pub(super) fn of_left_out(id: &TaskId, command: &CalledCommand, why: LeftOut) -> Self {
        let refused = |failure: Failure| Self::Refused(failure.into());
        match why {
            LeftOut::Integrated(_) => Self::Fits,
            LeftOut::Conflict(_) => Self::Clash(Clash::Target),
            LeftOut::Later(Misfit::Conflict) => Self::Clash(Clash::Task),
            LeftOut::Later(Misfit::Contained) => Self::Fits,
            LeftOut::Later(Misfit::NoFastForward) => {
                let what = format!("'{id}' lacks commits of the tasks before it");
                let rebase = command.with(id, "--rebase");
                refused(Failure::new(what).hint(format!("to rebase and merge it: {rebase}")))
            }
            LeftOut::Later(Misfit::OtherTarget) => {
                refused(Failure::new(format!("the target of '{id}' has changed")))
            }
            LeftOut::Refused(error) => Self::Refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_to_joins_moves_that_follow_on_each_other() {
        let id = |digit: char| ObjectId::parse(digit.to_string().repeat(40).as_bytes()).unwrap();
        let one = |branch: &str, from: char, commits: &str| TargetMove {
            branch: BranchName::typed(branch),
            from: id(from),
            tasks: commits
                .chars()
                .map(|commit| format!("t{commit}").parse().unwrap())
                .collect(),
            commits: commits.chars().map(id).collect(),
        };
        let mut moves = Vec::new();
        for (branch, from, commits) in [
            ("main", '0', "12"),
            ("next", 'a', "b"),
            ("main", '2', "3"),
            // Another command has moved it from 3 to 4.
            ("main", '4', "5"),
            ("main", '5', "6"),
        ] {
            one(branch, from, commits).add_to(&mut moves);
        }
        let expected = [
            one("main", '0', "123"),
            one("next", 'a', "b"),
            one("main", '4', "56"),
        ];
        assert_eq!(moves, expected);
    }
}
