//! Waiting, and the tools a test cannot do without.
//!
//! `wait_for` asks again and again and gives up loudly; nothing else sleeps, but what counts the system calls of a
//! second (`trace.rs`). No test measures time, because the machines are slow and shared.

use std::env;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::World;
use super::agent::Process;

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `look` until it gives something, and panics naming `what` when it never does.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    try_wait_for(look)
        .unwrap_or_else(|| panic!("waited {} seconds in vain for {what}", PATIENCE.as_secs()))
}

/// Asks `look` until it gives something or patience ends. What takes long to look at is looked at less often: whoever
/// waits leaves the processors to others.
pub(super) fn try_wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(4);
    loop {
        let asked = Instant::now();
        if let Some(found) = look() {
            return Some(found);
        }
        let took = asked.elapsed().min(Duration::from_secs(1));
        if start.elapsed() > PATIENCE {
            return None;
        }
        thread::sleep(pause.max(took * 2));
        pause = (pause * 3 / 2).min(Duration::from_millis(60));
    }
}

/// Waits until `holds` does.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Returns the path of a program that the test needs, and panics if it is missing: no test is skipped.
#[track_caller]
pub(crate) fn require(tool: &str) -> PathBuf {
    let Some(path) = find_program(tool) else {
        panic!("this test needs '{tool}', which is not installed");
    };
    path
}

/// Searches the usual directories first, so that shims of version managers in the developer's PATH are not found.
fn find_program(tool: &str) -> Option<PathBuf> {
    let own = env::var_os("PATH").unwrap_or_default();
    USUAL
        .iter()
        .map(PathBuf::from)
        .chain(env::split_paths(&own))
        .map(|dir| dir.join(tool))
        .find(|path| is_executable(path))
}

/// Where the programs of an ordinary machine are.
pub(crate) const USUAL: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Returns the process of `git flux <command>` of this world that watches files, if there is one: it blocks. The
/// kernel shows who watches; a launcher watches files, too.
pub(crate) fn watching_process(world: &World, command: &str) -> Option<i32> {
    let mark = world.tools().to_str().unwrap().to_owned();
    let is_meant = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).nth(1) == Some(command.as_bytes())
            && String::from_utf8_lossy(&environment).contains(&mark)
    };
    let watches = |pid: &i32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo"));
        files.into_iter().flatten().flatten().any(|file| {
            let info = std::fs::read_to_string(file.path()).unwrap_or_default();
            info.lines().any(|line| line.starts_with("inotify wd:"))
        })
    };
    // Until it executes its program, a child looks like its parent.
    let is_child = |pid: &i32| Process::find(*pid).is_none_or(|it| is_meant(&it.parent));
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.find(|pid| is_meant(pid) && watches(pid) && !is_child(pid))
}
