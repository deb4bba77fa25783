//! Tells the changed lines of an edited block from the deleted and the added ones.

use super::file::{ReviewLine, Subject};

/// The signs of lines of code.
const SIGNS: [char; 3] = [' ', '+', '-'];

/// The least similarity of a line that was changed, in thousandths, if other lines of the block were
/// deleted or added: the limit of clap.
const MIN_SIMILARITY: u64 = 700;

/// Only this many characters of each line are compared, for speed.
const MAX_COMPARED: usize = 100;

/// Lines of larger blocks are not compared: old lines times new lines.
const MAX_PAIRS: usize = 100_000;

/// An old line and the new line in its place, by their indices.
type Pair = (usize, usize);

/// The sign and the code of a line; `None` if it is no line of code.
type Line<'a> = Option<(char, &'a str)>;

/// The code of a line, and the index of the line.
type Code<'a> = (usize, &'a str);

/// Returns the old lines of a block that were changed, each with the new line in its place, in their
/// order. Other old lines were deleted, other new lines were added. Only lines of code with the same
/// sign are paired: first the most similar ones, and between these, for each sign, all old lines
/// unless there are fewer new ones.
pub(super) fn pair_lines(old: &[ReviewLine], new: &[&str]) -> Vec<Pair> {
    let old: Vec<_> = old.iter().map(split_code).collect();
    let new: Vec<_> = new.iter().map(|line| split_sign(line)).collect();
    let mut pairs = Vec::new();
    let (mut first_old, mut first_new) = (0, 0);
    let similar = pair_similar(&old, &new);
    for (old_end, new_end) in similar.into_iter().chain([(old.len(), new.len())]) {
        let rest = pair_rest(&old[first_old..old_end], &new[first_new..new_end]);
        let rest = rest.into_iter();
        pairs.extend(rest.map(|(old, new)| (first_old + old, first_new + new)));
        pairs.push((old_end, new_end));
        (first_old, first_new) = (old_end + 1, new_end + 1);
    }
    // It is not a pair, but the end.
    pairs.pop();
    pairs
}

fn split_code(line: &ReviewLine) -> Line<'_> {
    match line.subject {
        Subject::Line(..) => split_sign(&line.text),
        Subject::Whole | Subject::File(_) => None,
    }
}

fn split_sign(line: &str) -> Line<'_> {
    let mut chars = line.chars();
    let sign = chars.next().filter(|sign| SIGNS.contains(sign))?;
    Some((sign, chars.as_str().trim()))
}

/// Pairs the most similar lines, as far as their order allows.
fn pair_similar(old: &[Line], new: &[Line]) -> Vec<Pair> {
    let weight = |at_old: usize, at_new: usize| match (old[at_old], new[at_new]) {
        (Some((sign, old)), Some((other, new))) if sign == other => {
            similarity(old, new).saturating_sub(MIN_SIMILARITY)
        }
        _ => 0,
    };
    align([old.len(), new.len()], weight).unwrap_or_default()
}

/// Pairs lines that are not similar: for each sign all old ones, unless there are fewer new ones.
fn pair_rest(old: &[Line], new: &[Line]) -> Vec<Pair> {
    let mut pairs: Vec<_> = SIGNS
        .iter()
        .flat_map(|sign| pair_all(&of_sign(old, *sign), of_sign(new, *sign)))
        .collect();
    pairs.sort_unstable_by_key(|(_, new)| *new);
    // Lines with different signs may have changed places.
    let mut next = 0;
    pairs.retain(|(old, _)| {
        let is_in_order = *old >= next;
        next = next.max(old + 1);
        is_in_order
    });
    pairs
}

fn of_sign<'a>(lines: &[Line<'a>], sign: char) -> Vec<Code<'a>> {
    let lines = lines.iter().enumerate();
    let code = lines.filter_map(|(at, line)| Some((at, (*line)?)));
    code.filter(|(_, (other, _))| *other == sign)
        .map(|(at, (_, code))| (at, code))
        .collect()
}

/// Pairs all old lines with the most similar new ones. Pairs none if there are fewer new ones: the
/// new ones may be comments that look like code.
fn pair_all(old: &[Code], mut new: Vec<Code>) -> Vec<Pair> {
    if new.len() > old.len() {
        // Editors that indent add blank lines.
        let code = new.iter().filter(|(_, code)| !code.is_empty()).count();
        if code >= old.len() {
            new.retain(|(_, code)| !code.is_empty());
        }
    }
    if new.len() < old.len() {
        return Vec::new();
    }
    let weight =
        |at_old: usize, at_new: usize| 1_000_000 + similarity(old[at_old].1, new[at_new].1);
    let pairs = align([old.len(), new.len()], weight);
    let pairs = pairs.unwrap_or_else(|| (0..old.len()).map(|at| (at, at)).collect());
    let indices = pairs.into_iter();
    indices
        .map(|(at_old, at_new)| (old[at_old].0, new[at_new].0))
        .collect()
}

/// Returns the similarity of two lines of code in thousandths.
fn similarity(old: &str, new: &str) -> u64 {
    let [old, new] = [old, new].map(|line| line.chars().take(MAX_COMPARED).collect::<String>());
    (strsim::jaro(&old, &new) * 1_000.0) as u64
}

