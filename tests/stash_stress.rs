//! Tests that no file is lost while ten agents and the user commit, rebase and stash in worktrees of one
//! repository. `FLUX_STRESS_SECONDS`, `FLUX_STRESS_SEED`, `FLUX_STRESS_AGENTS` and, to see what plain git
//! does, `FLUX_STRESS_GIT=plain` change it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::world::*;

/// A line that is the content of a file: `<<task-1-17>>`.
type Content = String;

/// What all participants share: the directory of their records.
struct Stress {
    world: World,
    root: PathBuf,
}

/// Where the contents of a participant were found.
struct Found {
    /// In this order, each without what is in those before it; first the number of all.
    counts: Vec<(&'static str, usize)>,
    lost: BTreeSet<Content>,
}

impl Stress {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let root = world.tools().join("stress");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("seed"), format!("{seed}\n")).unwrap();
        if env::var("FLUX_STRESS_GIT").is_ok_and(|git| git == "plain") {
            fs::write(root.join("plain"), "").unwrap();
        }
        for n in 0..10 {
            world.write(format!("shared-{n}"), "base\n");
        }
        world.git(["add", "-A"]);
        world.git(["commit", "-q", "-m", "Shared files"]);
        let quoted = |path: &Path| format!("'{}'", path.display());
        let script = include_str!("stash_stress/participant.sh")
            .replace("@ROOT@", &quoted(&root))
            .replace("@GIT@", &quoted(&require("git")));
        world.install("claude", &script);
        Self { world, root }
    }

    /// Starts the tasks and the user's steps, and ends all of them after a time.
    fn run(&self, agents: u64, seconds: u64) -> Vec<String> {
        let ids: Vec<String> = (1..=agents).map(|n| format!("task-{n}")).collect();
        for id in &ids {
            let run = ["run", "-q", "--name", id, "Work"];
            self.world.flux(run).run().success();
        }
        let mut user = self.start_user();
        let mut timer = self.world.command("sleep");
        timer.arg(seconds.to_string()).status().unwrap();
        fs::write(self.root.join("stop"), "").unwrap();
        assert!(user.wait().unwrap().success());
        let names = ids.iter().map(String::as_str).chain(["user"]);
        let names: Vec<String> = names.map(str::to_owned).collect();
        for name in &names {
            let done = self.root.join(name).join("done");
            wait_until(&format!("'{name}' to end"), || done.exists());
        }
        for id in &ids {
            self.world.wait_ended(id);
        }
        names
    }

    fn start_user(&self) -> Child {
        let mut user = self.world.command(self.world.tools().join("bin/claude"));
        user.current_dir(self.world.repo()).stdin(Stdio::null());
        user.spawn().unwrap()
    }

    fn lines(&self, name: &str, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.root.join(name).join(file));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Returns the contents in the objects that `git rev-list --objects <args>` names.
    fn contents_of(&self, args: &[String]) -> BTreeSet<Content> {
        if args.is_empty() {
            return BTreeSet::new();
        }
        let script = "git rev-list --objects \"$@\" | cut -d ' ' -f 1 | git cat-file --batch";
        let mut shell = self.world.command("sh");
        shell
            .current_dir(self.world.repo())
            .args(["-c", script, "sh"]);
        let output = shell.args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        contents(&output.stdout)
    }

    /// Returns the names of refs with one of these prefixes.
    fn refs(&self, prefixes: &[&str]) -> Vec<String> {
        let list = ["for-each-ref", "--format=%(refname)"];
        let refs = self.world.git(list.iter().chain(prefixes));
        refs.lines().map(str::to_owned).collect()
    }

    /// Returns the commits of stash entries, without what they are based on.
    fn parts(&self, entries: &[String]) -> Vec<String> {
        let mut parts = Vec::new();
        for entry in entries {
            let parents = self.world.git(["rev-list", "--parents", "-1", entry]);
            let commits = parents.split(' ').map(str::to_owned);
            parts.extend(
                commits
                    .enumerate()
                    .filter(|(at, _)| *at != 1)
                    .map(|(_, c)| c),
            );
        }
        if !parts.is_empty() {
            parts.insert(0, "--no-walk".to_owned());
        }
        parts
    }

    fn find(&self, name: &str) -> Found {
        let home = match name {
            "user" => "refs/heads/main".to_owned(),
            id => format!("refs/heads/feature/{id}"),
        };
        let branches = self.refs(&[&home, &format!("refs/heads/side/{name}-*")]);
        let worktree = &self.lines(name, "worktree")[0];
        let stash = self.parts(&self.lines(name, "stash"));
        let archive = self.refs(&[&format!("refs/flux/archive/{name}")]);
        let places = [
            ("in commits of its branches", self.contents_of(&branches)),
            ("in its worktree", contents_below(Path::new(worktree))),
            ("in a stash entry that it sees", self.contents_of(&stash)),
            ("in the archive", self.contents_of(&archive)),
            (
                "nowhere, and deleted on purpose",
                self.lines(name, "deleted").into_iter().collect(),
            ),
        ];
        let mut lost: BTreeSet<Content> = self.lines(name, "written").into_iter().collect();
        let mut counts = vec![("written", lost.len())];
        for (place, contents) in places {
            let before = lost.len();
            lost.retain(|content| !contents.contains(content));
            counts.push((place, before - lost.len()));
        }
        Found { counts, lost }
    }
}

