//! The functions in which conflicts are, by git's hunk headers, and the text of conflicts.

use std::collections::{BTreeSet, HashMap};
use std::iter::zip;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use super::merge_batch::{Answer, ConflictFile, TrialMerge, TrialResult};
use super::quarantine::Quarantine;
use crate::git::ObjectId;

/// The number of paths up to which functions are searched: they are arguments.
const MAX_PATHS: usize = 1000;

/// The longest name of a function, in characters.
const MAX_FUNCTION: usize = 60;

/// A conflict's beginning and end in a merged file.
const BEGIN: &[u8] = b"<<<<<<< ";
const END: &[u8] = b">>>>>>> ";

/// Sets the function around the first conflict in each conflicting file, as git names it in the
/// header of a hunk. Each answer comes with the tree of its first side: `git diff-tree --stdin -p
/// -U0` from there to the merged tree. Leaves `None` if git names no function, or if there are more
/// than 1000 files.
pub(crate) fn find_functions<'a>(
    quarantine: &Quarantine,
    answers: impl Iterator<Item = (&'a ObjectId, &'a mut Answer)>,
) -> Result<()> {
    let answers = answers.filter_map(|(ours, answer)| Some((ours, answer.as_mut().ok()?)));
    let mut all: Vec<_> = answers.filter(|(_, one)| !one.files.is_empty()).collect();
    let files = all.iter().flat_map(|(_, one)| &one.files);
    let paths: BTreeSet<PathBuf> = files.map(|file| file.path.clone()).collect();
    if paths.is_empty() || paths.len() > MAX_PATHS {
        return Ok(());
    }
    let trees = all.iter().map(|(ours, one)| format!("{ours} {}", one.tree));
    let trees: Vec<String> = trees.collect();
    let git = quarantine.git().words("diff-tree --stdin -r -p -U0");
    let git = git.words("--no-renames --no-ext-diff --no-textconv --full-index --no-color");
    let git = git.words("--src-prefix=a/ --dst-prefix=b/ --").args(&paths);
    let git = git.env("GIT_LITERAL_PATHSPECS", "1");
    let out = git.input(trees.join("\n") + "\n").output()?;
    let functions = parse(&out);
    for ((_, one), trees) in zip(&mut all, &trees) {
        for file in &mut one.files {
            let key = (trees.as_bytes(), file.path.as_os_str().as_bytes());
            file.function = functions.get(&key).cloned();
        }
    }
    Ok(())
}

/// Trees of a diff, and the path of a file.
type Place<'a> = (&'a [u8], &'a [u8]);

/// Parses the output of `git diff-tree --stdin -p`: returns for each file the function that git
/// names for its first hunk that adds a line with `<<<<<<< `. Skips hunks without a function, and
/// files whose names git quotes.
fn parse(out: &[u8]) -> HashMap<Place<'_>, String> {
    let mut functions = HashMap::new();
    let (mut trees, mut path) = (None, None);
    let mut lines = out.lines();
    while let Some(line) = lines.next() {
        if let Some(new) = line.strip_prefix(b"+++ b/") {
            // git ends names with spaces by a tab.
            path = Some(new.strip_suffix(b"\t").unwrap_or(new));
        } else if line.starts_with(b"+++ ") {
            path = None;
        } else if let Some(header) = line.strip_prefix(b"@@ -") {
            let Some((count, function)) = parse_header(header) else {
                continue;
            };
            let mut begins = false;
            for line in lines.by_ref().take(count) {
                begins |= line
                    .strip_prefix(b"+")
                    .is_some_and(|added| added.starts_with(BEGIN));
            }
            if let (true, Some(trees), Some(path)) = (begins && !function.is_empty(), trees, path) {
                functions.entry((trees, path)).or_insert(function);
            }
        } else if is_pair(line) {
            (trees, path) = (Some(line), None);
        }
    }
    functions
}

/// Returns whether a line names the two trees of the following diff.
fn is_pair(line: &[u8]) -> bool {
    let names = line.split_once_str(" ");
    names.is_some_and(|(one, two)| ObjectId::parse(one).is_some() && ObjectId::parse(two).is_some())
}

/// Parses `<line>[,<count>] +<line>[,<count>] @@[ <function>]`, and returns the number of lines in
/// the hunk and the function.
fn parse_header(header: &[u8]) -> Option<(usize, String)> {
    let (ranges, function) = header.split_once_str(" @@")?;
    let (old, new) = ranges.to_str().ok()?.split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse().ok(),
        None => Some(1),
    };
    let function = String::from_utf8_lossy(function);
    let function = function.trim().trim_end_matches(['{', ' ']);
    let function = function.chars().take(MAX_FUNCTION).collect();
    Some((usize::checked_add(count(old)?, count(new)?)?, function))
}

