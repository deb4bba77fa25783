//! `git flux gc`

mod forecast;

use anyhow::Result;
use clap::Args;

use self::forecast::{forecast, forecast_trash, report_forecast};
use super::{Faults, deletion, load_recovered};
use crate::context::Flux;
use crate::interrupt;
use crate::lifecycle::archive;
use crate::lifecycle::gate::scratch_removal::{find_unused, remove_unused};
use crate::lifecycle::gc::{self, Garbage};
use crate::ui::{Ui, shown};

/// Delete what is no longer needed
#[derive(Debug, Args)]
#[command(override_usage = "git flux gc [<options>]")]
pub(crate) struct GcArgs {
    /// be quiet: only report errors
    #[arg(short, long)]
    quiet: bool,
    /// dry run: only say what would be deleted
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// agree to the deletion of all removed tasks
    #[arg(short, long, requires = "trash")]
    yes: bool,
    /// delete all removed tasks for good
    #[arg(long, conflicts_with = "scratch")]
    trash: bool,
    /// remove the worktree in which gates run
    #[arg(long)]
    scratch: bool,
}

impl GcArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        match (self.trash, self.scratch, self.dry_run) {
            (true, _, true) => forecast_trash(&flux),
            (true, _, false) => self.delete_removed(&flux),
            (_, true, true) => {
                let found = find_unused(&flux)?;
                let found = found.map(|path| format!("remove the worktree '{}'", shown(&path)));
                report_forecast(&flux, &Vec::from_iter(found))
            }
            (_, true, false) => {
                flux.ui.status(match remove_unused(&flux)? {
                    Some(path) => format!("removed the worktree '{}'", shown(&path)),
                    None => deletion::NOTHING.to_owned(),
                });
                Ok(())
            }
            (_, _, true) => forecast(&flux),
            (..) => collect(&flux),
        }
    }

    /// Deletes all removed tasks for good, except those of other users and repositories; without
    /// `--yes` asks first, and fails if the user cannot be asked. Continues after a failure, and if
    /// there was none, deletes what earlier deletions have left. Fails at the end if something is
    /// left.
    fn delete_removed(&self, flux: &Flux) -> Result<()> {
        load_recovered(flux)?;
        let all = archive::list_all(flux)?;
        let tasks = deletion::own(flux, &all);
        let mut faults = Faults::default();
        if tasks.is_empty() {
            flux.ui.status(deletion::NOTHING);
        } else {
            let question = deletion::question(flux, &tasks);
            if !self.yes {
                deletion::ensure_agreed(flux, question)?;
            }
        }
        for one in tasks {
            interrupt::check()?;
            if let Err(error) = deletion::delete(flux, one) {
                faults.show(&error);
            }
        }
        if faults.is_empty() {
            let left = flux.retry_deletions()?;
            left.iter().for_each(|error| faults.show(error));
        }
        deletion::finish(flux, &all, faults)
    }
}

/// Deletes what is no longer needed, such as expired removed tasks and remains of killed commands,
/// and prints each deletion. Fails at the end if something could not be deleted.
fn collect(flux: &Flux) -> Result<()> {
    let mut number = 0;
    let mut tell = |one: &Garbage| {
        number += 1;
        flux.ui.status(format_args!("deleted {one}"));
    };
    let errors = gc::collect(flux, &mut tell)?;
    let mut faults = Faults::default();
    errors.iter().for_each(|error| faults.show(error));
    if number == 0 && faults.is_empty() {
        flux.ui.status(deletion::NOTHING);
    }
    faults.ensure_none("not everything could be deleted")
}
