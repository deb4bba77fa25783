//! `git flux install`: what cargo leaves out.

mod check;
mod copy;
mod place;
mod put;
mod shells;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;

use self::copy::Found;
use self::place::{Place, Places};
pub(super) use self::shells::alone;
use crate::failure::Failure;
use crate::ui::{Ui, quoted, shown};

/// Put the manual and completion for your shells where they are found
///
/// Then it is checked that they are, and what is missing is said. Nothing is
/// replaced that git flux did not put there, and no dot file is edited.
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// Install below this directory instead of your home directory
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// Remove what was installed
    #[arg(long)]
    uninstall: bool,
    /// Dry run: only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Install {
    pub(crate) fn run(self) -> Result<()> {
        let ui = Ui::default();
        let places = match &self.prefix {
            Some(prefix) => Places::below(prefix)?,
            None => Places::at_home()?,
        };
        if self.uninstall {
            return uninstall(&ui, &places, self.dry_run);
        }
        let wanted = places.wanted();
        let mut found = Vec::new();
        for place in &wanted {
            found.push(copy::look(place)?);
        }
        refuse_obstacles(&wanted, &found)?;
        if !self.dry_run {
            put::put(&wanted, &found)?;
        }
        for (place, found) in wanted.iter().zip(&found) {
            let done = match (found, self.dry_run) {
                (Found::Own { current: true, .. }, _) => "unchanged",
                (Found::Own { .. }, false) => "updated",
                (Found::Own { .. }, true) => "would update",
                (_, false) => "installed",
                (_, true) => "would install",
            };
            ui.data(format_args!("{done} '{}'", shown(&place.path)))?;
        }
        if self.dry_run {
            return Ok(());
        }
        check::check(&ui, &wanted)
    }
}

/// Fails if something in the way of an installation is not ours to replace.
fn refuse_obstacles(wanted: &[Place], found: &[Found]) -> Result<()> {
    let mut causes = Vec::new();
    let mut failure = Failure::new("could not install; nothing was changed");
    for (place, found) in wanted.iter().zip(found) {
        if let Found::Foreign(what) = found {
            causes.push(format!("'{}' {what}", place.path.display()));
            failure = failure.hint(aside(&place.path));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(anyhow!(causes.join("\n")).context(failure))
}

/// The command that moves a file out of the way.
fn aside(path: &Path) -> String {
    let mut old = path.as_os_str().to_owned();
    old.push(".old");
    format!("mv {} {}", quoted(path), quoted(Path::new(&old)))
}

/// Removes what is ours, and says what is left.
fn uninstall(ui: &Ui, places: &Places, dry_run: bool) -> Result<()> {
    let mut own = Vec::new();
    for place in places.all() {
        match copy::look(&place)? {
            Found::Own { made, .. } => own.push((place.path, made)),
            Found::Foreign(what) => {
                ui.warning(format_args!("'{}' {what}; it is left", shown(&place.path)));
            }
            Found::Nothing => {}
        }
    }
    if own.is_empty() {
        ui.status("nothing is installed");
        return Ok(());
    }
    if !dry_run {
        return put::remove(&own, |path| {
            ui.data(format_args!("removed '{}'", shown(path)))
        });
    }
    for (path, _) in &own {
        ui.data(format_args!("would remove '{}'", shown(path)))?;
    }
    Ok(())
}
