//! `git flux install`: what cargo leaves out.

mod check;
mod place;
mod put;
mod shells;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;

use self::place::{Found, Place, Reader};
pub(super) use self::shells::exec_alone;
use crate::failure::Failure;
use crate::ui::{Ui, quoted, shown};

/// Put the manual and completion for your shells where they are found
///
/// Then it is checked that they are, and what is missing is said. Nothing is
/// replaced that git flux did not put there, and no dot file is edited.
#[derive(Debug, Args)]
#[command(override_usage = "git flux install [<options>]")]
pub(crate) struct Install {
    /// dry run: only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// install below this directory instead of your home directory
    #[arg(long, value_name = "dir")]
    prefix: Option<PathBuf>,
    /// remove what was installed
    #[arg(long)]
    uninstall: bool,
}

impl Install {
    pub(crate) fn run(self) -> Result<()> {
        let ui = Ui::default();
        let mut places = place::places(self.prefix.as_deref())?;
        if !self.uninstall && self.prefix.is_none() {
            // At home, for the shells that there are.
            places.retain(|place| place.reader == Reader::Man || place.reader.is_there());
        }
        let mut found = Vec::new();
        for place in places {
            let there = place.look()?;
            found.push((place, there));
        }
        if self.uninstall {
            self.uninstall(&ui, &found)
        } else {
            self.install(&ui, found)
        }
    }

    fn install(&self, ui: &Ui, wanted: Vec<(Place, Found)>) -> Result<()> {
        refuse_obstacles(&wanted)?;
        if !self.dry_run {
            put::put(&wanted)?;
        }
        for (place, found) in &wanted {
            let done = match (found, self.dry_run) {
                (Found::Current, _) => "unchanged",
                (Found::Own, false) => "updated",
                (Found::Own, true) => "would update",
                (_, false) => "installed",
                (_, true) => "would install",
            };
            ui.data(format_args!("{done} '{}'", shown(&place.path)))?;
        }
        if self.dry_run {
            return Ok(());
        }
        let installed: Vec<Place> = wanted.into_iter().map(|(place, _)| place).collect();
        check::check(ui, &installed)
    }

    /// Removes what is ours, and says what is left.
    fn uninstall(&self, ui: &Ui, found: &[(Place, Found)]) -> Result<()> {
        let root = place::root(self.prefix.as_deref())?;
        let mut own = Vec::new();
        for (place, found) in found {
            match found {
                Found::Current | Found::Own => own.push(&place.path),
                Found::Foreign(what) => {
                    ui.warning(format_args!("'{}' {what}; it is left", shown(&place.path)));
                }
                Found::Nothing => {}
            }
        }
        if own.is_empty() {
            ui.status("nothing is installed");
        }
        for path in own {
            let done = if self.dry_run {
                "would remove"
            } else {
                put::remove(path, &root)?;
                "removed"
            };
            ui.data(format_args!("{done} '{}'", shown(path)))?;
        }
        Ok(())
    }
}

/// Fails if something in the way of an installation is not ours to replace.
fn refuse_obstacles(wanted: &[(Place, Found)]) -> Result<()> {
    let mut causes = Vec::new();
    let mut failure = Failure::new("could not install; nothing was changed");
    for (place, found) in wanted {
        if let Found::Foreign(what) = found {
            causes.push(format!("'{}' {what}", place.path.display()));
            let path = quoted(&place.path);
            failure = failure.hint(format!("mv {path} {path}.old"));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(anyhow!(causes.join("\n")).context(failure))
}
