//! `git flux install`: what cargo leaves out.

mod check;
mod place;
mod shells;

use std::fs::{self, DirBuilder, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use tempfile::NamedTempFile;

use self::place::{Found, Place, Reader};
pub(super) use self::shells::exec_alone;
use crate::failure::Failure;
use crate::interrupt;
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
            put(&wanted)?;
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
                remove(path, &root)?;
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

/// Puts what is not there yet, or of another version, in its place.
///
/// # Errors
/// When a file cannot be written; then nothing was changed.
fn put(wanted: &[(Place, Found)]) -> Result<()> {
    let mut made = Vec::new();
    let staged = stage(wanted, &mut made).inspect_err(|_| {
        for dir in made.iter().rev() {
            // One that is used by another program by now stays.
            fs::remove_dir(dir).ok();
        }
    });
    let staged = staged.context(Failure::new("could not install; nothing was changed"))?;
    for (file, place, found) in staged {
        match found {
            Found::Own | Found::Current => file.persist(&place.path),
            // Not over what was put there in the meantime.
            Found::Nothing | Found::Foreign(_) => file.persist_noclobber(&place.path),
        }
        .map_err(|error| error.error)
        .with_context(|| format!("could not put '{}' in its place", place.path.display()))?;
    }
    Ok(())
}

/// Writes all files beside their places; the directories that are made for them are noted in `made`.
fn stage<'a>(
    wanted: &'a [(Place, Found)],
    made: &mut Vec<PathBuf>,
) -> Result<Vec<(NamedTempFile, &'a Place, &'a Found)>> {
    let mut staged = Vec::new();
    for (place, found) in wanted {
        if *found != Found::Current {
            interrupt::check()?;
            let file = write(place, made)
                .with_context(|| format!("could not write '{}'", place.path.display()))?;
            staged.push((file, place, found));
        }
    }
    interrupt::check()?;
    Ok(staged)
}

/// Writes a file under a name of its own. What is wrong with the disk is seen here, not after it was renamed.
fn write(place: &Place, made: &mut Vec<PathBuf>) -> Result<NamedTempFile> {
    let dir = place.path.parent().context("a place is in a directory")?;
    let missing = dir.ancestors().take_while(|dir| !dir.exists());
    let missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    made.extend(missing.into_iter().rev());
    // Not writable for a group: zsh takes no completion from such a directory.
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    let mut file = tempfile::Builder::new()
        .prefix(".git-flux-")
        // As for any file, the umask takes its part.
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    file.write_all(place.marked().as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Removes a file, and the directories that are empty without it, up to `root`.
///
/// # Errors
/// When the file cannot be removed.
fn remove(path: &Path, root: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("could not remove '{}'", path.display()))?;
    let dirs = path.ancestors().skip(1);
    let mut dirs = dirs.take_while(|dir| dir.starts_with(root));
    // The first one that is not empty is the last one to be tried.
    while dirs.next().is_some_and(|dir| fs::remove_dir(dir).is_ok()) {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: PathBuf) -> (Place, Found) {
        let (reader, text) = (Reader::Fish, "complete git-flux\n");
        (Place { reader, text, path }, Found::Nothing)
    }

    #[test]
    fn a_file_is_removed_with_the_directories_that_are_empty_then_up_to_the_root() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("share");
        let path = below.join("fish/completions/git-flux.fish");
        let wanted = [place(path.clone())];
        put(&wanted).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), wanted[0].0.marked());
        remove(&path, &below).unwrap();
        assert!(!below.exists() && root.path().exists());
    }

    #[test]
    fn where_one_file_cannot_be_written_none_is() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("mine"), "").unwrap();
        let names = ["fish/one", "mine/two"];
        let wanted = names.map(|name| place(root.path().join(name)));
        put(&wanted).unwrap_err();
        assert!(!root.path().join("fish").exists());
    }

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("one");
        fs::write(&path, "mine").unwrap();
        put(&[place(path.clone())]).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
