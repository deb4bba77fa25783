//! Makes random edits in a worktree, for `restore_property`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::world::*;

/// What one edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Change,
    Create,
    Delete,
    Uncache,
    Rename,
    Mode,
    Link,
    DirectoryForFile,
    FileForDirectory,
    EmptyDirectory,
    Ignored,
    ForcedIgnored,
    Nested,
    Gitlink,
    IntentToAdd,
    StageAll,
    Unstage,
    Commit,
}

const KINDS: [Kind; 18] = [
    Kind::Change,
    Kind::Create,
    Kind::Delete,
    Kind::Uncache,
    Kind::Rename,
    Kind::Mode,
    Kind::Link,
    Kind::DirectoryForFile,
    Kind::FileForDirectory,
    Kind::EmptyDirectory,
    Kind::Ignored,
    Kind::ForcedIgnored,
    Kind::Nested,
    Kind::Gitlink,
    Kind::IntentToAdd,
    Kind::StageAll,
    Kind::Unstage,
    Kind::Commit,
];

/// Edits of one worktree, and a log of them.
pub(crate) struct Edits<'a> {
    world: &'a World,
    dir: &'a Path,
    rng: StdRng,
    pub(crate) log: Vec<String>,
}

impl<'a> Edits<'a> {
    pub(crate) fn new(world: &'a World, dir: &'a Path, rng: StdRng) -> Self {
        Self {
            world,
            dir,
            rng,
            log: Vec::new(),
        }
    }

    /// Returns the number of edits.
    pub(crate) fn count(&mut self) -> usize {
        self.rng.random_range(1..=10)
    }

    /// Does one of the kinds that are allowed.
    pub(crate) fn one(&mut self, allowed: impl Fn(Kind) -> bool) {
        let kind = loop {
            // A change is the most usual thing.
            let at = self.rng.random_range(0..KINDS.len() + 6);
            let kind = KINDS.get(at).copied().unwrap_or(Kind::Change);
            if allowed(kind) {
                break kind;
            }
        };
        let said = self.perform(kind);
        self.log.push(format!("{kind:?} {said}"));
    }

