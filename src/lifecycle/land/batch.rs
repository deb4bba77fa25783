//! Finds the longest part of a chain that passes the gate, with few runs.
//!
//! Position 0 of a chain is the target itself, position n the merges of its first n tasks.

use anyhow::Result;

/// The answer of the gate about one position of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GateAnswer<R> {
    /// It passes. Also if there is no gate.
    Green,
    Red(R),
    /// The gate gave no answer: it was killed or timed out, for example.
    Unknown(R),
}

/// The reason for a question to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunKind {
    First,
    /// It was red, and a task would be blamed for it.
    Confirm,
}

/// The knowledge about a target before a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownTarget {
    /// It passes.
    Green,
    Unknown,
}

/// A search for the longest part of a chain that passes.
#[derive(Debug)]
pub(crate) struct PrefixSearch<R> {
    /// The highest position known to pass.
    green: Option<usize>,
    /// Those that do not pass, each lower than the one before.
    bad: Vec<(usize, GateAnswer<R>)>,
    last: usize,
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prefix<R> {
    /// The number of tasks that may land. `None` if not even the target passes.
    pub(crate) green: Option<usize>,
    /// The answer, not green, about the next position, which a confirmed red blames. `None` if the
    /// whole chain passes.
    pub(crate) stop: Option<GateAnswer<R>>,
}

impl<R: Clone> PrefixSearch<R> {
    /// Creates a search for the longest part of a chain of `tasks` tasks that passes the gate.
    pub(crate) fn new(tasks: usize, target: KnownTarget) -> Self {
        Self {
            green: (target == KnownTarget::Green).then_some(0),
            bad: Vec::new(),
            last: tasks,
        }
    }

    /// Finds the longest beginning of the chain that passes the gate; asks about the whole chain
    /// first. If the position after that beginning is red, asks about it again; no other red answer is
    /// confirmed.
    ///
    /// Asks about the target only if nothing above it passes: a task that mends the target may
    /// land, and where a part of the chain passes, the target is to blame for nothing.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(crate) fn run(
        mut self,
        mut ask: impl FnMut(usize, RunKind) -> Result<GateAnswer<R>>,
    ) -> Result<Prefix<R>> {
        if self.green == Some(self.last) {
            return Ok(self.result());
        }
        let first = ask(self.last, RunKind::First)?;
        self.note(self.last, first);
        while let Some((lowest, answer)) = self.bad.last() {
            let lowest = *lowest;
            // One more than the highest that passes.
            let next = self.green.map_or(0, |green| green + 1);
            if lowest > next {
                let middle = (next + lowest) / 2;
                let answer = ask(middle, RunKind::First)?;
                self.note(middle, answer);
                continue;
            }
            if matches!(answer, GateAnswer::Red(_)) {
                let confirmed = ask(lowest, RunKind::Confirm)?;
                self.bad.pop();
                self.note(lowest, confirmed);
                if self.green == Some(lowest) {
                    continue;
                }
            }
            break;
        }
        Ok(self.result())
    }

    fn note(&mut self, position: usize, answer: GateAnswer<R>) {
        match answer {
            GateAnswer::Green => self.green = Some(position),
            bad => self.bad.push((position, bad)),
        }
    }

    fn result(mut self) -> Prefix<R> {
        Prefix {
            green: self.green,
            stop: self.bad.pop().map(|(_, answer)| answer),
        }
    }
}

/// The number of tasks to test together: it doubles when all pass, and halves when not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchSize(usize);

impl Default for BatchSize {
    fn default() -> Self {
        Self(4)
    }
}

impl BatchSize {
    /// Returns a batch size without a limit, for a landing without a gate.
    pub(crate) fn unlimited() -> Self {
        Self(usize::MAX)
    }

    pub(crate) fn get(self) -> usize {
        self.0
    }

    /// Doubles the size, after a batch that passes.
    pub(crate) fn grow(&mut self) {
        self.0 = self.0.saturating_mul(2);
    }

