//! The git directory of a task's stash: refs of its own, all else of the repository.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;
use tempfile::NamedTempFile;

use super::TaskStash;
use super::caller::{CallerWorktree, GlobalOptions};
use crate::git::checkout::NO_HOOKS;
use crate::git::checkout::gitfile::{list_dir, lstat};
use crate::git::command::records::records;
use crate::git::repo::parse_bool;
use crate::git::worktree::tool_files::is_of_git;
use crate::git::{Git, Sharing};
use crate::system::none_if_missing;
use crate::task::HEADS;

/// Names in the common git directory that the stash has itself, or does without.
const NOT_SHARED: &str = "branches config description flux gc.pid packed-refs";

/// Names in the git directory of a worktree that the stash has itself, or does without.
const NOT_OF_WORKTREE: &str = "AUTO_MERGE COMMIT_EDITMSG FETCH_HEAD HEAD MERGE_AUTOSTASH ORIG_HEAD \
    commondir config.worktree gitdir index info locked logs refs reftable worktrees";

/// Extensions of the repository's format that concern its objects.
const EXTENSIONS: [&str; 4] = [
    "compatobjectformat",
    "objectformat",
    "partialclone",
    "preciousobjects",
];

/// Links by name, with their targets.
type Links = BTreeMap<OsString, PathBuf>;

impl TaskStash {
    /// Prepares the stash's git directory for a `git stash` in `worktree`: writes a `HEAD` with the
    /// worktree's branch and commit, links to the repository's files, and a configuration that
    /// includes the repository's. Keeps the entries. The caller holds [`TaskStash::lock`].
    pub(crate) fn prepare(&self, worktree: &CallerWorktree, options: &GlobalOptions) -> Result<()> {
        let what = || format!("could not prepare '{}'", self.dir.display());
        for dir in ["", "refs", "info"] {
            let dir = self.dir.join(dir);
            Sharing::Private.make_dir(&dir).with_context(what)?;
        }
        self.forget_last_call().with_context(what)?;
        replace_links(&self.dir, &links_to_files(worktree)?).with_context(what)?;
        replace_links(&self.dir.join("info"), &links_to_info(worktree)?).with_context(what)?;
        let config = config_text(worktree)?;
        fs::write(self.dir.join("config"), config).with_context(what)?;
        self.write_head(worktree, options)
    }

    /// Deletes what the last `git stash` has left in the stash's git directory besides the entries:
    /// `ORIG_HEAD`, the reflog of `HEAD`, and branches with their reflogs.
    fn forget_last_call(&self) -> std::io::Result<()> {
        for file in ["ORIG_HEAD", "logs/HEAD"] {
            none_if_missing(fs::remove_file(self.dir.join(file)))?;
        }
        for dir in ["refs/heads", "logs/refs/heads"] {
            none_if_missing(fs::remove_dir_all(self.dir.join(dir)))?;
        }
        Ok(())
    }

    /// Writes `HEAD` in the stash's git directory, with the branch and commit that the worktree has
    /// checked out. Without a branch, also copies the reflog of the worktree's `HEAD`.
    fn write_head(&self, worktree: &CallerWorktree, options: &GlobalOptions) -> Result<()> {
        let what = || format!("could not write '{}'", self.dir.join("HEAD").display());
        let branch = options.head_ref()?;
        let branch = branch.filter(|name| name.starts_with(HEADS));
        let commit = options.commit("HEAD".as_ref())?;
        let head = match (&branch, &commit) {
            (Some(branch), _) => format!("ref: {branch}\n"),
            (None, Some(commit)) => format!("{commit}\n"),
            // Broken: git says so.
            (None, None) => String::new(),
        };
        if branch.is_none() {
            // git says where HEAD was detached.
            let [from, to] = [&worktree.git_dir, &self.dir].map(|dir| dir.join("logs/HEAD"));
            fs::create_dir_all(self.dir.join("logs")).with_context(what)?;
            none_if_missing(fs::copy(from, to)).with_context(what)?;
        }
        fs::write(self.dir.join("HEAD"), head).with_context(what)?;
        if let (Some(branch), Some(commit)) = (branch, commit) {
            let file = self.dir.join(&*branch);
            fs::create_dir_all(file.parent().unwrap_or(&file)).with_context(what)?;
            fs::write(file, format!("{commit}\n")).with_context(what)?;
        }
        Ok(())
    }

    /// Removes the state of a merge, cherry-pick or revert, such as `MERGE_HEAD`, from the worktree's
    /// git directory: `git reset`. Changes no file and no index. The reset of `git stash push` only
    /// removed it from the directory of the stash.
    pub(crate) fn forget_operation(
        &self,
        worktree: &CallerWorktree,
        options: &GlobalOptions,
    ) -> Result<()> {
        let what = "could not copy the index";
        let index = env::var_os("GIT_INDEX_FILE").map(PathBuf::from);
        let index = index.unwrap_or_else(|| worktree.git_dir.join("index"));
        let copy = NamedTempFile::new_in(&self.dir).context(what)?;
        fs::copy(index, copy.path()).context(what)?;
        // The hooks have run for the other reset.
        let reset = options.git().config(NO_HOOKS).words("reset --quiet");
        reset.env("GIT_INDEX_FILE", copy.path()).run()
    }

