//! The checks after an installation, with a line that fixes each problem.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::Result;

use super::install_file::{InstallFile, Reader};
use super::shells::{self, Finding, ask_shell, detached, run_with_timeout};
use crate::git::Git;
use crate::system::program::{user_shell, which};
use crate::ui::{Ui, quoted, shown, word};

/// Checks that new shells find the program, and git, man, bash and zsh the installed files; prints
/// a warning with a fix for each problem. Does not check completion in fish, or in a shell that the
/// user does not seem to use.
pub(super) fn check(ui: &Ui, installed: &[InstallFile]) -> Result<()> {
    let path = |reader| {
        let mut files = installed.iter().filter(|file| file.reader == reader);
        files.next().map(|file| file.path.as_path())
    };
    let mut findings = Vec::from_iter(check_program());
    if findings.is_empty() {
        findings.extend(check_new_shells()?);
    }
    if let Some(page) = path(Reader::Man) {
        findings.extend(check_manual(page)?);
    }
    if let Some(file) = path(Reader::Bash).filter(|_| shells::is_used(Reader::Bash)) {
        findings.extend(shells::check_bash(file)?);
    }
    if let Some(file) = path(Reader::Zsh).filter(|_| shells::is_used(Reader::Zsh)) {
        findings.extend(shells::check_zsh(file.parent().unwrap_or(file))?);
    }
    if findings.is_empty() {
        ui.status("'git help flux' shows the manual; new shells complete 'git flux'");
    }
    for finding in findings {
        ui.warning(finding.problem);
        finding.fixes.iter().for_each(|fix| ui.hint(fix));
    }
    Ok(())
}

/// Returns the problem, if git does not find this program as `git-flux` on PATH; `None` if it does,
/// or if that is unknown.
fn check_program() -> Option<Finding> {
    let own = env::current_exe().and_then(|own| own.canonicalize()).ok()?;
    let problem = match which(Path::new("git-flux")) {
        None => "'git-flux' is not on PATH, so git cannot find it".to_owned(),
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

/// Returns the problem if neither login nor other interactive shells of the user find `git-flux`
/// without the directories of the current PATH that have it. `None` also for a shell other than
/// bash, zsh and fish, and without an answer.
fn check_new_shells() -> Result<Option<Finding>> {
    let login = user_shell();
    let (Some("bash" | "zsh" | "fish"), Some(path)) = (file_name(&login), env::var_os("PATH"))
    else {
        return Ok(None);
    };
    let has_it = |dir: &Path| dir.join("git-flux").exists();
    let others = env::split_paths(&path).filter(|dir| !has_it(dir));
    let (Ok(others), Some(first)) = (env::join_paths(others), which(Path::new("git-flux"))) else {
        return Ok(None);
    };
    // tmux starts login shells, desktop terminals mostly not.
    for options in ["-lic", "-ic"] {
        let mut command = detached(&login);
        command.args([options, ASK_SHELL]).env("PATH", &others);
        if ask_shell(&mut command)?.is_none_or(|answer| answer == "found") {
            return Ok(None);
        }
    }
    let problem = "new shells do not find 'git-flux'";
    let dir = first.parent().unwrap_or(&first);
    Ok(Some(Finding::new(problem, prepend("PATH", dir))))
}

/// Returns the problem, if man is not installed, or if `git help flux` would not show the manual at
/// `page`; `None` if it would.
fn check_manual(page: &Path) -> Result<Option<Finding>> {
    if which(Path::new("man")).is_none() {
        let problem = "'man' is not installed: 'git help flux' cannot show the manual";
        return Ok(Some(Finding::new(problem, "git flux help")));
    }
    let mut man = detached("man");
    man.args(["-w", "git-flux"])
        .env("MANPATH", manpath_of_git());
    let answer = run_with_timeout(&mut man)?.unwrap_or_default();
    let found = answer.lines().last().map(Path::new);
    let problem = match found.filter(|found| found.is_file()) {
        Some(found) if found.canonicalize().ok() == page.canonicalize().ok() => return Ok(None),
        Some(other) => format!("man shows '{}' instead of '{}'", shown(other), shown(page)),
        None => format!("man does not find '{}'", shown(page)),
    };
    // The directory that contains `man1`.
    let dir = page.ancestors().nth(2).unwrap_or(page);
    Ok(Some(Finding::new(problem, prepend("MANPATH", dir))))
}

/// Returns the MANPATH that git sets for man: `git --man-path`, a colon and the old value. An empty
/// old value means man's default.
fn manpath_of_git() -> OsString {
    // Without git, use the default of man.
    let own = Git::reading(Path::new("/")).words("--man-path").output();
    let own = String::from_utf8(own.unwrap_or_default()).unwrap_or_default();
    let mut manpath = OsString::from(own.trim_end());
    manpath.push(":");
    manpath.push(env::var_os("MANPATH").unwrap_or_default());
    manpath
}

/// Returns the command that puts a directory first in `PATH` or `MANPATH` of new shells, in the
/// file that the user's login shell reads.
fn prepend(variable: &str, dir: &Path) -> String {
    let dir = quoted(dir);
    let file = match file_name(&user_shell()) {
        Some("fish") if variable == "PATH" => return format!("fish_add_path {dir}"),
        Some("fish") => return format!("set -Ux {variable} {dir} ${variable} ''"),
        Some("bash") => "~/.bashrc",
        Some("zsh") => "~/.zshrc",
        _ => "~/.profile",
    };
    let line = word(&format!("export {variable}={dir}:\"${variable}\""));
    format!("echo {line} >>{file}")
}

fn file_name(shell: &OsStr) -> Option<&str> {
    Path::new(shell).file_name()?.to_str()
}
