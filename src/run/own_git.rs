//! The `git` of an agent: a small program in the run directory, first on the agent's PATH.
//!
//! `bin/git` gives `git stash` to git flux by the link `bin/.git-flux`, and becomes the next git on
//! PATH for every other command. git puts the directory of its own programs before PATH for hooks,
//! shell aliases and its own calls, so `exec` is a copy of that directory in links, with this `git`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::RunDir;
use crate::git::Git;
use crate::system::program::{current_exe, path_without_git, which_in};
use crate::system::{Sharing, none_if_missing};

/// The program, built from `helper/git.rs`.
const HELPER: &[u8] = include_bytes!(env!("GIT_FLUX_AGENT_GIT"));

/// The link to git flux that marks a directory with this program.
const MARK: &str = ".git-flux";

/// The link in `exec` to the git whose programs are there.
const SOURCE: &str = ".git";

impl RunDir {
    /// Returns the directory that is first on the agent's PATH.
    fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// Returns the directory that the agent's git uses in place of `git --exec-path`.
    pub(crate) fn exec_dir(&self) -> PathBuf {
        self.0.join("exec")
    }

    /// Returns [`RunDir::exec_dir`], if it has the programs of `git`.
    pub(crate) fn exec_dir_of(&self, git: &Path) -> Option<PathBuf> {
        let exec = self.exec_dir();
        let source = fs::read_link(exec.join(SOURCE)).ok();
        (source.as_deref() == Some(git)).then_some(exec)
    }

    /// Writes the program that is the agent's `git` to the run directory. Returns PATH with the
    /// directory of that program first, and without directories of such programs of other tasks;
    /// `None` if PATH is unset.
    pub(crate) fn write_own_git(&self) -> Result<Option<OsString>> {
        let Some(path) = path_without_git() else {
            return Ok(None);
        };
        let is_other = |dir: &PathBuf| fs::read_link(dir.join(MARK)).is_err();
        let dirs: Vec<PathBuf> = env::split_paths(&path).filter(is_other).collect();
        let bin = self.bin();
        let what = || format!("could not make '{}'", bin.display());
        write_program(&bin).with_context(what)?;
        let dirs = [bin].into_iter().chain(dirs);
        // A directory with a colon cannot be on PATH.
        Ok(Some(env::join_paths(dirs).unwrap_or(path)))
    }

    /// Fills [`RunDir::exec_dir`] with links to the programs of the git that is next on the agent's
    /// `path`. Does nothing if there is none.
    pub(crate) fn link_git_programs(&self, path: &OsStr) -> Result<()> {
        let dirs = env::split_paths(path).filter(|dir| *dir != self.bin());
        let path = env::join_paths(dirs)?;
        match which_in(&path, Path::new("git")) {
            Some(git) => link_programs(&self.exec_dir(), &git, &path),
            None => Ok(()),
        }
    }
}

fn write_program(bin: &Path) -> Result<()> {
    Sharing::Private.make_dir(bin)?;
    let program = bin.join("git");
    let new = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempfile_in(bin)?;
    fs::write(new.path(), HELPER)?;
    // An open program cannot be executed.
    new.into_temp_path().persist(&program)?;
    replace_link(&current_exe()?, &bin.join(MARK))
}

/// Replaces the directory `exec` by one with links to the programs in `git --exec-path`, except
/// `git`, which is the agent's own there, and with the link `.git` to `git`, the first one on `path`.
fn link_programs(exec: &Path, git: &Path, path: &OsStr) -> Result<()> {
    let what = || format!("could not make '{}'", exec.display());
    none_if_missing(fs::remove_dir_all(exec)).with_context(what)?;
    Sharing::Private.make_dir(exec).with_context(what)?;
    // Unset, if git flux was called by an agent's git.
    let default = Git::reading(Path::new("/")).env("GIT_EXEC_PATH", "");
    let default = default.env("PATH", path);
    let programs = default.words("--exec-path").path()?;
    for entry in fs::read_dir(programs).with_context(what)? {
        let entry = entry.with_context(what)?;
        if entry.file_name() != "git" {
            symlink(entry.path(), exec.join(entry.file_name())).with_context(what)?;
        }
    }
    symlink("../bin/git", exec.join("git")).with_context(what)?;
    symlink(format!("../bin/{MARK}"), exec.join(MARK)).with_context(what)?;
    // Written last: the program uses the directory only with it.
    symlink(git, exec.join(SOURCE)).with_context(what)
}

fn replace_link(target: &Path, link: &Path) -> Result<()> {
    none_if_missing(fs::remove_file(link))?;
    Ok(symlink(target, link)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_git_programs_links_those_of_the_git_on_the_path_of_the_agent() {
        let temp = tempfile::tempdir().unwrap();
        let [bin, programs, run] = ["bin", "programs", "run"].map(|name| temp.path().join(name));
        for dir in [&bin, &programs, &run] {
            fs::create_dir(dir).unwrap();
        }
        let git = bin.join("git");
        fs::write(&git, format!("#!/bin/sh\necho '{}'\n", programs.display())).unwrap();
        fs::set_permissions(&git, Permissions::from_mode(0o755)).unwrap();
        fs::write(programs.join("git-only-here"), "").unwrap();
        let run = RunDir(run);
        run.link_git_programs(bin.as_os_str()).unwrap();
        assert!(run.exec_dir().join("git-only-here").exists());
        assert_eq!(run.exec_dir_of(&git), Some(run.exec_dir()));
    }
}
