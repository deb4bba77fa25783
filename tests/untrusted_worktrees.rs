//! Tests that no command runs a program that an agent configured in its worktree or in its entry in the git directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::world::*;

/// Every setting of git that names a program, a file with more settings, or where to run something; `@` is the
/// program.
const SETTINGS: [(&str, &str); 47] = [
    ("core.fsmonitor", "@"),
    ("core.hooksPath", "@.d"),
    ("core.sshCommand", "@"),
    ("core.pager", "@"),
    ("core.editor", "@"),
    ("core.askPass", "@"),
    ("core.gitProxy", "@"),
    ("core.alternateRefsCommand", "@"),
    ("core.attributesFile", "@.attributes"),
    ("core.excludesFile", "@.excludes"),
    ("sequence.editor", "@"),
    ("diff.external", "@"),
    ("diff.evil.command", "@"),
    ("diff.evil.textconv", "@"),
    ("diff.tool", "@"),
    ("difftool.evil.cmd", "@"),
    ("interactive.diffFilter", "@"),
    ("filter.evil.clean", "@"),
    ("filter.evil.smudge", "@"),
    ("filter.evil.process", "@"),
    ("merge.evil.driver", "@"),
    ("mergetool.evil.cmd", "@"),
    ("gpg.program", "@"),
    ("gpg.ssh.program", "@"),
    ("gpg.ssh.defaultKeyCommand", "@"),
    ("credential.helper", "!@"),
    ("alias.status", "!@"),
    ("pager.status", "@"),
    ("include.path", "@.config"),
    ("includeIf.gitdir:/**.path", "@.config"),
    ("includeIf.onbranch:**.path", "@.config"),
    ("hook.evil.command", "@"),
    ("hook.evil.event", "post-index-change"),
    ("remote.origin.uploadpack", "@"),
    ("remote.origin.receivepack", "@"),
    ("remote.origin.vcs", "evil"),
    ("remote.origin.proxy", "ext::@"),
    ("protocol.ext.allow", "always"),
    ("uploadpack.packObjectsHook", "@"),
    ("submodule.sub.update", "!@"),
    ("trailer.evil.command", "@"),
    ("trailer.evil.cmd", "@"),
    ("gc.recentObjectsHook", "@"),
    ("sendemail.smtpServer", "@"),
    ("init.templateDir", "@.d"),
    ("browser.evil.cmd", "@"),
    ("man.evil.cmd", "@"),
];

/// A place in which an agent can write configuration that git reads in its worktree.
struct Place {
    name: &'static str,
    /// Makes the place, and gives the file.
    make: fn(&World, &Path, &Path) -> PathBuf,
}

const PLACES: [Place; 11] = [
    Place {
        name: "nested",
        make: |world, worktree, _| nested(world, worktree, "sub").join(".git/config"),
    },
    Place {
        name: "deeper",
        make: |world, worktree, _| {
            let outer = worktree.join("sub");
            world.git_in(worktree, ["init", "-q", "sub"]);
            let inner = nested(world, &outer, "inner");
            world.git_in(&outer, ["commit", "-qm", "link"]);
            world.git_in(worktree, ["add", "sub"]);
            inner.join(".git/config")
        },
    },
    Place {
        name: "submodule",
        make: |world, worktree, admin| {
            let git_dir = admin.join("modules/sub");
            fs::create_dir(admin.join("modules")).unwrap();
            let separate = format!("--separate-git-dir={}", git_dir.display());
            world.git_in(worktree, ["init", "-q", &separate, "sub"]);
            nested(world, worktree, "sub");
            git_dir.join("config")
        },
    },
    Place {
        name: "nested-worktree-config",
        make: |world, worktree, _| {
            let sub = nested(world, worktree, "sub");
            world.git_in(&sub, ["config", "extensions.worktreeConfig", "true"]);
            sub.join(".git/config.worktree")
        },
    },
    Place {
        name: "nested-commondir",
        make: |world, worktree, _| {
            let git_dir = nested(world, worktree, "sub").join(".git");
            let fake = copied(&git_dir, &worktree.join("fake.git"));
            fs::write(git_dir.join("commondir"), fake.to_str().unwrap()).unwrap();
            fake.join("config")
        },
    },
    Place {
        name: "commondir",
        make: |world, _, admin| {
            let fake = fake(world, admin);
            fs::write(admin.join("commondir"), fake.to_str().unwrap()).unwrap();
            fake.join("config")
        },
    },
    Place {
        name: "commondir-link",
        make: |world, _, admin| {
            let fake = fake(world, admin);
            let file = fake.join("file");
            fs::write(&file, fake.to_str().unwrap()).unwrap();
            fs::remove_file(admin.join("commondir")).unwrap();
            symlink(file, admin.join("commondir")).unwrap();
            fake.join("config")
        },
    },
    Place {
        name: "git-file",
        make: |world, worktree, admin| {
            let fake = fake(world, admin);
            let named = fake.join("worktrees").join(admin.file_name().unwrap());
            let link = format!("gitdir: {}\n", named.display());
            fs::write(worktree.join(".git"), link).unwrap();
            fake.join("config")
        },
    },
    Place {
        name: "git-link",
        make: |world, worktree, admin| {
            let fake = fake(world, admin);
            fs::remove_file(worktree.join(".git")).unwrap();
            symlink(&fake, worktree.join(".git")).unwrap();
            fake.join("config")
        },
    },
    Place {
        name: "admin-link",
        make: |world, worktree, admin| {
            let fake = fake(world, admin);
            fs::write(admin.join("commondir"), fake.to_str().unwrap()).unwrap();
            let away = worktree.join("away");
            fs::rename(admin, &away).unwrap();
            symlink(away, admin).unwrap();
            fake.join("config")
        },
    },
    Place {
        name: "own",
        make: |_, _, admin| admin.join("config.worktree"),
    },
];

