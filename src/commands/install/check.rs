//! Whether what was installed is found, and if not, the line that fixes it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::Result;

use super::place::{Place, Reader};
use super::shells::{self, Finding, alone, answer, ask};
use crate::git::Git;
use crate::system::program::{shell, which};
use crate::ui::{Ui, quoted, shown, word};

/// Looks for everything that keeps the installed files from being used, and says it.
///
/// # Errors
/// On interruption.
pub(super) fn check(ui: &Ui, installed: &[Place]) -> Result<()> {
    let path = |reader| {
        let mut places = installed.iter().filter(|place| place.reader == reader);
        places.next().map(|place| place.path.as_path())
    };
    let mut findings = Vec::from_iter(program());
    if findings.is_empty() {
        findings.extend(new_shells()?);
    }
    if let Some(page) = path(Reader::Man) {
        findings.extend(manual(page)?);
    }
    if let Some(file) = path(Reader::Bash).filter(|_| shells::is_used(Reader::Bash)) {
        findings.extend(shells::bash(file)?);
    }
    if let Some(file) = path(Reader::Zsh).filter(|_| shells::is_used(Reader::Zsh)) {
        findings.extend(shells::zsh(file.parent().unwrap_or(file))?);
    }
    if findings.is_empty() {
        ui.status(
            "'git help flux' shows the manual, and shells started from now on complete 'git flux'",
        );
    }
    for finding in findings {
        ui.warning(finding.problem);
        finding.fixes.iter().for_each(|fix| ui.hint(fix));
    }
    Ok(())
}

/// Whether this program is the git-flux that git finds.
fn program() -> Option<Finding> {
    // Where this cannot be told, nothing can be said against it.
    let own = env::current_exe().and_then(|own| own.canonicalize()).ok()?;
    let problem = match which(Path::new("git-flux")) {
        None => "'git-flux' is not on PATH, so that git does not know 'git flux'".to_owned(),
        Some(first) if first.canonicalize().ok()? == own => return None,
        Some(first) => format!(
            "'git flux' is another program: '{}' comes first on PATH",
            shown(&first)
        ),
    };
    Some(Finding::new(problem, prepend("PATH", own.parent()?)))
}

const ASK_SHELL: &str = r"
command -v git-flux >/dev/null && printf '\ngit-flux: found\n' || printf '\ngit-flux: none\n'
";

/// Whether shells of the user's that start from now on find git-flux: what this one was told of PATH, by
/// `export` for one, they may not be.
///
/// # Errors
/// On interruption.
fn new_shells() -> Result<Option<Finding>> {
    let login = shell();
    let (Some("bash" | "zsh" | "fish"), Some(path)) = (name_of(&login), env::var_os("PATH")) else {
        return Ok(None);
    };
    let has_it = |dir: &Path| dir.join("git-flux").exists();
    let others = env::split_paths(&path).filter(|dir| !has_it(dir));
    let (Ok(others), Some(first)) = (env::join_paths(others), which(Path::new("git-flux"))) else {
        return Ok(None);
    };
    // One that tmux starts is a login shell, one in a window of the desktop mostly not.
    for how in ["-lic", "-ic"] {
        let mut command = alone(&login);
        command.args([how, ASK_SHELL]).env("PATH", &others);
        if answer(&mut command)?.is_none_or(|answer| answer == "found") {
            return Ok(None);
        }
    }
    let problem = "shells started from now on do not find 'git-flux', nor does git there";
    let dir = first.parent().unwrap_or(&first);
    Ok(Some(Finding::new(problem, prepend("PATH", dir))))
}

/// Looks whether `git help flux` shows this page.
///
/// # Errors
/// On interruption.
fn manual(page: &Path) -> Result<Option<Finding>> {
    if which(Path::new("man")).is_none() {
        let problem = "'man' is not installed: 'git help flux' cannot show the manual";
        return Ok(Some(Finding::new(problem, "git flux help")));
    }
    let mut man = alone("man");
    man.args(["-w", "git-flux"])
        .env("MANPATH", manpath_of_git());
    let answer = ask(&mut man)?.unwrap_or_default();
    let found = answer.lines().last().map(Path::new);
    let problem = match found.filter(|found| found.is_file()) {
        Some(found) if found.canonicalize().ok() == page.canonicalize().ok() => return Ok(None),
        Some(other) => format!("man shows '{}' instead of '{}'", shown(other), shown(page)),
        None => format!("man does not look where '{}' is", shown(page)),
    };
    // Over `man1`.
    let dir = page.ancestors().nth(2).unwrap_or(page);
    Ok(Some(Finding::new(problem, prepend("MANPATH", dir))))
}

/// What git sets MANPATH to when it starts man: its own pages, then the old value. An empty end means the usual places.
fn manpath_of_git() -> OsString {
    // Without a git, man's own places are what can be looked at.
    let own = Git::reading(Path::new("/"), "--man-path").output();
    let own = String::from_utf8(own.unwrap_or_default()).unwrap_or_default();
    let mut manpath = OsString::from(own.trim_end());
    manpath.push(":");
    manpath.push(env::var_os("MANPATH").unwrap_or_default());
    manpath
}

/// Returns the command that puts a directory first in PATH or MANPATH, in shells started from then on.
fn prepend(variable: &str, dir: &Path) -> String {
    let dir = quoted(dir);
    let file = match name_of(&shell()) {
        Some("fish") if variable == "PATH" => return format!("fish_add_path {dir}"),
        Some("fish") => return format!("set -Ux {variable} {dir} ${variable} ''"),
        Some("bash") => "~/.bashrc",
        Some("zsh") => "~/.zshrc",
        _ => "~/.profile",
    };
    let line = word(&format!("export {variable}={dir}:\"${variable}\""));
    format!("echo {line} >>{file}")
}

fn name_of(shell: &OsStr) -> Option<&str> {
    Path::new(shell).file_name()?.to_str()
}
