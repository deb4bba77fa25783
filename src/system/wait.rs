//! Waiting for what nothing tells.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::RngExt as _;

use crate::interrupt;

/// The first pause is so much shorter than the longest.
const FIRST: u32 = 16;

/// Calls `look` until it returns something, and returns that; none if it never did in the time
/// `patience`. The pauses grow up to `pause`, and none is as long as another: many wait at once.
///
/// # Errors
/// When `look` fails, or on an interruption.
pub(crate) fn wait_until<T>(
    patience: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let begun = Instant::now();
    let mut next = pause / FIRST;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        interrupt::check()?;
        if begun.elapsed() >= patience {
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
    fn what_comes_is_returned_and_what_does_not_is_given_up() {
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
