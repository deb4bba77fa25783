//! Files and directories of a scratch repository.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Makes a directory and those above it.
pub(super) fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("could not make '{}'", path.display()))
}

/// Writes a file of the repository.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("could not write '{}'", path.display()))
}
