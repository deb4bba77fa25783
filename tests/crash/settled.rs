//! Checks that a task is whole or gone after a fault, and that none of its work is missing.

use std::fs;
use std::path::{Path, PathBuf};

use super::matrix::ID;
use crate::world::*;

/// The state of the task after the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Gone,
}

/// The work that no fault may lose.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Commits of the task.
    pub(super) commits: Vec<String>,
    /// Files of its worktree, uncommitted or ignored.
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
    /// Blobs that only its index names.
    pub(super) staged: Vec<String>,
    /// Commits of the entries of its stash.
    pub(super) stash: Vec<String>,
    /// The commit of what the user has looked at.
    pub(super) seen: Option<String>,
    /// The user agreed to commit what is uncommitted, or to drop the branch.
    pub(super) may_commit: bool,
    pub(super) may_drop: bool,
    /// It is being restored: all of it is in one place.
    pub(super) restored: bool,
    /// Its commits are made anew: the target gets what they did to `agent.txt`, not them.
    pub(super) remade: bool,
    /// The user's own uncommitted changes in the main worktree.
    pub(super) own: String,
}

impl Kept {
    /// Returns the current files of the task's worktree and of the main worktree.
    pub(super) fn now(world: &World) -> Self {
        Self {
            own: own_changes(world),
            ..Self::default()
        }
    }

    /// Asserts that nothing is half made and nothing is missing, and says what has become of the task.
    #[track_caller]
    pub(super) fn assert_settled(&self, world: &World, context: &str) -> End {
        let mut wrong = Vec::new();
        let refs = world.git(["for-each-ref", "--format=%(refname)"]);
        let refs: Vec<&str> = refs.lines().collect();
        let record = format!("refs/flux/tasks/{ID}");
        let end = match refs.contains(&&*record) {
            true => End::Whole,
            false => End::Gone,
        };
        let worktrees = world.git(["worktree", "list", "--porcelain", "-z"]);
        match end {
            End::Whole => whole(world, &refs, &worktrees, self.restored, &mut wrong),
            End::Gone => gone(world, &refs, &worktrees, &mut wrong),
        }
        tidy(world, &refs, &worktrees, &mut wrong);
        self.missing(world, end, &mut wrong);
        self.unstashed(&refs, end, &mut wrong);
        if self.restored {
            self.torn(world, end, &refs, &mut wrong);
        }
        let wrong = wrong.join("\n");
        assert!(wrong.is_empty(), "{wrong}\n{context}");
        end
    }

    fn missing(&self, world: &World, end: End, wrong: &mut Vec<String>) {
        for commit in &self.commits {
            let format = "--format=%(refname)";
            let refs = world.git(["for-each-ref", "--contains", commit, format]);
            let merged = refs.lines().any(|name| name == "refs/heads/main");
            let branch = format!("refs/heads/feature/{ID}");
            let archived = |name: &str| name.starts_with("refs/flux/archive/");
            let kept = refs.lines().any(|name| name == branch || archived(name));
            let same = ["diff", "--quiet", commit, "main", "--", "agent.txt"];
            let merged = merged || self.remade && kept && world.try_git(same).is_ok();
            if !(merged || kept && (self.may_drop || end == End::Whole)) {
                wrong.push(format!("the commit {commit} is only in [{refs}]"));
            }
        }
        if let Some(seen) = &self.seen {
            let refs = world.git(["for-each-ref", "--points-at", seen, "--format=%(refname)"]);
            if refs.lines().count() != 1 {
                wrong.push(format!("what was seen is in [{refs}]"));
            }
        }
        let homes = homes(world);
        for (file, bytes) in self.files.iter().filter(|_| !self.restored) {
            let found = homes
                .iter()
                .any(|home| fs::read(home.join(file)).is_ok_and(|is| is == *bytes));
            let committed = || {
                ["main", &format!("feature/{ID}")].iter().any(|branch| {
                    let file = format!("{branch}:{file}");
                    let text = world.try_git(["show", &file]).unwrap_or_default();
                    text == String::from_utf8_lossy(bytes).trim_end()
                })
            };
            if !(found || self.may_commit && committed()) {
                wrong.push(format!("the file {file} is in none of {homes:?}"));
            }
        }
        for blob in self.staged.iter().filter(|_| !self.restored) {
            let mut indexes = indexes(world);
            if !indexes.any(|index| index.contains(blob)) {
                wrong.push(format!("the staged {blob} is in no index"));
            }
        }
        let own = own_changes(world);
        if own != self.own {
            let before = &self.own;
            wrong.push(format!(
                "the user's own changes were\n{before}\nand are\n{own}"
            ));
        }
    }
}

