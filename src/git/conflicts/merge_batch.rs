//! Many trial merges in one process: `git merge-tree --stdin`.
//!
//! git dies of some merges, and its answers to all others are lost with it: output is written at
//! the end. So the batch is halved until the merge is alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};
use serde::{Deserialize, Serialize};

use super::quarantine::Quarantine;
use crate::failure;
use crate::git::command::exit_error;
use crate::git::drivers::Drivers;
use crate::git::merge::merge_tree::{Conflict, parse_conflicts};
use crate::git::records::records;
use crate::git::{Git, GitKilled, ObjectId};
use crate::interrupt;

/// git's exit code for an option that it does not know: before git 2.39, `--stdin`.
const USAGE_EXIT_CODE: i32 = 129;

/// Two commits to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrialMerge {
    pub(crate) ours: ObjectId,
    pub(crate) theirs: ObjectId,
}

/// A file with conflicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConflictFile {
    pub(crate) path: PathBuf,
    /// git's term, such as `contents` or `modify/delete`; may be empty.
    pub(crate) kind: String,
    /// The line that names the function around the first conflict, where git finds one.
    pub(crate) function: Option<String>,
}

/// The result of a trial merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrialResult {
    /// The merged tree; its files have markers at the conflicts.
    pub(crate) tree: ObjectId,
    pub(crate) files: Vec<ConflictFile>,
    /// Renamed directories were not detected, because git dies of that.
    pub(crate) is_approximate: bool,
}

/// The reason why a trial merge has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NoResult {
    /// git dies of it.
    Killed,
    /// git refuses, for this reason.
    Refused(String),
    /// The merge says nothing exact about what was asked, for this reason.
    Inexact(String),
}

pub(crate) type Answer = Result<TrialResult, NoResult>;

/// Returns whether the same merge would have the same answer again, so that a cache may keep it;
/// `false` if git refused the merge.
pub(crate) fn is_lasting(answer: &Answer) -> bool {
    !matches!(answer, Err(NoResult::Refused(_)))
}

/// A place to make trial merges.
pub(crate) struct MergeBatch<'a> {
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) drivers: &'a Drivers,
    /// The commit whose attributes count. git before 2.41 uses those of the main worktree.
    pub(crate) attributes: &'a ObjectId,
}

/// The detection of renamed directories.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DirectoryRenames {
    Configured,
    Off,
}

impl MergeBatch<'_> {
    /// Merges each pair of commits, without files, refs and merge drivers: `git merge-tree
    /// --write-tree --stdin --name-only -z`. The answers are in the order of `merges`; conflicts in
    /// files with a merge driver are left out.
    ///
    /// # Errors
    /// Only if you interrupt it, or if git cannot be started.
    pub(crate) fn ask(&self, merges: &[TrialMerge]) -> Result<Vec<Answer>> {
        let mut answers = self.ask_without_drivers(merges)?;
        self.drop_driven(&mut answers)?;
        Ok(answers)
    }

    /// Merges each pair of commits as [`MergeBatch::ask`] does, but files with a merge driver
    /// conflict.
    pub(super) fn ask_without_drivers(&self, merges: &[TrialMerge]) -> Result<Vec<Answer>> {
        match merges {
            [] => Ok(Vec::new()),
            merges => self.halve(merges),
        }
    }

    fn halve(&self, merges: &[TrialMerge]) -> Result<Vec<Answer>> {
        let error = match self.run(merges, DirectoryRenames::Configured) {
            Ok(answers) => return Ok(answers.into_iter().map(Ok).collect()),
            Err(error) => error,
        };
        interrupt::check()?;
        if let [merge] = merges {
            return Ok(vec![self.ask_again(merge, &error)]);
        }
        let (left, right) = merges.split_at(merges.len() / 2);
        Ok([self.halve(left)?, self.halve(right)?].concat())
    }

    /// Tries a merge again after `error`, without detection of renamed directories, if a signal has
    /// killed git: [`NoResult::Killed`] if that fails, too. Any other error is
    /// [`NoResult::Refused`].
    fn ask_again(&self, merge: &TrialMerge, error: &Error) -> Answer {
        if !error.is::<GitKilled>() {
            return Err(NoResult::Refused(failure::reason(error)));
        }
        let again = self.run(std::slice::from_ref(merge), DirectoryRenames::Off);
        let again = again.ok().and_then(|mut answers| answers.pop());
        let result = again.ok_or(NoResult::Killed)?;
        Ok(TrialResult {
            is_approximate: true,
            ..result
        })
    }

    fn git(&self, renames: DirectoryRenames) -> Git {
        let git = self.quarantine.git().words("merge-tree --write-tree");
        let git = git.words("--name-only -z");
        let git = git.env("GIT_ATTR_SOURCE", self.attributes);
        let git = match renames {
            DirectoryRenames::Configured => git,
            DirectoryRenames::Off => git.config("merge.directoryRenames=false"),
        };
        self.drivers.disable_in(git)
    }

    /// Runs one git for all merges; before git 2.39, one for each.
    fn run(&self, merges: &[TrialMerge], renames: DirectoryRenames) -> Result<Vec<TrialResult>> {
        let line = |merge: &TrialMerge| format!("{} {}\n", merge.ours, merge.theirs);
        let input: String = merges.iter().map(line).collect();
        let (code, output) = self.git(renames).arg("--stdin").input(input).outcome()?;
        match code {
            0 => parse(&output.stdout, merges),
            USAGE_EXIT_CODE => merges
                .iter()
                .map(|merge| self.run_alone(merge, renames))
                .collect(),
            _ => Err(exit_error("git merge-tree", code, &output.stderr)),
        }
    }

    fn run_alone(&self, merge: &TrialMerge, renames: DirectoryRenames) -> Result<TrialResult> {
        let git = self.git(renames).args([&merge.ours, &merge.theirs]);
        let (code, output) = git.outcome()?;
        let mut fields = records(&output.stdout)?;
        match (code, fields.next()) {
            (0 | 1, Some(tree)) if !tree.is_empty() => {
                parse_rest(tree, code == 0, &mut fields, merge)
            }
            _ => Err(exit_error("git merge-tree", code, &output.stderr)),
        }
    }

    /// Removes the conflicts that merge drivers would resolve.
    fn drop_driven(&self, answers: &mut [Answer]) -> Result<()> {
        if self.drivers.names.is_empty() {
            return Ok(());
        }
        let files = answers.iter().flatten().flat_map(|answer| &answer.files);
        let paths: BTreeSet<PathBuf> = files.map(|file| file.path.clone()).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let home = self.quarantine.home();
        let driven = self.drivers.can_merge_each(home, self.attributes, &paths)?;
        let driven: BTreeSet<&Path> = std::iter::zip(paths, driven)
            .filter_map(|(path, is_driven)| is_driven.then_some(path))
            .collect();
        for answer in answers.iter_mut().flatten() {
            answer.files.retain(|file| !driven.contains(&*file.path));
        }
        Ok(())
    }
}

