//! Tests run directories with locks, links and partial files that an agent or a killed command left.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::world::*;

/// A program that holds the lock of a file.
struct LockHolder(Child);

impl LockHolder {
    /// Takes the lock by a program that has ended by now, as a shell does.
    fn hold(world: &World, path: &Path) -> Self {
        let ready = world.root().join("locked");
        let script = "exec 9>>\"$0\"; flock 9 || exit; : >\"$1\"; exec sleep 100000";
        let mut command: Command = world.command("sh");
        let child = command
            .args(["-c", script])
            .args([path, &ready])
            .stdout(Stdio::null());
        let holder = Self(child.spawn().unwrap());
        wait_until("the lock to be held", || ready.exists());
        fs::remove_file(ready).unwrap();
        holder
    }
}

impl Drop for LockHolder {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn run_dir(world: &World, id: &str) -> PathBuf {
    world.repo().join(".git/flux/run").join(id)
}

#[test]
fn cleanup_names_the_process_that_holds_a_lock() {
    let world = World::new();
    let id = world.start("Fix login");
    world.agent(&id).wait_started();
    let locks = [
        run_dir(&world, &id).join("lock"),
        world.repo().join(".git/flux/lock"),
    ];
    let before = world.snapshot();
    for (lock, is_first) in locks.iter().zip([true, false]) {
        let holder = LockHolder::hold(&world, lock);
        let pid = holder.0.id();
        let waits = || {
            let terminal = world.terminal(200, 40);
            terminal.command(&format!("git flux cleanup -y {id}"));
            terminal.wait_for_screen(&format!("waiting for 'sleep' (process {pid}), which holds"));
            terminal
        };
        if is_first {
            let terminal = waits();
            terminal.keys(["C-c"]);
            terminal.wait_for_screen("interrupted");
            world.assert_unchanged(&before);
        }
        let terminal = waits();
        drop(holder);
        assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
        world.flux(["restore", "-q", &id]).run().success();
    }
}

#[test]
fn cleanup_succeeds_while_a_process_locks_the_events() {
    let world = World::new();
    let id = world.start("Fix login");
    let agent = world.agent(&id);
    agent.wait_started();
    let run = run_dir(&world, &id);
    let _holder = LockHolder::hold(&world, &run.join("events"));
    world.flux(["cleanup", "-y", &id]).run().success();
    assert!(!run.exists());
}

#[test]
fn resume_removes_partial_files_and_follows_no_link_in_the_run_directory() {
    let world = World::new();
    let id = world.start("Fix login");
    world.agent(&id).wait_started();
    world.kill_tmux();
    world.wait_ended(&id);
    let run = run_dir(&world, &id);
    let victim = world.write("victim", "untouched\n");
    for name in ["prompt.part", "launch.part", ".running.1a2b3c.part"] {
        fs::write(run.join(name), "left").unwrap();
    }
    for name in ["events", "prompt", "screen"] {
        fs::remove_file(run.join(name)).ok();
        symlink(&victim, run.join(name)).unwrap();
    }
    world
        .flux(["resume", "-q", "--restart", &id])
        .run()
        .success();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched\n");
    for entry in fs::read_dir(&run).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".part"), "{name}");
    }
    // What is read is no link either: a link to a mark is none.
    let exit = run.join("exit");
    world.kill_tmux();
    world.wait_ended(&id);
    fs::rename(&exit, world.root().join("exit")).unwrap();
    symlink(world.root().join("exit"), &exit).unwrap();
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["state"], "unknown");
    fs::remove_file(&exit).unwrap();
    fs::rename(world.root().join("exit"), &exit).unwrap();
    // A link in the place of the whole directory is refused.
    let aside = world.root().join("aside");
    fs::rename(&run, &aside).unwrap();
    symlink(&aside, &run).unwrap();
    let before = world.snapshot();
    world
        .flux(["cleanup", "-y", &id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: could not lock '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX/lock'
              caused by: not a directory
            hint: to make room: mv '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX' '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX'.away
        "#]]);
    world.assert_unchanged(&before);
    // It is in the way of no other task, and neither is what is none.
    fs::write(run.with_file_name("file"), "").unwrap();
    symlink("/nowhere", run.with_file_name("link")).unwrap();
    world
        .flux(["run", "-q", "--name", "next", "Next"])
        .run()
        .success();
    world.flux(["cleanup", "-y", "next"]).run().success();
}

/// An agent can replace such a directory by a link to files of the user.
#[test]
fn commands_refuse_symbolic_links_in_place_of_directories_of_git_flux() {
    let world = World::new();
    let [one, other] = ["One", "Other"].map(|name| world.start(name));
    let flux = world.repo().join(".git/flux");
    let mine = world.root().join("mine");
    world.git([
        "worktree",
        "add",
        "-q",
        "-b",
        "mine",
        mine.to_str().unwrap(),
    ]);
    world.write(mine.join("work/worktree/draft"), "only here\n");
    let draft = || fs::read_to_string(mine.join("work/worktree/draft")).unwrap();
    // Where a merge is made.
    symlink(&mine, run_dir(&world, &one).join("merge")).unwrap();
    world.flux(["cleanup", "-y", &other]).run().success();
    assert_eq!(draft(), "only here\n");
    // And whole directories.
    world.git(["config", "flux.trashKeep", "0"]);
    for name in ["run", "trash", "marks"] {
        let (dir, aside) = (flux.join(name), flux.join("aside"));
        fs::rename(&dir, &aside).unwrap();
        symlink(&mine, &dir).unwrap();
        let before = world.snapshot();
        for args in [
            &["run", "Next"][..],
            &["cleanup", "-y", &one],
            &["list"],
            &["__expire"],
        ] {
            let output = world.flux(args).run();
            output
                .code(1)
                .stderr_has(&format!("{name}' is not a directory"))
                .stderr_has(&format!("{name}'.away"));
        }
        world.assert_unchanged(&before);
        assert_eq!(draft(), "only here\n");
        fs::remove_file(&dir).unwrap();
        fs::rename(aside, dir).unwrap();
    }
    world.flux(["cleanup", "-y", &one]).run().success();
    assert_eq!(draft(), "only here\n");
}

#[test]
fn list_shows_only_the_task_with_a_damaged_mark_as_foreign() {
    let world = World::new();
    let [one, other] = ["One", "Other"].map(|name| world.start(name));
    let mark = world.repo().join(".git/flux/marks/tasks").join(&one);
    for kind in ["pipe", "zero", "long"] {
        fs::remove_file(&mark).unwrap();
        match kind {
            "pipe" => drop(Command::new("mkfifo").arg(&mark).status().unwrap()),
            "zero" => symlink("/dev/zero", &mark).unwrap(),
            _ => fs::File::create(&mark).unwrap().set_len(1 << 40).unwrap(),
        }
        let list = world.flux(["list", "--json"]).run().json();
        assert_eq!(
            [&list[0]["state"], &list[1]["state"]],
            ["running", "foreign"]
        );
        let output = world.flux(["cleanup", "-y", &one]).run();
        output
            .code(1)
            .stderr_has("could not read the mark of 'refs/flux/tasks/");
        let way = "hint: to use the configuration of its branch instead: ";
        let hint = output
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix(way));
        let mut shell = world.command("/bin/sh");
        let shell = shell.args(["-c", hint.unwrap()]).current_dir(world.repo());
        assert!(
            shell.status().unwrap().success(),
            "the hint works: {output}"
        );
        let list = world.flux(["list", "--json"]).run().success().json();
        assert_eq!(
            [&list[0]["state"], &list[1]["state"]],
            ["running", "running"]
        );
        fs::rename(mark.with_extension("away"), &mark).ok();
    }
    fs::remove_file(&mark).unwrap();
    for id in [&one, &other] {
        world.flux(["cleanup", "-y", id]).run().success();
    }
}
