//! Asks whether the scripts that come with a repository may run.

use crate::git::ObjectId;
use anyhow::Result;

use crate::context::Flux;
use crate::git::foreground::page;
use crate::interrupt;
use crate::lifecycle::start::plan::Start;
use crate::lifecycle::start::trust::{Init, NAME};

/// Asks about the scripts for tasks that are about to start, once for each commit they start from.
///
/// # Errors
/// When the user interrupts, or the answer cannot be remembered.
pub(super) fn agree(flux: &Flux, starts: &mut [Start]) -> Result<()> {
    let mut asked: Vec<(ObjectId, Option<Init>)> = Vec::new();
    for start in starts {
        let Some(commit) = start.setup_commit().cloned() else {
            continue;
        };
        let known = asked.iter().find(|(known, _)| *known == commit);
        let init = match known {
            Some((_, init)) => init.clone(),
            None => {
                let init = agreed(flux, &commit)?;
                asked.push((commit, init.clone()));
                init
            }
        };
        if let Some(pane) = &mut start.pane {
            pane.init = init;
        }
    }
    Ok(())
}

/// The scripts of a commit, if the user agrees to them: now, or once before.
fn agreed(flux: &Flux, commit: &ObjectId) -> Result<Option<Init>> {
    let Some(init) = Init::find(flux, commit)? else {
        return Ok(None);
    };
    let is_agreed = init.is_trusted(flux) || ask(flux, &init)?;
    Ok(is_agreed.then_some(init))
}

fn ask(flux: &Flux, init: &Init) -> Result<bool> {
    let ui = &flux.ui;
    if !ui.can_ask() {
        ui.warning(format_args!(
            "nobody has agreed to the scripts in '{NAME}': they are not run"
        ));
        let tree = &init.tree;
        ui.hint(format_args!("git ls-tree -r {tree}"));
        ui.hint(format_args!("git config --add flux.trust {tree}"));
        return Ok(false);
    }
    let text = init.text();
    if ui.pages(&text) {
        page(flux.repo.home(), &text)?;
    } else {
        for line in text.lines() {
            ui.quote(line);
        }
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
