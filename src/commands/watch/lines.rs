//! Reads the last lines of tasks: at once after an event, and again a little later.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::model::{LastLines, TaskKey};
use crate::task::Target;
use crate::tmux::last_line::find_last_lines;

/// The times after an event of a task at which its screen is read. An agent tells its state before
/// it draws its last screen.
const TIMES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Tasks with an event, each with its pane if its agent is alive.
pub(super) type Panes = Vec<(TaskKey, Option<Target>)>;

/// Starts a thread that reads the last lines of the tasks that it receives, and calls `show` with
/// them. It ends with its sender.
pub(super) fn start_reader(show: impl Fn(LastLines) + Send + 'static) -> Sender<Panes> {
    let (sender, panes) = channel();
    thread::spawn(move || read_lines(&panes, show));
    sender
}

fn read_lines(panes: &Receiver<Panes>, show: impl Fn(LastLines)) {
    let mut readings = Readings::default();
    loop {
        // No time passes for nothing: without a reading to come, only an event ends the wait.
        let received = match readings.next() {
            Some(at) => panes.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => panes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(panes) => readings.plan(panes, Instant::now()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let (keys, targets): (Vec<_>, Vec<_>) =
            readings.take_due(Instant::now()).into_iter().unzip();
        if !targets.is_empty() {
            show(keys.into_iter().zip(find_last_lines(&targets)).collect());
        }
    }
}

/// The readings to come.
#[derive(Default)]
struct Readings(HashMap<TaskKey, (Target, Vec<Instant>)>);

impl Readings {
    /// Plans to read the last line of each task in `panes` now and again 1 and 5 seconds later, in
    /// place of its earlier plans. For a task without a pane, only removes these.
    fn plan(&mut self, panes: Panes, now: Instant) {
        for (key, target) in panes {
            match target {
                Some(target) => self
                    .0
                    .insert(key, (target, TIMES.map(|time| now + time).into())),
                None => self.0.remove(&key),
            };
        }
    }

    /// Returns the time of the next reading.
    fn next(&self) -> Option<Instant> {
        self.0.values().flat_map(|(_, times)| times).min().copied()
    }

    /// Returns the tasks whose time has come, and removes these times.
    fn take_due(&mut self, now: Instant) -> Vec<(TaskKey, Target)> {
        let mut due = Vec::new();
        self.0.retain(|key, (target, times)| {
            let before = times.len();
            times.retain(|time| *time > now);
            if times.len() < before {
                due.push((key.clone(), target.clone()));
            }
            !times.is_empty()
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_rows::model;
    use super::*;

    #[test]
    fn screen_is_read_at_an_event_and_twice_later() {
        let model = model(&[("works-1", 1)]);
        let task = model.selected().unwrap();
        let panes = |target: Option<&Target>| vec![(task.key.clone(), target.cloned())];
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut readings = Readings::default();
        assert!(readings.next().is_none());
        readings.plan(panes(task.target()), begun);
        for (seconds, expected, next) in [
            (0, 1, Some(1)),
            (0, 0, Some(1)),
            (1, 1, Some(5)),
            (5, 1, None),
        ] {
            assert_eq!(readings.take_due(at(seconds)).len(), expected, "{seconds}");
            assert_eq!(readings.next(), next.map(at), "{seconds}");
        }
        // The time begins again with each event.
        readings.plan(panes(task.target()), begun);
        assert_eq!(readings.take_due(at(4)).len(), 1);
        readings.plan(panes(task.target()), at(4));
        assert_eq!(readings.take_due(at(4)).len(), 1);
        assert_eq!(readings.next(), Some(at(5)));
        readings.plan(panes(None), at(4));
        assert!(readings.next().is_none());
    }
}
