//! What keeps the installed files from being used, and the commands that fix it.

use std::ffi::OsStr;
use std::path::Path;

use nix::unistd::Uid;

use crate::system::program::{shell, which};
use crate::ui::{quoted, word};

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) problem: String,
    /// Commands to paste.
    pub(super) fixes: Vec<String>,
}

impl Finding {
    pub(super) fn new(problem: impl Into<String>, fixes: impl IntoIterator<Item = String>) -> Self {
        Self {
            problem: problem.into(),
            fixes: fixes.into_iter().collect(),
        }
    }
}

/// Returns the command that puts a directory first in PATH or MANPATH, in shells started from then on.
pub(super) fn prepend(variable: &str, dir: &Path) -> String {
    let dir = quoted(dir);
    let shell = shell();
    let file = match Path::new(&shell).file_name().and_then(OsStr::to_str) {
        Some("fish") if variable == "PATH" => return format!("fish_add_path {dir}"),
        Some("fish") => return format!("set -Ux {variable} {dir} ${variable} ''"),
        Some("bash") => "~/.bashrc",
        Some("zsh") => "~/.zshrc",
        _ => "~/.profile",
    };
    let line = word(&format!("export {variable}={dir}:\"${variable}\""));
    format!("echo {line} >>{file}")
}

/// Returns the command that installs a package, if a package manager is found.
pub(super) fn package(name: &str) -> Option<String> {
    let managers = [
        ("apt-get", "apt-get install"),
        ("dnf", "dnf install"),
        ("pacman", "pacman -S"),
        ("zypper", "zypper install"),
        ("apk", "apk add"),
        ("brew", "brew install"),
    ];
    let is_there = |(manager, _): &(&str, _)| which(Path::new(manager)).is_some();
    let (manager, install) = managers.into_iter().find(is_there)?;
    let needs_no_sudo = manager == "brew" || Uid::effective().is_root();
    let sudo = if needs_no_sudo { "" } else { "sudo " };
    let name = match (manager, name) {
        // The other one is for bash 3, which comes with macOS.
        ("brew", "bash-completion") => "bash-completion@2",
        _ => name,
    };
    Some(format!("{sudo}{install} {name}"))
}
