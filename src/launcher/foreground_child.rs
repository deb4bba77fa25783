//! A child in place of this process: it has the terminal, and its end is this process's.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Output, exit};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use nix::sys::signal::{self, SigSet, Signal};
use nix::unistd::Pid;

/// The signals that end a program which a shell runs in the foreground.
const SIGNALS: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];

/// The latest child.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// Runs a program in this process group, passes on the signals that end a program, and returns its
/// exit status. From then on this process ignores these signals.
pub(super) fn status(command: &mut Command) -> io::Result<ExitStatus> {
    spawn(command)?.wait()
}

/// Runs a program as [`status`] does, and returns what it printed on standard output.
pub(super) fn output(command: &mut Command) -> io::Result<Output> {
    spawn(command)?.wait_with_output()
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    let set: SigSet = SIGNALS.into_iter().collect();
    // Of an earlier child; this one inherits the mask of the caller.
    if CHILD.load(Ordering::Relaxed) != 0 {
        set.thread_unblock()?;
    }
    let child = command.spawn()?;
    // Blocked, not handled: the child ignores what this process was told to ignore.
    set.thread_block()?;
    CHILD.store(child.id().cast_signed(), Ordering::Relaxed);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(thread::spawn(move || pass_on(&set))));
    Ok(child)
}

/// Waits for the signals in `set`, and sends each that arrives to the latest child; runs forever.
/// The child also gets it from a terminal; twice makes no difference to git.
fn pass_on(set: &SigSet) {
    while let Ok(signal) = set.wait() {
        signal::kill(Pid::from_raw(CHILD.load(Ordering::Relaxed)), signal).ok();
    }
}

/// Ends this process as a child has ended: with its exit code, or by its signal.
pub(super) fn exit_as(status: ExitStatus) -> ! {
    let number = status.signal();
    if let Some(signal) = number.and_then(|number| Signal::try_from(number).ok()) {
        let set: SigSet = SIGNALS.into_iter().collect();
        signal::raise(signal).ok();
        set.thread_unblock().ok();
    }
    // As a shell says it, for a signal that does not end this process.
    exit(status.code().unwrap_or(128 + number.unwrap_or(0)))
}
