//! Messages that are held back, since they would disturb a view on the same terminal.

use std::fmt::Display;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Holds all messages back until it is dropped.
pub(crate) struct HeldMessages(());

impl HeldMessages {
    pub(crate) fn begin() -> Self {
        *held() = Some(Vec::new());
        Self(())
    }

    /// Returns the messages that were held back since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        held().as_mut().map(mem::take).unwrap_or_default()
    }
}

impl Drop for HeldMessages {
    fn drop(&mut self) {
        *held() = None;
    }
}

fn held() -> MutexGuard<'static, Option<Vec<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a message for [`HeldMessages::take`] while a [`HeldMessages`] exists. Otherwise returns
/// the message, so that the caller prints it.
pub(super) fn hold<T: Display>(line: T) -> Option<T> {
    match held().as_mut() {
        Some(held) => {
            held.push(line.to_string());
            None
        }
        None => Some(line),
    }
}
