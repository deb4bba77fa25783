//! Tests with random edits that a cleanup and a restore bring a worktree back byte for byte. Each case starts from the
//! same commit, and its seed repeats it: `RESTORE_SEED=<seed> cargo test --test integration restore_property`. The seed
//! `new` tries new cases, and `RESTORE_CASES=<cases>` more of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::restore_edits::*;
use crate::world::archive::*;
use crate::world::cases::repetitions;
use crate::world::removal::*;
use crate::world::*;

/// How many cases each of the tests tries, side by side with the others; `.ci/long` tries twice as many.
const CASES: usize = 40;

/// The files that every case starts from.
const FILES: [&[u8]; 12] = [
    b"a.txt",
    b"b.txt",
    b"dir/c.txt",
    b"dir/sub/d.txt",
    b"dir/sub/deep/e.txt",
    b"empty",
    b"crlf.txt",
    b"run.sh",
    b"big.bin",
    b"sp ace/it's \"quoted\".txt",
    b"caf\xe9.txt",
    b"\xc3\xbc/n\nl.txt",
];

/// Commits them in the main worktree.
fn seed_files(world: &World) {
    for name in FILES {
        let bytes: Vec<u8> = match name {
            b"empty" => Vec::new(),
            b"crlf.txt" => b"one\r\ntwo\r\nthree\r\n".to_vec(),
            b"big.bin" => (0..50_000_u32)
                .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
                .collect(),
            name => [name, b" says\none\ntwo\nthree\nfour\n"].concat(),
        };
        world.write(OsStr::from_bytes(name), bytes);
    }
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(world.repo().join("run.sh"), executable).unwrap();
    symlink("dir/c.txt", world.repo().join("link")).unwrap();
    world.write(".gitignore", "*.log\n.env\nbuild/\n");
    world.write(".gitattributes", "crlf.txt -text\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Files of every kind"]);
}

/// The option of the cleanup, and the part of the worktree that the restore has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    args: &'static [&'static str],
    trash: bool,
}

const CHOICES: [Choice; 5] = [
    Choice {
        args: &["--discard"],
        trash: true,
    },
    Choice {
        args: &["--discard", "--discard-branch"],
        trash: true,
    },
    Choice {
        args: &["--discard"],
        trash: false,
    },
    Choice {
        args: &["--discard", "--discard-branch"],
        trash: false,
    },
    Choice {
        args: &["--commit"],
        trash: true,
    },
];

impl Choice {
    fn commits(self) -> bool {
        self.args == ["--commit"]
    }

    /// Returns whether this kind of edit is kept by the snapshot, or by the commit.
    fn allows(self, kind: Kind) -> bool {
        match kind {
            Kind::IntentToAdd => self.trash,
            Kind::Gitlink => self.trash && !self.commits(),
            Kind::Nested => !self.commits(),
            _ => true,
        }
    }
}

/// Prints on a panic how to repeat the case.
struct Case<'a> {
    seed: u64,
    choice: Choice,
    log: &'a [String],
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, choice, log } = self;
            eprintln!("RESTORE_SEED={seed}, {choice:?}, after\n{}", log.join("\n"));
        }
    }
}

/// A world with one task, whose agent ends at once, and the commit everything starts from.
struct Bench {
    world: World,
    worktree: PathBuf,
    start: String,
}

