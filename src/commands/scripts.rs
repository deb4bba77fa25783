//! Asks whether the scripts that come with a repository may run.

use anyhow::Result;

use crate::context::Flux;
use crate::git::foreground::page;
use crate::interrupt;
use crate::lifecycle::start::plan::Start;
use crate::lifecycle::start::trust::{Init, NAME};

/// Asks, unless that was agreed to before, about the scripts for tasks that are about to start, all from
/// one commit.
///
/// # Errors
/// When the user interrupts, or the answer cannot be remembered.
pub(super) fn agree(flux: &Flux, starts: &mut [Start]) -> Result<()> {
    let Some(commit) = starts.iter().find_map(Start::setup_commit) else {
        return Ok(());
    };
    let Some(init) = Init::find(flux, commit)? else {
        return Ok(());
    };
    if !init.is_trusted(flux) && !ask(flux, &init)? {
        return Ok(());
    }
    for start in starts {
        let needs_setup = start.setup_commit().is_some();
        if let Some(pane) = start.pane.as_mut().filter(|_| needs_setup) {
            pane.init = Some(init.clone());
        }
    }
    Ok(())
}

fn ask(flux: &Flux, init: &Init) -> Result<bool> {
    let ui = &flux.ui;
    if !ui.can_ask() {
        ui.warning(format_args!(
            "nobody has agreed to the scripts in '{NAME}': they are not run"
        ));
        let tree = init.tree();
        ui.hint(format_args!("git ls-tree -r {tree}"));
        ui.hint(format_args!("git config --add flux.trust {tree}"));
        return Ok(false);
    }
    let text = init.text();
    if ui.pages(&text) {
        page(flux.repo.home(), &text)?;
    } else {
        text.lines().for_each(|line| ui.quote(line));
    }
    interrupt::check()?;
    let question =
        format!("Run the scripts in '{NAME}' in new worktrees, as long as they stay as they are?");
    if !ui.confirm(question, false)? {
        ui.status("They are not run.");
        return Ok(false);
    }
    init.trust(flux)?;
    Ok(true)
}
