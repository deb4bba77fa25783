//! Refs: read by `git for-each-ref`, written in transactions by `git update-ref --stdin`.

pub(crate) mod marks;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use self::marks::{FLUX_REFS, RefValue};
use super::{Git, Lock, ObjectId, Repo};
use crate::failure::Failure;
use crate::sanitize;
use crate::task::{BranchName, RefName};

/// The output format that [`parse`] reads. Names contain no space, so a line that does not end
/// with one is truncated.
const FOR_EACH_REF_ARGS: [&str; 2] = ["--no-sort", "--format=%(objectname) %(refname) %(symref) "];

/// The objects that refs point to.
pub(crate) type RefObjects = BTreeMap<RefName, ObjectId>;

/// Refs by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refs {
    pub(crate) objects: RefObjects,
    /// The final targets of symbolic refs.
    pub(crate) symbolic: BTreeMap<RefName, RefName>,
}

impl Refs {
    /// Returns the ref to which the symbolic ref `name` finally leads; `None` if `name` is not
    /// symbolic or not in this list.
    pub(crate) fn target(&self, name: &RefName) -> Option<&RefName> {
        self.symbolic.get(name)
    }

    /// Returns the branch to which the symbolic branch `name` finally leads; `None` if it is not
    /// symbolic or leads to a ref that is not a branch.
    pub(crate) fn branch_target(&self, name: &BranchName) -> Option<BranchName> {
        self.symbolic.get(&name.full())?.branch()
    }
}

/// Reads the refs that match `patterns`, with their objects and the targets of symbolic refs:
/// `git for-each-ref <patterns>`. Leaves out dangling symbolic refs and names that are not UTF-8.
pub(crate) fn read<P: AsRef<OsStr>>(dir: &Path, patterns: &[P]) -> Result<Refs> {
    for_each_ref(Git::reading(dir).words("for-each-ref"), patterns)
}

/// Runs the given `git for-each-ref` command for `patterns` and returns refs as [`read`] does: with
/// their objects and the targets of symbolic refs.
pub(super) fn for_each_ref<P: AsRef<OsStr>>(git: Git, patterns: &[P]) -> Result<Refs> {
    parse(&git.args(FOR_EACH_REF_ARGS).args(patterns).output()?)
}

/// Lists the refs that match `patterns`, each with its object: `git for-each-ref <patterns>`.
/// Leaves out dangling symbolic refs and names that are not UTF-8.
pub(crate) fn list<P: AsRef<OsStr>>(dir: &Path, patterns: &[P]) -> Result<RefObjects> {
    read(dir, patterns).map(|refs| refs.objects)
}

/// Lists the local and remote-tracking branches that contain the commit, except symbolic refs such
/// as `origin/HEAD`: `git for-each-ref --contains <commit> refs/heads refs/remotes`
pub(crate) fn list_containing(dir: &Path, commit: &ObjectId) -> Result<Vec<RefValue>> {
    let git = Git::reading(dir).words("for-each-ref --contains");
    let refs = for_each_ref(git.arg(commit), &["refs/heads", "refs/remotes"])?;
    let mut objects = refs.objects;
    objects.retain(|name, _| !refs.symbolic.contains_key(name));
    Ok(objects.into_iter().collect())
}

fn parse(out: &[u8]) -> Result<Refs> {
    let mut refs = Refs::default();
    let error = "`git for-each-ref` printed an unknown line";
    let all = match out {
        [] => return Ok(refs),
        [all @ .., b'\n'] => all,
        _ => bail!(error),
    };
    for line in all.split(|&b| b == b'\n') {
        let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let [object, name, symbolic, b""] = fields[..] else {
            bail!(error);
        };
        let object = ObjectId::parse(object).context(error)?;
        if !name.starts_with(b"refs/") {
            bail!(error);
        }
        // Tasks only use names in UTF-8.
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let name = RefName::new(name);
        refs.objects.insert(name.clone(), object);
        if !symbolic.is_empty() {
            // A target that is not UTF-8 matches no known ref.
            let target = String::from_utf8_lossy(symbolic);
            refs.symbolic.insert(name, RefName::new(target));
        }
    }
    Ok(refs)
}

/// A transaction of changes to refs.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    input: Vec<u8>,
    /// The new values of written refs, and the old values of deleted ones.
    made: Vec<RefValue>,
    deleted: Vec<RefValue>,
}

impl Transaction {
    fn line(mut self, line: fmt::Arguments) -> Self {
        self.input.extend(format!("{line}\0").bytes());
        self
    }

    /// Adds the creation of the ref `name` to the transaction, which fails if the ref exists.
    pub(crate) fn create(mut self, name: &RefName, new: &ObjectId) -> Self {
        self.made.push((name.clone(), new.clone()));
        self.line(format_args!("create {name}\0{new}"))
    }

