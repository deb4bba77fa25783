//! Refs: read by `git for-each-ref`, written by `git update-ref --stdin`, many at once.

pub(crate) mod marks;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use self::marks::{FLUX_REFS, RefValue};
use super::{Git, Lock, ObjectId, Repo};
use crate::failure::Failure;
use crate::sanitize;
use crate::task::{BranchName, HEADS, RefName};

/// What asks for refs; [`parse`] takes the answer apart. A name cannot have a space in it, so a
/// line without one at its end is not whole.
const FOR_EACH_REF_ARGS: [&str; 2] = ["--no-sort", "--format=%(objectname) %(refname) %(symref) "];

/// The objects that refs stand at.
pub(crate) type RefObjects = BTreeMap<RefName, ObjectId>;

/// Refs, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refs {
    pub(crate) objects: RefObjects,
    /// The ref that a symbolic one is in the end.
    pub(crate) symbolic: BTreeMap<RefName, RefName>,
}

impl Refs {
    /// Returns the ref that `name` is in the end, if it is a symbolic one.
    pub(crate) fn target(&self, name: &RefName) -> Option<&RefName> {
        self.symbolic.get(name)
    }

    /// Returns the branch that the branch `name` is a symbolic ref of, if it is one.
    pub(crate) fn branch_target(&self, name: &BranchName) -> Option<BranchName> {
        self.symbolic.get(&name.full())?.branch()
    }
}

/// Lists the refs that are, or lie below, one of `patterns`:
/// `git for-each-ref --no-sort --format=… <patterns>`. Names that are not UTF-8 are left out, and
/// so are symbolic refs that lead nowhere.
///
/// # Errors
/// When git fails.
pub(crate) fn read<P: AsRef<OsStr>>(dir: &Path, patterns: &[P]) -> Result<Refs> {
    for_each_ref(Git::reading(dir, "for-each-ref"), patterns)
}

/// Reads refs as [`read`] does, by a `git for-each-ref` that has no arguments yet.
pub(super) fn for_each_ref<P: AsRef<OsStr>>(git: Git, patterns: &[P]) -> Result<Refs> {
    parse(&git.args(FOR_EACH_REF_ARGS).args(patterns).output()?)
}

/// Lists refs as [`read`] does, each with the object it stands at.
///
/// # Errors
/// When git fails.
pub(crate) fn list<P: AsRef<OsStr>>(dir: &Path, patterns: &[P]) -> Result<RefObjects> {
    read(dir, patterns).map(|refs| refs.objects)
}

/// The branches, local and of remotes, that have the commit, and what they stand at:
/// `git for-each-ref --contains <commit> refs/heads refs/remotes`. A ref that only names another is none.
///
/// # Errors
/// When git fails.
pub(crate) fn list_containing(dir: &Path, commit: &ObjectId) -> Result<Vec<RefValue>> {
    let git = Git::reading(dir, "for-each-ref").args(["--contains", commit]);
    let refs = for_each_ref(git, &["refs/heads", "refs/remotes"])?;
    let mut objects = refs.objects;
    objects.retain(|name, _| !refs.symbolic.contains_key(name));
    Ok(objects.into_iter().collect())
}

/// # Errors
/// When it is not what was asked for, or not all of it.
fn parse(out: &[u8]) -> Result<Refs> {
    let mut refs = Refs::default();
    let odd = "`git for-each-ref` printed something unknown";
    let all = match out {
        [] => return Ok(refs),
        [all @ .., b'\n'] => all,
        _ => bail!(odd),
    };
    for line in all.split(|&b| b == b'\n') {
        let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let [object, name, symbolic, b""] = fields[..] else {
            bail!(odd);
        };
        let object = ObjectId::parse(object).context(odd)?;
        if !name.starts_with(b"refs/") {
            bail!(odd);
        }
        // No task's, and no branch that one could be on.
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let name = RefName::new(name);
        refs.objects.insert(name.clone(), object);
        if !symbolic.is_empty() {
            // One whose name is not UTF-8 is none of those that are known.
            let target = String::from_utf8_lossy(symbolic);
            refs.symbolic.insert(name, RefName::new(target));
        }
    }
    Ok(refs)
}

/// A branch by its short name, which may be given in full: `refs/heads/x` is `x`.
pub(crate) fn shorten(branch: &str) -> &str {
    branch.strip_prefix(HEADS).unwrap_or(branch)
}

/// Changes to several refs: all happen, or none.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    input: Vec<u8>,
    /// What refs come to stand at, and what those stood at that go.
    made: Vec<RefValue>,
    deleted: Vec<RefValue>,
}

impl Transaction {
    fn line(mut self, verb: &str, name: &RefName, values: &[&ObjectId]) -> Self {
        self.input.extend(format!("{verb} {name}\0").bytes());
        for value in values {
            self.input.extend([value.as_bytes(), b"\0"].concat());
        }
        self
    }

