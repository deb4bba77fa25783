//! The order in which tasks are best merged: pure.

use std::collections::{HashMap, HashSet};

use crate::git::conflicts::touched::Pair;

/// An order of tasks, by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LandingOrder {
    pub(crate) tasks: Vec<usize>,
    /// The number of tasks that conflict with an earlier one, and have to be resolved.
    pub(crate) to_resolve: usize,
    /// The number of tasks to resolve if the oldest task comes first.
    pub(crate) to_resolve_by_age: usize,
}

impl LandingOrder {
    /// Suggests an order of `tasks`, which are sorted by age, for their conflicts `pairs`: the task
    /// with the most conflicts comes last, then again without it. Keeps the order by age if that is
    /// as good.
    pub(crate) fn suggest(tasks: &[usize], pairs: &[Pair]) -> Self {
        let mut open = pairs.to_vec();
        let mut last = Vec::new();
        while !open.is_empty() {
            let counts = count_each(&open);
            // The youngest of several.
            let worst = tasks.iter().max_by_key(|task| (counts.get(task), **task));
            let Some(&worst) = worst.filter(|task| counts.contains_key(task)) else {
                break;
            };
            last.push(worst);
            open.retain(|(one, two)| *one != worst && *two != worst);
        }
        let is_first = |task: &usize| !last.contains(task);
        let mut order: Vec<usize> = tasks.iter().copied().filter(is_first).collect();
        order.extend(last.iter().rev());
        let (found, by_age) = (count_later(&order, pairs), count_later(tasks, pairs));
        if found >= by_age {
            order = tasks.to_vec();
        }
        Self {
            tasks: order,
            to_resolve: found.min(by_age),
            to_resolve_by_age: by_age,
        }
    }
}

/// Counts the conflicts of each task that has any.
fn count_each(pairs: &[Pair]) -> HashMap<usize, usize> {
    let mut counts = HashMap::new();
    for task in pairs.iter().flat_map(|(one, two)| [one, two]) {
        *counts.entry(*task).or_default() += 1;
    }
    counts
}

/// Counts the tasks of an order that conflict with an earlier one.
fn count_later(order: &[usize], pairs: &[Pair]) -> usize {
    let places: HashMap<usize, usize> = order
        .iter()
        .enumerate()
        .map(|(at, task)| (*task, at))
        .collect();
    let later = pairs.iter().filter_map(|(one, two)| {
        let (one, two) = (places.get(one)?, places.get(two)?);
        Some(one.max(two))
    });
    later.collect::<HashSet<_>>().len()
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
