//! The times for polling agents whose state is not only in files.

use std::time::{Duration, Instant};

/// The time after output until its effects are visible.
const OUTPUT_DELAY: Duration = Duration::from_millis(200);

/// The minimum between two polls.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The maximum between two polls. Files on a network may change without an event.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The maximum between two polls if a terminal does not report output.
const BLIND: Duration = Duration::from_secs(2);

/// The time without output after which the state of no agent changes any more.
const REST: Duration = Duration::from_secs(70);

/// A schedule: soon after output, because the title may have changed, and at growing intervals
/// without output, because a state may follow from that.
#[derive(Debug)]
pub(crate) struct Schedule {
    last_output: Instant,
    last_poll: Instant,
    /// Output since the last poll.
    pub(crate) has_output: bool,
    /// All terminals report their output.
    pub(crate) has_reports: bool,
    /// Polls end some time after the last output, if all terminals report it.
    pub(crate) rests: bool,
}

impl Schedule {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            last_output: now,
            last_poll: now,
            has_output: false,
            has_reports: true,
            rests: false,
        }
    }

    pub(crate) fn note_output(&mut self, now: Instant) {
        self.last_output = now;
        self.has_output = true;
    }

    pub(crate) fn note_poll(&mut self, now: Instant) {
        self.last_poll = now;
        self.has_output = false;
    }

    /// Returns the time of the next poll of the agents: 200 ms after output, otherwise after a
    /// quarter of the time without output. At least a second after the last poll, and at most a
    /// minute, or two seconds if a terminal reports no output. `None` after 70 seconds without
    /// output, if `rests` is set and all terminals report output.
    pub(crate) fn next_poll(&self) -> Option<Instant> {
        if self.has_output {
            return Some((self.last_output + OUTPUT_DELAY).max(self.last_poll + MIN_PAUSE));
        }
        let quiet = self.last_poll.saturating_duration_since(self.last_output);
        if self.rests && self.has_reports && quiet > REST {
            return None;
        }
        let pause = (quiet / 4).clamp(MIN_PAUSE, MAX_PAUSE);
        let longest = if self.has_reports { MAX_PAUSE } else { BLIND };
        Some(self.last_poll + pause.min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the times, in seconds after `begun`, of all polls in an hour without output.
    fn polls(mut schedule: Schedule, begun: Instant) -> Vec<f64> {
        let mut polls = Vec::new();
        let next = |schedule: &Schedule| {
            let hour = begun + Duration::from_secs(3600);
            schedule.next_poll().filter(|next| *next < hour)
        };
        while let Some(next_poll) = next(&schedule) {
            polls.push((next_poll - begun).as_secs_f64());
            schedule.note_poll(next_poll);
        }
        polls
    }

    #[test]
    fn next_poll_comes_at_growing_intervals_without_output() {
        let begun = Instant::now();
        let polls = polls(Schedule::new(begun), begun);
        assert!(polls.len() < 100, "{}", polls.len());
        for age in [1.0, 5.0, 10.0, 60.0, 600.0] {
            let next = polls.iter().find(|at| **at >= age).unwrap();
            assert!(next - age <= 1.0 + age / 4.0, "{age} is seen at {next}");
        }
    }

    #[test]
    fn next_poll_comes_within_two_seconds_without_reports() {
        let begun = Instant::now();
        let schedule = Schedule {
            has_reports: false,
            ..Schedule::new(begun)
        };
        assert!(
            polls(schedule, begun)
                .windows(2)
                .all(|two| two[1] - two[0] <= 2.0)
        );
    }

    #[test]
    fn next_poll_follows_output_at_most_once_a_second() {
        let begun = Instant::now();
        let mut schedule = Schedule::new(begun);
        schedule.note_poll(begun + Duration::from_secs(100));
        let later = begun + Duration::from_secs(105);
        schedule.note_output(later);
        assert_eq!(schedule.next_poll(), Some(later + OUTPUT_DELAY));
        schedule.note_poll(later);
        schedule.note_output(later);
        assert_eq!(schedule.next_poll(), Some(later + MIN_PAUSE));
    }

    #[test]
    fn next_poll_ends_after_a_while_without_output_if_it_rests() {
        let begun = Instant::now();
        let rests = |has_reports| Schedule {
            rests: true,
            has_reports,
            ..Schedule::new(begun)
        };
        let polls_with_reports = polls(rests(true), begun);
        assert!((70.0..100.0).contains(polls_with_reports.last().unwrap()));
        assert!(polls(rests(false), begun).len() > 1000);
        let mut schedule = rests(true);
        schedule.note_poll(begun + Duration::from_secs(200));
        assert_eq!(schedule.next_poll(), None);
        schedule.note_output(begun + Duration::from_secs(300));
        assert!(schedule.next_poll().is_some());
    }
}
