//! The agreement of the user to a gate that changed while a task ran.

use std::fs;

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::owner::other_owner;
use crate::lifecycle::shared_config::change::{SharedChange, SharedPart};
use crate::lifecycle::shared_config::{Comparison, compare, keep};
use crate::settings::table::{self, Setting};
use crate::system::none_if_missing;
use crate::task::TaskId;
use crate::ui::shown;

/// Fails if the repository's configuration of the gate, or a file that it includes, changed while a
/// task ran, and the user has not agreed to that; also if that cannot be compared. Only the tasks of
/// this user count.
pub(crate) fn ensure_agreed(flux: &Flux) -> Result<()> {
    let Some((id, found)) = compare_all(flux)?.into_iter().next() else {
        return Ok(());
    };
    let failure = match found {
        Ok(change) => Failure::new(change.describe(&id))
            .hints(change.put_back_command())
            .hint(format!("to keep it: git flux gate --keep-config {id}")),
        Err(why) => {
            let what = "the gate's configuration cannot be compared with that at the start of";
            Failure::new(format!("{what} '{id}': {why}"))
        }
    };
    let status = format!("to see all such changes: git flux status {id}");
    Err(failure.hint(status).into())
}

/// Records that the user agrees to all changes of the gate's configuration. Where it cannot be
/// compared, [`ensure_agreed`] still fails.
pub(crate) fn agree(flux: &Flux) -> Result<()> {
    let changes = compare_all(flux)?.into_iter();
    let mut changes = changes.filter_map(|(_, found)| found.ok());
    changes.try_for_each(|change| keep(flux, &change))
}

/// Compares the gate's configuration with that at the start of each task of this user. Returns each
/// change, or the reason why it cannot be compared, with the task's id. Fails if the tasks cannot
/// be listed.
fn compare_all(flux: &Flux) -> Result<Vec<(TaskId, Result<SharedChange, String>)>> {
    let (dir, mut all) = (flux.repo.runs_dir(), Vec::new());
    let what = || format!("could not read '{}'", shown(&dir));
    let runs = none_if_missing(fs::read_dir(&dir)).with_context(what)?;
    for run in runs.into_iter().flatten() {
        let run = run.with_context(what)?;
        let id = run.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(id) = id.filter(|_| other_owner(&run.path()).is_none()) else {
            continue;
        };
        let found = match compare(flux, &id) {
            Comparison::NoCopy => Vec::new(),
            Comparison::Failed(why) => vec![Err(why)],
            Comparison::Changes(changes) => {
                changes.into_iter().filter(is_of_gate).map(Ok).collect()
            }
        };
        all.extend(found.into_iter().map(|found| (id.clone(), found)));
    }
    Ok(all)
}

/// Returns whether a change may change what the gate runs: `flux.gate` or `flux.wrapper` in any of the
/// files, or which files are included.
fn is_of_gate(change: &SharedChange) -> bool {
    let SharedPart::Key { key, .. } = &change.part else {
        return false;
    };
    let settings = [&table::GATE, &table::WRAPPER];
    let is_setting = |one: &&Setting| key.eq_ignore_ascii_case(one.key.as_bytes());
    settings.iter().any(is_setting) || key.to_ascii_lowercase().starts_with(b"include")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::world::World;

    #[test]
    fn ensure_agreed_fails_if_the_tasks_cannot_be_listed() {
        let world = World::new();
        ensure_agreed(&world.flux).unwrap();
        let runs = world.flux.repo.runs_dir();
        fs::create_dir_all(runs.parent().unwrap()).unwrap();
        fs::write(&runs, "").unwrap();
        let error = ensure_agreed(&world.flux).unwrap_err();
        let what = format!("could not read '{}'", runs.display());
        assert_eq!(error.to_string(), what);
        agree(&world.flux).unwrap_err();
    }
}
