//! Tests that husky, pre-commit and lefthook decide about a merge or squash by git flux as about one by git. npm and
//! pip fetch them, so `.ci/long` runs this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::real::installed;
use crate::world::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    /// With lint-staged and commitlint.
    Husky,
    PreCommit,
    Lefthook,
}

/// The work that is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Good,
    BadCode,
    BadMessage,
    /// A hook mends it, and refuses.
    Untidy,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    tool: Tool,
    work: Work,
    squash: bool,
}

/// The result of a merge.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The tree and message of the commit.
    Made(String),
    Refused,
}

const HUSKY: [&str; 4] = [
    "husky@9",
    "lint-staged@15",
    "@commitlint/cli@19",
    "@commitlint/config-conventional@19",
];
const LEFTHOOK: [&str; 1] = ["lefthook@2"];

/// Refuses a file that says BAD, and a message that names no `feat/`.
const CHECK: &str = "#!/bin/sh\n! grep BAD \"$@\"\n";
const CHECK_MESSAGE: &str = "#!/bin/sh\ngrep -q feat/ \"$1\"\n";
/// Mends a file that says UNTIDY: pre-commit refuses then.
const TIDY: &str = "#!/bin/sh\nsed -i s/UNTIDY/tidy/ \"$@\"\n";

const PACKAGE: &str = r#"{ "private": true, "lint-staged": { "*.js": "./check" } }"#;
const COMMITLINT: &str = "module.exports = {
  extends: ['@commitlint/config-conventional'],
  defaultIgnores: false,
  plugins: [{ rules: { feature: ({ raw }) => [raw.includes('feat/'), 'no feature'] } }],
  rules: {
    feature: [2, 'always'],
    'body-leading-blank': [0], 'body-max-line-length': [0], 'footer-leading-blank': [0], 'footer-max-line-length': [0],
    'subject-case': [0], 'subject-empty': [0], 'type-empty': [0], 'type-enum': [0],
  },
}
";
const PRE_COMMIT: &str = "repos:
- repo: local
  hooks:
  - {id: check, name: check, entry: ./check, language: system, files: '[.]js$', stages: [pre-commit, pre-merge-commit]}
  - {id: tidy, name: tidy, entry: ./tidy, language: system, files: '[.]js$', stages: [pre-commit, pre-merge-commit]}
  - {id: message, name: message, entry: ./check-message, language: system, stages: [commit-msg]}
";
const LEFTHOOK_YML: &str = "pre-commit: &check
  commands:
    check: {glob: '*.js', run: './check {staged_files}'}
pre-merge-commit: *check
commit-msg:
  commands:
    message: {run: './check-message {1}'}
";

