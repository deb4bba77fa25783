//! Runs one step in one repository, once with git and once with git flux.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::compare::differences;
use super::recorder::{self, Call};
use HooksPath::{Absolute, Configured, Default, Ignored, Tracked};
use Place::{Linked, Main, Nowhere};

use crate::world::archive::empty_trash;
use crate::world::*;

/// Where the branch is checked out that is merged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Main,
    Linked,
    /// Plain git needs it checked out: there it is switched to in the main worktree.
    Nowhere,
}

/// The value of core.hooksPath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HooksPath {
    Default,
    Absolute,
    /// `.githooks`, which is committed.
    Tracked,
    /// `.husky/_`, which is ignored.
    Ignored,
    /// Nothing: each hook is in the configuration, as git 2.54 and newer know it.
    Configured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Merge,
    Squash,
    Rebase,
    FastForward,
    /// Commits what is uncommitted in the task's worktree, then merges by a fast-forward.
    Commit,
    Run,
    /// `run --branch`
    RunBranch,
    Restore,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) act: Act,
    pub(super) place: Place,
    pub(super) hooks: HooksPath,
}

/// What git flux says in the commit of a merge, and of a squash.
const MERGED: &str = "Merge task 'fix' into main\n\nfeature/fix\n";
const SQUASHED: &str = "feature/fix\n\nSquashed commit of task 'fix':\n\n\
                        * Change one.txt\n* Change packages/a/index.js\n";