/// Makes a repository in `dir` that the index refers to.
fn nested(world: &World, dir: &Path, name: &str) -> PathBuf {
    let inner = dir.join(name);
    if !inner.exists() {
        world.git_in(dir, ["init", "-q", name]);
    }
    add_filtered_files(&inner);
    world.git_in(&inner, ["add", "file.x"]);
    world.git_in(&inner, ["commit", "-qm", "inner"]);
    world.git_in(dir, ["add", name]);
    inner
}

/// Makes a file for which git uses the filter, diff and merge driver `evil`.
fn add_filtered_files(dir: &Path) {
    fs::write(
        dir.join(".gitattributes"),
        "*.x filter=evil diff=evil merge=evil\n",
    )
    .unwrap();
    fs::write(dir.join("file.x"), "one\n").unwrap();
}

/// Makes a copy of the repository, with the administrative directory.
fn fake(world: &World, admin: &Path) -> PathBuf {
    let name = admin.file_name().unwrap().to_str().unwrap();
    let fake = world.root().join(format!("fake-{name}"));
    copied(&world.repo().join(".git"), &fake)
}

fn copied(from: &Path, to: &Path) -> PathBuf {
    let copied = std::process::Command::new("cp")
        .arg("-R")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
    to.to_owned()
}

struct Attack {
    world: World,
    /// The task, its worktree and the file of each place.
    places: Vec<(String, PathBuf, PathBuf, Vec<u8>)>,
}

impl Attack {
    fn new() -> Self {
        // git gives some of them to a shell as they are.
        let world = World::at("world");
        world.git(["config", "extensions.worktreeConfig", "true"]);
        add_filtered_files(&world.repo());
        world.git(["add", "-A"]);
        world.git(["commit", "-qm", "files"]);
        for dir in ["marks", "programs"] {
            fs::create_dir(world.root().join(dir)).unwrap();
        }
        let script =
            "#!/bin/sh\nname=${0##*/programs/}\n: >\"${0%/programs/*}/marks/${name%%.d/*}\"\ncat\n";
        install_at(&world.root().join("program"), script);
        let start = &|id: &str| {
            let run = ["run", "-q", "--name", id, id];
            world.flux(run).run().success();
        };
        // Most of a start is waiting.
        std::thread::scope(|scope| {
            for id in PLACES.iter().map(|place| place.name).chain(["clean"]) {
                scope.spawn(move || start(id));
            }
        });
        fs::write(world.worktree("clean").join("new"), "new").unwrap();
        let mut places = Vec::new();
        for Place { name, make } in PLACES {
            let worktree = world.worktree(name);
            let admin = world
                .repo()
                .join(".git/worktrees")
                .join(format!("myapp-{name}"));
            assert!(admin.is_dir(), "{}", admin.display());
            let file = make(&world, &worktree, &admin);
            let whole = fs::read(&file).unwrap_or_default();
            places.push((name.to_owned(), worktree, file, whole));
        }
        Self { world, places }
    }

    /// Writes these settings to every place, in place of those before.
    fn plant(&self, settings: &[usize]) {
        for (id, worktree, file, whole) in &self.places {
            let mut text = whole.clone();
            for &at in settings {
                let (key, value) = SETTINGS[at];
                let program = self.program(&format!("{id}-{at}"));
                let value = value.replace('@', program.to_str().unwrap());
                let (section, name) = key.rsplit_once('.').unwrap();
                let section = match section.split_once('.') {
                    Some((section, sub)) => format!("{section} \"{sub}\""),
                    None => section.to_owned(),
                };
                text.extend(format!("[{section}]\n\t{name} = \"{value}\"\n").bytes());
            }
            fs::write(file, text).unwrap();
            // Of the same size and another time, so that git looks into it.
            for dir in [
                worktree.clone(),
                worktree.join("sub"),
                worktree.join("sub/inner"),
            ] {
                if dir.join("file.x").exists() {
                    fs::write(dir.join("file.x"), "two\n").unwrap();
                }
            }
        }
    }