    /// Halves the size, to at least 1, after a batch that does not pass.
    pub(crate) fn shrink(&mut self) {
        self.0 = (self.0 / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::KnownTarget::{Green, Unknown};
    use super::*;

    type Answer = GateAnswer<()>;

    /// Searches where `answers[position]` are the answers of the gate about a position, the last
    /// one for all further questions. Returns the result and the positions that were asked about.
    fn search(target: KnownTarget, answers: &[&str]) -> (Prefix<()>, Vec<usize>) {
        let mut asked = Vec::new();
        let prefix = PrefixSearch::new(answers.len() - 1, target).run(|position, _| {
            let before = asked.iter().filter(|other| **other == position).count();
            asked.push(position);
            let answers = answers[position].as_bytes();
            Ok(match answers[before.min(answers.len() - 1)] {
                b'g' => Answer::Green,
                b'r' => Answer::Red(()),
                _ => Answer::Unknown(()),
            })
        });
        (prefix.unwrap(), asked)
    }

    #[track_caller]
    fn case(target: KnownTarget, answers: &str, expected: (Option<usize>, &str), asked: &[usize]) {
        let answers: Vec<&str> = answers.split(' ').collect();
        let (found, questions) = search(target, &answers);
        let stop = found.stop.map_or("", |answer| match answer {
            Answer::Green => "g",
            Answer::Red(()) => "r",
            Answer::Unknown(()) => "u",
        });
        assert_eq!((found.green, stop), expected, "{answers:?}");
        assert_eq!(questions, asked, "{answers:?}");
    }

    #[test]
    fn run_asks_once_if_the_whole_chain_passes() {
        case(Green, "g g g g g", (Some(4), ""), &[4]);
        case(Unknown, "g g g g g", (Some(4), ""), &[4]);
        case(Green, "g", (Some(0), ""), &[]);
        // A task mends a target that does not pass.
        case(Unknown, "r g", (Some(1), ""), &[1]);
    }

    #[test]
    fn run_confirms_only_the_red_position_that_blames() {
        case(Green, "g g g g r", (Some(3), "r"), &[4, 2, 3, 4]);
        case(Green, "g r r r r", (Some(0), "r"), &[4, 2, 1, 1]);
        case(Green, "g g r r r", (Some(1), "r"), &[4, 2, 1, 2]);
        case(Green, "g r", (Some(0), "r"), &[1, 1]);
    }

    #[test]
    fn run_blames_nothing_if_the_target_is_red() {
        case(Unknown, "r r r r r", (None, "r"), &[4, 2, 1, 0, 0]);
        case(Unknown, "g r r r r", (Some(0), "r"), &[4, 2, 1, 0, 1]);
        case(Unknown, "u u", (None, "u"), &[1, 0]);
    }

    #[test]
    fn run_continues_after_a_red_position_that_passes_again() {
        case(Green, "g g g g rg", (Some(4), ""), &[4, 2, 3, 4]);
        // The third is flaky, the fourth is red.
        case(Green, "g g g rg r", (Some(3), "r"), &[4, 2, 3, 3, 4]);
        case(Green, "g rg r r r", (Some(1), "r"), &[4, 2, 1, 1, 2]);
    }

    #[test]
    fn run_confirms_no_unknown_position() {
        case(Green, "g g u", (Some(1), "u"), &[2, 1]);
        case(Green, "g u r r r", (Some(0), "u"), &[4, 2, 1]);
        case(Green, "g ru r", (Some(0), "u"), &[2, 1, 1]);
    }

    /// Counts the runs of a gate for a queue of tasks: t4 is red alone, t8 only together with t5,
    /// t7 conflicts with t2. A known answer costs no run, except to confirm it.
    #[test]
    fn search_of_eight_tasks_takes_seven_runs() {
        let (mut pending, mut landed) = ((1..=8).collect::<Vec<u32>>(), Vec::new());
        let (mut size, mut runs, mut blamed) = (BatchSize::default(), 0, Vec::new());
        let mut target = Unknown;
        while !pending.is_empty() {
            pending.retain(|task| *task != 7 || !landed.contains(&2));
            let chain: Vec<u32> = pending.iter().copied().take(size.get()).collect();
            let search = PrefixSearch::new(chain.len(), target);
            let prefix = search.run(|position, _| {
                runs += 1;
                let has = |task| landed.contains(&task) || chain[..position].contains(&task);
                Ok(match has(4) || (has(5) && has(8)) {
                    true => Answer::Red(()),
                    false => Answer::Green,
                })
            });
            let Prefix { green, stop } = prefix.unwrap();
            let green = green.unwrap();
            landed.extend(&chain[..green]);
            blamed.extend(stop.as_ref().map(|_| chain[green]));
            pending.retain(|task| !landed.contains(task) && !blamed.contains(task));
            match stop {
                None => size.grow(),
                Some(_) => size.shrink(),
            }
            target = Green;
        }
        assert_eq!((landed, blamed), (vec![1, 2, 3, 5, 6], vec![4, 8]));
        assert_eq!(runs, 7);
    }

    #[test]
    fn size_doubles_and_halves() {
        let mut size = BatchSize::default();
        let shrunk = [(); 3].map(|()| {
            size.shrink();
            size.get()
        });
        assert_eq!(shrunk, [2, 1, 1]);
        let grown = [(); 5].map(|()| {
            size.grow();
            size.get()
        });
        assert_eq!(grown, [2, 4, 8, 16, 32]);
    }
}
