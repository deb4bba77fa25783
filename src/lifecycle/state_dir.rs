//! The user's directory for what concerns all repositories.

use std::env;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::system::Sharing;

/// Returns the directory, which may be missing: `$XDG_STATE_HOME/git-flux`, by default in
/// `~/.local/state`. `None` without a home directory.
pub(crate) fn state_dir() -> Option<PathBuf> {
    let path = |name| env::var_os(name).map(PathBuf::from);
    let var = |name| path(name).filter(|path| path.is_absolute());
    let state = var("XDG_STATE_HOME").or_else(|| Some(var("HOME")?.join(".local/state")));
    Some(state?.join("git-flux"))
}

/// Tells views of all repositories, which watch the directory, that a task has another pane: its
/// repository may be one that they do not know. Changes the directory's time, and makes it if it is
/// missing. Ignores errors: they find the pane after another event.
pub(super) fn announce_pane() {
    if let Some(dir) = state_dir() {
        let touch = |()| -> io::Result<()> { File::open(&dir)?.set_modified(SystemTime::now()) };
        Sharing::Private.make_dir(&dir).and_then(touch).ok();
    }
}
