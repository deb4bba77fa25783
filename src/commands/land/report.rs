//! Reports what became of the tasks of a landing.

use std::collections::BTreeSet;

use anyhow::{Error, Result, bail};

use crate::commands::object::LandObject;
use crate::context::Flux;
use crate::failure::{self, CONFLICTS, DECLINED, Failure, worst_exit_code};
use crate::lifecycle::gate;
use crate::lifecycle::land::back::{Notice, Round, SentBack};
use crate::lifecycle::land::finding::GateFinding;
use crate::lifecycle::land::results::{Clash, LandEvent, TargetMove, TaskResult};
use crate::sanitize;
use crate::system::disk::full_disk_hint;
use crate::task::{BranchName, TaskId};
use crate::ui::words::count;
use crate::ui::{self, quoted};

/// The aim of a landing: `Yes` if the tasks are only tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    Yes,
    No,
}

/// The results of a landing so far.
pub(super) struct Report<'a> {
    flux: &'a Flux,
    trial: Trial,
    /// The tasks that have not landed with the same commits before, which was printed.
    told: BTreeSet<TaskId>,
    objects: Vec<LandObject>,
    codes: Vec<u8>,
    moves: Vec<TargetMove>,
}

impl<'a> Report<'a> {
    pub(super) fn new(flux: &'a Flux, trial: Trial) -> Self {
        Self {
            flux,
            trial,
            told: BTreeSet::new(),
            objects: Vec::new(),
            codes: Vec::new(),
            moves: Vec::new(),
        }
    }

    /// Returns the report, set to print nothing about these tasks if they conflict or do not pass,
    /// unless they are sent back.
    pub(super) fn without_told(self, told: BTreeSet<TaskId>) -> Self {
        Self { told, ..self }
    }

    pub(super) fn objects(&self) -> &[LandObject] {
        &self.objects
    }

    /// Adds moves of targets.
    pub(super) fn add_moves(&mut self, moves: Vec<TargetMove>) {
        moves
            .into_iter()
            .for_each(|one| one.add_to(&mut self.moves));
    }

    /// Returns the moves of the targets so far.
    pub(super) fn moves(&self) -> &[TargetMove] {
        &self.moves
    }

    /// Returns the word for the result of a task; `None` if it has none, since its group failed.
    pub(super) fn result_of(&self, id: &TaskId) -> Option<&str> {
        let mut objects = self.objects.iter();
        objects
            .find(|one| one.id == id.as_str())
            .map(|one| one.result)
    }

    /// Prints an event of a landing: tasks that have landed or passed together, or the result of a
    /// task.
    pub(super) fn tell(&self, event: &LandEvent) -> Result<()> {
        let ui = &self.flux.ui;
        match event {
            LandEvent::Passed(batch) => {
                let ids: Vec<&str> = batch.ids.iter().map(TaskId::as_str).collect();
                let how = match batch.runs {
                    None => "untested".to_owned(),
                    Some(0) => "the gate has passed on the same files before".to_owned(),
                    Some(runs) => format!("{}, {} s", count(runs, "run"), batch.time.as_secs()),
                };
                let ids = ids.join(", ");
                ui.status(match self.trial {
                    Trial::Yes if batch.runs.is_none() => format!("no conflicts: {ids} ({how})"),
                    Trial::Yes if batch.ids.len() == 1 => format!("passes: {ids} ({how})"),
                    Trial::Yes => format!("pass together: {ids} ({how})"),
                    Trial::No => format!("landed {ids} ({how})"),
                });
            }
            LandEvent::Result(id, result) => self.tell_result(id, result),
        }
        Ok(())
    }

