//! Hints about a full disk.

use std::io;
use std::path::Path;

use anyhow::Error;
use nix::sys::statvfs::statvfs;

/// Returns a hint to free space if the disk of one of `paths` has less than 1 MiB left, or if
/// `cause` contains the error that a disk is full; otherwise `None`.
pub(crate) fn full_disk_hint(cause: &Error, paths: &[&Path]) -> Option<String> {
    let mut causes = cause
        .chain()
        .filter_map(|it| it.downcast_ref::<io::Error>());
    let is_reported = causes.any(|it| it.kind() == io::ErrorKind::StorageFull);
    let disk = match paths.iter().find(|path| is_full(path)) {
        Some(path) => format!("the disk of '{}'", path.display()),
        None if is_reported => "the disk".to_owned(),
        None => return None,
    };
    Some(format!(
        "no space is left on {disk}; free some and try again"
    ))
}

fn is_full(path: &Path) -> bool {
    bytes_left(path).is_some_and(|left| left < 1 << 20)
}

/// Returns the free space, in bytes, on the disk of the file at `path`; if the file does not exist,
/// on that of the nearest directory above it. `None` if that is unknown, and for a virtual file
/// system such as `/proc`.
pub(crate) fn bytes_left(path: &Path) -> Option<u128> {
    let mut dirs = path.ancestors();
    let fs = dirs.find_map(|dir| statvfs(dir).ok())?;
    // The types differ between systems.
    let left = u128::from(fs.blocks_available()) * u128::from(fs.fragment_size());
    // Virtual file systems, like /proc, have no blocks.
    (fs.blocks() > 0).then_some(left)
}