    /// Installs a program that leaves a mark of its name when it runs, with hooks in `.d` beside it and a configuration
    /// in `.config` that has it as the monitor.
    fn program(&self, name: &str) -> PathBuf {
        let programs = self.world.root().join("programs");
        let path = programs.join(name);
        if path.symlink_metadata().is_err() {
            symlink("../program", &path).unwrap();
            let hooks = path.with_extension("d");
            fs::create_dir(&hooks).unwrap();
            for hook in ["post-index-change", "reference-transaction"] {
                symlink("../../program", hooks.join(hook)).unwrap();
            }
            let config = format!("[core]\n\tfsmonitor = \"{}\"\n", path.display());
            fs::write(path.with_extension("config"), config).unwrap();
        }
        path
    }

    /// Returns the programs that have run since the last call.
    fn ran(&self) -> Vec<String> {
        let marks = fs::read_dir(self.world.root().join("marks")).unwrap();
        let names = marks.map(|entry| {
            let entry = entry.unwrap();
            fs::remove_file(entry.path()).unwrap();
            entry.file_name().into_string().unwrap()
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn list_runs_no_program_that_an_agent_configured() {
    let attack = Attack::new();
    let world = &attack.world;
    attack.ran();
    // With the monitor and the filter, git itself would run a program of each place.
    for at in [0, 17] {
        attack.plant(&[at]);
        for (id, worktree, ..) in &attack.places {
            let status = ["-c", "status.submoduleSummary=false", "status", "--short"];
            drop(
                world
                    .command("git")
                    .current_dir(worktree)
                    .args(status)
                    .output(),
            );
            assert_eq!(attack.ran(), [format!("{id}-{at}")], "{:?}", SETTINGS[at]);
        }
    }
    for (at, setting) in SETTINGS.iter().enumerate() {
        attack.plant(&[at]);
        let list = world.flux(["list", "--json"]).run();
        // What is not known of one is said, and in the end it fails.
        let rows = list.code(1).json();
        assert_eq!(attack.ran(), [""; 0], "{setting:?}\n{list}");
        // One that git is told to leave out in a repository of its own.
        let known = setting.0 == "core.hooksPath";
        for row in rows.as_array().unwrap() {
            let id = row["id"].as_str().unwrap();
            if id == "clean" {
                assert_eq!(row["changes"]["untracked"], 1, "{setting:?}\n{list}");
                continue;
            }
            let plain = ["nested", "deeper", "submodule", "nested-worktree-config"];
            if !(known && plain.contains(&id)) {
                assert!(row["changes"].is_null(), "{setting:?}\n{row}");
                list.stderr_has(&format!("the changes of '{id}' are unknown: "));
            }
        }
    }
    // Every other command, with all of it.
    attack.plant(&(0..SETTINGS.len()).collect::<Vec<_>>());
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["list"],
        vec!["list", "--all-repos"],
        vec!["cleanup", "--all", "--dry-run"],
        vec!["restore", "--list"],
        vec!["wait", "--all", "--timeout", "1"],
    ];
    for (id, ..) in &attack.places {
        commands.extend([
            vec!["status", id],
            vec!["log", id],
            vec!["diff", id],
            vec!["cleanup", "--dry-run", id],
            vec!["cleanup", "-y", "--commit", id],
        ]);
    }
    for command in commands {
        let output = world.flux(&command).run();
        assert_eq!(attack.ran(), [""; 0], "{output}");
        if command.contains(&"-y") {
            output.code(1).stderr_has("hint: ");
        }
    }
    let completed = world
        .flux(["--", "git-flux", "status", ""])
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "2")
        .run();
    completed.success().stdout_has("clean");
    assert_eq!(attack.ran(), [""; 0]);
    // What is hinted at mends it, once the one setting is gone, but for the directory that is a link.
    attack.plant(&[17]);
    let list = world.flux(["list"]).run();
    let hints = list
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hint: "));
    let mut pasted = 0;
    for hint in hints.filter(|hint| !hint.starts_with("git flux")) {
        let hint = hint
            .strip_prefix("if it has the task's files: ")
            .unwrap_or(hint);
        let args = ["-c", hint];
        let shell = world
            .command("/bin/sh")
            .current_dir(world.repo())
            .args(args)
            .output();
        // One repairs what it can, and fails for the others.
        assert!(
            shell.unwrap().status.success() || hint == "git worktree repair",
            "{hint}"
        );
        pasted += 1;
    }
    assert!(pasted >= PLACES.len(), "{list}");
    attack.ran();
    let list = world.flux(["list", "--json"]).run();
    for row in list.success().json().as_array().unwrap() {
        assert_eq!(
            row["changes"].is_null(),
            row["id"] == "admin-link",
            "{list}"
        );
    }
    assert_eq!(attack.ran(), [""; 0], "{list}");
}

#[test]
fn list_everywhere_runs_no_filter_of_a_repository_named_by_a_pane() {
    let world = World::at("world");
    let run = |repo: &Path, id: &str| {
        let run = ["run", "-q", "--name", id, id];
        world.flux(run).in_dir(repo).run().success();
    };
    run(&world.repo(), "mine");
    // A pane's option is all that names it, and any agent can set that.
    let other = world.root().join("other");
    world.make_repository(&other);
    add_filtered_files(&other);
    world.git_in(&other, ["add", "-A"]);
    world.git_in(&other, ["commit", "-qm", "files"]);
    run(&other, "theirs");
    let mark = world.root().join("mark");
    let program = format!("touch '{}'; cat", mark.display());
    for key in ["filter.evil.clean", "core.fsmonitor"] {
        world.git_in(&other, ["config", key, &program]);
    }
    fs::write(world.root().join("other-theirs/file.x"), "two\n").unwrap();
    let list = world.flux(["list", "--all-repos"]).run();
    list.code(1)
        .stdout_has("mine")
        .stdout_has("theirs")
        .stderr_has("sets 'filter.evil.clean', which names a program");
    assert!(!mark.exists(), "{list}");
    // Who goes there is asked nothing, as with git itself.
    let list = world.flux(["list"]).in_dir(&other).run();
    list.success().has_not("warning: ");
    assert!(mark.exists(), "{list}");
}

#[test]
fn config_and_run_ignore_settings_of_the_worktree_of_a_task() {
    let world = World::new();
    world.git(["config", "extensions.worktreeConfig", "true"]);
    world
        .flux(["run", "-q", "--name", "one", "Do it"])
        .run()
        .success();
    let inside = world.worktree("one");
    for (key, value) in [
        ("flux.agent", "evil"),
        ("flux.evil.command", "touch evil"),
        ("flux.setup", "touch evil"),
    ] {
        world.git_in(&inside, ["config", "--worktree", key, value]);
    }
    world
        .flux(["config"])
        .in_dir(&inside)
        .run()
        .success()
        .has_not("evil");
    let run = ["run", "-q", "--name", "two", "Do it"];
    world.flux(run).in_dir(&inside).run().success();
    world.agent("two").wait_started();
    assert!(!world.worktree("two").join("evil").exists());
}

#[test]
fn list_does_not_wait_for_a_pipe_in_a_worktree_entry() {
    let world = World::new();
    world
        .flux(["run", "-q", "--name", "one", "Do it"])
        .run()
        .success();
    let admin = world.repo().join(".git/worktrees/myapp-one");
    for name in ["HEAD", "gitdir", "commondir", "index"] {
        let (file, whole) = (admin.join(name), admin.join("whole"));
        fs::rename(&file, &whole).unwrap();
        let made = world.command("mkfifo").arg(&file).status();
        assert!(made.unwrap().success());
        let list = world.flux(["list"]).run();
        let what = format!("'{}'", file.display());
        list.stderr_has(&what).stderr_has("hint: ");
        fs::rename(whole, file).unwrap();
    }
    world.flux(["list"]).run().success().has_not("warning: ");
}

#[test]
fn run_copies_settings_of_the_main_worktree_and_cleanup_refuses_others() {
    let world = World::new();
    world.git(["config", "extensions.worktreeConfig", "true"]);
    let dir = world.root().join("hooks of mine");
    world.git([
        "config",
        "--worktree",
        "core.hooksPath",
        dir.to_str().unwrap(),
    ]);
    world.behaviour("commit one");
    world.flux(["run", "-q", "--name", "fix", "Fix"]).ok();
    world.agent("fix").wait_first_done().tell("exit 0");
    world.wait_ended("fix");
    // A key more is an agent's.
    let own = world
        .repo()
        .join(".git/worktrees/myapp-fix/config.worktree");
    let honest = world.read(&own);
    fs::write(&own, format!("{honest}[core]\n\teditor = x\n")).unwrap();
    let refused = world.flux(["cleanup", "-y", "fix"]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: could not read the uncommitted files of 'fix'
          caused by: refusing to run git in '$WORLD/myapp-fix': '$WORLD/myapp/.git/worktrees/myapp-fix/config.worktree' sets 'core.hookspath', which may name a program
        hint: to merge only what is committed (the files can be restored): git flux cleanup fix --discard
    "#]]);
    fs::write(&own, honest).unwrap();
    world.flux(["cleanup", "-y", "fix"]).run().success();
    assert_eq!(world.git(["log", "-1", "--format=%s", "main^2"]), "one");
}
