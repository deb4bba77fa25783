//! A full disk.

use std::io;
use std::path::Path;

use anyhow::Error;
use nix::sys::statvfs::statvfs;

/// A hint where an error may come from a full disk: less than a megabyte is
/// left on one of the file systems that were written to.
pub(crate) fn disk_full(cause: &Error, paths: &[&Path]) -> Option<String> {
    let mut causes = cause
        .chain()
        .filter_map(|it| it.downcast_ref::<io::Error>());
    let said = causes.any(|it| it.kind() == io::ErrorKind::StorageFull);
    let disk = match paths.iter().find(|path| is_full(path)) {
        Some(path) => format!("the disk of '{}'", path.display()),
        None if said => "the disk".to_owned(),
        None => return None,
    };
    Some(format!(
        "no space is left on {disk}; free some and run it again"
    ))
}

fn is_full(path: &Path) -> bool {
    let mut dirs = path.ancestors();
    let existing = dirs.find_map(|dir| statvfs(dir).ok());
    existing.is_some_and(|fs| {
        // The types differ from system to system.
        let left = u128::from(fs.blocks_available()) * u128::from(fs.fragment_size());
        // One that the kernel makes up, like /proc, has no blocks at all.
        fs.blocks() > 0 && left < 1 << 20
    })
}