impl Kept {
    /// The entries of its stash are in that, or in the archive, and not in both.
    fn unstashed(&self, refs: &[&str], end: End, wrong: &mut Vec<String>) {
        let mut expected: Vec<String> = match end {
            End::Whole => {
                let pin = |commit: &String| format!("refs/flux/stashed/{ID}/{commit}");
                self.stash.iter().map(pin).collect()
            }
            End::Gone => {
                let part = |n| format!("refs/flux/archive/{ID}/stash/{n}");
                (0..self.stash.len()).map(part).collect()
            }
        };
        expected.sort();
        let is_entry =
            |name: &&&str| name.starts_with("refs/flux/stashed/") || name.contains("/stash/");
        let found: Vec<&str> = refs.iter().filter(is_entry).copied().collect();
        if found != expected {
            wrong.push(format!("it is {end:?}, with the stash entries {found:?}"));
        }
    }

    /// A task that is restored is whole with all its files, or as whole in the archive:
    /// in the trash under its name or, if nothing is there, in its snapshot.
    fn torn(&self, world: &World, end: End, refs: &[&str], wrong: &mut Vec<String>) {
        let kept = world.repo().join(".git/flux/trash").join(ID);
        let parts = ["tip", "base", "task", "snapshot"];
        let archive = parts.map(|part| format!("refs/flux/archive/{ID}/{part}"));
        let there = archive.iter().filter(|name| refs.contains(&name.as_str()));
        let expected = if end == End::Whole { 0 } else { parts.len() };
        if there.count() != expected || (end == End::Whole && kept.exists()) {
            wrong.push(format!("it is {end:?}, with {refs:?} and {kept:?}"));
        }
        let snapshot = end == End::Gone && !kept.join("worktree").exists();
        let home = match end {
            End::Whole => world.worktree(ID),
            End::Gone => kept.join("worktree"),
        };
        for (file, bytes) in &self.files {
            let text = |commit| {
                let object = format!("refs/flux/archive/{ID}/snapshot{commit}:{file}");
                world.try_git(["show", &object]).ok()
            };
            let found = match snapshot {
                true => text("").or_else(|| text("^3")).map(|text| text + "\n"),
                false => fs::read_to_string(home.join(file)).ok(),
            };
            if found.as_ref().map(String::as_bytes) != Some(bytes) {
                wrong.push(format!("it is {end:?}, and {file} is {found:?}"));
            }
        }
        let index = match (end, snapshot) {
            (End::Whole, _) => world.git_in(&home, ["ls-files", "-s"]),
            (_, true) => world.git(["ls-tree", "-r", &format!("{}^2", archive[3])]),
            (_, false) => index_of(world, &kept.join("index")),
        };
        for blob in self.staged.iter().filter(|blob| !index.contains(*blob)) {
            wrong.push(format!(
                "it is {end:?}, and {blob} is not staged in {index}"
            ));
        }
    }
}

/// Returns the status of the main worktree, which names the objects in its index.
pub(super) fn own_changes(world: &World) -> String {
    let status = [
        "--no-optional-locks",
        "status",
        "--porcelain=v2",
        "--untracked-files=all",
    ];
    world.git(status)
}

/// Returns the directories that can have files of the task: its worktree, or the trash.
fn homes(world: &World) -> Vec<PathBuf> {
    let mut homes = vec![world.worktree(ID)];
    homes.extend(trash(world).map(|dir| dir.join("worktree")));
    homes
}

fn trash(world: &World) -> impl Iterator<Item = PathBuf> + use<> {
    entries(&world.repo().join(".git/flux/trash"))
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path())
}

/// Returns the content of each index that can have staged work of the task.
fn indexes(world: &World) -> impl Iterator<Item = String> {
    let admin = world.repo().join(format!(".git/worktrees/myapp-{ID}"));
    let dirs = trash(world).chain([admin]);
    let files = dirs.map(|dir| dir.join("index")).filter(|f| f.exists());
    files.map(|file| index_of(world, &file))
}

fn index_of(world: &World, file: &Path) -> String {
    let mut git = world.command(require("git"));
    git.args(["ls-files", "-s"]).env("GIT_INDEX_FILE", file);
    let out = git.current_dir(world.repo()).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn worktree_entry<'a>(world: &World, worktrees: &'a str) -> Option<&'a str> {
    let path = format!("worktree {}", world.worktree(ID).display());
    let mut entries = worktrees.split_terminator("\0\0");
    entries.find(|entry| entry.split('\0').next() == Some(&path))
}

fn is_configured(world: &World) -> bool {
    let config = world.read(".git/config");
    let mut lines = config.lines();
    lines.any(|line| line == format!("[branch \"feature/{ID}\"]"))
        && lines.any(|line| line == format!("\tfluxTask = {ID}"))
}

/// Returns the panes that were made for the task.
fn panes(world: &World) -> Vec<String> {
    let format = "#{pane_id} #{session_name} #{pane_start_command}";
    let panes = world.try_tmux(["list-panes", "-a", "-F", format]);
    let panes = panes.unwrap_or_default();
    let launch = format!("/run/{ID}/launch");
    let ours = panes.lines().filter(|pane| pane.contains(&launch));
    ours.map(str::to_owned).collect()
}

