//! Whether what was installed is found, and if not, the line that fixes it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

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
        return Some(Finding {
            problem: "'git-flux' is not on PATH, so that git does not know 'git flux'".into(),
            fixes: vec![prepend("PATH", own.parent()?)],
        });
    };
    (first.canonicalize().ok()? != own).then(|| Finding {
        problem: format!(
            "'git flux' is another program: '{}' comes first on PATH",
            shown(&first)
        ),
        fixes: own
            .parent()
            .map(|dir| prepend("PATH", dir))
            .into_iter()
            .collect(),
    })
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
    Ok(first.parent().map(|dir| Finding {
        problem: "shells started from now on do not find 'git-flux', nor does git there".into(),
        fixes: vec![prepend("PATH", dir)],
    }))
}

/// Whether `git help flux` shows this page.
fn manual(page: &Path) -> Result<Option<Finding>> {
    if which(Path::new("man")).is_none() {
        let mut fixes: Vec<String> = package("man-db").into_iter().collect();
        fixes.push("git flux help".into());
        return Ok(Some(Finding {
            problem: "'man' is not installed: 'git help flux' cannot show the manual".into(),
            fixes,
        }));
    }
    let args = ["-w", "git-flux"].map(OsStr::new);
    let answer = ask("man", &args, &[("MANPATH", manpath_of_git())])?;
    let found = answer.as_deref().and_then(|answer| answer.lines().last());
    let found = found.map(PathBuf::from).filter(|found| found.is_file());
    let problem = match found.map(|found| (found.canonicalize().ok(), found)) {
        Some((real, _)) if real.is_some() && real == page.canonicalize().ok() => return Ok(None),
        Some((_, other)) => format!("man shows '{}' instead of '{}'", shown(&other), shown(page)),
        None => format!("man does not look where '{}' is", shown(page)),
    };
    // Over `man1`.
    let dirs = page.ancestors().nth(2);
    Ok(Some(Finding {
        problem,
        fixes: dirs
            .map(|dir| prepend("MANPATH", dir))
            .into_iter()
            .collect(),
    }))
}

/// Whether git asks man for it.
fn format() -> Option<Finding> {
    let asked = Git::reading(Path::new("/"), "config")
        .args(["--get", "help.format"])
        .output();
    // That there is no such key is as good as any other answer.
    let format = String::from_utf8(asked.ok()?).ok()?;
    let format = format.trim_end();
    matches!(format, "html" | "web").then(|| Finding {
        problem: format!(
            "'git help flux' looks for a page in HTML, for 'help.format' is '{format}'"
        ),
        fixes: vec!["git help --man flux".into()],
    })
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
