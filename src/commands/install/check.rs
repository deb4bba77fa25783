//! Whether what was installed is found, and if not, the line that fixes it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::Result;

use super::finding::{Finding, package, prepend};
use super::place::{Place, Reader};
use super::shells::{self, answer_of, ask};
use crate::git::Git;
use crate::system::program::{shell, which};
use crate::ui::{Ui, shown};

/// Looks for everything that keeps the installed files from being used, and says it.
///
/// # Errors
/// On interruption.
pub(super) fn check(ui: &Ui, installed: &[Place]) -> Result<()> {
    let path = |reader| {
        let mut places = installed.iter().filter(|place| place.reader == reader);
        places.next().map(|place| place.path.as_path())
    };
    let mut findings: Vec<Finding> = program().into_iter().collect();
    if findings.is_empty() {
        findings.extend(new_shells()?);
    }
    if let Some(page) = path(Reader::Man) {
        findings.extend(manual(page)?);
        findings.extend(format());
    }
    if let Some(file) = path(Reader::Bash).filter(|_| shells::is_used("bash")) {
        findings.extend(shells::bash(file)?);
    }
    if let Some(dir) = path(Reader::Zsh).and_then(Path::parent)
        && shells::is_used("zsh")
    {
        findings.extend(shells::zsh(dir)?);
    }
    if findings.is_empty() {
        ui.status(
            "'git help flux' shows the manual, and shells started from now on complete 'git flux'",
        );
    }
    for finding in findings {
        ui.warning(finding.problem);
        for line in finding.fixes {
            ui.hint(line);
        }
    }
    Ok(())
}

/// Whether this program is the git-flux that git finds.
fn program() -> Option<Finding> {
    // Where this cannot be told, nothing can be said against it.
    let own = env::current_exe().and_then(|own| own.canonicalize()).ok()?;
    let Some(first) = which(Path::new("git-flux")) else {
        let problem = "'git-flux' is not on PATH, so that git does not know 'git flux'";
        return Some(Finding::new(problem, [prepend("PATH", own.parent()?)]));
    };
    if first.canonicalize().ok()? == own {
        return None;
    }
    let first = shown(&first);
    let problem = format!("'git flux' is another program: '{first}' comes first on PATH");
    Some(Finding::new(problem, [prepend("PATH", own.parent()?)]))
}

/// Whether shells of the user's that start from now on find git-flux: what this one was told of PATH, by
/// `export` for one, they may not be.
///
/// # Errors
/// On interruption.
fn new_shells() -> Result<Option<Finding>> {
    const ASK: &str = r"command -v git-flux >/dev/null && printf '\ngit-flux: found\n' || printf '\ngit-flux: none\n'";
    let login = shell();
    let name = Path::new(&login).file_name().and_then(OsStr::to_str);
    let (Some("bash" | "zsh" | "fish"), Some(path)) = (name, env::var_os("PATH")) else {
        return Ok(None);
    };
    let others = env::split_paths(&path).filter(|dir| !dir.join("git-flux").exists());
    let (Ok(path), Ok(own)) = (env::join_paths(others), env::current_exe()) else {
        return Ok(None);
    };
    // One that tmux starts is a login shell, one in a window of the desktop mostly not.
    for how in ["-lic", "-ic"] {
        let args = [how, ASK].map(OsStr::new);
        let answer = answer_of(&login.to_string_lossy(), &args, &[("PATH", path.clone())])?;
        if answer.is_none_or(|answer| answer == "found") {
            return Ok(None);
        }
    }
    let first = which(Path::new("git-flux")).unwrap_or(own);
    let problem = "shells started from now on do not find 'git-flux', nor does git there";
    let dir = first.parent();
    Ok(dir.map(|dir| Finding::new(problem, [prepend("PATH", dir)])))
}

/// Looks whether `git help flux` shows this page.
fn manual(page: &Path) -> Result<Option<Finding>> {
    if which(Path::new("man")).is_none() {
        let problem = "'man' is not installed: 'git help flux' cannot show the manual";
        let fixes = package("man-db").into_iter();
        let fixes = fixes.chain(["git flux help".to_owned()]);
        return Ok(Some(Finding::new(problem, fixes)));
    }
    let args = ["-w", "git-flux"].map(OsStr::new);
    let answer = ask("man", &args, &[("MANPATH", manpath_of_git())])?;
    let found = answer.as_deref().and_then(|answer| answer.lines().last());
    let problem = match found.map(Path::new).filter(|found| found.is_file()) {
        Some(found) if is_same(found, page) => return Ok(None),
        Some(other) => format!("man shows '{}' instead of '{}'", shown(other), shown(page)),
        None => format!("man does not look where '{}' is", shown(page)),
    };
    // Over `man1`.
    let dir = page.ancestors().nth(2);
    let fix = dir.map(|dir| prepend("MANPATH", dir));
    Ok(Some(Finding::new(problem, fix)))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = one.canonicalize().ok();
    real.is_some() && real == other.canonicalize().ok()
}

/// Looks whether git asks man for it.
fn format() -> Option<Finding> {
    let asked = Git::reading(Path::new("/"), "config")
        .args(["--get", "help.format"])
        .output();
    // That there is no such key is as good as any other answer.
    let format = String::from_utf8(asked.ok()?).ok()?;
    let format = format.trim_end();
    let problem =
        format!("'git help flux' looks for a page in HTML, for 'help.format' is '{format}'");
    let is_html = matches!(format, "html" | "web");
    is_html.then(|| Finding::new(problem, ["git help --man flux".to_owned()]))
}

/// What git sets MANPATH to when it starts man: its own pages, then the old value. An empty end means the usual places.
fn manpath_of_git() -> OsString {
    let own = Git::reading(Path::new("/"), "--man-path").output();
    let mut manpath = match own.map(String::from_utf8) {
        Ok(Ok(own)) => OsString::from(own.trim_end()),
        // Without a git, man's own places are what can be looked at.
        _ => OsString::new(),
    };
    manpath.push(":");
    manpath.push(env::var_os("MANPATH").unwrap_or_default());
    manpath
}
