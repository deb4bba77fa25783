//! Small files that others may have written.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::git::checkout::distrust::Distrust;
use crate::system::optional;
use crate::system::regular_file::REGULAR;

/// The most that is read of a file with a path or a configuration in it.
const SMALL: u64 = 1 << 20;

/// What is in a file that others may have put there; none if there is none.
///
/// # Errors
/// With a [`Distrust`] when it is a link, a pipe or endless, or when it cannot be read.
pub(in crate::git) fn read_small(file: &Path) -> Result<Option<Vec<u8>>> {
    let what = || format!("could not read '{}'", file.display());
    let odd = || Distrust::Odd(file.to_owned());
    let opened = fs::File::options()
        .read(true)
        .custom_flags(REGULAR)
        .open(file);
    let opened = match optional(opened) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(None),
        Err(_) if !file.symlink_metadata().is_ok_and(|found| found.is_file()) => {
            return Err(odd().into());
        }
        Err(error) => return Err(error).with_context(what),
    };
    if !opened.metadata().with_context(what)?.is_file() {
        return Err(odd().into());
    }
    let mut bytes = Vec::new();
    let mut opened = opened.take(SMALL);
    opened.read_to_end(&mut bytes).with_context(what)?;
    match opened.limit() {
        0 => Err(odd().into()),
        _ => Ok(Some(bytes)),
    }
}
