//! NUL-terminated records, as git prints and reads them with `-z`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bstr::ByteSlice as _;

/// Splits the output of `git … -z` into its NUL-terminated records, none if it is empty; fails if
/// the last record lacks its NUL.
pub(crate) fn records(out: &[u8]) -> Result<impl Iterator<Item = &[u8]>> {
    let whole = match out {
        [] => None,
        [all @ .., 0] => Some(all),
        _ => bail!("git printed an incomplete record"),
    };
    Ok(whole.into_iter().flat_map(|all| all.split(|&b| b == 0)))
}

/// Splits the output of `git … -z` into NUL-terminated paths; fails if the last one lacks its NUL.
pub(super) fn paths(out: &[u8]) -> Result<Vec<PathBuf>> {
    let path = |record: &[u8]| record.to_path_lossy().into_owned();
    Ok(records(out)?.map(path).collect())
}

/// Joins paths for the standard input of `git … -z`, each followed by a NUL byte.
pub(in crate::git) fn join_records<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Vec<u8> {
    let record = |path: P| [path.as_ref().as_os_str().as_bytes(), b"\0"].concat();
    paths.into_iter().flat_map(record).collect()
}