    /// Adds to the transaction: the ref `name` moves from `old` to `new`. The whole transaction
    /// will fail if the ref does not point to `old` then.
    pub(crate) fn update(mut self, name: &RefName, new: &ObjectId, old: &ObjectId) -> Self {
        self.made.push((name.clone(), new.clone()));
        self.line(format_args!("update {name}\0{new}\0{old}"))
    }

    /// Adds the deletion of the ref `name` to the transaction, which fails if the ref does not
    /// point to `old`.
    pub(crate) fn delete(mut self, name: &RefName, old: &ObjectId) -> Self {
        self.deleted.push((name.clone(), old.clone()));
        self.line(format_args!("delete {name}\0{old}"))
    }

    /// Adds a check to the transaction, which fails if the ref `name` does not point to `old`.
    pub(crate) fn verify(self, name: &RefName, old: &ObjectId) -> Self {
        self.line(format_args!("verify {name}\0{old}"))
    }

    /// Changes the refs, and before and after that the files in `<git-common-dir>/flux/marks` that
    /// list the refs made here: `git update-ref --no-deref -z --stdin -m <message>`
    ///
    /// # Errors
    /// If a ref has another value than expected; no ref has changed then. On a full disk, some may
    /// have.
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
        // git refuses a ref below another one.
        let is_below =
            |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let blocks = |other: &&RefName| {
            let mut names = self.made.iter().map(|(name, _)| name);
            names.any(|name| is_below(name, other) || is_below(other, name))
        };
        let blocking = found.keys().find(blocks).cloned();
        // With a full disk, git may fail after changing some of the refs.
        let is_made = |(name, object): &RefValue| found.get(name) == Some(object);
        let unmade = self.made.into_iter().filter(|value| !is_made(value));
        marks.abort(&unmade.collect::<Vec<_>>(), sharing);
        let Some(name) = blocking else { return done };
        let refusal = Failure::new(format!(
            "could not create a ref: '{}' exists",
            sanitize::line(&name)
        ));
        let delete = format!("git update-ref --no-deref -d {}", sanitize::word(&name));
        done.context(refusal.hint(delete))
    }

    /// Changes per-worktree refs of the worktree at `path`, such as `refs/worktree/…`, without a
    /// record in `<git-common-dir>/flux/marks`: `git update-ref --no-deref -z --stdin -m <message>`
    pub(crate) fn commit_in_worktree(self, path: &Path, message: &str, lock: &Lock) -> Result<()> {
        run(path, self.input, message, lock)
    }
}

fn run(dir: &Path, input: Vec<u8>, message: &str, lock: &Lock) -> Result<()> {
    // An agent may turn a ref into a symbolic ref to a branch of the user's.
    let git = Git::new(dir).words("update-ref --no-deref --stdin -z -m");
    let done = git.arg(message).input(input).holding(lock)?.run();
    done.context("could not change the refs; none was changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::check::is_branch_name;

    #[test]
    fn is_branch_name_agrees_with_git() {
        let valid = "a ä @ a@b { a.b a.lock.b a-b a/b a+b=c # ' \" $(x) `x` ; |".split(' ');
        let invalid = [
            "-a", "HEAD", "", "a..b", ".a", "a.", "a.lock", "a/.b", "a.lock/b", "/a", "a/", "a//b",
            "a b", "a\tb", "a\u{7f}", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "@{",
            "a@{b",
        ];
        for name in valid.chain(invalid) {
            let git = Git::reading(Path::new(".")).words("check-ref-format");
            let (code, _) = git.arg(format!("refs/heads/{name}")).outcome().unwrap();
            // git accepts these two as refs, but not as branches.
            let accepted = code == 0 && !name.starts_with('-') && name != "HEAD";
            assert_eq!(is_branch_name(name), accepted, "{name:?}");
        }
    }

    #[test]
    fn parse_fails_when_truncated_or_unknown() {
        let (one, two) = ("1".repeat(40), "2".repeat(64));
        let out = [
            one.as_bytes(),
            b" refs/heads/\xff  \n",
            two.as_bytes(),
            b" refs/heads/a refs/heads/b \n",
        ];
        let out = out.concat();
        let refs = parse(&out).unwrap();
        // A name that is not UTF-8 is left out.
        assert_eq!(refs.objects.len(), 1);
        assert_eq!(&*refs.objects["refs/heads/a"], two);
        assert_eq!(refs.symbolic["refs/heads/a"], "refs/heads/b");
        // The first line alone is valid.
        let first = out.iter().position(|&b| b == b'\n').unwrap() + 1;
        for length in (1..out.len()).filter(|length| *length != first) {
            assert!(parse(&out[..length]).is_err(), "{length} bytes");
        }
        for error in ["\n", "x refs/heads/a  \n", "fatal: not now \n"] {
            assert!(parse(error.as_bytes()).is_err(), "{error:?}");
        }
    }
}