    /// Makes `name`; fails if it exists.
    pub(crate) fn create(mut self, name: &RefName, new: &ObjectId) -> Self {
        self.made.push((name.clone(), new.clone()));
        self.line("create", name, &[new])
    }

    /// Moves `name`, which stands at `old`.
    pub(crate) fn update(mut self, name: &RefName, new: &ObjectId, old: &ObjectId) -> Self {
        self.made.push((name.clone(), new.clone()));
        self.line("update", name, &[new, old])
    }

    /// Deletes `name`, which stands at `old`.
    pub(crate) fn delete(mut self, name: &RefName, old: &ObjectId) -> Self {
        self.deleted.push((name.clone(), old.clone()));
        self.line("delete", name, &[old])
    }

    /// Fails unless `name` stands at `old`.
    pub(crate) fn verify(self, name: &RefName, old: &ObjectId) -> Self {
        self.line("verify", name, &[old])
    }

    /// `git update-ref --no-deref -z --stdin -m <message>`. What becomes of refs of git flux is marked first.
    ///
    /// # Errors
    /// When one of the refs is not as expected: then none has changed.
    pub(crate) fn commit(self, repo: &Repo, message: &str, lock: &Lock) -> Result<()> {
        let (marks, sharing) = (repo.marks(), repo.sharing()?);
        marks.prepare(&self.made, sharing)?;
        let done = run(repo.home(), self.input, message, lock);
        if done.is_ok() {
            marks.commit(&self.made, &self.deleted, sharing);
            return Ok(());
        }
        let Ok(found) = list(repo.home(), &[FLUX_REFS.trim_end_matches('/')]) else {
            return done;
        };
        // One ref cannot be below another.
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let blocks = |other: &&RefName| {
            let mut names = self.made.iter().map(|(name, _)| name);
            names.any(|name| below(name, other) || below(other, name))
        };
        let blocking = found.keys().find(blocks).cloned();
        // Where the disk is full, git may say so after it has changed some of them.
        let came = |(name, object): &RefValue| found.get(name) == Some(object);
        let unmade = self.made.into_iter().filter(|stand| !came(stand));
        marks.abort(&unmade.collect::<Vec<_>>(), sharing);
        let Some(name) = blocking else { return done };
        let refusal = Failure::new(format!("the ref '{}' is in the way", sanitize::line(&name)));
        let delete = format!("git update-ref --no-deref -d {}", sanitize::word(&name));
        done.context(refusal.hint(delete))
    }

    /// The same for refs that the worktree at `path` has for itself.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub(crate) fn commit_in_worktree(self, path: &Path, message: &str, lock: &Lock) -> Result<()> {
        run(path, self.input, message, lock)
    }
}

fn run(dir: &Path, input: Vec<u8>, message: &str, lock: &Lock) -> Result<()> {
    // A ref may be made to name another, a branch of the user's, say.
    let git = Git::new(dir, "update-ref --no-deref --stdin -z -m").arg(message);
    let done = git.input(input).holding(lock)?.run();
    done.context("could not change the refs; none was changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::check::is_branch_name;

    #[test]
    fn names_of_branches_are_those_that_git_takes() {
        let right = "a ä @ a@b { a.b a.lock.b a-b a/b a+b=c # ' \" $(x) `x` ; |".split(' ');
        let wrong = [
            "-a", "HEAD", "", "a..b", ".a", "a.", "a.lock", "a/.b", "a.lock/b", "/a", "a/", "a//b",
            "a b", "a\tb", "a\u{7f}", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "@{",
            "a@{b",
        ];
        for name in right.chain(wrong) {
            let git = Git::reading(Path::new("."), "check-ref-format");
            let (code, _) = git.arg(format!("refs/heads/{name}")).outcome().unwrap();
            // These two are refs to git, but no branches.
            let taken = code == 0 && !name.starts_with('-') && name != "HEAD";
            assert_eq!(is_branch_name(name), taken, "{name:?}");
        }
    }

    #[test]
    fn refs_are_read_whole_or_not_at_all() {
        let (one, two) = ("1".repeat(40), "2".repeat(64));
        let out = [
            one.as_bytes(),
            b" refs/heads/\xff  \n",
            two.as_bytes(),
            b" refs/heads/a refs/heads/b \n",
        ];
        let out = out.concat();
        let refs = parse(&out).unwrap();
        assert_eq!(
            refs.objects.len(),
            1,
            "a name that is not UTF-8 is left out"
        );
        assert_eq!(&*refs.objects["refs/heads/a"], two);
        assert_eq!(refs.symbolic["refs/heads/a"], "refs/heads/b");
        // A line of a whole answer is a whole answer.
        let first = out.iter().position(|&b| b == b'\n').unwrap() + 1;
        for length in (1..out.len()).filter(|length| *length != first) {
            assert!(parse(&out[..length]).is_err(), "{length} bytes");
        }
        for odd in ["\n", "x refs/heads/a  \n", "fatal: not now \n"] {
            assert!(parse(odd.as_bytes()).is_err(), "{odd:?}");
        }
    }
}