    fn tell_result(&self, id: &TaskId, result: &TaskResult) {
        let ui = &self.flux.ui;
        match result {
            TaskResult::Conflict(back) | TaskResult::Red(_, Some(back))
                if back.round == Round::Nothing && self.told.contains(id) => {}
            TaskResult::Landed(Some(Err(error)))
            | TaskResult::Integrated(Some(Err(error)), _)
            | TaskResult::Refused(error) => {
                ui::show(&error_of(id, error));
                failure::hints(error).for_each(|hint| ui.hint(hint));
                self.hint_at_full_disk(error);
            }
            TaskResult::Landed(_) => {}
            TaskResult::Integrated(parts, why) => {
                let what = match parts {
                    Some(_) => format!("removed '{id}'"),
                    None => format!("nothing to land of '{id}'"),
                };
                ui.status(format_args!("{what}: {}", sanitize::line(why)));
            }
            TaskResult::Conflict(back) => {
                self.tell_back(id, "it conflicts with its target branch", back);
            }
            TaskResult::Red(finding, back) => {
                match back {
                    Some(back) => self.tell_back(id, &finding.why, back),
                    None => ui.status(format_args!("'{id}' does not pass: {}", finding.why)),
                }
                self.hint_at_log(finding);
            }
            TaskResult::Fits => {}
            TaskResult::Clash(Clash::Target) => {
                ui.status(format_args!("'{id}' conflicts with its target branch"));
            }
            TaskResult::Clash(Clash::Task) => {
                ui.status(format_args!("'{id}' conflicts with a task before it"));
                ui.hint(format_args!(
                    "to see the conflicts: git flux conflicts {id}"
                ));
            }
            TaskResult::Unknown(finding) => {
                let what = match self.trial {
                    Trial::Yes => format!("no verdict on '{id}'"),
                    Trial::No => format!("'{id}' did not land, no verdict"),
                };
                ui.warning(format_args!("{what}: {}", finding.why));
                self.hint_at_log(finding);
            }
        }
    }

    fn hint_at_log(&self, finding: &GateFinding) {
        let hint = finding.log.as_deref().map(gate::log_hint);
        hint.iter().for_each(|hint| self.flux.ui.hint(hint));
    }

    /// Prints a hint if the disk is full, which git does not always name as the reason.
    fn hint_at_full_disk(&self, error: &Error) {
        let full = full_disk_hint(error, &[self.flux.repo.common_dir()]);
        full.iter().for_each(|full| self.flux.ui.hint(full));
    }

    fn tell_back(&self, id: &TaskId, why: &str, back: &SentBack) {
        let ui = &self.flux.ui;
        let why = sanitize::line(why);
        let untold = match back.how {
            Notice::NoAgent => Some("its agent is not running"),
            Notice::NoInput => Some("its agent takes no messages"),
            _ => None,
        };
        ui.status(match back.round {
            Round::Nothing => format!("'{id}' did not land: {why}"),
            Round::Counted => match untold {
                Some(untold) => format!("sent {id} back ({untold}): {why}"),
                None => format!("sent {id} back to its agent: {why}"),
            },
        });
        match &back.how {
            Notice::Sent => ui.status(format_args!(
                "its agent was told why (sent back {})",
                count(back.rounds, "time")
            )),
            Notice::NoAgent => ui.hint(format_args!(
                "to start its agent again: git flux resume {id}"
            )),
            Notice::NoInput => ui.hint(format_args!("to go to the task: git flux attach {id}")),
            Notice::AtWork => ui.status("its agent is working, and was not told"),
            Notice::Repeated => ui.status("it is the same as the last time"),
            Notice::Blocked => {
                ui.warning(format_args!(
                    "'{id}' is blocked: it was sent back to its agent too often"
                ));
                ui.hint(format_args!("to look at its pane: git flux attach {id}"));
            }
            Notice::Failed(why, hints) => {
                let what = match back.round {
                    Round::Counted => "its agent was not told",
                    Round::Nothing => "it was not sent back to its agent",
                };
                ui.warning(format_args!("{what}: {why}"));
                hints.iter().for_each(|hint| ui.hint(hint));
            }
        }
    }

    /// Adds the results of the tasks that land on `branch`. If landing them failed, prints the
    /// error in `done`, and adds its exit code; but an error with exit code 130, as on ^C, is
    /// returned.
    pub(super) fn add(
        &mut self,
        branch: &BranchName,
        results: Vec<(TaskId, TaskResult)>,
        done: Result<()>,
    ) -> Result<()> {
        for (id, result) in results {
            self.codes.push(exit_code(&result));
            self.objects.push(LandObject {
                into: Some(branch.to_string()),
                ..object(&id, &result)
            });
        }
        let Err(error) = done else { return Ok(()) };
        if failure::exit_code(&error) == DECLINED {
            return Err(error);
        }
        ui::show(&error);
        self.hint_at_full_disk(&error);
        self.codes.push(failure::exit_code(&error));
        Ok(())
    }

