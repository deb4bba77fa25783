//! Makes a new home directory with what cargo has installed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::world::limits::Small;
use crate::world::*;

/// A home directory in which there is nothing but what cargo has installed.
pub(crate) struct Home<'a> {
    pub(crate) world: &'a World,
    pub(crate) dir: PathBuf,
}

impl<'a> Home<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        // With a space in it, as the whole world has.
        Self::at(world, "new home")
    }

    /// Makes one with this name, which is part of what `assert_unchanged` compares.
    pub(crate) fn at(world: &'a World, name: &str) -> Self {
        let home = Self {
            world,
            dir: world.root().join(name),
        };
        let bin = home.dir.join(".cargo/bin");
        fs::create_dir_all(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_git-flux"), bin.join("git-flux")).unwrap();
        home
    }

    /// Returns the PATH of its user: cargo's programs and the machine's.
    pub(crate) fn path(&self) -> OsString {
        self.path_and(self.world.path_without(["git-flux", "claude"]))
    }

    /// Cargo's programs and these.
    pub(crate) fn path_and(&self, others: OsString) -> OsString {
        let mut path = self.dir.join(".cargo/bin").into_os_string();
        path.push(":");
        path.push(others);
        path
    }

    /// `git flux install <args>`, outside of any repository. The login shell is one of no interest.
    pub(crate) fn install<const N: usize>(&self, args: [&str; N]) -> Flux<'a> {
        self.world
            .flux([&["install"][..], &args].concat())
            .in_dir(self.world.root())
            .env("HOME", &self.dir)
            .env("PATH", self.path())
            .env_remove("GIT_CONFIG_GLOBAL")
    }

    /// Returns the relative paths of its files, without those of cargo.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.dir, &self.dir, &mut found);
        found.retain(|name| name != ".cargo/bin/git-flux");
        found.sort();
        found
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

/// Files, and directories with nothing in them (with a `/` at the end).
pub(crate) fn collect(root: &Path, dir: &Path, found: &mut Vec<String>) {
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let mut empty = true;
    for entry in fs::read_dir(dir).unwrap() {
        empty = false;
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            collect(root, &path, found);
        } else {
            found.push(name(&path));
        }
    }
    if empty {
        found.push(name(dir) + "/");
    }
}
