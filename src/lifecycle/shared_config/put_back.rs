//! Puts a part of the shared configuration back to its state at the start of a task.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bstr::{BString, ByteSlice as _};
use tempfile::NamedTempFile;

use super::change::{PartState, SharedChange, SharedPart};
use super::{compare, kept, path_of};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::shared_config::{EXCLUDE, FileContent, SharedFile};
use crate::git::{Lock, exclude};
use crate::lifecycle::cleanup::called_command::CalledCommand;
use crate::store;
use crate::system::none_if_missing;
use crate::system::regular_file::{open_file, read_file};
use crate::task::{Bytes, TaskId};

/// Puts back the part that has changed since the start of the task `id`, under the repository's
/// lock, and records the state as agreed to. Returns where the replaced file is kept, if there was
/// one. Fails without a change if the part has changed again meanwhile.
pub(crate) fn put_back(
    flux: &Flux,
    (id, command): (&TaskId, &CalledCommand),
    change: &SharedChange,
) -> Result<Option<PathBuf>> {
    let lock = flux.lock_repo()?;
    if !compare(flux, id).changes().contains(change) {
        let what = format!("{} has changed again; it was not put back", change.name());
        bail!(Failure::new(what).hint(command.with(id, "")));
    }
    let path = path_of(flux, &change.part);
    let replaced = match (&change.part, &change.before) {
        (SharedPart::Key { key, .. }, before) => {
            let values = before.as_ref().map_or(&[][..], PartState::values);
            write_values(flux, &path, (key, values), &lock)?;
            None
        }
        (SharedPart::File(name), before) => {
            let part = match before {
                Some(PartState::File(file)) => Some(Replacement::make(name, &path, file)?),
                Some(PartState::Values(_)) | None => None,
            };
            let replaced = set_aside(flux, &path)?;
            if let Some(part) = part {
                part.move_to(&path)?;
            }
            replaced
        }
    };
    kept::note(flux, change, change.before.as_ref(), &lock)?;
    Ok(replaced)
}

/// Gives a key of a configuration file exactly these values, in order: `git config --file <file>
/// --replace-all`, then `--add`; or `--unset-all`.
fn write_values(
    flux: &Flux,
    file: &Path,
    (key, values): (&BString, &[BString]),
    lock: &Lock,
) -> Result<()> {
    let run = |args: &[&[u8]]| {
        let args: Vec<_> = args.iter().map(|arg| arg.to_os_str_lossy()).collect();
        let args: Vec<&OsStr> = args.iter().map(|arg| &**arg).collect();
        store::configure_file(&flux.repo, file, &args, lock)
    };
    let Some((first, others)) = values.split_first() else {
        return run(&[b"--unset-all", key]);
    };
    run(&[b"--replace-all", key, first])?;
    let mut others = others.iter();
    others.try_for_each(|value| run(&[b"--add", key, value]))
}

/// Moves the file at `path` to `<git-common-dir>/flux/replaced`, and returns its new path; `None` if
/// there is no file.
fn set_aside(flux: &Flux, path: &Path) -> Result<Option<PathBuf>> {
    if none_if_missing(path.symlink_metadata())?.is_none() {
        return Ok(None);
    }
    let what = || format!("could not set '{}' aside", path.display());
    let dir = flux.repo.flux_dir().join("replaced");
    flux.repo.sharing()?.make_dir(&dir).with_context(what)?;
    let name = path.file_name().unwrap_or_default();
    let numbered =
        (1..).map(|n: usize| dir.join([name, OsStr::new(&format!(".{n}"))].join(OsStr::new(""))));
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    let new = [dir.join(name)].into_iter().chain(numbered).find(is_free);
    let new = new.with_context(what)?;
    match fs::rename(path, &new) {
        // The hooks may be on another file system.
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            copy(path, &new).with_context(what)?;
            fs::remove_file(path).with_context(what)?;
        }
        renamed => renamed.with_context(what)?,
    }
    Ok(Some(new))
}

/// Copies a file with its permissions, or a link; `to` must be new. Fails for anything else.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    let mut from = open_file(from)?;
    let mut to = File::create_new(to)?;
    io::copy(&mut from, &mut to)?;
    to.set_permissions(from.metadata()?.permissions())
}

/// A file to be put back.
enum Replacement<'a> {
    File(NamedTempFile),
    Link(&'a Bytes),
}

impl<'a> Replacement<'a> {
    /// Writes a temporary file beside `path` with the content of `file`, whose name in the common
    /// git directory is `name`; keeps the lines of git flux in `info/exclude`.
    fn make(name: &Path, path: &Path, file: &'a SharedFile) -> Result<Self> {
        let what = || format!("could not write '{}'", path.display());
        let bytes = match &file.content {
            FileContent::Link(target) => return Ok(Self::Link(target)),
            FileContent::Whole(_) => file.bytes().unwrap_or_default(),
            FileContent::Hash(_) | FileContent::Unreadable => {
                bail!("'{}' is not recorded whole", path.display())
            }
        };
        let own = match name == Path::new(EXCLUDE) {
            true => {
                let now = none_if_missing(read_file(path))?.unwrap_or_default();
                exclude::split_own(&now).1
            }
            false => Vec::new(),
        };
        let mode = if file.is_executable { 0o755 } else { 0o644 };
        let write = || -> io::Result<NamedTempFile> {
            let dir = path.parent().unwrap_or(path);
            fs::create_dir_all(dir)?;
            let mut part = NamedTempFile::new_in(dir)?;
            part.write_all(&[bytes, &own].concat())?;
            part.as_file()
                .set_permissions(Permissions::from_mode(mode))?;
            Ok(part)
        };
        Ok(Self::File(write().with_context(what)?))
    }

    /// Moves the file to `path`. Fails if there is a file again.
    fn move_to(self, path: &Path) -> Result<()> {
        let what = || format!("could not write '{}'", path.display());
        match self {
            Self::File(part) => drop(part.persist_noclobber(path).with_context(what)?),
            Self::Link(target) => symlink(&target.0, path).with_context(what)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn copy_keeps_links_and_permissions_and_refuses_a_fifo() {
        let temp = tempfile::tempdir().unwrap();
        let [file, link, fifo, to] =
            ["file", "link", "fifo", "to"].map(|name| temp.path().join(name));
        fs::write(&file, "text").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        symlink("nowhere", &link).unwrap();
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        copy(&file, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"text");
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert!(copy(&link, &to).is_err());
        fs::remove_file(&to).unwrap();
        copy(&link, &to).unwrap();
        assert_eq!(fs::read_link(&to).unwrap(), Path::new("nowhere"));
        fs::remove_file(&to).unwrap();
        assert!(copy(&fifo, &to).is_err() && !to.exists());
    }
}
