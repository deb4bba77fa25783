//! The repository, worktree and aliases of a git command, as git itself finds them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::git::{Git, ObjectId};
use crate::task::RefName;

/// Global options that name no repository, and whose value is the next argument.
const WITH_VALUE: [&[u8]; 6] = [
    b"-C",
    b"-c",
    b"--attr-source",
    b"--config-env",
    b"--namespace",
    b"--shallow-file",
];

/// Global options of a git command, such as `-C <path>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GlobalOptions(pub(crate) Vec<OsString>);

/// The worktree that a git command is for.
#[derive(Clone, Debug)]
pub(crate) struct CallerWorktree {
    pub(crate) common_dir: PathBuf,
    pub(crate) git_dir: PathBuf,
    pub(crate) top: PathBuf,
}

impl GlobalOptions {
    /// Builds a git command with these options, in the caller's directory and environment.
    pub(super) fn git(&self) -> Git {
        let git = Git::in_caller_env();
        self.0.iter().fold(git, Git::option)
    }

    /// Returns what the alias `name` stands for; `None` if there is no such alias:
    /// `git config -z --get alias.<name>`
    pub(crate) fn alias(&self, name: &OsStr) -> Result<Option<OsString>> {
        let key = OsString::from_iter(["alias.".as_ref(), name]);
        let (code, output) = self.git().words("config -z --get").arg(key).outcome()?;
        let mut text = output.stdout;
        // Other codes mean a name that no key can have, or a file that git cannot read.
        let is_found = code == 0 && text.pop() == Some(0);
        Ok(is_found.then(|| OsString::from_vec(text)))
    }

    /// Finds the worktree that a git command with these options is for; `None` if there is none, as
    /// in a bare repository: `git rev-parse --git-common-dir --git-dir --show-toplevel`
    pub(crate) fn worktree(&self) -> Result<Option<CallerWorktree>> {
        let names = ["--git-common-dir", "--git-dir", "--show-toplevel"];
        let ask = |names: &[&str]| {
            let git = self.git().words("rev-parse --path-format=absolute");
            git.args(names).outcome()
        };
        let (code, output) = ask(&names)?;
        if code != 0 {
            return Ok(None);
        }
        let lines: Vec<&[u8]> = output.stdout.split(|&b| b == b'\n').collect();
        let paths = match lines[..] {
            [common, dir, top, b""] => [common, dir, top].map(<[u8]>::to_vec),
            // A path may contain a newline.
            _ => names.map(|name| ask(&[name]).map_or_else(|_| Vec::new(), |(_, it)| it.stdout)),
        };
        let path = |bytes: Vec<u8>| {
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            PathBuf::from(OsStr::from_bytes(bytes))
        };
        let [common_dir, git_dir, top] = paths.map(path);
        Ok(Some(CallerWorktree {
            common_dir,
            git_dir,
            top,
        }))
    }

    /// Returns the ref that `HEAD` names, `None` if it is detached: `git symbolic-ref --quiet HEAD`
    pub(super) fn head_ref(&self) -> Result<Option<RefName>> {
        let head = self.git().words("symbolic-ref --quiet HEAD").answer();
        Ok(head.context("could not read HEAD")?.map(RefName::new))
    }

    /// Returns the commit that `rev` names, `None` if it names none:
    /// `git rev-parse --verify --quiet <rev>^{commit}`
    pub(crate) fn commit(&self, rev: &OsStr) -> Result<Option<ObjectId>> {
        let git = self
            .git()
            .words("rev-parse --verify --quiet --end-of-options");
        let found = git.arg(OsString::from_iter([rev, "^{commit}".as_ref()]));
        Ok(found.answer()?.map(ObjectId::from))
    }

    /// Returns the options without `--bare`, `--git-dir` and `--work-tree`, for a command to which
    /// the variables `GIT_DIR` and `GIT_WORK_TREE` apply instead.
    pub(crate) fn without_repository(&self) -> Vec<&OsStr> {
        let mut words = self.0.iter();
        let mut kept = Vec::new();
        while let Some(word) = words.next() {
            let bytes = word.as_bytes();
            let name = bytes.split(|&b| b == b'=').next().unwrap_or_default();
            let has_value = WITH_VALUE.contains(&bytes);
            match name {
                b"--bare" => {}
                b"--git-dir" | b"--work-tree" => {
                    // Its value, unless it is joined by `=`.
                    let _value = (name == bytes).then(|| words.next());
                }
                _ => {
                    kept.push(word.as_os_str());
                    let value = has_value.then(|| words.next()).flatten();
                    kept.extend(value.map(OsString::as_os_str));
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_repository_keeps_other_options_with_their_values() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let options =
            "-C --bare --git-dir -c -c --work-tree=x --bare --work-tree y -p --config-env --bare";
        let kept = GlobalOptions(words(options));
        assert_eq!(
            kept.without_repository(),
            words("-C --bare -c --work-tree=x -p --config-env --bare")
        );
    }
}
