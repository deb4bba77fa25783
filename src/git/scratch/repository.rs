//! The git directory of a scratch repository, without its configuration and hooks.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::hooks::Hooks;
use crate::git::worktree::tool_files::is_of_git;
use crate::git::{Checkout, Git, ObjectId, Repo};
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;
use crate::task::{BranchName, RefName};

/// The repository that a scratch repository copies.
pub(crate) struct Original<'a> {
    pub(crate) repo: &'a Repo,
    /// The worktree of the target branch.
    pub(crate) checkout: Option<&'a Checkout>,
    /// The main worktree, used for configuration if the target has none. Bare repositories have no
    /// main worktree.
    pub(crate) main: Option<&'a Checkout>,
    pub(crate) hooks: &'a Hooks,
    /// Branches with the commits that they get, even if they have moved since.
    pub(crate) branches: [(&'a BranchName, &'a ObjectId); 2],
    /// The branch to check out.
    pub(crate) head: &'a BranchName,
    /// `false` for `--no-verify`.
    pub(crate) verify: bool,
    /// `false` to sign nothing, whatever is configured.
    pub(crate) signs: bool,
}

impl Original<'_> {
    /// Returns the worktree whose configuration is used: that of the target branch, otherwise the
    /// main one; `None` if the repository is bare and the target has no worktree.
    pub(super) fn worktree(&self) -> Option<&Checkout> {
        self.checkout.or(self.main)
    }

    pub(super) fn top(&self) -> &Path {
        self.worktree().map_or(self.repo.home(), Checkout::path)
    }

    pub(super) fn git_dir(&self) -> &Path {
        let common = self.repo.common_dir();
        self.worktree().map_or(common, Checkout::git_dir)
    }

    /// Builds a command of git without optional locks in the worktree, or bare repository, that the
    /// scratch repository copies, with the user's configuration.
    pub(super) fn asking(&self) -> Git {
        match self.worktree() {
            Some(checkout) => checkout.with_user_config(),
            None => Git::reading(self.repo.home()),
        }
    }
}

/// Names of git and git flux in the common git directory, beside those of each worktree. All other
/// files belong to tools (git-lfs, git-annex) that read them there.
const SHARED: &str = "branches config description flux gc.pid gitweb hooks objects packed-refs \
    remotes shallow svn";

/// Larger files of a tool are linked instead of copied.
const MAX_BYTES: u64 = 1 << 20;

/// Makes the git directory of the scratch worktree at `path` without starting git there, with refs
/// in files even if the original has reftables. Returns whether a tag has the name of a branch of
/// the merge.
pub(super) fn make_git_dir(original: &Original<'_>, path: &Path) -> Result<bool> {
    let git_dir = path.join(".git");
    for dir in ["objects/pack", "hooks", "info"] {
        make_dir(&git_dir.join(dir))?;
    }
    set_head(path, &original.head.full())?;
    let objects = alternates_line(&original.repo.common_dir().join("objects"));
    write(&git_dir.join("objects/info/alternates"), &objects)?;
    let refs = write_refs(original, &git_dir)?;
    let mut has_tag = false;
    for (branch, commit) in original.branches {
        has_tag |= refs.contains(format!("refs/tags/{branch}").as_bytes());
        let file = git_dir.join(&*branch.full());
        write(&file, format!("{commit}\n").as_bytes())?;
    }
    copy_other_files(original, &git_dir)?;
    Ok(has_tag)
}

/// Copies to `git_dir` from the original: the reflogs of `HEAD` and of the branch to check out,
/// `shallow`, the files in `info`, and the files of other tools, such as git-lfs. Links the
/// directories of these tools, and their files over 1 MiB, instead of copying them.
fn copy_other_files(original: &Original<'_>, git_dir: &Path) -> Result<()> {
    let (common, private) = (original.repo.common_dir(), original.git_dir());
    let log = Path::new("logs").join(&*original.head.full());
    copy(&private.join("logs/HEAD"), &git_dir.join("logs/HEAD"))?;
    copy(&common.join(&log), &git_dir.join(&log))?;
    copy(&common.join("shallow"), &git_dir.join("shallow"))?;
    for dir in [common, private] {
        for entry in entries(&dir.join("info"))? {
            let name = Path::new("info").join(entry.file_name());
            // Each worktree has its own sparse-checkout.
            if !name.ends_with("sparse-checkout") || dir == private {
                copy(&entry.path(), &git_dir.join(name))?;
            }
        }
        for entry in entries(dir)? {
            let (name, source) = (entry.file_name(), entry.path());
            let link = git_dir.join(&name);
            let is_known =
                is_of_git(name.as_bytes()) || SHARED.split(' ').any(|known| name == known);
            if is_known || link.symlink_metadata().is_ok() {
                continue;
            }
            if source.is_dir() || source.metadata().is_ok_and(|found| found.len() > MAX_BYTES) {
                make_link(&source, &link)?;
            } else {
                copy(&source, &link)?;
            }
        }
    }
    Ok(())
}