impl Case {
    /// Returns the worktree that has the target checked out, or else the main worktree.
    pub(super) fn checkout(self) -> &'static str {
        match self.place {
            Main | Nowhere => "<root>/myapp",
            Linked => "<root>/other",
        }
    }

    fn checkout_in(self, world: &World) -> PathBuf {
        let root = world.root().to_str().unwrap();
        self.checkout().replace("<root>", root).into()
    }

    /// Makes a repository with a task `fix` of two commits and, unless that is an obstacle, a newer `main`.
    fn prepare(self) -> World {
        let world = World::new();
        let repo = world.repo();
        world.write("packages/a/index.js", "old\n");
        world.write(".gitignore", "node_modules\n.env\n/.husky/_\nignored*\n");
        if self.hooks == Tracked {
            self.install_recorder(&world, &repo.join(".githooks"));
        }
        world.git(["add", "-A"]);
        world.git(["commit", "-q", "-m", "Add packages"]);
        // Who commits depends on the branch.
        world.git(["config", "includeIf.onbranch:main.path", "on-main"]);
        world.write(".git/on-main", "[user]\n\temail = main@example.com\n");

        let worktree = world.worktree("fix");
        let add = ["worktree", "add", "-q", "-b", "feature/fix", "../myapp-fix"];
        world.git(add);
        world.commit_in(&worktree, "one.txt", "one\n");
        world.commit_in(&worktree, "packages/a/index.js", "new\n");
        match self.act {
            Act::Merge | Act::Squash | Act::Rebase => {
                world.commit_in(&repo, "README.md", "moved\n");
            }
            Act::Commit => {
                world.write(worktree.join("loose.txt"), "loose\n");
                world.write(worktree.join("one.txt"), "changed\n");
            }
            _ => {}
        }
        let adopt = ["adopt", "-q", "../myapp-fix", "--name=fix"];
        world.flux(adopt).run().success();
        if self.place != Main {
            world.git(["switch", "-q", "-c", "topic"]);
            world.commit_in(&repo, "topic.txt", "topic\n");
        }
        if self.place == Linked {
            world.git(["worktree", "add", "-q", "../other", "main"]);
        }
        if self.act == Act::Restore {
            world
                .flux(["cleanup", "--discard-branch", "-y", "fix"])
                .run()
                .success();
            empty_trash(&world);
        }
        self.write_ignored(&world);
        self.install_hooks(&world);
        world
    }

    /// Writes what a package manager leaves, with a link to a package of the repository, and other ignored files.
    fn write_ignored(self, world: &World) {
        let top = self.checkout_in(world);
        world.write(top.join(".env"), "SECRET=1\n");
        world.write(top.join("ignored [1]/out"), "out\n");
        let modules = top.join("node_modules");
        world.write(modules.join("dep/index.js"), "dep\n");
        for (link, target) in [
            (".bin/tool", "../dep/index.js"),
            ("@x/a", "../../packages/a"),
        ] {
            let link = modules.join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
    }

    fn install_recorder(self, world: &World, dir: &Path) {
        recorder::install(world, dir, self.act == Act::FastForward);
    }

    fn install_hooks(self, world: &World) {
        let (path, dir) = match self.hooks {
            Configured => return recorder::configure(world, self.act == Act::FastForward),
            Default => (None, Some(world.repo().join(".git/hooks"))),
            Absolute => {
                let dir = world.tools().join("hooks");
                (Some(dir.to_str().unwrap().to_owned()), Some(dir))
            }
            Tracked => (Some(".githooks".to_owned()), None),
            Ignored => {
                let dir = self.checkout_in(world).join(".husky/_");
                (Some(".husky/_".to_owned()), Some(dir))
            }
        };
        if let Some(dir) = dir {
            self.install_recorder(world, &dir);
        }
        if let Some(path) = path {
            world.git(["config", "core.hooksPath", &path]);
        }
    }

    /// Makes the ignored hooks of the checkout visible in other worktrees, in which git alone does not find them.
    fn show_hooks(self, world: &World, everywhere: bool) {
        let dir = match everywhere {
            true => self.checkout_in(world).join(".husky/_"),
            false => ".husky/_".into(),
        };
        if self.hooks == Ignored {
            world.git(["config", "core.hooksPath", dir.to_str().unwrap()]);
        }
    }

    /// Returns the calls if the user does the step with git alone.
    fn with_git(self) -> Vec<Call> {
        let world = self.prepare();
        let dir = self.checkout_in(&world);
        let git = |args: &[&str]| world.git_in(&dir, args);
        let message = world.tools().join("message");
        let file = message.to_str().unwrap();
        if self.place == Nowhere {
            git(&["switch", "-q", "main"]);
        }
        if self.act == Act::Rebase {
            world.git(["worktree", "remove", "--force", "../myapp-fix"]);
            git(&["switch", "-q", "feature/fix"]);
        }
        // Of no command that is compared.
        git(&["update-ref", "-d", "ORIG_HEAD"]);
        let forward = ["merge", "-q", "--ff-only", "feature/fix"];
        let add = ["worktree", "add", "-q"];
        recorder::clear(&world);
        let mut calls = Vec::new();
        match self.act {
            Act::Merge => {
                fs::write(&message, MERGED).unwrap();
                git(&["merge", "-q", "--no-ff", "-F", file, "feature/fix"]);
            }
            Act::Squash => {
                fs::write(&message, SQUASHED).unwrap();
                git(&["merge", "-q", "--squash", "feature/fix"]);
                git(&["commit", "-q", "-F", file]);
            }
            Act::Rebase => {
                git(&["rebase", "main"]);
                calls = recorder::calls(&world);
                git(&["switch", "-q", "main"]);
                recorder::clear(&world);
                git(&forward);
            }
            Act::FastForward => drop(git(&forward)),
            Act::Commit => {
                let worktree = world.worktree("fix");
                world.git_in(&worktree, ["add", "-A"]);
                self.show_hooks(&world, true);
                world.git_in(&worktree, ["commit", "-q", "-m", "The rest"]);
                self.show_hooks(&world, false);
                git(&forward);
            }
            Act::Run => drop(git(
                &[&add[..], &["-b", "feature/new", "../myapp-new"]].concat()
            )),
            Act::RunBranch => {
                world.git(["branch", "work", "feature/fix"]);
                git(&[&add[..], &["../myapp-new", "work"]].concat());
            }
            Act::Restore => drop(git(&[&add[..], &["../myapp-fix", "feature/fix"]].concat())),
        }
        calls.extend(recorder::calls(&world));
        calls
    }

    /// Returns the calls if git flux does the step, and the errors in the places in which they were made.
    fn with_flux(self) -> (Vec<Call>, Vec<String>) {
        let world = self.prepare();
        if self.act == Act::RunBranch {
            world.git(["branch", "work", "feature/fix"]);
        }
        recorder::clear(&world);
        let args: &[&str] = match self.act {
            Act::Merge => &["cleanup", "fix", "--into=main", "--merge"],
            Act::Squash => &["cleanup", "fix", "--into=main", "--squash"],
            Act::Rebase => &["cleanup", "fix", "--into=main", "--rebase"],
            Act::FastForward => &["cleanup", "fix", "--into=main", "--ff-only"],
            Act::Commit => &[
                "cleanup",
                "fix",
                "--into=main",
                "--ff-only",
                "--commit=The rest",
            ],
            Act::Run => &["run", "-q", "--name=new", "Do it"],
            Act::RunBranch => &["run", "-q", "--name=new", "--branch=work", "Do it"],
            Act::Restore => &["restore", "-q", "fix"],
        };
        let dir = self.checkout_in(&world);
        let output = world.flux(args).in_dir(dir).via_git().run();
        output.success();
        let calls = recorder::calls(&world);
        let wrong = calls
            .iter()
            .flat_map(|call| self.misplaced(&world, call))
            .collect();
        // What git flux does to its own refs is its own.
        let of_flux = |call: &Call| call.fact("input").contains(" refs/flux/");
        (
            calls.into_iter().filter(|call| !of_flux(call)).collect(),
            wrong,
        )
    }

    /// Returns the errors in the place of a scratch repository: it must not be below `.git` or the checkout, since
    /// tools skip the one and search the other, and it must be deleted.
    fn misplaced(self, world: &World, call: &Call) -> Option<String> {
        if !call.in_scratch {
            return None;
        }
        let top = &call.top;
        let repo = world.repo();
        let wrong = top.starts_with(&repo)
            || top.components().any(|part| part.as_os_str() == ".git")
            || top.file_name() != self.checkout_in(world).file_name()
            || fs::symlink_metadata(top).is_ok();
        wrong.then(|| format!("{} runs in {}", call.name, top.display()))
    }

    pub(super) fn check(self) -> Vec<String> {
        let git = self.with_git();
        let (flux, wrong) = self.with_flux();
        let found = differences(self, &git, &flux);
        let title =
            |text: String| format!("{:?} {:?} {:?}: {text}", self.act, self.place, self.hooks);
        wrong.into_iter().chain(found).map(title).collect()
    }
}
