//! A full disk.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Error;
use nix::sys::statvfs::statvfs;

/// A hint where an error may come from a full disk: less than a megabyte is
/// left on one of the file systems that were written to.
pub(crate) fn disk_full(cause: &Error, paths: &[&Path]) -> Option<String> {
    let said = cause
        .chain()
        .filter_map(|c| c.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::StorageFull);
    let full = paths.iter().find(|path| {
        let existing = path
            .ancestors()
            .find(|dir| fs::exists(dir).unwrap_or(false));
        existing
            .and_then(|dir| statvfs(dir).ok())
            .is_some_and(|fs| {
                // One that the kernel makes up, like /proc, has no blocks at all.
                let is_on_disk = fs.blocks() > 0;
                // The types differ from system to system.
                is_on_disk
                    && u128::from(fs.blocks_available()) * u128::from(fs.fragment_size()) < 1 << 20
            })
    });
    match (full, said) {
        (Some(path), _) => Some(format!(
            "no space is left on the disk of '{}'; free some and run it again",
            path.display()
        )),
        (None, true) => Some("no space is left on the disk; free some and run it again".to_owned()),
        (None, false) => None,
    }
}