impl Case {
    fn branch(self) -> &'static str {
        match self.work {
            Work::BadMessage => "work",
            _ => "feat/work",
        }
    }

    fn prepare(self) -> World {
        let world = World::new();
        for (name, script) in [
            ("check", CHECK),
            ("check-message", CHECK_MESSAGE),
            ("tidy", TIDY),
        ] {
            install_at(&world.repo().join(name), script);
        }
        world.write(".gitignore", "node_modules/\n");
        world.write("README.md", "first\n");
        self.configure(&world);
        world.git(["add", "-A"]);
        world.git(["commit", "-q", "-m", "Hooks"]);
        let branch = self.branch();
        world.git(["worktree", "add", "-q", "-b", branch, "../work"]);
        let code = match self.work {
            Work::BadCode => "BAD\n",
            Work::Untidy => "UNTIDY\n",
            Work::Good | Work::BadMessage => "good\n",
        };
        world.commit_in(world.root().join("work"), "code.js", code);
        world.commit_in(world.repo(), "README.md", "moved\n");
        world.flux(["adopt", "-q", "../work", "--name=fix"]).ok();
        self.install(&world);
        world
    }

    /// Writes the files that a team commits.
    fn configure(self, world: &World) {
        match self.tool {
            Tool::Husky => {
                world.write("package.json", PACKAGE);
                world.write("commitlint.config.js", COMMITLINT);
                world.write(".husky/pre-commit", "npx --no lint-staged\n");
                world.write(".husky/pre-merge-commit", "npx --no lint-staged\n");
                world.write(
                    ".husky/commit-msg",
                    "npx --no -- commitlint --edit \"$1\"\n",
                );
            }
            Tool::PreCommit => drop(world.write(".pre-commit-config.yaml", PRE_COMMIT)),
            Tool::Lefthook => drop(world.write("lefthook.yml", LEFTHOOK_YML)),
        }
    }

    /// Does what each member of the team has to do.
    fn install(self, world: &World) {
        let repo = world.repo();
        let mut command = match self.tool {
            Tool::Husky => {
                copy(&installed(&HUSKY), &repo.join("node_modules"));
                world.command(repo.join("node_modules/.bin/husky"))
            }
            Tool::Lefthook => {
                copy(&installed(&LEFTHOOK), &repo.join("node_modules"));
                let mut lefthook = world.command(repo.join("node_modules/.bin/lefthook"));
                lefthook.arg("install");
                lefthook
            }
            Tool::PreCommit => {
                let mut pre_commit = world.command(pre_commit());
                pre_commit.args(["install", "-t", "pre-commit", "-t", "pre-merge-commit"]);
                pre_commit.args(["-t", "commit-msg"]);
                pre_commit
            }
        };
        let output = command.current_dir(&repo).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Returns the message that git flux writes.
    fn message(self) -> String {
        let title = self.branch();
        match self.squash {
            true => format!("{title}\n\nSquashed commit of task 'fix':\n\n* Change code.js\n"),
            false => format!("Merge task 'fix' into main\n\n{title}\n"),
        }
    }

    fn with_git(self) -> (Verdict, String) {
        let world = self.prepare();
        let before = world.git(["rev-parse", "main"]);
        let message = world.tools().join("message");
        fs::write(&message, self.message()).unwrap();
        let file = message.to_str().unwrap();
        let made = match self.squash {
            true => {
                world.git(["merge", "-q", "--squash", self.branch()]);
                world.try_git(["commit", "-q", "-F", file])
            }
            false => world.try_git(["merge", "-q", "--no-ff", "-F", file, self.branch()]),
        };
        let said = made.as_ref().err().cloned().unwrap_or_default();
        (verdict(&world, &before, made.is_ok()), said)
    }

    fn with_flux(self) -> (Verdict, String) {
        let world = self.prepare();
        let before = world.git(["rev-parse", "main"]);
        let style = if self.squash { "--squash" } else { "--merge" };
        let output = world.flux(["cleanup", "-y", style, "fix"]).via_git().run();
        if output.code != Some(0) {
            output.code(1).stderr_has("nothing was changed");
            assert_eq!(world.git(["status", "--porcelain"]), "", "{output}");
        }
        (
            verdict(&world, &before, output.code == Some(0)),
            output.to_string(),
        )
    }

    /// Compares the two; `Err` says how they differ.
    fn check(self) -> Result<(), String> {
        let (git, git_said) = self.with_git();
        let is_good = self.work == Work::Good;
        assert_eq!(
            matches!(git, Verdict::Made(_)),
            is_good,
            "{self:?}: {git_said}"
        );
        let (flux, flux_said) = self.with_flux();
        match git == flux {
            true => Ok(()),
            false => Err(format!(
                "git: {git:?}\n{git_said}\ngit flux: {flux:?}\n{flux_said}"
            )),
        }
    }
}

#[track_caller]
fn verdict(world: &World, before: &str, is_made: bool) -> Verdict {
    let now = world.git(["rev-parse", "main"]);
    assert_eq!(now != before, is_made);
    match is_made {
        true => Verdict::Made(world.git(["log", "-1", "--format=%T %B", "main"])),
        false => Verdict::Refused,
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-R").args([from, to]).status();
    assert!(status.unwrap().success(), "{}", from.display());
}

/// Installs pre-commit with pip into the build directory, once, and returns its path.
fn pre_commit() -> PathBuf {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pre-commit");
    let program = venv.join("bin/pre-commit");
    if !program.exists() {
        let python = Command::new(require("python3"))
            .args(["-m", "venv"])
            .arg(&venv)
            .status();
        assert!(python.unwrap().success(), "there is no venv of Python");
        let pip = Command::new(venv.join("bin/pip"))
            .args(["install", "-q", "pre-commit"])
            .status();
        assert!(pip.unwrap().success(), "pip could not install pre-commit");
    }
    program
}

#[test]
#[ignore = "it fetches programs: .ci/long real_hooks"]
fn hook_of_husky_pre_commit_and_lefthook_decides_as_with_git() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (tool, work) in [
        (Tool::Husky, Work::Good),
        (Tool::Husky, Work::BadCode),
        (Tool::Husky, Work::BadMessage),
        (Tool::PreCommit, Work::Good),
        (Tool::PreCommit, Work::BadCode),
        (Tool::PreCommit, Work::BadMessage),
        (Tool::PreCommit, Work::Untidy),
        (Tool::Lefthook, Work::Good),
        (Tool::Lefthook, Work::BadCode),
        (Tool::Lefthook, Work::BadMessage),
    ] {
        for squash in [false, true] {
            let case = Case { tool, work, squash };
            let result = case.check();
            let word = if result.is_ok() { "agree" } else { "DIFFER" };
            println!("{word} {case:?}");
            failures.extend(result.err().map(|text| format!("{case:?}\n{text}")));
            count += 1;
        }
    }
    println!("{} of {count} agree", count - failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