/// A conflicting file's text.
pub(crate) struct ConflictText {
    pub(crate) path: PathBuf,
    /// From the beginning of each conflict to its end.
    pub(crate) conflicts: Vec<String>,
}

/// Reads the text of the conflicts in each conflicting file of the merged tree. In the lines with
/// `<<<<<<<` and `>>>>>>>`, `names` replace the two commits. A file without such lines, such as a
/// deleted one, has no text.
pub(crate) fn read_conflicts(
    quarantine: &Quarantine,
    merge: &TrialMerge,
    result: &TrialResult,
    names: [&str; 2],
) -> Result<Vec<ConflictText>> {
    let read = |ConflictFile { path, .. }: &ConflictFile| {
        let text = quarantine.objects().read_path(&result.tree, path);
        let text = text
            .context("could not read a merged file")?
            .unwrap_or_default();
        Ok(ConflictText {
            path: path.clone(),
            conflicts: split_conflicts(&text, merge, names),
        })
    };
    result.files.iter().map(read).collect()
}

fn split_conflicts(text: &[u8], merge: &TrialMerge, names: [&str; 2]) -> Vec<String> {
    let [ours, theirs] = [(BEGIN, &merge.ours), (END, &merge.theirs)]
        .map(|(marker, commit)| [marker, commit.as_bytes()].concat());
    let mut conflicts = Vec::new();
    let mut current: Option<String> = None;
    for line in text.lines_with_terminator() {
        let shown = |rest: &[u8], marker: &[u8], name: &str| {
            let parts = [marker, name.as_bytes(), rest].concat();
            String::from_utf8_lossy(&parts).into_owned()
        };
        if let Some(rest) = line.strip_prefix(&*ours) {
            current = Some(shown(rest, BEGIN, names[0]));
        } else if let Some(text) = &mut current {
            match line.strip_prefix(&*theirs) {
                Some(rest) => {
                    text.push_str(&shown(rest, END, names[1]));
                    conflicts.extend(current.take());
                }
                None => text.push_str(&String::from_utf8_lossy(line)),
            }
        }
    }
    conflicts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_finds_the_function_of_a_marker_only() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let out = format!(
            "{one} {two}\n\
             diff --git a/f.rs b/f.rs\n--- a/f.rs\n+++ b/f.rs\n\
             @@ -1 +1 @@ fn none() {{\n-a\n+b\n\
             @@ -3,0 +4 @@ fn here() {{\n+<<<<<<< x\n\
             @@ -4,0 +6,2 @@ fn there() {{\n+=======\n+>>>>>>> y\n\
             diff --git a/g h b/g h\n--- a/g h\n+++ b/g h\t\n\
             @@ -0,0 +1,2 @@\n+<<<<<<< x\n+++ b/f.rs\n\
             {two} {one}\n\
             diff --git a/f.rs b/f.rs\n--- a/f.rs\n+++ b/f.rs\n\
             @@ -7,2 +7,3 @@ impl X\n-<<<<<<< x\n-@@ -1 +1 @@ no\n+<<<<<<< x\n+y\n+z\n"
        );
        let found = parse(out.as_bytes());
        let pairs = [format!("{one} {two}"), format!("{two} {one}")];
        let function = |at: usize| {
            let key = (pairs[at].as_bytes(), &b"f.rs"[..]);
            found.get(&key).map(String::as_str)
        };
        assert_eq!(
            [function(0), function(1)],
            [Some("fn here()"), Some("impl X")]
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn split_conflicts_names_the_sides() {
        let [ours, theirs] = ["a", "b"].map(|digit| ObjectId::from(digit.repeat(40)));
        let text = format!(
            "one\n<<<<<<< {ours}:old\nA\n=======\nB\n>>>>>>> {theirs}\ntwo\n\
             <<<<<<< other\n>>>>>>> other\n<<<<<<< {ours}\n=======\n>>>>>>> {theirs}"
        );
        let merge = TrialMerge { ours, theirs };
        let found = split_conflicts(text.as_bytes(), &merge, ["x", "y"]);
        let expected = [
            "<<<<<<< x:old\nA\n=======\nB\n>>>>>>> y\n",
            "<<<<<<< x\n=======\n>>>>>>> y",
        ];
        assert_eq!(found, expected);
    }
}
