//! `git flux` alone: the tasks, or how to begin.

use anyhow::Result;

use super::Faults;
use super::list::{self, List};
use crate::ui::Ui;

const HOW_TO_BEGIN: &str = "\
There are no tasks in this repository. To start one:

    git flux run \"<what is to be done>\"

Then:

    git flux                    how the tasks are doing
    git flux attach <task>      go to one: watch, answer, take over
    git flux cleanup <task>     merge it and remove it
    git flux restore            bring back what was removed

'git flux -h' lists all commands, 'git help flux' is the manual.";

/// # Errors
/// When the tasks cannot be listed.
pub(super) fn run() -> Result<()> {
    let ui = Ui::default();
    let rows = list::here(&ui)?;
    if rows.is_empty() {
        return ui.data(HOW_TO_BEGIN);
    }
    List::default().print(&ui, &[rows], Faults::default())
}
