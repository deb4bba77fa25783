//! How often to look at agents whose state is not all in files.

use std::time::{Duration, Instant};

/// How long after output, to see what came with it.
const SETTLE: Duration = Duration::from_millis(200);

/// How soon after a look the next one may come, however much is written.
const SHORTEST: Duration = Duration::from_secs(1);

/// How late a look may come where nothing is written: files over a network may change unnoticed.
const LONGEST: Duration = Duration::from_secs(60);

/// How often to look at a terminal that does not tell of its output.
const BLIND: Duration = Duration::from_secs(2);

/// When to look again: soon after output, for a title may have changed; and, where there is no
/// output, ever more rarely, for a state may be concluded from that.
#[derive(Debug)]
pub(crate) struct Pace {
    last_output: Instant,
    last_look: Instant,
    /// Whether there was output since the last look.
    output: bool,
    /// Whether all terminals tell of their output.
    pub(crate) is_told: bool,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            last_output: now,
            last_look: now,
            output: false,
            is_told: true,
        }
    }

    /// Notes output.
    pub(crate) fn note_output(&mut self, now: Instant) {
        self.last_output = now;
        self.output = true;
    }

    /// Notes a look.
    pub(crate) fn note_look(&mut self, now: Instant) {
        self.last_look = now;
        self.output = false;
    }

    /// Returns when to look next.
    pub(crate) fn due(&self) -> Instant {
        if self.output {
            return (self.last_output + SETTLE).max(self.last_look + SHORTEST);
        }
        let quiet = self.last_look.saturating_duration_since(self.last_output);
        let pause = (quiet / 4).clamp(SHORTEST, LONGEST);
        let longest = if self.is_told { LONGEST } else { BLIND };
        self.last_look + pause.min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds, from `begun`, of all looks within an hour without output.
    fn looks(mut pace: Pace, begun: Instant) -> Vec<f64> {
        let mut looks = Vec::new();
        while pace.due() < begun + Duration::from_secs(3600) {
            let due = pace.due();
            looks.push((due - begun).as_secs_f64());
            pace.note_look(due);
        }
        looks
    }

    #[test]
    fn looks_get_rarer_where_nothing_is_written_and_find_each_age_in_time() {
        let begun = Instant::now();
        let looks = looks(Pace::new(begun), begun);
        assert!(looks.len() < 100, "{}", looks.len());
        for age in [1.0, 5.0, 10.0, 60.0, 600.0] {
            let next = looks.iter().find(|at| **at >= age).unwrap();
            assert!(next - age <= 1.0 + age / 4.0, "{age} is seen at {next}");
        }
    }

    #[test]
    fn a_terminal_that_does_not_tell_is_looked_at_every_other_second() {
        let begun = Instant::now();
        let pace = Pace {
            is_told: false,
            ..Pace::new(begun)
        };
        assert!(
            looks(pace, begun)
                .windows(2)
                .all(|two| two[1] - two[0] <= 2.0)
        );
    }

    #[test]
    fn output_is_looked_at_soon_and_never_more_than_once_a_second() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        pace.note_look(begun + Duration::from_secs(100));
        let later = begun + Duration::from_secs(105);
        pace.note_output(later);
        assert_eq!(pace.due(), later + SETTLE);
        pace.note_look(later);
        pace.note_output(later);
        assert_eq!(pace.due(), later + SHORTEST);
    }
}
