//! Files put in place, all or none, and taken away again.

use std::fs::{self, DirBuilder, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::place::{Found, Place};
use crate::failure::Failure;
use crate::interrupt;

/// Puts what is not there yet, or of another version, in its place.
///
/// # Errors
/// When a file cannot be written; then nothing was changed.
pub(super) fn put(wanted: &[(Place, Found)]) -> Result<()> {
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
pub(super) fn remove(path: &Path, root: &Path) -> Result<()> {
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
    use crate::commands::install::place::Reader;

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