    /// Returns whether git has reset the worktree in the last call, which it does for a push
    /// without paths.
    pub(crate) fn has_reset(&self) -> bool {
        self.dir.join("ORIG_HEAD").exists()
    }
}

/// Returns the links that the stash's git directory needs: to files and directories of the common
/// git directory, and of the worktree's own.
fn links_to_files(worktree: &CallerWorktree) -> Result<Links> {
    let mut links = Links::new();
    for file in list_dir(&worktree.common_dir)? {
        let name = file.file_name().unwrap_or_default();
        let is_own = is_of_git(name.as_bytes()) || NOT_SHARED.split(' ').any(|own| name == own);
        if !is_own {
            links.insert(name.to_owned(), file);
        }
    }
    for file in list_dir(&worktree.git_dir)? {
        let name = file.file_name().unwrap_or_default();
        let has = |names: &str| names.split_whitespace().any(|own| name == own);
        let is_temporary = name.as_bytes().ends_with(b".lock")
            || name.as_bytes().starts_with(b"fsmonitor--daemon");
        if !is_temporary && !has(NOT_OF_WORKTREE) && !has(NOT_SHARED) {
            links.insert(name.to_owned(), file);
        }
    }
    // git writes it through the link.
    links.insert("MERGE_RR".into(), worktree.git_dir.join("MERGE_RR"));
    Ok(links)
}

/// Returns the links that the directory `info` of the stash needs: to the files in `info` of the
/// common git directory, but to the worktree's own `sparse-checkout`.
fn links_to_info(worktree: &CallerWorktree) -> Result<Links> {
    let sparse = "sparse-checkout";
    let own = worktree.git_dir.join("info").join(sparse);
    let shared = list_dir(&worktree.common_dir.join("info"))?;
    let shared = shared.into_iter().filter(|file| !file.ends_with(sparse));
    let own = lstat(&own)?.map(|_| own);
    let link = |file: PathBuf| (file.file_name().unwrap_or_default().to_owned(), file);
    Ok(shared.chain(own).map(link).collect())
}

/// Makes the symbolic links `links` in `dir`, and deletes all others there.
fn replace_links(dir: &Path, links: &Links) -> Result<()> {
    for file in list_dir(dir)? {
        let target = fs::read_link(&file).ok();
        let wanted = file.file_name().and_then(|name| links.get(name));
        if target.is_some() && target.as_ref() != wanted {
            fs::remove_file(&file)?;
        }
    }
    for (name, target) in links {
        let link = dir.join(name);
        if lstat(&link)?.is_none() {
            symlink(target, link)?;
        }
    }
    Ok(())
}

/// Returns the text of the stash's configuration: the format of the repository's objects with refs
/// in files, includes of the repository's configuration and of `config.worktree`, and values that
/// override these, such as `core.fsmonitor = false`.
fn config_text(worktree: &CallerWorktree) -> Result<Vec<u8>> {
    let dir = &worktree.common_dir;
    let file = dir.join("config");
    let list = Git::reading(dir).words("config --file").arg(&file);
    let list = list.words("-z --get-regexp").arg(r"^extensions\.");
    let (_, output) = list.outcome()?;
    let mut text = String::from("[core]\n\trepositoryformatversion = 1\n[extensions]\n");
    let mut has_own_config = false;
    for record in records(&output.stdout)? {
        let record = record.to_str().context("unknown extension")?;
        let (key, value) = record.split_once('\n').unwrap_or((record, "true"));
        let key = key.trim_start_matches("extensions.");
        if EXTENSIONS.contains(&key) {
            writeln!(text, "\t{key} = {}", quoted(value))?;
        }
        if key == "worktreeconfig" {
            has_own_config = parse_bool(value) == Some(true);
        }
    }
    let mut text = text.into_bytes();
    let own = worktree.git_dir.join("config.worktree");
    for file in [Some(file), has_own_config.then_some(own)]
        .into_iter()
        .flatten()
    {
        text.extend(b"[include]\n\tpath = ");
        text.extend(quoted(file.as_os_str().as_bytes()).as_bytes());
        text.push(b'\n');
    }
    // A shared index and a monitor would belong to this directory, not to the worktree's.
    text.extend(b"[core]\n\tbare = false\n\tsplitIndex = false\n\tfsmonitor = false\n");
    Ok(text)
}

/// Quotes a value for a configuration file.
fn quoted(value: impl AsRef<[u8]>) -> bstr::BString {
    let value = value.as_ref().replace("\\", r"\\").replace("\"", "\\\"");
    let value = value.replace("\n", r"\n");
    [b"\"", &value[..], b"\""].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_escapes_what_git_reads_otherwise() {
        assert_eq!(quoted("/a \"b\"\\c\nd#e"), r#""/a \"b\"\\c\nd#e""#);
    }
}
