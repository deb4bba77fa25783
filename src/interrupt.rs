//! Turns ^C, hang-up and kill into a flag.
//!
//! A signal never ends git flux in the middle of a step. Children get it too, so the step fails or
//! completes, and is rolled back like after any failure. Everything that waits calls [`check`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Installs handlers for SIGINT, SIGTERM and SIGHUP that set a flag. From then on these signals do
/// not end the process; [`check`] reports them.
pub(crate) fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED))?;
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
        Err(Failure::declined("interrupted").into())
    } else {
        Ok(())
    }
}
