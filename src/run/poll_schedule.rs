//! How often to look at agents whose state is not all in files.

use std::time::{Duration, Instant};

/// How long after output, to see what came with it.
const OUTPUT_DELAY: Duration = Duration::from_millis(200);

/// How soon after a look the next one may come, however much is written.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// How late a look may come where nothing is written: files over a network may change unnoticed.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// How often to look at a terminal that does not tell of its output.
const BLIND_INTERVAL: Duration = Duration::from_secs(2);

/// When to look again: soon after output, for a title may have changed; and, where there is no
/// output, ever more rarely, for a state may be concluded from that.
#[derive(Debug)]
pub(crate) struct PollSchedule {
    last_output: Instant,
    last_poll: Instant,
    /// Whether there was output since the last look.
    has_output: bool,
    /// Whether all terminals tell of their output.
    pub(crate) reports_output: bool,
}

impl PollSchedule {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            last_output: now,
            last_poll: now,
            has_output: false,
            reports_output: true,
        }
    }

    /// Notes output.
    pub(crate) fn note_output(&mut self, now: Instant) {
        self.last_output = now;
        self.has_output = true;
    }

    /// Notes a look.
    pub(crate) fn note_poll(&mut self, now: Instant) {
        self.last_poll = now;
        self.has_output = false;
    }

    /// Returns when to look next.
    pub(crate) fn next_poll(&self) -> Instant {
        if self.has_output {
            return (self.last_output + OUTPUT_DELAY).max(self.last_poll + MIN_INTERVAL);
        }
        let quiet = self.last_poll.saturating_duration_since(self.last_output);
        let pause = (quiet / 4).clamp(MIN_INTERVAL, MAX_INTERVAL);
        let longest = if self.reports_output {
            MAX_INTERVAL
        } else {
            BLIND_INTERVAL
        };
        self.last_poll + pause.min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds, from `begun`, of all looks within an hour without output.
    fn polls(mut schedule: PollSchedule, begun: Instant) -> Vec<f64> {
        let mut polls = Vec::new();
        while schedule.next_poll() < begun + Duration::from_secs(3600) {
            let next_poll = schedule.next_poll();
            polls.push((next_poll - begun).as_secs_f64());
            schedule.note_poll(next_poll);
        }
        polls
    }

    #[test]
    fn looks_get_rarer_where_nothing_is_written_and_find_each_age_in_time() {
        let begun = Instant::now();
        let polls = polls(PollSchedule::new(begun), begun);
        assert!(polls.len() < 100, "{}", polls.len());
        for age in [1.0, 5.0, 10.0, 60.0, 600.0] {
            let next = polls.iter().find(|at| **at >= age).unwrap();
            assert!(next - age <= 1.0 + age / 4.0, "{age} is seen at {next}");
        }
    }

    #[test]
    fn a_terminal_that_does_not_tell_is_looked_at_every_other_second() {
        let begun = Instant::now();
        let schedule = PollSchedule {
            reports_output: false,
            ..PollSchedule::new(begun)
        };
        assert!(
            polls(schedule, begun)
                .windows(2)
                .all(|two| two[1] - two[0] <= 2.0)
        );
    }

    #[test]
    fn output_is_looked_at_soon_and_never_more_than_once_a_second() {
        let begun = Instant::now();
        let mut schedule = PollSchedule::new(begun);
        schedule.note_poll(begun + Duration::from_secs(100));
        let later = begun + Duration::from_secs(105);
        schedule.note_output(later);
        assert_eq!(schedule.next_poll(), later + OUTPUT_DELAY);
        schedule.note_poll(later);
        schedule.note_output(later);
        assert_eq!(schedule.next_poll(), later + MIN_INTERVAL);
    }
}
