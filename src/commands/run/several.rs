//! Several tasks on one description.

use anyhow::Result;

use super::{Run, report};
use crate::commands::object::TaskObject;
use crate::commands::{Faults, early, table};
use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::start::plan::{Start, Started, place};
use crate::lifecycle::start::start;
use crate::task::{Changes, Layout};
use crate::ui::{Ui, shown};

impl Run {
    /// Starts them one after the other. One that fails leaves the others.
    ///
    /// # Errors
    /// When any of them fails, or the user interrupts: then no more are started.
    pub(super) fn several(
        &self,
        flux: &Flux,
        starts: &mut [Start],
        own: impl FnOnce() -> Option<Changes>,
    ) -> Result<()> {
        let all = starts.len();
        let (mut made, mut faults) = (Vec::new(), Faults::default());
        let started = self.start_all(flux, starts, &mut made, &mut faults);
        report::own_changes(flux, own(), starts.iter().any(Start::takes_changes));
        if let Some(first) = made.first() {
            report::lacking(flux, &first.task);
        }
        self.tell_all(&flux.ui, &made)?;
        if let Err(error) = started {
            let begun = made.len();
            flux.ui
                .status(format_args!("{begun} of {all} tasks were started"));
            return Err(error);
        }
        if !self.json {
            let ended = early::ended(flux, &made)?;
            ended.iter().for_each(|error| faults.show(error));
        }
        match faults.0 {
            0 => Ok(()),
            failed => {
                let what = format!("{failed} of {all} tasks were not started as they should");
                Err(Failure::new(what).hint("git flux list").into())
            }
        }
    }

    /// Starts each; no more once the user interrupts.
    fn start_all(
        &self,
        flux: &Flux,
        starts: &mut [Start],
        made: &mut Vec<Started>,
        faults: &mut Faults,
    ) -> Result<()> {
        let mut is_told = false;
        for (at, start_of) in starts.iter_mut().enumerate() {
            let started = self.next(flux, start_of, at);
            if let Some(started) = faults.note(started)? {
                is_told = is_told || report::cramped(flux, start_of, &started);
                if self.quiet {
                    flux.ui.data(&started.task.id)?;
                }
                made.push(started);
            }
        }
        Ok(())
    }

    /// Starts one, the `at`th.
    fn next(&self, flux: &Flux, start_of: &mut Start, at: usize) -> Result<Started> {
        // Those before it have taken room.
        if let Some(pane) = start_of.pane.as_mut().filter(|_| at > 0) {
            pane.place = place(flux, &start_of.task.id, self.layouts.layout())?;
        }
        let started = start(flux, start_of)?;
        early::ensure_executed(flux, &started)?;
        Ok(started)
    }

    fn tell_all(&self, ui: &Ui, made: &[Started]) -> Result<()> {
        if self.json {
            let objects = made.iter().map(|one| TaskObject::of(&report::status(one)));
            return ui.json(&objects.collect::<Vec<_>>());
        }
        if self.quiet || made.is_empty() {
            return Ok(());
        }
        let row = |Started { task, opened, .. }: &Started| {
            let place = match opened.target.kind {
                Layout::Pane => format!("pane {}", opened.target.pane),
                Layout::Window => format!("window {}", opened.target.window),
                Layout::Session => "session".to_owned(),
            };
            let worktree = shown(&task.worktree);
            [task.id.to_string(), task.agent.clone(), place, worktree]
        };
        let rows = made.iter().map(row).collect();
        let head = ["TASK", "AGENT", "TARGET", "WORKTREE"];
        for line in table::lines(head, rows, ui.width()) {
            ui.data(line)?;
        }
        ui.status("");
        ui.hint("git flux list, git flux attach <task>, git flux cleanup <task>");
        Ok(())
    }
}