/// Returns the contents in `bytes`.
fn contents(bytes: &[u8]) -> BTreeSet<Content> {
    let text = String::from_utf8_lossy(bytes);
    let ends = text.split("<<").skip(1);
    let names = ends.filter_map(|end| Some(end.split_once(">>")?.0));
    names.map(|name| format!("<<{name}>>")).collect()
}

/// Returns the contents of the files in a worktree.
fn contents_below(worktree: &Path) -> BTreeSet<Content> {
    let files = fs::read_dir(worktree)
        .unwrap()
        .map(|file| file.unwrap().path());
    let files = files.filter(|file| file.is_file());
    files
        .flat_map(|file| contents(&fs::read(file).unwrap()))
        .collect()
}

/// Counts the steps of each kind and result.
fn count_steps(stress: &Stress, names: &[String]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for step in names.iter().flat_map(|name| stress.lines(name, "steps")) {
        *counts.entry(step).or_default() += 1;
    }
    let mut text = String::new();
    for (step, count) in counts {
        writeln!(text, "{count:>8}  {step}").unwrap();
    }
    text
}

/// Prints the figures, and returns what is lost.
fn report(stress: &Stress, names: &[String]) -> String {
    println!("{}", count_steps(stress, names));
    let pins = ["refs/flux/stash/", "refs/flux/stashed/"];
    let pins = stress.contents_of(&stress.refs(&pins));
    let mut figures: Vec<(&str, usize)> = Vec::new();
    let mut lost = String::new();
    for name in names {
        let found = stress.find(name);
        for (what, count) in found.counts {
            match figures.iter_mut().find(|(known, _)| *known == what) {
                Some((_, sum)) => *sum += count,
                None => figures.push((what, count)),
            }
        }
        for content in found.lost {
            let pinned = match pins.contains(&content) {
                true => "only in a pin",
                false => "nowhere",
            };
            writeln!(lost, "{content} is {pinned}").unwrap();
        }
    }
    for (what, count) in figures {
        println!("{count:>8}  {what}");
    }
    println!("{:>8}  lost", lost.lines().count());
    lost
}

#[test]
#[ignore = "takes minutes: .ci/long stash_stress"]
fn run_loses_no_file_while_ten_agents_and_the_user_stash() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().unwrap());
    let seconds = number("FLUX_STRESS_SECONDS").unwrap_or(300);
    let seed = number("FLUX_STRESS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let agents = number("FLUX_STRESS_AGENTS").unwrap_or(10);
    println!("seed {seed}, {agents} agents and the user, {seconds} seconds");
    let stress = Stress::new(seed);
    let names = stress.run(agents, seconds);
    let lost = report(&stress, &names);
    assert!(lost.is_empty(), "seed {seed}:\n{lost}");
}
