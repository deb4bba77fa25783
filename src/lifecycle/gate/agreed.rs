//! The agreement of the user to a gate that changed while a task ran.

use std::fs;

use anyhow::Result;

use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::lifecycle::owner::other_owner;
use crate::lifecycle::shared_config::change::SharedChange;
use crate::lifecycle::shared_config::{Comparison, compare, keep};
use crate::settings::table::{self, Setting};
use crate::task::TaskId;

/// Fails if the repository's configuration of the gate, or a file that it includes, changed while a
/// task ran, and the user has not agreed to that; also if that cannot be compared. Only the tasks of
/// this user count. The hint names `command`.
pub(super) fn ensure_agreed(flux: &Flux, command: Verb) -> Result<()> {
    let Some((id, found)) = compare_all(flux).next() else {
        return Ok(());
    };
    let failure = match found {
        Ok(change) => Failure::new(change.describe(&id)).hints(change.put_back_command()),
        Err(why) => {
            let what = "the gate's configuration cannot be compared with that at the start of";
            Failure::new(format!("{what} '{id}': {why}"))
        }
    };
    let keep = format!("to keep it: git flux {command} --keep-config");
    Err(failure
        .hint(format!("git flux status {id}"))
        .hint(keep)
        .into())
}

/// Records that the user agrees to all changes of the gate's configuration. What cannot be compared
/// stays so.
pub(crate) fn agree(flux: &Flux) -> Result<()> {
    let changes = compare_all(flux).filter_map(|(_, found)| found.ok());
    changes
        .collect::<Vec<_>>()
        .iter()
        .try_for_each(|change| keep(flux, change))
}

/// Returns each change of the gate's configuration since the start of a task of this user, or the
/// reason why the configuration cannot be compared.
fn compare_all(flux: &Flux) -> impl Iterator<Item = (TaskId, Result<SharedChange, String>)> {
    let runs = fs::read_dir(flux.repo.runs_dir()).into_iter().flatten();
    let own = runs
        .flatten()
        .filter(|run| other_owner(&run.path()).is_none());
    let ids = own.filter_map(|run| run.file_name().to_str()?.parse::<TaskId>().ok());
    ids.flat_map(|id| {
        let found = match compare(flux, &id) {
            Comparison::NoCopy => Vec::new(),
            Comparison::Failed(why) => vec![Err(why)],
            Comparison::Changes(changes) => {
                changes.into_iter().filter(is_of_gate).map(Ok).collect()
            }
        };
        found.into_iter().map(move |found| (id.clone(), found))
    })
}

fn is_of_gate(change: &SharedChange) -> bool {
    let name = change.name();
    let settings = [&table::GATE, &table::WRAPPER];
    let is_setting = |setting: &&Setting| name.eq_ignore_ascii_case(setting.key);
    settings.iter().any(is_setting) || name.to_ascii_lowercase().starts_with("include")
}
