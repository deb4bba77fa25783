//! Tests plans in a temporary repository, without tmux and agents.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

mod called_command;
mod files;
mod merge;
mod plan;

use super::called_command::CalledCommand;
use super::check::{Check, Verdict};
use super::options::{
    Agreed, Asking, Branch, Conflicts, Edits, GateUse, Options, Question, Verify,
};
use super::plan::Plan;
use super::processes::TaskProcesses;
use crate::context::Flux;
use crate::failure::{self, CONFLICTS, USAGE};
use crate::git::{Git, Repo, Style};
use crate::settings::Settings;
use crate::store::{self, Store};
use crate::system::process::Process;
use crate::task::{BranchName, Task, TaskId};
use crate::ui::Ui;

/// A repository with a task that has one commit of its own.
struct Scene {
    _temp: TempDir,
    flux: Flux,
    repo: PathBuf,
    worktree: PathBuf,
    id: TaskId,
}

fn git(dir: &Path, args: &[&str]) -> String {
    let [subcommand, args @ ..] = args else {
        panic!("a command of git");
    };
    let mut git = Git::new(dir).args(subcommand.split(' ')).args(args);
    for who in ["AUTHOR", "COMMITTER"] {
        git = git
            .env(&format!("GIT_{who}_NAME"), "Test")
            .env(&format!("GIT_{who}_EMAIL"), "test@localhost");
    }
    git.line().unwrap()
}

fn commit(dir: &Path, file: &str, text: &str) {
    fs::write(dir.join(file), text).unwrap();
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message", file]);
}

impl Scene {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let repo = root.join("project");
        fs::create_dir(&repo).unwrap();
        git(&repo, &["init", "--quiet", "--initial-branch=main"]);
        commit(&repo, "README", "readme\n");
        let flux = Flux {
            repo: Repo::open_at(&repo.join(".git")).unwrap(),
            settings: Settings::load(&repo).unwrap(),
            ui: Ui::default(),
        };
        let (worktree, id) = add_task(&flux, &root, "fix");
        Self {
            _temp: temp,
            flux,
            repo,
            worktree,
            id,
        }
    }

    fn plan(&self, options: &Options) -> Plan {
        let store = Store::load(&self.flux.repo, &self.flux.settings).unwrap();
        let mut plan = Plan::make(&self.flux, &store, &self.id, options);
        plan.check_collisions(&self.flux);
        plan
    }

    /// Asserts the result of a check with each of these options.
    #[track_caller]
    fn assert(&self, name: &str, cases: &[(Options, &str, &str)]) {
        for (options, expected, why) in cases {
            assert_check(&self.plan(options), name, expected, why);
        }
    }
}

/// Creates a task with one commit.
fn add_task(flux: &Flux, root: &Path, name: &str) -> (PathBuf, TaskId) {
    let home = flux.repo.home();
    let worktree = root.join(name);
    let base = git(home, &["rev-parse", "main"]);
    let task = json!({
        "version": 1, "id": name, "title": "Fix", "phase": "active", "agent": "claude",
        "branch": format!("feature/{name}"), "base": base, "into": "main",
        "worktree": worktree, "created": 1, "target": null,
    });
    let task: Task = serde_json::from_value(task).unwrap();
    let lock = flux.try_lock_task(&task.id).unwrap().unwrap();
    store::create_task(&flux.repo, &task, b"Fix", &task.base, &lock).unwrap();
    let path = worktree.to_str().unwrap();
    git(home, &["worktree", "add", "--quiet", path, &task.branch]);
    commit(&worktree, "work", "work\n");
    (worktree, task.id)
}

/// Returns the default options on a terminal.
fn ask() -> Options {
    Options {
        uncommitted: Edits::Ask,
        branch: Branch::Merge {
            into: None,
            style: Style::Merge,
        },
        conflicts: Conflicts::Ask,
        given: Vec::new(),
        verify: Verify::All,
        gate: GateUse::Shown,
        command: CalledCommand::cleanup([]),
        asking: Asking::Everything,
        answers: Vec::new(),
    }
}

/// Returns the default options without a terminal.
fn never() -> Options {
    Options {
        asking: Asking::Nothing,
        ..ask()
    }
}

fn jointly() -> Options {
    Options {
        asking: Asking::Jointly,
        ..ask()
    }
}

fn yes() -> Options {
    Options {
        given: Question::BY_YES.to_vec(),
        ..never()
    }
}

fn commit_all() -> Options {
    Options {
        uncommitted: Edits::Commit(String::new()),
        ..never()
    }
}

fn discard() -> Options {
    Options {
        uncommitted: Edits::Discard,
        given: vec![Question::WorktreeGone],
        ..never()
    }
}

fn drop_branch() -> Options {
    Options {
        branch: Branch::Discard,
        ..never()
    }
}

fn merge(style: Style) -> Options {
    Options {
        branch: Branch::Merge { into: None, style },
        ..ask()
    }
}

fn into(name: &str) -> Options {
    Options {
        branch: Branch::Merge {
            into: Some(BranchName::new(name)),
            style: Style::Merge,
        },
        given: vec![Question::OtherBranch],
        ..never()
    }
}

fn conflicts(conflicts: Conflicts) -> Options {
    Options { conflicts, ..ask() }
}

fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok(_) => "ok",
        Verdict::Refused(_) => "refused",
        Verdict::NeedsConsent(consent) => match consent.agreed {
            Agreed::Yes => "agreed",
            Agreed::Ask => "asks",
            Agreed::No => "not agreed",
        },
    }
}

#[track_caller]
fn assert_check(plan: &Plan, name: &str, expected: &str, why: &str) {
    let checks = plan.checks.iter().filter(|check| check.name == name);
    let found: Vec<_> = checks
        .map(|check| (outcome(&check.verdict), check.reason()))
        .collect();
    let is_it = |(outcome, reason): &(&str, String)| *outcome == expected && reason.contains(why);
    assert!(found.iter().any(is_it), "{name} {expected}: {found:?}");
}
