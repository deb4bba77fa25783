//! Programs, and where they are.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The user's shell.
pub(crate) fn shell() -> OsString {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    shell.unwrap_or_else(|| "/bin/sh".into())
}

/// git flux itself, to be started again.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn ourselves() -> Result<PathBuf> {
    env::current_exe().context("could not tell where git flux itself is")
}

/// The file that running `program` would execute.
pub(crate) fn which(program: &Path) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        let found = path.metadata();
        found.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    if program.components().count() > 1 {
        return std::path::absolute(program).ok().filter(executable);
    }
    let path = env::var_os("PATH")?;
    let mut paths = env::split_paths(&path).map(|dir| dir.join(program));
    paths.find(|path| path.is_absolute() && executable(path))
}

/// PATH without the directory that git puts in front for its own programs.
pub(crate) fn plain_path() -> Option<OsString> {
    let (path, exec) = (env::var_os("PATH")?, env::var_os("GIT_EXEC_PATH"));
    let dirs: Vec<_> = env::split_paths(&path).collect();
    match (dirs.split_first(), exec) {
        (Some((first, rest)), Some(exec)) if first.as_os_str() == exec => {
            env::join_paths(rest).ok()
        }
        _ => Some(path),
    }
}
