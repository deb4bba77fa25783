//! ^C, hang-up and kill, turned into a flag.
//!
//! A signal never ends git flux in the middle of a step: the children that do
//! the work get it too, the step fails or completes, and the way back down is
//! the one every failure takes. Everything that waits asks [`check`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Starts to note SIGINT, SIGTERM and SIGHUP.
pub(crate) fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Calls `then` whenever such a signal has been noted, for what waits without asking [`check`].
pub(crate) fn on_signal(then: impl Fn() + Send + 'static) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || signals.forever().for_each(|_| then()));
    Ok(())
}

/// Whether a signal has asked to stop.
pub(crate) fn requested() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Forgets a signal, so that the way back down is not interrupted by the same ^C.
pub(crate) fn clear() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Fails with exit code 130 once a signal has asked to stop.
pub(crate) fn check() -> Result<()> {
    if requested() {
        Err(Failure::declined("interrupted").into())
    } else {
        Ok(())
    }
}
