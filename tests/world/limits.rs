//! Makes an old git, an old tmux and a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::*;

/// A git of this version: newer options are usage errors, as it says itself.
pub(crate) fn old_git(world: &World, version: &str) {
    let real = require("git");
    let script = format!(
        "#!/bin/sh
case \" $* \" in
*' version '* | *' --version '*) echo 'git version {version}'; exit 0 ;;
*' merge-tree '*--write-tree* | *' cat-file '*' -z '* | *' worktree list '*' -z '* | *' for-each-ref '*' -z '*)
	echo 'usage: git [<options>]' >&2; exit 129 ;;
esac
exec '{}' \"$@\"\n",
        real.display()
    );
    world.install("git", &script);
}

/// A tmux that says it is of this version, about itself and its server.
pub(crate) fn old_tmux(world: &World) {
    let real = require("tmux");
    let script = format!(
        "#!/bin/sh
case \" $* \" in
*' -V '*) echo 'tmux 2.9a'; exit 0 ;;
*' -p '*@*) echo 'unknown option -- p' >&2; exit 1 ;;
esac
for arg do
	shift
	case $arg in *'#{{version}}'*) arg=2.9a\"${{arg#'#{{version}}'}}\" ;; esac
	set -- \"$@\" \"$arg\"
done
exec '{}' \"$@\"\n",
        real.display()
    );
    world.install("tmux", &script);
}

/// A memory file system of this many kilobytes.
pub(crate) struct Small(PathBuf);

impl Small {
    /// `None` where this user may not mount.
    pub(crate) fn mount(dir: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "none"])
            .arg(dir)
            .output();
        mount
            .is_ok_and(|output| output.status.success())
            .then(|| Self(dir.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// A git that fails as on a full disk, in the calls with this word.
pub(crate) fn full_disk(world: &World, word: &str) {
    let real = require("git");
    let script = format!(
        "#!/bin/sh
case \" $* \" in *' {word} '*) echo 'fatal: cannot create file: No space left on device' >&2; exit 128 ;; esac
exec '{}' \"$@\"\n",
        real.display()
    );
    world.install("git", &script);
}
