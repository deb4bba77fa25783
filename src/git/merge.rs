//! Merges, built off-tree: a conflict touches nothing.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::command::{failed, records};
use super::integrated::{self, Integrated};
use super::rebase::{self, Pick, Replay};
use super::{Checkout, Lock, Repo};

/// How the commits of a branch come into another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Style {
    /// With a commit of both, also where one would do without.
    #[default]
    Merge,
    /// As one commit.
    Squash,
    /// Each again, on top of what is there.
    Rebase,
    /// As they are, or not at all.
    #[strum(serialize = "ff-only")]
    FastForward,
}

/// What merging a task's tip into its target would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergePlan {
    /// The target has everything of the task.
    UpToDate(Integrated),
    /// The target goes to the tip itself.
    FastForward { commits: usize },
    /// One commit of this tree comes on top, a merge or a squash.
    Commit { commits: usize, tree: String },
    /// These come on top of `onto`, which is the target, or those of the branch
    /// that can stay as they are.
    Rebase {
        commits: usize,
        onto: String,
        picks: Vec<Pick>,
    },
    /// Merge drivers of the user's decide about files: what it comes to is known once it is made.
    Drivers {
        commits: usize,
        files: Vec<Conflict>,
    },
    /// The target has this many commits that the task has not, and must not have.
    Moved { by: usize },
    /// Both have changed the same.
    Conflicts { files: Vec<Conflict> },
}

/// The error for commits that have none in common: git does not merge them unasked.
#[derive(Debug)]
pub(crate) struct Unrelated;

impl fmt::Display for Unrelated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("they have no commit in common")
    }
}

impl Error for Unrelated {}

/// A file that a merge cannot decide about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) path: PathBuf,
    /// git's word for it: `contents`, `modify/delete` …; empty if it has none.
    pub(crate) kind: String,
}

impl MergePlan {
    /// Compares histories, and if both moved, what they come to.
    ///
    /// # Errors
    /// With [`Unrelated`] when they have no commit in common; when one of the commits is missing
    /// or git fails.
    pub(crate) fn make(repo: &Repo, target: &str, tip: &str, style: Style) -> Result<Self> {
        let (commits, behind) = repo.ahead_behind(tip, target)?;
        if commits == 0 {
            return Ok(Self::UpToDate(Integrated::Ancestor));
        }
        let merged = if behind == 0 {
            // The target has not moved: nothing can conflict, the tree is the task's own.
            Merged::Tree(repo.tree_of(tip)?)
        } else {
            let merged = Merged::of(repo, target, tip);
            match merged {
                // git refuses, and says so to people alone.
                Err(_) if repo.merge_base(target, tip)?.is_none() => return Err(Unrelated.into()),
                merged => merged?,
            }
        };
        if let Some(how) = integrated::find(repo, target, tip, (commits, behind), &merged)? {
            return Ok(Self::UpToDate(how));
        }
        match (style, merged) {
            (Style::Rebase, _) => Self::rebase(repo, target, tip),
            (Style::FastForward, _) if behind == 0 => Ok(Self::FastForward { commits }),
            (Style::FastForward, _) => Ok(Self::Moved { by: behind }),
            (Style::Merge | Style::Squash, Merged::Tree(tree)) => {
                Ok(Self::Commit { commits, tree })
            }
            (Style::Merge | Style::Squash, Merged::Conflicts(files)) => {
                Ok(Self::Conflicts { files })
            }
            (Style::Merge | Style::Squash, Merged::Drivers(files)) => {
                Ok(Self::Drivers { commits, files })
            }
        }
    }

    fn rebase(repo: &Repo, target: &str, tip: &str) -> Result<Self> {
        let commits = rebase::list(repo, target, &[tip], true)?;
        let number = commits.len();
        Ok(match rebase::replay(repo, target, commits)? {
            Replay::Conflicts(files) => Self::Conflicts { files },
            Replay::Drivers(files) => Self::Drivers {
                commits: number,
                files,
            },
            Replay::Picks { onto, picks, kept } => match (kept, picks.len()) {
                (0, 0) => Self::UpToDate(Integrated::Picked),
                (commits, 0) if onto == tip => Self::FastForward { commits },
                (kept, new) => Self::Rebase {
                    commits: kept + new,
                    onto,
                    picks,
                },
            },
        })
    }

    /// How many commits of the task come into the target.
    pub(crate) fn commits(&self) -> usize {
        match self {
            Self::FastForward { commits }
            | Self::Commit { commits, .. }
            | Self::Drivers { commits, .. }
            | Self::Rebase { commits, .. } => *commits,
            Self::UpToDate(_) | Self::Moved { .. } | Self::Conflicts { .. } => 0,
        }
    }