/// Returns the pairs with the greatest sum of weights such that their order is the same on both
/// sides; of several such, the first ones. A weight of 0 is no pair. `None` if there are too many
/// lines.
fn align([old, new]: [usize; 2], weight: impl Fn(usize, usize) -> u64) -> Option<Vec<Pair>> {
    if old.saturating_mul(new) > MAX_PAIRS {
        return None;
    }
    let weights = (0..old * new).map(|at| weight(at / new, at % new));
    let weights: Vec<u64> = weights.collect();
    // The greatest sums of the lines from these on.
    let mut sums = vec![vec![0; new + 1]; old + 1];
    for at_old in (0..old).rev() {
        for at_new in (0..new).rev() {
            let paired = weights[at_old * new + at_new] + sums[at_old + 1][at_new + 1];
            let skipped = sums[at_old + 1][at_new].max(sums[at_old][at_new + 1]);
            sums[at_old][at_new] = paired.max(skipped);
        }
    }
    let (mut at_old, mut at_new) = (0, 0);
    let mut pairs = Vec::new();
    while at_old < old && at_new < new {
        let (sum, weight) = (sums[at_old][at_new], weights[at_old * new + at_new]);
        if weight > 0 && sum == weight + sums[at_old + 1][at_new + 1] {
            pairs.push((at_old, at_new));
            (at_old, at_new) = (at_old + 1, at_new + 1);
        } else if sum == sums[at_old][at_new + 1] {
            at_new += 1;
        } else {
            at_old += 1;
        }
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::repo::patch::Place;

    /// Compares the pairs of two blocks, whose lines are separated by `|`.
    #[track_caller]
    fn case(old: &str, new: &str, expected: &[Pair]) {
        let lines: Vec<_> = old
            .split('|')
            .map(|line| ReviewLine {
                subject: match line.starts_with('\\') {
                    true => Subject::File(0),
                    false => Subject::Line(0, Place::New(1)),
                },
                ..ReviewLine::whole(line)
            })
            .collect();
        let edited: Vec<_> = new.split('|').collect();
        assert_eq!(pair_lines(&lines, &edited), expected, "{old} -> {new}");
    }

    #[test]
    fn pair_lines_pairs_similar_lines() {
        let both = "+let a = 1;|+let b = compute(x);";
        case(both, "+let a = 2;|+let b = compute(y);", &[(0, 0), (1, 1)]);
        case(both, "+let b = compute(y);", &[(1, 0)]);
        case(both, "+let a = 2;", &[(0, 0)]);
        case(
            both,
            "+let a = 2;|why?||+let b = compute(y);|+1",
            &[(0, 0), (1, 3)],
        );
        case(
            "+let b = compute(x);",
            "+1 nice|+let b = compute(y);",
            &[(0, 1)],
        );
        case(
            "+let b = compute(x);",
            "+let b = compute(y);|+1 nice",
            &[(0, 0)],
        );
        // Their order counts; their indentation does not.
        case(
            "+first line|+second line",
            "+second line|+first line",
            &[(0, 1)],
        );
        case("+{|+  call(one);", "+    call(one);", &[(1, 0)]);
        // Their signs count.
        case("-let a = 1;|+let a = 2;", "+let a = 1;", &[(1, 0)]);
        case(
            "-caf\u{fffd} one|-caf\u{fffd} two",
            "-caf\u{fffd} tw0",
            &[(1, 0)],
        );
        case(
            "+last|\\ No newline at end of file",
            "+lost|\\ No newline at end of file!",
            &[(0, 0)],
        );
    }

    #[test]
    fn pair_lines_pairs_all_lines_unless_some_were_deleted() {
        case("+2", "+two", &[(0, 0)]);
        case("+2|+3", "+two|why?|+three", &[(0, 0), (1, 2)]);
        case("-2|+3", "+three|why?", &[(1, 0)]);
        case("-2|+3", "+three|-two", &[(1, 0)]);
        case("+2", "+two|+and more", &[(0, 0)]);
        case(" 2", " |  |+two| two", &[(0, 3)]);
        case(" 2", " ", &[(0, 0)]);
        // A comment that looks like code, in place of deleted lines.
        case("-one|-two|-three", "- a list|- of points", &[]);
        case(" one|-two| three", " indented", &[]);
        case("+one|+two|+three()", "+x|+three(1)", &[(2, 1)]);
        // Empty and equal lines.
        case("+|+", "+x", &[]);
        case("+|+one", "+0ne", &[(1, 0)]);
        case("+one|+one", "+0ne", &[(0, 0)]);
        case("+one", "|", &[]);
    }

    #[test]
    fn pair_lines_compares_no_lines_of_large_blocks() {
        let lines = |number: usize, code: &str| {
            let lines = (0..number).map(|at| format!("+{code} {at}"));
            lines.collect::<Vec<_>>().join("|")
        };
        let all: Vec<_> = (0..1_000).map(|at| (at, at)).collect();
        case(&lines(1_000, "old"), &lines(1_000, "new"), &all);
        case(&lines(1_001, "old"), &lines(1_000, "new"), &[]);
    }
}
