//! Files put in place, all or none, and taken away again.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::copy::{Found, stamped};
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
            // One that is used by somebody else by now stays.
            drop(fs::remove_dir(dir));
        }
    }
}

/// Puts what is not there yet, or of another version, in its place.
///
/// # Errors
/// When a file cannot be written; then nothing was changed.
pub(super) fn put(wanted: &[Place], found: &[Found]) -> Result<()> {
    let mut staged = Staged::default();
    stage(&mut staged, wanted, found)
        .context(Failure::new("could not install; nothing was changed"))?;
    for (file, place, found) in staged.files.drain(..) {
        match found {
            Found::Own { .. } => file.persist(&place.path),
            // Not over what somebody has put there in the meantime.
            Found::Nothing | Found::Foreign(_) => file.persist_noclobber(&place.path),
        }
        .map_err(|error| error.error)
        .with_context(|| format!("could not put '{}' in its place", place.path.display()))?;
    }
    staged.made.clear();
    Ok(())
}

fn stage<'a>(staged: &mut Staged<'a>, wanted: &'a [Place], found: &'a [Found]) -> Result<()> {
    for (place, found) in wanted.iter().zip(found) {
        let before = match found {
            Found::Own { current: true, .. } => continue,
            Found::Own { made, .. } => *made,
            Found::Nothing | Found::Foreign(_) => 0,
        };
        interrupt::check()?;
        let what = || format!("could not write '{}'", place.path.display());
        let dir = place.path.parent().context("a place is in a directory")?;
        let made = staged.made.len();
        make_dirs(dir, &mut staged.made).with_context(what)?;
        let text = stamped(place, before + staged.made.len() - made);
        let file = write(dir, &text).with_context(what)?;
        staged.files.push((file, place, found));
    }
    interrupt::check()
}

/// A file of a name of its own. What is wrong with the disk is seen here, not after it was renamed.
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
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Removes files, and the directories that were made for them and are empty now; tells `removed` of each file.
///
/// # Errors
/// When a file cannot be removed: it and those after it are left.
pub(super) fn remove(
    own: &[(PathBuf, usize)],
    mut removed: impl FnMut(&Path) -> Result<()>,
) -> Result<()> {
    let mut dirs = BTreeSet::new();
    let mut result = Ok(());
    for (path, made) in own {
        result =
            fs::remove_file(path).with_context(|| format!("could not remove '{}'", path.display()));
        if result.is_err() {
            break;
        }
        dirs.extend(path.ancestors().skip(1).take(*made));
        removed(path)?;
    }
    // The deepest first: a path sorts after those above it. What is not empty is somebody's.
    for dir in dirs.into_iter().rev() {
        drop(fs::remove_dir(dir));
    }
    result
}