    /// The tree that the target will have; none if it stays as it is, or nobody knows yet.
    ///
    /// # Errors
    /// When a commit is missing.
    pub(crate) fn tree(&self, repo: &Repo, tip: &str) -> Result<Option<String>> {
        match self {
            Self::UpToDate(_)
            | Self::Moved { .. }
            | Self::Drivers { .. }
            | Self::Conflicts { .. } => Ok(None),
            Self::FastForward { .. } => repo.tree_of(tip).map(Some),
            Self::Commit { tree, .. } => Ok(Some(tree.clone())),
            Self::Rebase { onto, picks, .. } => match picks.last() {
                Some(pick) => Ok(Some(pick.tree.clone())),
                None => repo.tree_of(onto).map(Some),
            },
        }
    }
}

/// Starts merging `theirs` in the worktree `place`, where it is known to conflict:
/// `git merge --no-ff --no-commit <theirs>`, which stops there.
///
/// # Errors
/// When git refuses, or merges it after all: that is for the caller to look at again.
pub(crate) fn start(place: &Checkout, theirs: &str, lock: &Lock) -> Result<()> {
    let args = ["merge", "--no-ff", "--no-commit", "--no-squash", theirs];
    let git = place.git(args).env("GIT_EDITOR", ":").holding(lock)?;
    let (code, output) = git.outcome()?;
    if Repo::operation(place)? == Some("merge") {
        return Ok(());
    }
    Err(failed("git merge", code, &output.stderr))
}

/// What two commits come to.
pub(super) enum Merged {
    Tree(String),
    Conflicts(Vec<Conflict>),
    /// In these files both have changed the same, and merge drivers decide about them.
    Drivers(Vec<Conflict>),
}

impl Merged {
    /// `git merge-tree --write-tree --name-only -z <ours> <theirs>`,
    /// with the attributes of `ours`, whatever is checked out where it runs. No merge driver runs.
    ///
    /// # Errors
    /// When one of the commits is missing or git fails.
    pub(super) fn of(repo: &Repo, ours: &str, theirs: &str) -> Result<Self> {
        let args = [
            "merge-tree",
            "--write-tree",
            "--name-only",
            "-z",
            ours,
            theirs,
        ];
        // git before 2.41 does not know it, and takes those of the main worktree.
        let git = repo.drivers().without(repo.home(), &args);
        let git = git.env("GIT_ATTR_SOURCE", ours);
        let (code, output) = git.outcome()?;
        let mut fields = records(&output.stdout)?;
        let tree = fields.next().unwrap_or_default();
        match code {
            0 if !tree.is_empty() => Ok(Self::Tree(String::from_utf8(tree.to_vec())?)),
            1 => match conflicts(fields, [ours, theirs])? {
                // Without one there was a failure of the same code.
                files if files.is_empty() => Err(failed("git merge-tree", code, &output.stderr)),
                files => Ok(match repo.drivers().decide(repo, ours, &files)? {
                    true => Self::Drivers(files),
                    false => Self::Conflicts(files),
                }),
            },
            _ => Err(failed("git merge-tree", code, &output.stderr)),
        }
    }
}

/// The files up to an empty field, then what git says of them: a number of paths,
/// the paths, a kind that is the same in every language, and a sentence.
fn conflicts<'a>(
    mut fields: impl Iterator<Item = &'a [u8]>,
    sides: [&str; 2],
) -> Result<Vec<Conflict>> {
    let mut files: Vec<Conflict> = Vec::new();
    for file in fields.by_ref().take_while(|file| !file.is_empty()) {
        let path = path(file, sides);
        if files.iter().all(|file| file.path != path) {
            let kind = String::new();
            files.push(Conflict { path, kind });
        }
    }
    while let Some(count) = fields.next().filter(|count| !count.is_empty()) {
        let count: usize = std::str::from_utf8(count)?.parse()?;
        let about: Vec<PathBuf> = fields
            .by_ref()
            .take(count)
            .map(|file| path(file, sides))
            .collect();
        let kind = fields
            .next()
            .context("`git merge-tree` printed half a message")?;
        fields.next();
        let kind = kind
            .strip_prefix(b"CONFLICT (")
            .and_then(|kind| kind.strip_suffix(b")"));
        let Some(kind) = kind else { continue };
        for file in &mut files {
            if file.kind.is_empty() && about.contains(&file.path) {
                file.kind = String::from_utf8_lossy(kind).into_owned();
            }
        }
    }
    Ok(files)
}

/// The path that a conflict is about: a file where the other side has a directory
/// gets the name of its side added.
fn path(file: &[u8], sides: [&str; 2]) -> PathBuf {
    let mut added = sides.iter().map(|side| format!("~{side}").into_bytes());
    let file = added
        .find_map(|side| file.strip_suffix(&*side))
        .unwrap_or(file);
    OsString::from_vec(file.to_vec()).into()
}
