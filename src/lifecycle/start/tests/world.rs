//! A repository for the tests of a start, without tmux and without an agent.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::context::Flux;
use crate::git::{Git, Repo};
use crate::lifecycle::start::plan::{Origin, Start};
use crate::settings::Settings;
use crate::store::Store;
use crate::system::clock::this_second;
use crate::task::record::VERSION;
use crate::task::{BranchName, Phase, Rest, Task, TaskId};
use crate::ui::Ui;

/// A repository with one commit, and files that git does not track.
pub(in crate::lifecycle) struct World {
    dir: TempDir,
    pub(in crate::lifecycle) flux: Flux,
}

pub(in crate::lifecycle) fn git<const N: usize>(dir: &Path, args: [&str; N]) -> String {
    let [subcommand, args @ ..] = &args[..] else {
        panic!("a command of git");
    };
    let mut git = Git::new(dir).args(subcommand.split(' ')).args(args);
    for who in ["AUTHOR", "COMMITTER"] {
        git = git
            .env(&format!("GIT_{who}_NAME"), "A")
            .env(&format!("GIT_{who}_EMAIL"), "a@b");
    }
    String::from_utf8(git.output().unwrap()).unwrap()
}

impl World {
    pub(in crate::lifecycle) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap().join("repo");
        fs::create_dir(&home).unwrap();
        git(&home, ["init", "-q", "-b", "main"]);
        fs::write(home.join(".gitignore"), "env\n").unwrap();
        fs::write(home.join(".worktreeinclude"), "env\n").unwrap();
        fs::write(home.join("file"), "1\n").unwrap();
        git(&home, ["add", "."]);
        git(&home, ["commit", "-qm", "first"]);
        fs::write(home.join("env"), "SECRET=1\n").unwrap();
        let flux = Flux {
            repo: Repo::open_at(&home.join(".git")).unwrap(),
            settings: Settings::load(&home).unwrap(),
            ui: Ui { quiet: true },
        };
        Self { dir, flux }
    }

    pub(in crate::lifecycle) fn home(&self) -> &Path {
        self.flux.repo.home()
    }

    pub(in crate::lifecycle) fn task(&self) -> Task {
        let base = git(self.home(), ["rev-parse", "HEAD"]);
        Task {
            version: VERSION,
            id: id(),
            title: "fix it".to_owned(),
            phase: Phase::Starting,
            agent: "claude".to_owned(),
            agent_args: Vec::new(),
            branch: BranchName::new("feature/fix"),
            base: base.trim_end().to_owned().into(),
            into: Some(BranchName::new("main")),
            worktree: self.home().with_file_name("repo-fix"),
            directory: None,
            created: this_second(),
            port: None,
            target: None,
            removal: None,
            restored_from: None,
            existing: None,
            stash: None,
            landing: None,
            rest: Rest::default(),
        }
    }

    pub(in crate::lifecycle) fn start(&self, origin: Origin) -> Start {
        Start {
            task: self.task(),
            description: b"fix it".to_vec(),
            origin,
            pane: None,
        }
    }

    /// Refs, worktrees, configuration and files, without objects and logs.
    pub(in crate::lifecycle) fn facts(&self) -> Vec<String> {
        let home = self.home();
        let mut facts = vec![
            git(home, ["for-each-ref"]),
            git(home, ["worktree", "list", "--porcelain"]),
            git(home, ["config", "--local", "--list"]),
        ];
        let mut dirs = vec![self.dir.path().canonicalize().unwrap()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let is_ignored = ["objects", "logs", "lock"]
                    .iter()
                    .any(|name| path.ends_with(name));
                if is_ignored {
                    continue;
                }
                if path.is_dir() {
                    dirs.push(path.clone());
                }
                // git and git flux leave directories empty.
                if !(path.is_dir() && path.starts_with(self.flux.repo.common_dir())) {
                    facts.push(path.display().to_string());
                }
            }
        }
        facts.sort();
        facts
    }

    /// The record of the task, if it exists.
    pub(in crate::lifecycle) fn record(&self) -> Option<Task> {
        let store = Store::load(&self.flux.repo, &self.flux.settings).unwrap();
        let stored = store.tasks.into_iter().find(|stored| stored.id == id())?;
        Some(stored.task.unwrap())
    }
}

pub(in crate::lifecycle) fn id() -> TaskId {
    "fix".parse().unwrap()
}

pub(in crate::lifecycle) fn new() -> Origin {
    Origin::New {
        carried: None,
        upstream: None,
    }
}
