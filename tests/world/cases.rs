//! Runs the cases of a matrix, some of them at once.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many cases run at once.
pub(crate) const WORKERS: usize = 2;

/// Returns how many repetitions this variable asks for, as `.ci/long` does.
pub(crate) fn repetitions(variable: &str) -> Option<usize> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}

/// Runs each case in a thread of its own; panics once, with the list of those that failed.
#[track_caller]
pub(crate) fn run_cases<T: Debug + Sync>(cases: &[T], run: impl Fn(&T) + Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let work = || {
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = thread::scope(|scope| scope.spawn(|| run(case)).join());
                if done.is_err() {
                    failed.lock().unwrap().push(case);
                }
            }
        };
        (0..WORKERS).for_each(|_| drop(scope.spawn(work)));
    });
    let failed = failed.into_inner().unwrap();
    let count = failed.len();
    assert!(
        failed.is_empty(),
        "{count} of {} failed: {failed:#?}",
        cases.len()
    );
}
