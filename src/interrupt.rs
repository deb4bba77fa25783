//! Turns ^C, hang-up and kill into a flag.
//!
//! A signal never ends git flux in the middle of a step. Children get it too, so the step fails or
//! completes, and is rolled back like after any failure. Everything that waits calls [`check`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::failure::{DECLINED, Failure};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// `true` while a signal ends the process: see [`exit_on_signal`].
static EXITS: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The time between two signals to a thread that has not noticed the first one.
const REPEAT_INTERVAL: Duration = Duration::from_millis(10);

/// Installs handlers for SIGINT, SIGTERM and SIGHUP that set a flag. From then on these signals do
/// not end the process; [`check`] reports them.
pub(crate) fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&INTERRUPTED))?;
        flag::register_conditional_shutdown(signal, DECLINED.into(), Arc::clone(&EXITS))?;
    }
    Ok(())
}

/// Starts a thread that calls `then` on each SIGINT, SIGTERM and SIGHUP, for waits that cannot call
/// [`check`]. Does not wait for a signal.
pub(crate) fn on_signal(then: impl Fn() + Send + 'static) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || signals.forever().for_each(|_| then()));
    Ok(())
}

/// Calls `wait`, which blocks in system calls, and returns what it returns. SIGINT, SIGTERM and
/// SIGHUP make these calls fail with `EINTR`, also one that arrives just before the call.
pub(crate) fn with_failing_calls<T>(wait: impl FnOnce() -> T) -> Result<T> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let received = signals.handle();
    let waiting = pthread_self();
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if signals.forever().next().is_none() {
                return;
            }
            // A single one may arrive between two calls.
            while is_done.recv_timeout(REPEAT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                pthread_kill(waiting, Signal::SIGINT).ok();
            }
        });
        let result = check().map(|()| wait());
        drop(done);
        received.close();
        result
    })
}

/// Calls `read`, which changes nothing and has nothing to undo, and returns what it returns. SIGINT,
/// SIGTERM and SIGHUP end the process at once, with exit code 130: the standard library repeats a
/// read that a signal interrupts.
pub(crate) fn exit_on_signal<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    EXITS.store(true, Ordering::SeqCst);
    let result = check().and_then(|()| read());
    EXITS.store(false, Ordering::SeqCst);
    result
}

/// Returns whether SIGINT, SIGTERM or SIGHUP has arrived since [`watch`] or the last [`clear`].
pub(crate) fn is_requested() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Forgets the SIGINT, SIGTERM and SIGHUP that have arrived, so that a ^C which made a step fail
/// does not interrupt its rollback.
pub(crate) fn clear() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Fails with exit code 130 if SIGINT, SIGTERM or SIGHUP has arrived since the last [`clear`]. Does
/// not wait.
pub(crate) fn check() -> Result<()> {
    if is_requested() {
        Err(interrupted().into())
    } else {
        Ok(())
    }
}

/// Returns the error that the user has interrupted the command, with exit code 130.
pub(crate) fn interrupted() -> Failure {
    Failure::declined("interrupted")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::fd::AsFd as _;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, poll};
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn with_failing_calls_ends_a_call_that_begins_after_the_signal() {
        let (reader, _writer) = io::pipe().unwrap();
        let result = with_failing_calls(|| {
            raise(Signal::SIGINT).unwrap();
            let mut input = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            poll(&mut input, 60_000_u16)
        });
        assert_eq!(result.unwrap(), Err(Errno::EINTR));
        let quiet = with_failing_calls(|| "answer");
        assert_eq!(quiet.unwrap(), "answer");
    }
}
