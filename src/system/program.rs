//! Finds programs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Returns the user's shell: `$SHELL`, or `/bin/sh` if that is unset or empty.
pub(crate) fn user_shell() -> OsString {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    shell.unwrap_or_else(|| "/bin/sh".into())
}

/// Returns the path of this program, git flux.
pub(crate) fn current_exe() -> Result<PathBuf> {
    env::current_exe().context("could not find the file of git flux")
}

/// Returns the absolute path of the executable file that `program` names: from the working
/// directory if it contains a `/`, otherwise in an absolute directory on PATH. `None` if there is
/// none. Any execute permission counts, not only yours.
pub(crate) fn which(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return std::path::absolute(program)
            .ok()
            .filter(|path| is_executable(path));
    }
    which_in(&env::var_os("PATH")?, program)
}

/// Returns the absolute path of the executable file `program` in an absolute directory of `path`, a
/// value of PATH. `None` if there is none. Any execute permission counts, not only yours.
pub(crate) fn which_in(path: &OsStr, program: &Path) -> Option<PathBuf> {
    let mut paths = env::split_paths(path).map(|dir| dir.join(program));
    paths.find(|path| path.is_absolute() && is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    let found = path.metadata();
    found.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Returns the value of PATH without its first directory, if that is `$GIT_EXEC_PATH`, which git
/// prepends for its own programs; `None` if PATH is unset.
pub(crate) fn path_without_git() -> Option<OsString> {
    let (path, exec) = (env::var_os("PATH")?, env::var_os("GIT_EXEC_PATH"));
    let dirs: Vec<_> = env::split_paths(&path).collect();
    match (dirs.split_first(), exec) {
        (Some((first, rest)), Some(exec)) if first.as_os_str() == exec => {
            env::join_paths(rest).ok()
        }
        _ => Some(path),
    }
}
