//! git's own file system monitor, of which each worktree has one where `core.fsmonitor` is on.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use crate::git::Checkout;

/// How long a daemon may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Stops the daemon of the worktree whose git directory is `admin`, if one listens there:
/// `git fsmonitor--daemon stop`. Where its files are does not matter. Best effort: what listens
/// there may be anything.
pub(crate) fn stop(common_dir: &Path, admin: &Path) {
    let socket = admin.join("fsmonitor--daemon.ipc");
    let is_socket = |found: std::fs::Metadata| found.file_type().is_socket();
    if !socket.symlink_metadata().is_ok_and(is_socket) {
        return;
    }
    let place = Checkout::enclosing(admin, admin, common_dir);
    let git = place.reading("fsmonitor--daemon").arg("stop");
    drop(git.within(PATIENCE).outcome());
}
