//! Several tasks on one description.

use anyhow::Result;
use console::Style;

use super::{Run, notes, report};
use crate::commands::object::TaskObject;
use crate::commands::{early, table};
use crate::failure::{self, DECLINED, Failure};
use crate::lifecycle::Flux;
use crate::lifecycle::start::{Start, Started, start};
use crate::task::{Changes, Layout};
use crate::ui::{self, shown};

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
        let (mut made, mut failed) = (Vec::new(), 0);
        let (mut declined, mut cramped) = (None, false);
        for (at, start_of) in starts.iter_mut().enumerate() {
            let next = self.next(flux, start_of, at);
            match next.and_then(|one| early::ensure_executed(flux, &one).map(|()| one)) {
                Ok(started) => {
                    cramped = cramped || report::cramped(flux, start_of, &started);
                    if self.quiet {
                        flux.ui.data(&started.task.id)?;
                    }
                    made.push(started);
                }
                Err(error) if failure::code(&error) == DECLINED => {
                    declined = Some(error);
                    break;
                }
                Err(error) => {
                    ui::show(&error);
                    failed += 1;
                }
            }
        }
        report::own_changes(
            flux,
            own(),
            starts.iter().any(|start| start.carried.is_some()),
        );
        if let Some(first) = made.first() {
            notes::lacking(flux, &first.task);
        }
        self.tell(flux, &made)?;
        let (all, begun) = (starts.len(), made.len());
        if let Some(error) = declined {
            flux.ui
                .status(format_args!("{begun} of {all} tasks were started"));
            return Err(error);
        }
        if !self.json {
            let ended = early::ended(flux, &made.iter().collect::<Vec<_>>())?;
            ended.iter().for_each(ui::show);
            failed += ended.len();
        }
        if failed == 0 {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{failed} of {all} tasks were not started as they should"
        ))
        .hint("git flux list")
        .into())
    }

    /// Starts one, the `at`th.
    fn next(&self, flux: &Flux, start_of: &mut Start, at: usize) -> Result<Started> {
        // Those before it have taken room.
        if at > 0 {
            start_of.place = self.layouts.place(flux, &start_of.task.id)?;
        }
        start(flux, start_of)
    }

    fn tell(&self, flux: &Flux, made: &[Started]) -> Result<()> {
        if self.json {
            let objects = made.iter().map(|one| TaskObject::of(&report::status(one)));
            return flux.ui.json(&objects.collect::<Vec<_>>());
        }
        if self.quiet || made.is_empty() {
            return Ok(());
        }
        let row = |one: &Started| {
            let target = &one.opened.target;
            let place = match target.kind {
                Layout::Pane => format!("pane {}", target.pane),
                Layout::Window => format!("window {}", target.window),
                Layout::Session => "session".to_owned(),
            };
            let task = &one.task;
            let worktree = shown(&task.worktree);
            [task.id.to_string(), task.agent.clone(), place, worktree]
        };
        let rows: Vec<_> = made.iter().map(row).collect();
        let head = ["TASK", "AGENT", "TARGET", "WORKTREE"];
        for line in table::lines(head, &rows, flux.ui.width(), |_, _| Style::new()) {
            flux.ui.data(line)?;
        }
        flux.ui.status("");
        flux.ui
            .hint("git flux list, git flux attach <task>, git flux cleanup <task>");
        Ok(())
    }
}