/// Parses the output of `git merge-tree --stdin --name-only -z`: for each merge, `1` if it is clean
/// or `0` (which is the reverse of git's exit code), the tree, and conflicts as without `--stdin`.
fn parse(out: &[u8], merges: &[TrialMerge]) -> Result<Vec<TrialResult>> {
    let mut fields = records(out)?;
    let mut results = Vec::new();
    for merge in merges {
        let is_clean = match fields.next() {
            Some(b"1") => true,
            Some(b"0") => false,
            _ => bail!("`git merge-tree` printed an unknown status"),
        };
        let tree = fields.next().context("`git merge-tree` printed no tree")?;
        results.push(parse_rest(tree, is_clean, &mut fields, merge)?);
    }
    match fields.next() {
        None => Ok(results),
        Some(_) => bail!("`git merge-tree` printed too many answers"),
    }
}

fn parse_rest<'a>(
    tree: &[u8],
    is_clean: bool,
    fields: &mut impl Iterator<Item = &'a [u8]>,
    merge: &TrialMerge,
) -> Result<TrialResult> {
    let tree = ObjectId::parse(tree).context("`git merge-tree` printed no tree")?;
    let found = match is_clean {
        true => {
            // The end of the messages.
            fields.next();
            Vec::new()
        }
        false => parse_conflicts(fields, [&merge.ours, &merge.theirs])?,
    };
    let file = |Conflict { path, kind }| ConflictFile {
        path,
        kind,
        function: None,
    };
    Ok(TrialResult {
        tree,
        files: found.into_iter().map(file).collect(),
        is_approximate: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge() -> TrialMerge {
        let [ours, theirs] = ["a", "b"].map(|digit| ObjectId::from(digit.repeat(40)));
        TrialMerge { ours, theirs }
    }

    #[test]
    fn parse_reads_the_status_the_other_way_round() {
        let tree = "1".repeat(40);
        let clean = format!("1\0{tree}\0\0");
        let conflict = format!(
            "0\0{tree}\0f\ng\0d~{ours}\0\0\
             1\0f\ng\0Auto-merging\0Auto-merging f\n\0\
             1\0f\ng\0CONFLICT (contents)\0CONFLICT (content): in f\n\0\0",
            ours = merge().ours
        );
        let out = [clean.as_str(), &conflict, &clean].concat();
        let all = parse(out.as_bytes(), &[merge(), merge(), merge()]).unwrap();
        let files = |at: usize| -> Vec<(&str, &str)> {
            let files = all[at].files.iter();
            files
                .map(|file| (file.path.to_str().unwrap(), file.kind.as_str()))
                .collect()
        };
        assert_eq!((files(0), files(2)), (vec![], vec![]));
        assert_eq!(files(1), [("f\ng", "contents"), ("d", "")]);
        for wrong in [&out[..out.len() - 1], "2\0", "", "1\0", "1\0HEAD\0\0"] {
            assert!(parse(wrong.as_bytes(), &[merge()]).is_err(), "{wrong:?}");
        }
        assert!(parse(out.as_bytes(), &[merge()]).is_err(), "too many");
        assert!(parse(clean.as_bytes(), &[merge(), merge()]).is_err());
    }
}