    /// Prints the tasks that were refused before the landing, each with its error, and adds them to
    /// the results.
    pub(super) fn refuse(&mut self, refused: Vec<(TaskId, Error)>) {
        for (id, error) in refused {
            let result = TaskResult::Refused(error);
            self.tell_result(&id, &result);
            self.codes.push(exit_code(&result));
            self.objects.push(object(&id, &result));
        }
    }

    /// If tasks have landed, starts to delete expired tasks in the background, and prints where to go
    /// if the current directory was removed.
    pub(super) fn tidy_up(&self) {
        let flux = self.flux;
        if !self.has_landed() {
            return;
        }
        if let Err(error) = flux.expire_in_background() {
            let what = "could not delete expired tasks";
            flux.ui.warning(format_args!("{what}: {error:#}"));
        }
        if flux.repo.current().is_some_and(|current| !current.exists()) {
            let home = quoted(flux.repo.home());
            flux.ui
                .hint(format_args!("this directory is gone: cd {home}"));
        }
    }

    /// Returns whether a task has landed, now or before.
    fn has_landed(&self) -> bool {
        let is_done = |one: &LandObject| ["landed", "integrated"].contains(&one.result);
        self.objects.iter().any(is_done)
    }

    /// Fails if a task did not land: with code 3 if only conflicts were the reason.
    pub(super) fn finish(self) -> Result<()> {
        let what = match self.trial {
            Trial::Yes => "not every task would land",
            Trial::No if self.has_landed() => "not every task has landed",
            Trial::No => "no task has landed",
        };
        match worst_exit_code(self.codes) {
            0 => Ok(()),
            CONFLICTS => bail!(Failure::new(what).code(CONFLICTS)),
            _ => bail!(Failure::new(what)),
        }
    }
}

/// Returns the error with `'<id>': ` before its message, unless the message names the task already.
fn error_of(id: &TaskId, error: &Error) -> Error {
    let text = format!("{error:#}");
    match text.contains(&format!("'{id}'")) {
        true => Failure::new(text).into(),
        false => Failure::new(format!("'{id}': {text}")).into(),
    }
}

fn exit_code(result: &TaskResult) -> u8 {
    match result {
        TaskResult::Landed(None | Some(Ok(_))) | TaskResult::Integrated(None | Some(Ok(_)), _) => 0,
        TaskResult::Conflict(_) | TaskResult::Clash(_) => CONFLICTS,
        TaskResult::Fits => 0,
        _ => 1,
    }
}

fn object(id: &TaskId, result: &TaskResult) -> LandObject {
    let (word, why) = match result {
        TaskResult::Landed(None | Some(Ok(_))) => ("landed", None),
        TaskResult::Integrated(None | Some(Ok(_)), why) => ("integrated", Some(why.clone())),
        TaskResult::Landed(Some(Err(error))) => ("landed", Some(format!("{error:#}"))),
        TaskResult::Integrated(Some(Err(error)), _) => ("integrated", Some(format!("{error:#}"))),
        TaskResult::Conflict(_) | TaskResult::Clash(_) => ("conflict", None),
        TaskResult::Fits => ("fits", None),
        TaskResult::Red(finding, _) => ("red", Some(finding.why.clone())),
        TaskResult::Unknown(finding) => ("unknown", Some(finding.why.clone())),
        TaskResult::Refused(error) => ("refused", Some(format!("{error:#}"))),
    };
    let rounds = match result {
        TaskResult::Conflict(back) | TaskResult::Red(_, Some(back)) => Some(back.rounds),
        _ => None,
    };
    LandObject {
        id: id.to_string(),
        result: word,
        why,
        rounds,
        ..LandObject::default()
    }
}