fn whole(world: &World, refs: &[&str], worktrees: &str, restored: bool, wrong: &mut Vec<String>) {
    for name in [
        format!("refs/flux/base/{ID}"),
        format!("refs/heads/feature/{ID}"),
    ] {
        if !refs.contains(&&*name) {
            wrong.push(format!("the task is there, but not {name}"));
        }
    }
    // Its launcher unlocks it before it records the end of the agent.
    let exit = world.repo().join(".git/flux/run").join(ID).join("exit");
    let own = match exit.exists() {
        true => String::new(),
        false => format!("\0locked git flux: {ID}"),
    };
    let entry = worktree_entry(world, worktrees).map(|entry| entry.replacen(&own, "", 1));
    match entry {
        None => wrong.push("the task is there, but not its worktree's entry".into()),
        Some(entry) if !entry.contains(&format!("branch refs/heads/feature/{ID}")) => {
            wrong.push(format!("the worktree is not on its branch: {entry}"));
        }
        Some(entry) if entry.contains("\0locked") || entry.contains("\0prunable") => {
            wrong.push(format!("the worktree is not well: {entry}"));
        }
        Some(_) => {}
    }
    let dir = world.worktree(ID);
    if !dir.join(".git").exists() || !dir.join("README.md").exists() {
        wrong.push("the task is there, but not its files".into());
    }
    if !is_configured(world) {
        wrong.push("the task is there, but not its configuration".into());
    }
    let list = world.flux(["list", "--json"]).run();
    list.success();
    let tasks = list.json();
    let mut tasks = tasks.as_array().unwrap().iter();
    let task = tasks.find(|task| task["id"] == ID).expect("list shows it");
    let state = task["state"].as_str().unwrap_or_default();
    if !["running", "idle", "exited", "killed", "stopped", "lost"].contains(&state)
        || task["phase"] != "active"
    {
        wrong.push(format!("it is shown as {task}"));
    }
    if state == "running" && task["target"].is_null() {
        wrong.push(format!("nobody can attach to it: {task}"));
    }
    let agent = world.agent(ID);
    let panes = panes(world);
    if state == "lost" || panes.len() > 1 || (state == "running" && panes.is_empty()) {
        wrong.push(format!("it is {state}, with the panes {panes:?}"));
    }
    let told = agent.prompt();
    let goes_on = restored && told == b"--continue";
    if !goes_on && !String::from_utf8_lossy(&told).contains("Fix the login") {
        wrong.push("the agent was not given the task".into());
    }
}

fn gone(world: &World, refs: &[&str], worktrees: &str, wrong: &mut Vec<String>) {
    for name in refs {
        if name.contains(ID) && !name.starts_with("refs/flux/archive/") {
            wrong.push(format!("the task is gone, but not {name}"));
        }
    }
    if let Some(entry) = worktree_entry(world, worktrees) {
        wrong.push(format!("the task is gone, but not {entry}"));
    }
    let repo = world.repo();
    for left in [
        world.worktree(ID),
        repo.join(".git/flux/run").join(ID),
        repo.join(format!(".git/worktrees/myapp-{ID}")),
    ] {
        if left.symlink_metadata().is_ok() {
            let inside: Vec<PathBuf> = entries(&left).collect();
            wrong.push(format!(
                "the task is gone, but not {} with {inside:?}",
                left.display()
            ));
        }
    }
    if world.read(".git/config").contains(ID) {
        wrong.push("the task is gone, but not its configuration".into());
    }
    let agent = world.agent(ID);
    if agent.starts() > 0 && agent.is_alive() {
        wrong.push("the task is gone, but not its agent".into());
    }
    // A launcher whose task was taken back leaves by itself.
    wait_until("the pane of the task that is gone to close", || {
        panes(world).is_empty()
    });
}

/// Adds to `wrong` what must not be left in any state of the task.
fn tidy(world: &World, refs: &[&str], worktrees: &str, wrong: &mut Vec<String>) {
    let dir = world.repo().join(".git");
    for name in refs {
        let lock = dir.join(format!("{name}.lock"));
        if lock.exists() {
            wrong.push(format!("a lock is left: {}", lock.display()));
        }
    }
    let mut dirs = vec![dir.clone()];
    dirs.extend(entries(&dir.join("worktrees")));
    for dir in dirs {
        for name in [
            "index.lock",
            "HEAD.lock",
            "config.lock",
            "packed-refs.lock",
            "MERGE_HEAD",
        ] {
            if dir.join(name).exists() {
                wrong.push(format!("{name} is left in {}", dir.display()));
            }
        }
    }
    for line in worktrees.split('\0').filter(|line| line.contains("/.git/")) {
        wrong.push(format!("a worktree of ours is left: {line}"));
    }
    for dir in trash(world) {
        if !dir.join("worktree").exists() {
            wrong.push(format!("nothing is in {}", dir.display()));
        }
    }
}
