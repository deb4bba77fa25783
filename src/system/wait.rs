//! Polls for events without a notification.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::RngExt as _;

use crate::interrupt;

/// The first pause is the longest one divided by this.
const FIRST_PAUSE_DIVISOR: u32 = 16;

/// Calls `look` at least once, until it returns a value or fails, and returns that; `None` after
/// `timeout`. Fails on SIGINT, SIGTERM or SIGHUP. Pauses between calls grow up to about `pause`,
/// and are random, because many processes may wait.
pub(crate) fn wait_until<T>(
    timeout: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let begun = Instant::now();
    let mut next = pause / FIRST_PAUSE_DIVISOR;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        interrupt::check()?;
        if begun.elapsed() >= timeout {
            return Ok(None);
        }
        thread::sleep(next.mul_f64(rand::rng().random_range(0.5..1.5)));
        next = (next * 2).min(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_until_returns_a_value_or_nothing_after_the_timeout() {
        let pause = Duration::from_micros(1);
        let mut looks = 0;
        let third = wait_until(Duration::MAX, pause, || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(third.unwrap(), Some(3));
        let never = || wait_until(Duration::ZERO, pause, || Ok(None::<()>));
        assert_eq!(never().unwrap(), None);
        let failed = wait_until(Duration::MAX, pause, || -> Result<Option<()>> {
            anyhow::bail!("gone")
        });
        assert!(failed.is_err());
    }
}
