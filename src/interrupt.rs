//! ^C, hang-up and kill, turned into a flag.
//!
//! A signal never ends git flux in the middle of a step: the children that do
//! the work get it too, the step fails or completes, and the way back down is
//! the one every failure takes. Everything that waits asks [`check`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Starts to note SIGINT, SIGTERM and SIGHUP.
///
/// # Errors
/// When the handlers cannot be installed.
pub(crate) fn watch() -> Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// Whether a signal has asked to stop.
pub(crate) fn requested() -> bool {
    INTERRUPTED
        .get()
        .is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Forgets a signal, so that the way back down is not interrupted by the same ^C.
pub(crate) fn clear() {
    if let Some(flag) = INTERRUPTED.get() {
        flag.store(false, Ordering::Relaxed);
    }
}

/// Fails with exit code 130 once a signal has asked to stop.
///
/// # Errors
/// The interruption itself.
pub(crate) fn check() -> Result<()> {
    if requested() {
        Err(Failure::declined("interrupted").into())
    } else {
        Ok(())
    }
}
