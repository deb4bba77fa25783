//! Makes removed tasks, and compares a restored task with the original.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::removal::*;
use crate::world::*;

/// The files and the git status of a worktree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Mode and bytes of each file, link and directory; git's own `.git` at the top is left out.
    pub(crate) files: BTreeMap<PathBuf, (u32, Vec<u8>)>,
    pub(crate) status: String,
    pub(crate) index: String,
    pub(crate) tip: String,
}

impl State {
    pub(crate) fn of(world: &World, dir: &Path) -> Self {
        let mut files = BTreeMap::new();
        note(dir, dir, &mut files);
        let status = [
            "--no-optional-locks",
            "status",
            "--porcelain=v2",
            "-z",
            "--branch",
            "--untracked-files=all",
        ];
        let status = world.git_in(dir, status);
        let mut lines = status.split('\0');
        let tip = lines.find_map(|line| line.strip_prefix("# branch.oid "));
        Self {
            files,
            tip: tip.expect("the worktree has a commit").to_owned(),
            status,
            index: world.git_in(dir, ["ls-files", "--stage", "-z"]),
        }
    }

    /// Asserts that `dir` is in this state, and says where it is not.
    #[track_caller]
    pub(crate) fn assert_back(&self, world: &World, dir: &Path) {
        let now = Self::of(world, dir);
        let lines = |text: &str| text.replace('\0', "\n");
        assert_eq!(lines(&now.status), lines(&self.status));
        assert_eq!(lines(&now.index), lines(&self.index));
        assert_eq!(now.tip, self.tip);
        let missing: Vec<_> = self
            .files
            .iter()
            .filter(|(path, file)| now.files.get(*path) != Some(file))
            .collect();
        let added: Vec<_> = now
            .files
            .iter()
            .filter(|(path, file)| self.files.get(*path) != Some(file))
            .collect();
        assert!(
            missing.is_empty() && added.is_empty(),
            "missing: {missing:.2000?}\nadded: {added:.2000?}"
        );
    }

    /// Returns the state without what is below these paths, and without directories, which git does not keep.
    pub(crate) fn without(mut self, paths: &[&str]) -> Self {
        self.files.retain(|path, (mode, _)| {
            let is_dir = *mode & 0o170_000 == 0o040_000;
            !is_dir && !paths.iter().any(|out| path.starts_with(out))
        });
        self
    }
}

/// Leaves something of every kind uncommitted in a worktree, `.env` and `build/` being ignored.
pub(crate) fn make_dirty(world: &World, worktree: &Path) {
    let git = |args: &[&str]| world.git_in(worktree, args);
    world.write(worktree.join("README.md"), "staged\n");
    world.write(worktree.join("added.txt"), "staged\r\n");
    git(&["add", "README.md", "added.txt"]);
    world.write(worktree.join("README.md"), "changed after that\n");
    git(&["mv", "src/login.txt", "src/logged in.txt"]);
    fs::remove_file(worktree.join(".gitignore")).unwrap();
    world.write(worktree.join(".gitignore"), "*.log\n.env\nbuild/\n");
    world.write(worktree.join("new dir/loose.sh"), "untracked\n");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(worktree.join("new dir/loose.sh"), executable).unwrap();
    symlink("no such file", worktree.join("link")).unwrap();
    world.write(worktree.join(".env"), "SECRET=1\n");
    world.write(worktree.join("build/out.bin"), [0, 1, 2, 0xff]);
}

/// Makes a task whose agent has committed and ended, with something of every kind uncommitted.
pub(crate) fn dirty_task(world: &World) -> String {
    let id = done_task(world);
    make_dirty(world, &world.worktree(&id));
    id
}

/// Deletes the worktrees that are kept.
pub(crate) fn empty_trash(world: &World) {
    fs::remove_dir_all(world.repo().join(".git/flux/trash")).unwrap();
}

/// Asserts that nothing of a removed task is left in the archive or the trash.
#[track_caller]
pub(crate) fn assert_not_archived(world: &World, name: &str) {
    let refs = world.git(["for-each-ref", &format!("refs/flux/archive/{name}")]);
    assert_eq!(refs, "");
    assert!(!trash(world, name).parent().unwrap().exists());
}

/// Starts a task of this name, commits a file of the same name in it, and ends its agent.
pub(crate) fn done(world: &World, name: &str) {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", name, "Fix login"]).ok();
    world.agent(name).tell("exit 0");
    world.wait_ended(name);
    // Its records would be taken for the next one's.
    fs::remove_dir_all(world.tools().join("agent").join(name)).unwrap();
    world.commit_in(world.worktree(name), &format!("{name}.txt"), "work\n");
}

/// Returns the names of the removed tasks, also of those that cannot be read.
pub(crate) fn archived(world: &World) -> Vec<String> {
    let list = world.flux(["restore", "--list", "--json"]).run().json();
    let mut names: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn note(root: &Path, dir: &Path, files: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    use std::os::unix::ffi::OsStrExt as _;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_owned();
        if name == Path::new(".git") {
            continue;
        }
        let meta = path.symlink_metadata().unwrap();
        let bytes = if meta.is_symlink() {
            let link = fs::read_link(&path).unwrap();
            link.as_os_str().as_bytes().to_vec()
        } else if meta.is_dir() {
            note(root, &path, files);
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        files.insert(name, (meta.permissions().mode(), bytes));
    }
}
