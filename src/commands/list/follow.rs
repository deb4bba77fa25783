//! `git flux list --follow`: a line for each change.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;

use anyhow::Result;

use super::reader::{Scope, TaskReader};
use super::rows::Rows;
use crate::commands::object::GoneObject;
use crate::run::watch::Wakeup;
use crate::task::TaskId;
use crate::ui::Ui;
use crate::ui::closed_pipe::on_closed_pipe;

/// The objects that were printed, by repository and id.
#[derive(Default)]
struct Printed(BTreeMap<(PathBuf, TaskId), Line>);

/// A printed object, and the worktree in it.
struct Line {
    json: String,
    worktree: Option<PathBuf>,
}

/// Prints each task as a JSON object on a line of its own, and then again each task that has changed.
/// Fails on ^C; ends when standard output has no reader any more.
pub(super) fn follow(scope: Scope) -> Result<()> {
    let ui = Ui { quiet: true };
    let mut reader = TaskReader::new(scope)?;
    let events = reader.watch.wakeups.sender();
    on_closed_pipe(move || drop(events.send(Wakeup::Closed)));
    let mut printed = Printed::default();
    printed.print_changes(&ui, reader.read()?)?;
    loop {
        printed.print_changes(&ui, reader.next_rows()?)?;
    }
}

impl Printed {
    fn print_changes(&mut self, ui: &Ui, repositories: &[Rows]) -> Result<()> {
        let mut before = mem::take(&mut self.0);
        for Rows { home, rows } in repositories {
            for row in rows {
                let key = (home.clone(), row.id.clone());
                let json = serde_json::to_value(&row.object)?.to_string();
                if before.remove(&key).is_none_or(|before| before.json != json) {
                    ui.json_line(&json)?;
                }
                let worktree = row.object.worktree.clone();
                self.0.insert(key, Line { json, worktree });
            }
        }
        for ((_, id), Line { worktree, .. }) in before {
            let gone = GoneObject {
                id: id.as_str(),
                worktree: worktree.as_deref(),
                removed: true,
            };
            ui.json_line(&serde_json::to_value(&gone)?.to_string())?;
        }
        Ok(())
    }
}
