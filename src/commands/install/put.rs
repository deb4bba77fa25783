//! Files put in place, all or none, and taken away again.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::installed::{Found, marked};
use super::place::Place;
use crate::failure::Failure;
use crate::interrupt;

/// Everything written beside its place. Dropped before it is put there, it leaves nothing.
#[derive(Default)]
struct Staged<'a> {
    // The files go before the directories that were made for them.
    files: Vec<(NamedTempFile, &'a Place, &'a Found)>,
    made: Vec<PathBuf>,
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        self.files.clear();
        for dir in self.made.drain(..).rev() {
            // One that is used by another program by now stays.
            drop(fs::remove_dir(dir));
        }
    }
}

/// Puts what is not there yet, or of another version, in its place.
///
/// # Errors
/// When a file cannot be written; then nothing was changed.
pub(super) fn put(wanted: &[(Place, Found)]) -> Result<()> {
    let mut staged = Staged::default();
    stage(&mut staged, wanted).context(Failure::new("could not install; nothing was changed"))?;
    for (file, place, found) in staged.files.drain(..) {
        match found {
            Found::Own | Found::Current => file.persist(&place.path),
            // Not over what was put there in the meantime.
            Found::Nothing | Found::Foreign(_) => file.persist_noclobber(&place.path),
        }
        .map_err(|error| error.error)
        .with_context(|| format!("could not put '{}' in its place", place.path.display()))?;
    }
    staged.made.clear();
    Ok(())
}

fn stage<'a>(staged: &mut Staged<'a>, wanted: &'a [(Place, Found)]) -> Result<()> {
    for (place, found) in wanted {
        if *found == Found::Current {
            continue;
        }
        interrupt::check()?;
        let what = || format!("could not write '{}'", place.path.display());
        let dir = place.path.parent().context("a place is in a directory")?;
        make_dirs(dir, &mut staged.made).with_context(what)?;
        let file = write(dir, &marked(place)).with_context(what)?;
        staged.files.push((file, place, found));
    }
    interrupt::check()
}

/// Writes a file of a name of its own. What is wrong with the disk is seen here, not after it was renamed.
fn write(dir: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".git-flux-")
        // As for any file, the umask takes its part.
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a directory and those above it, and notes each in `made`. Not writable for a group: zsh takes no
/// completion from such a directory.
fn make_dirs(dir: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(parent, made)?;
    }
    match DirBuilder::new().mode(0o755).create(dir) {
        Ok(()) => made.push(dir.to_owned()),
        // Another program was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(())
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
        assert_eq!(fs::read_to_string(&path).unwrap(), marked(&wanted[0].0));
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