/// Writes the ref `name` to `HEAD` of the scratch worktree at `path`, without changing its files.
pub(super) fn set_head(path: &Path, name: &RefName) -> Result<()> {
    write(&path.join(".git/HEAD"), format!("ref: {name}\n").as_bytes())
}

/// Writes all refs of the original to `git_dir`, in `packed-refs` or, symbolic ones, in files, and
/// returns their names: `git for-each-ref`
fn write_refs(original: &Original<'_>, git_dir: &Path) -> Result<HashSet<Vec<u8>>> {
    let list = original.asking().words("for-each-ref");
    let list = list.arg("--format=%(objectname) %(refname) %(symref)");
    let found = list.output()?;
    let mut names = HashSet::new();
    let mut packed = b"# pack-refs with: sorted \n".to_vec();
    for line in found.lines() {
        let fields: Vec<&[u8]> = line.splitn_str(3, " ").collect();
        let &[object, name, target] = &fields[..] else {
            bail!("`git for-each-ref` printed an unknown line");
        };
        names.insert(name.to_owned());
        if target.is_empty() {
            packed.extend([object, b" ", name, b"\n"].concat());
        } else {
            let file = git_dir.join(name.to_path_lossy());
            write(&file, &[b"ref: ", target, b"\n"].concat())?;
        }
    }
    write(&git_dir.join("packed-refs"), &packed)?;
    Ok(names)
}

/// Returns the line of `objects/info/alternates` for the directory `objects`, in double quotes if
/// the path contains a newline.
fn alternates_line(objects: &Path) -> Vec<u8> {
    let path = objects.as_os_str().as_bytes();
    let line = match path.contains(&b'\n') {
        true => c_quoted(path),
        false => path.to_owned(),
    };
    [&line[..], b"\n"].concat()
}

/// Puts a text in double quotes and escapes newline, tab, `"` and `\` with a backslash, as git
/// does in configuration files.
pub(super) fn c_quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in text {
        match byte {
            b'\n' => quoted.extend(b"\\n"),
            b'\t' => quoted.extend(b"\\t"),
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

pub(super) fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("could not make '{}'", path.display()))
}

pub(super) fn make_link(to: &Path, path: &Path) -> Result<()> {
    symlink(to, path).with_context(|| format!("could not make '{}'", path.display()))
}

/// Writes a file, replacing one that exists, and makes the directories above it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    path.parent().map_or(Ok(()), make_dir)?;
    fs::write(path, bytes).with_context(|| format!("could not write '{}'", path.display()))
}

/// Copies the content of a file, or of the file that a link leads to; does nothing if that does not
/// exist or is no regular file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let Some(file) = from.canonicalize().ok().filter(|file| file.is_file()) else {
        return Ok(());
    };
    let bytes = read_file(&file).with_context(|| format!("could not copy '{}'", from.display()))?;
    write(to, &bytes)
}

/// Returns the entries of a directory; none if it does not exist.
fn entries(dir: &Path) -> Result<Vec<fs::DirEntry>> {
    let found =
        none_if_missing(fs::read_dir(dir)).and_then(|found| found.into_iter().flatten().collect());
    found.with_context(|| format!("could not read '{}'", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternates_line_quotes_a_path_with_a_newline() {
        let line = |path: &str| String::from_utf8(alternates_line(Path::new(path))).unwrap();
        assert_eq!(line("/a b/\"c\"#"), "/a b/\"c\"#\n");
        assert_eq!(line("/a\n\"\\b"), "\"/a\\n\\\"\\\\b\"\n");
    }
}