impl Bench {
    fn new() -> Self {
        let world = World::new();
        let config = world.tools().join("gitconfig");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text + "[core]\n\tfsync = none\n").unwrap();
        seed_files(&world);
        world.git(["config", "flux.quick.command", "true"]);
        let run = ["run", "-q", "--agent", "quick", "--name", "fix", "Fix it"];
        world.flux(run).ok();
        world.wait_ended("fix");
        Self {
            start: commit(&world, "main"),
            worktree: world.worktree("fix"),
            world,
        }
    }

    fn git(&self, args: &[&str]) -> String {
        self.world.git_in(&self.worktree, args)
    }

    fn names(&self, args: &[&str]) -> BTreeSet<PathBuf> {
        let mut git = self.world.command("git");
        let out = git.args(args).current_dir(&self.worktree).output().unwrap();
        assert!(out.status.success(), "{args:?}: {out:?}");
        let names = out.stdout.split(|&b| b == 0);
        names
            .filter(|name| !name.is_empty() && !name.ends_with(b"/"))
            .map(|name| PathBuf::from(OsStr::from_bytes(name)))
            .collect()
    }

    /// Returns the files that a snapshot keeps.
    fn known(&self) -> BTreeSet<PathBuf> {
        let mut known = self.names(&["ls-files", "-z"]);
        known.extend(self.names(&["ls-files", "-z", "--others", "--exclude-standard"]));
        known
    }

    fn case(&self, seed: u64) {
        let world = &self.world;
        self.git(&["reset", "-q", "--hard", &self.start]);
        self.git(&["clean", "-ffdxq"]);
        world.git(["reset", "-q", "--hard", &self.start]);
        let mut rng = StdRng::seed_from_u64(seed);
        let choice = CHOICES[rng.random_range(0..CHOICES.len())];
        let mut edits = Edits::new(world, &self.worktree, rng);
        for _ in 0..edits.count() {
            edits.one(|kind| choice.allows(kind));
        }
        let log = edits.log;
        let told = Case {
            seed,
            choice,
            log: &log,
        };

        let before = State::of(world, &self.worktree);
        let known = (!choice.trash).then(|| self.known());
        let args = ["cleanup", "-y", "fix"].iter().chain(choice.args);
        world.flux(args).run().success();
        assert!(!self.worktree.exists());
        if !choice.trash {
            empty_trash(world);
        }
        world.flux(["restore", "-q", "fix"]).run().success();
        match known {
            Some(known) => self.assert_known(before, &known),
            None if choice.commits() => self.assert_committed(&before),
            None => before.assert_back(world, &self.worktree),
        }
        assert_not_archived(world, "fix");
        drop(told);
    }

    /// Asserts that all uncommitted changes are in the branch, and that the other files are unchanged.
    fn assert_committed(&self, before: &State) {
        let now = State::of(&self.world, &self.worktree);
        assert!(now.files == before.files, "{}", difference(before, &now));
        let changes: Vec<&str> = changes(&now.status).collect();
        assert_eq!(changes, [""; 0]);
        if now.tip != before.tip {
            assert_eq!(commit(&self.world, &format!("{}~", now.tip)), before.tip);
        }
    }

    /// Asserts that all files that git knows are unchanged, and that there are no others.
    fn assert_known(&self, before: State, known: &BTreeSet<PathBuf>) {
        let mut before = before.without(&[]);
        before.files.retain(|path, _| known.contains(path));
        let now = State::of(&self.world, &self.worktree).without(&[]);
        assert!(now.files == before.files, "{}", difference(&before, &now));
        assert_eq!(
            now.index.replace('\0', "\n"),
            before.index.replace('\0', "\n")
        );
        assert_eq!(now.tip, before.tip);
        // A repository of its own is not in a snapshot.
        let is_nested = |line: &&str| line.starts_with("? ") && line.ends_with('/');
        let lines = |status: &str| -> Vec<String> {
            let lines = status.split('\0').filter(|line| !is_nested(line));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(lines(&now.status), lines(&before.status));
    }
}

/// Returns the lines of `git status` without the branch.
fn changes(status: &str) -> impl Iterator<Item = &str> {
    let lines = status.split('\0');
    lines.filter(|line| !line.is_empty() && !line.starts_with("# "))
}

fn difference(before: &State, now: &State) -> String {
    let only = |a: &State, b: &State| -> Vec<String> {
        let missing = a
            .files
            .iter()
            .filter(|(path, file)| b.files.get(*path) != Some(file));
        let line = |(path, (mode, bytes)): (&PathBuf, &(u32, Vec<u8>))| {
            let text = String::from_utf8_lossy(bytes);
            format!("{} {mode:o} {:.60?}", path.display(), text)
        };
        missing.map(line).collect()
    };
    let (missing, added) = (only(before, now), only(now, before));
    format!("missing: {missing:#?}\nadded: {added:#?}")
}

fn holds(test: u64) {
    let bench = Bench::new();
    // The same ones each time, for a run of the suite says something of the change that it tests.
    let mut seeds = match std::env::var("RESTORE_SEED").as_deref() {
        Ok("new") => StdRng::seed_from_u64(rand::random()),
        Ok(seed) => return bench.case(seed.parse().expect("a number, or 'new'")),
        Err(_) => StdRng::seed_from_u64(test),
    };
    for _ in 0..repetitions("RESTORE_CASES").unwrap_or(CASES) {
        bench.case(seeds.random());
    }
    bench.world.git([
        "fsck",
        "--connectivity-only",
        "--no-progress",
        "--no-dangling",
    ]);
}

#[test]
fn restore_brings_back_random_edits_with_seed_1() {
    holds(1);
}

#[test]
fn restore_brings_back_random_edits_with_seed_2() {
    holds(2);
}

#[test]
fn restore_brings_back_random_edits_with_seed_3() {
    holds(3);
}

#[test]
fn restore_brings_back_random_edits_with_seed_4() {
    holds(4);
}
