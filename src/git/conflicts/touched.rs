//! The paths that a change touches, and the pairs of changes that may conflict because of them.
//! Pure: git is asked only about these pairs.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The paths that differ between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Touched {
    pub(crate) added: Vec<PathBuf>,
    pub(crate) deleted: Vec<PathBuf>,
    pub(crate) modified: Vec<PathBuf>,
    /// The directories of the old tree that the new one does not have.
    pub(crate) emptied: Vec<PathBuf>,
}

/// The two members of a pair, by their index, the smaller one first.
pub(crate) type Pair = (usize, usize);

impl Touched {
    pub(crate) fn is_empty(&self) -> bool {
        self.paths().next().is_none()
    }

    /// Returns the paths of all files that differ between the two trees: added, deleted and
    /// modified ones. A renamed file has two.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let all = [&self.added, &self.deleted, &self.modified];
        all.into_iter().flatten().map(PathBuf::as_path)
    }

    pub(crate) fn has(&self, path: &Path) -> bool {
        self.paths().any(|touched| touched == path)
    }
}

/// Returns the directories above a path, without the top.
fn directories(path: &Path) -> impl Iterator<Item = &Path> {
    let above = path.ancestors().skip(1);
    above.take_while(|dir| !dir.as_os_str().is_empty())
}

/// Returns the pairs of changes, all made from one tree, that git may be unable to merge: both
/// touch the same path, or one touches a path that is a directory above a path of the other, or one
/// adds a file below a directory that the other has emptied, which git may take as renamed. No
/// other pair can conflict.
pub(crate) fn candidates(changes: &[&Touched]) -> BTreeSet<Pair> {
    let mut by_path: HashMap<&Path, Vec<usize>> = HashMap::new();
    let mut by_emptied: HashMap<&Path, Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate() {
        for path in change.paths() {
            by_path.entry(path).or_default().push(at);
        }
        for dir in &change.emptied {
            by_emptied.entry(dir).or_default().push(at);
        }
    }
    let mut pairs = BTreeSet::new();
    let mut add = |one: usize, others: Option<&Vec<usize>>| {
        for &other in others.into_iter().flatten().filter(|other| **other != one) {
            pairs.insert((one.min(other), one.max(other)));
        }
    };
    for (at, change) in changes.iter().enumerate() {
        for path in change.paths() {
            add(at, by_path.get(path));
            directories(path).for_each(|dir| add(at, by_path.get(dir)));
        }
        for path in &change.added {
            directories(path).for_each(|dir| add(at, by_emptied.get(dir)));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(text: &str) -> Touched {
        let mut all = Touched::default();
        for word in text.split_whitespace() {
            let (kind, path) = word.split_at(1);
            let list = match kind {
                "+" => &mut all.added,
                "-" => &mut all.deleted,
                "/" => &mut all.emptied,
                _ => &mut all.modified,
            };
            list.push(path.into());
        }
        all
    }

    #[test]
    fn candidates_are_pairs_that_touch_a_path_a_directory_or_an_emptied_one() {
        #[track_caller]
        fn case(one: &str, two: &str, expected: bool) {
            let all = [touched(one), touched("~elsewhere"), touched(two)];
            let pairs = candidates(&all.each_ref());
            let wanted = expected.then_some((0, 2));
            assert_eq!(pairs, wanted.into_iter().collect(), "{one} and {two}");
            let swapped = candidates(&[&all[2], &all[1], &all[0]]);
            assert_eq!(swapped, pairs, "{two} and {one}");
        }
        case("~a", "~b", false);
        case("~a", "~a", true);
        // A rename, and an edit of the file that it renames.
        case("-a +b", "~a", true);
        case("-a +b", "-c +b", true);
        // A file where the other has a directory.
        case("+a", "+a/b/c", true);
        case("-a/b -a/c +a", "~a/b/d", true);
        // A directory that may be renamed, and a new file in it.
        case("-d/x +e/x /d", "+d/new", true);
        case("-d/x +e/x /d", "+d/sub/new", true);
        case("-d/x +e/x", "+d/new", false);
        case("-d/x +e/x /d", "~d2/new", false);
        case("-d/x +e/x /d", "-f +g", false);
        case("", "~a", false);
    }
}