    fn perform(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Change | Kind::Mode | Kind::Delete | Kind::Link | Kind::DirectoryForFile => {
                let Some(file) = self.file() else {
                    return "nothing".to_owned();
                };
                self.staged_before();
                self.change(kind, &file);
                self.maybe_stage(&file)
            }
            Kind::Create | Kind::EmptyDirectory | Kind::IntentToAdd => {
                let name = self.new_name();
                self.create(kind, &name)
            }
            Kind::Uncache | Kind::Rename => self.tracked(kind),
            Kind::FileForDirectory => {
                let dir = self.dir.join("dir/sub");
                if !dir.is_dir() {
                    return "nothing".to_owned();
                }
                fs::remove_dir_all(&dir).unwrap();
                fs::write(&dir, self.bytes()).unwrap();
                self.maybe_stage(&dir)
            }
            Kind::Ignored | Kind::ForcedIgnored => {
                let names = [
                    "x.log",
                    ".env",
                    "build/deep/out.o",
                    "dir/y.log",
                    "new/z.log",
                ];
                let path = self.dir.join(names[self.rng.random_range(0..names.len())]);
                self.put(&path);
                if kind == Kind::ForcedIgnored && path.exists() {
                    self.git(&["add", "-f", "--"], &[&path]);
                }
                path.display().to_string()
            }
            Kind::Nested | Kind::Gitlink => {
                let below = ["", "build/", "dir/"][self.rng.random_range(0..3)];
                let mut names = (0..).map(|n| self.dir.join(format!("{below}nested{n}")));
                let dir = names.find(|dir| dir.symlink_metadata().is_err()).unwrap();
                if dir.parent().unwrap().is_file() {
                    return "nothing".to_owned();
                }
                self.world.make_repository(&dir);
                if kind == Kind::Gitlink {
                    self.try_git(&["add", "--"], &[&dir]);
                }
                dir.display().to_string()
            }
            Kind::StageAll => {
                // Not repositories of their own.
                self.try_git(&["add", "-u"], &[]);
                String::new()
            }
            Kind::Unstage => {
                self.git(&["reset", "-q"], &[]);
                String::new()
            }
            Kind::Commit => {
                self.git(&["commit", "-q", "--allow-empty", "-m", "Work"], &[]);
                String::new()
            }
        }
    }

    /// Now and then what was changed so far is staged, to be changed again.
    fn staged_before(&mut self) {
        if self.rng.random_bool(0.2) {
            self.git(&["add", "-u"], &[]);
        }
    }

    fn change(&mut self, kind: Kind, file: &Path) {
        match kind {
            Kind::Mode => {
                if !file.is_symlink() {
                    let is = file.metadata().unwrap().permissions().mode() & 0o111 != 0;
                    let mode = if is { 0o644 } else { 0o755 };
                    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            Kind::Delete => fs::remove_file(file).unwrap(),
            Kind::Link => {
                fs::remove_file(file).unwrap();
                let to = ["a.txt", "no such file", "../..", "/dev/null"];
                symlink(to[self.rng.random_range(0..to.len())], file).unwrap();
            }
            Kind::DirectoryForFile => {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
                for n in 0..self.rng.random_range(1..3) {
                    fs::write(file.join(format!("{n}.txt")), self.bytes()).unwrap();
                }
            }
            _ => {
                let mut bytes = self.bytes();
                if self.rng.random_bool(0.5) && !file.is_symlink() {
                    bytes = [fs::read(file).unwrap(), bytes].concat();
                }
                if file.is_symlink() {
                    fs::remove_file(file).unwrap();
                }
                fs::write(file, bytes).unwrap();
            }
        }
    }

    fn create(&mut self, kind: Kind, path: &Path) -> String {
        match kind {
            Kind::EmptyDirectory => drop(fs::create_dir_all(path)),
            kind => {
                self.put(path);
                if kind == Kind::IntentToAdd && path.is_file() {
                    self.git(&["add", "-f", "-N", "--"], &[path]);
                } else {
                    return self.maybe_stage(path);
                }
            }
        }
        path.display().to_string()
    }

    /// Changes a tracked file in a way that only git can.
    fn tracked(&mut self, kind: Kind) -> String {
        let Some(file) = self.file() else {
            return "nothing".to_owned();
        };
        if kind == Kind::Uncache {
            self.try_git(&["rm", "-q", "--cached", "--"], &[&file]);
            return file.display().to_string();
        }
        let to = self.new_name();
        drop(fs::create_dir_all(to.parent().unwrap()));
        self.try_git(&["mv", "--"], &[&file, &to]);
        format!("{} to {}", file.display(), to.display())
    }

    /// Writes a file where none is, if one can be there.
    fn put(&mut self, path: &Path) {
        if fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.is_dir() {
            drop(fs::remove_file(path));
            fs::write(path, self.bytes()).unwrap();
        }
    }

    fn maybe_stage(&mut self, path: &Path) -> String {
        let stage = self.rng.random_bool(0.4);
        if stage {
            self.try_git(&["add", "-A", "--"], &[path]);
        }
        let how = if stage { ", staged" } else { "" };
        format!("{}{how}", path.display())
    }

    fn bytes(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..6) {
            0 => Vec::new(),
            1 => b"one\r\ntwo\n\r\n".to_vec(),
            2 => {
                let mut bytes = vec![0; self.rng.random_range(1..150_000)];
                self.rng.fill(&mut bytes[..]);
                bytes
            }
            3 => b"no newline at the end \t".to_vec(),
            _ => format!("line {}\n", self.rng.random_range(0..1000)).into_bytes(),
        }
    }

    /// Returns an existing file or link that is not in a nested repository.
    fn file(&mut self) -> Option<PathBuf> {
        let mut files = Vec::new();
        collect(self.dir, &mut files);
        files.sort();
        (!files.is_empty()).then(|| files.swap_remove(self.rng.random_range(0..files.len())))
    }

    fn new_name(&mut self) -> PathBuf {
        let dirs: [&[u8]; 6] = [
            b"",
            b"dir/",
            b"new/tree/",
            b"dir/sub/",
            b"\xfe\xff/",
            b"a b/",
        ];
        let names: [&[u8]; 7] = [
            b"n.txt",
            b"\xff\xfe",
            b"q\"'\\",
            b"l\nf",
            b"-rf",
            b" blank ",
            b":(top)x",
        ];
        let dir = dirs[self.rng.random_range(0..dirs.len())];
        let name = names[self.rng.random_range(0..names.len())];
        let number = self.rng.random_range(0..20).to_string();
        let name = [dir, name, number.as_bytes()].concat();
        self.dir.join(OsString::from_vec(name))
    }

    fn try_git(&self, args: &[&str], paths: &[&Path]) -> bool {
        let mut git = self.world.command("git");
        git.arg("--literal-pathspecs").args(args).args(paths);
        let output = git.current_dir(self.dir).output();
        output.unwrap().status.success()
    }

    #[track_caller]
    fn git(&self, args: &[&str], paths: &[&Path]) {
        assert!(self.try_git(args, paths), "git {args:?} {paths:?}");
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_dir = path.is_dir() && !path.is_symlink();
        if is_dir && !path.join(".git").exists() {
            collect(&path, files);
        } else if !is_dir && path.file_name() != Some(OsStr::new(".git")) {
            files.push(path);
        }
    }
}
