//! Regular files: opened without following a link or waiting for another process.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// Flags for `open` that reject a link, and do not wait for a FIFO.
pub(crate) const REGULAR: i32 = OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits();

/// Opens a file to read it and append to it, and creates it, readable for its owner only, if it is
/// missing. Fails if it is a link or no regular file, or if its owner is not that of its directory.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let file = options.custom_flags(REGULAR).open(path)?;
    ensure_owned_as_its_dir(&ensure_file(&file)?, path)?;
    Ok(file)
}

/// Opens a regular file to read it. Fails if it is a link or another kind of file, and does not
/// wait for a FIFO.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(REGULAR).open(path)?;
    ensure_file(&file)?;
    Ok(file)
}

/// The longest file that is read whole: a sparse one needs no space.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Reads a whole regular file. Fails if it is a link or another kind of file, or longer than 1 GiB.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open_file(path)?;
    if file.metadata()?.len() > MAX_FILE_BYTES {
        return Err(io::Error::other("it is too long"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the metadata of an open file; fails unless it is a regular file, because any other may
/// block, or never end.
pub(crate) fn ensure_file(file: &File) -> io::Result<Metadata> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(metadata)
}

/// Fails unless a file, given by its metadata, has the same owner as the directory that contains
/// `path`.
pub(crate) fn ensure_owned_as_its_dir(file: &Metadata, path: &Path) -> io::Result<()> {
    let dir = path.parent().unwrap_or(path).metadata()?;
    if dir.uid() != file.uid() {
        return Err(other_owner_error());
    }
    Ok(())
}

/// Turns the error that a file does not exist into `None`, and passes on other errors.
pub(crate) fn none_if_missing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn other_owner_error() -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, "it belongs to another user")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn open_fails_for_links_fifos_and_directories() {
        let temp = tempfile::tempdir().unwrap();
        let [file, link, fifo] = ["file", "link", "fifo"].map(|name| temp.path().join(name));
        fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert!(open_file(&file).is_ok() && open_to_append(&file).is_ok());
        assert!(open_to_append(&temp.path().join("new")).is_ok());
        for other in [&link, &fifo, temp.path()] {
            assert!(open_file(other).is_err() && open_to_append(other).is_err());
        }
    }
}
