//! Runs a whole cycle of a task in one repository, from its start to the merge.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::removal::{assert_removed_from, end_agent_in};
use crate::world::*;

/// A cycle of a task in one repository.
pub(crate) struct Cycle<'a> {
    pub(crate) world: &'a World,
    /// Where the commands are run.
    pub(crate) dir: PathBuf,
    /// The main worktree, or the bare repository itself.
    pub(crate) home: PathBuf,
    /// The branch the task starts from and goes back to.
    pub(crate) branch: &'a str,
    /// The worktree that has it checked out.
    pub(crate) checkout: Option<PathBuf>,
}

impl<'a> Cycle<'a> {
    /// In the main worktree of an ordinary repository on `main`.
    pub(crate) fn at(world: &'a World, dir: &Path) -> Self {
        Self {
            world,
            dir: dir.to_owned(),
            home: dir.to_owned(),
            branch: "main",
            checkout: Some(dir.to_owned()),
        }
    }

    /// In the default repository.
    pub(crate) fn of(world: &'a World) -> Self {
        Self::at(world, &world.repo())
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.world.git_in(&self.home, args)
    }

    /// Returns what must be the same before and after: every ref but the target's and the archive's, and every
    /// worktree.
    pub(crate) fn rest(&self) -> Vec<String> {
        let target = format!("refs/heads/{}", self.branch);
        let refs = self.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
        let mut lines: Vec<String> = refs
            .lines()
            .filter(|line| !line.starts_with(&target) && !line.starts_with("refs/flux/archive/"))
            .map(str::to_owned)
            .collect();
        let entries = self.git(&["worktree", "list", "--porcelain"]);
        lines.extend(
            entries
                .lines()
                .filter(|line| !line.starts_with("HEAD "))
                .map(str::to_owned),
        );
        lines.push(self.git(&["config", "--local", "--list"]));
        if let Some(checkout) = &self.checkout {
            lines.push(self.world.git_in(checkout, ["status", "--porcelain"]));
        }
        lines
    }

    pub(crate) fn flux(&self, args: &[&str]) -> Output {
        let output = self.world.flux(args).in_dir(&self.dir).run();
        output.has_not("panicked");
        output
    }

    /// run → the agent commits → list → status → diff → cleanup. Returns where the agent worked.
    #[track_caller]
    pub(crate) fn run(&self) -> PathBuf {
        self.run_with(|_| {})
    }

    /// Runs the same cycle as `run`; `look` gets the worktree before the agent has done anything.
    #[track_caller]
    pub(crate) fn run_with(&self, look: impl FnOnce(&Path)) -> PathBuf {
        let world = self.world;
        let before = self.rest();
        world.behaviour("raw");
        let started = self.flux(&["run", "-q", "Fix login"]);
        started.success();
        let id = started.stdout.trim_end();
        let agent = world.agent(id);
        // The agent is where the command was called.
        let below = self.below();
        let cwd = agent.cwd();
        let worktree = cwd.ancestors().nth(below.components().count()).unwrap();
        let worktree = worktree.to_owned();
        assert_eq!(
            cwd,
            below
                .components()
                .fold(worktree.clone(), |dir, part| dir.join(part))
        );
        let file = below.join("agent.txt");
        let file = file.to_str().unwrap();
        // Nothing is different there, and everything is there.
        assert_eq!(world.git_in(&worktree, ["status", "--porcelain"]), "");
        look(&worktree);
        agent.tell("commit one");

        let list = self.flux(&["list", "--json"]);
        let list = list.success().json();
        let tasks: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .filter(|task| task["id"] == id)
            .collect();
        assert_eq!(tasks.len(), 1, "{list:#}");
        let task = tasks[0];
        assert_eq!(task["state"], "running");
        assert_eq!((&task["ahead"], &task["behind"]), (&1.into(), &0.into()));
        assert_eq!(task["into"], self.branch);
        assert_eq!(task["worktree"], worktree.to_string_lossy().as_ref());
        for kind in ["staged", "unstaged", "untracked", "conflicted"] {
            assert_eq!(task["changes"][kind], 0, "{kind}");
        }
        self.flux(&["status", id])
            .success()
            .stdout_has("fake agent ready");
        self.flux(&["diff", id]).success().stdout_has("+one");

        let target = format!("refs/heads/{}", self.branch);
        let (old, tip) = (
            self.commit(&target),
            self.commit(&format!("refs/heads/feature/{id}")),
        );
        end_agent_in(world, &self.home, id);
        self.flux(&["cleanup", id, "--into", self.branch]).success();
        let parents = self.git(&["log", "-1", "--format=%P", &target]);
        assert_eq!(parents, format!("{old} {tip}"));
        assert_eq!(self.git(&["show", &format!("{target}:{file}")]), "one");
        // Nothing else has changed by the merge.
        let changed = self.git(&["diff", "--name-only", &old, &target]);
        assert_eq!(changed, file);
        if let Some(checkout) = &self.checkout {
            assert_eq!(world.read(checkout.join(file)), "one\n");
        }
        assert_eq!(self.rest(), before);
        assert!(!worktree.exists());
        assert_removed_from(world, &self.home, id);
        worktree
    }

    /// Returns the directory in which commands are run, relative to the worktree.
    pub(crate) fn below(&self) -> PathBuf {
        let checkout = self.checkout.as_deref();
        let below = checkout.and_then(|top| self.dir.strip_prefix(top).ok());
        below.unwrap_or(Path::new("")).to_owned()
    }

    #[track_caller]
    pub(crate) fn commit(&self, rev: &str) -> String {
        self.git(&["rev-parse", "--verify", rev])
    }
}
