//! The order in which tasks are best merged: pure.

use crate::git::conflicts::touched::Pair;

/// An order of tasks, by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LandingOrder {
    pub(crate) tasks: Vec<usize>,
    /// The number of tasks that conflict with an earlier one, and have to be resolved.
    pub(crate) to_resolve: usize,
    /// The same number if the oldest task comes first.
    pub(crate) to_resolve_by_age: usize,
}

impl LandingOrder {
    /// Suggests an order of `tasks`, which are sorted by age, for their conflicts `pairs`: the task
    /// with the most conflicts comes last, then again without it. Keeps the order by age if that is
    /// as good.
    pub(crate) fn suggest(tasks: &[usize], pairs: &[Pair]) -> Self {
        let mut left = tasks.to_vec();
        let mut last = Vec::new();
        loop {
            let conflicts = |task: usize| {
                let others = pairs.iter().filter_map(|pair| other(*pair, task));
                others.filter(|other| left.contains(other)).count()
            };
            // The youngest of several.
            let worst = (0..left.len()).max_by_key(|at| conflicts(left[*at]));
            match worst.filter(|at| conflicts(left[*at]) > 0) {
                Some(at) => last.push(left.remove(at)),
                None => break,
            }
        }
        left.extend(last.into_iter().rev());
        let (found, by_age) = (count(&left, pairs), count(tasks, pairs));
        Self {
            tasks: if found < by_age { left } else { tasks.to_vec() },
            to_resolve: found.min(by_age),
            to_resolve_by_age: by_age,
        }
    }
}

/// Returns the other member of a pair, `None` if `one` is not in it.
fn other(pair: Pair, one: usize) -> Option<usize> {
    match pair {
        (a, b) if a == one => Some(b),
        (a, b) if b == one => Some(a),
        _ => None,
    }
}

/// Counts the tasks of an order that conflict with an earlier one.
fn count(order: &[usize], pairs: &[Pair]) -> usize {
    let conflicts = |at: &usize| {
        let mut others = pairs.iter().filter_map(|pair| other(*pair, order[*at]));
        others.any(|other| order[..*at].contains(&other))
    };
    (0..order.len()).filter(conflicts).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggest_puts_the_task_with_most_conflicts_last() {
        #[track_caller]
        fn case(count: usize, pairs: &[Pair], expected: &[usize], numbers: (usize, usize)) {
            let tasks: Vec<usize> = (0..count).collect();
            let found = LandingOrder::suggest(&tasks, pairs);
            assert_eq!(found.tasks, expected, "{pairs:?}");
            assert_eq!(
                (found.to_resolve, found.to_resolve_by_age),
                numbers,
                "{pairs:?}"
            );
        }
        case(3, &[], &[0, 1, 2], (0, 0));
        // It makes no difference: the oldest first.
        case(3, &[(0, 2)], &[0, 1, 2], (1, 1));
        let star: Vec<Pair> = (1..=12).map(|other| (0, other)).collect();
        let expected: Vec<usize> = (1..=12).chain([0]).collect();
        case(13, &star, &expected, (1, 12));
        // Two that conflict with all, and with each other.
        let pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)];
        case(4, &pairs, &[2, 3, 0, 1], (2, 3));
        case(4, &[(0, 1), (2, 3)], &[0, 1, 2, 3], (2, 2));
    }
}
