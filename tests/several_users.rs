//! Tests users of one group in a shared repository, and the permissions of files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::*;

/// The group of both users.
const GROUP: u32 = 64_700;

/// A user, by number: no machine has to know the name.
struct User<'a> {
    world: &'a World,
    uid: u32,
    home: PathBuf,
}

impl<'a> User<'a> {
    fn new(world: &'a World, uid: u32) -> Self {
        let home = world.root().join(format!("home of {uid}"));
        for dir in [home.clone(), home.join("tmux")] {
            fs::create_dir(&dir).unwrap();
            chown(&dir, Some(uid), Some(GROUP)).unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        }
        // As git's own message says for the repository of another user, and no more.
        let config = fs::read_to_string(world.tools().join("gitconfig")).unwrap();
        let safe = format!("directory = {}", world.repo().display());
        fs::write(
            home.join(".gitconfig"),
            config.replace("directory = *", &safe),
        )
        .unwrap();
        Self { world, uid, home }
    }

    /// Runs a program as this user, with this umask.
    fn run_with(&self, umask: &str, words: &[&str]) -> (Option<i32>, String) {
        let ids = [self.uid, GROUP].map(|id| id.to_string());
        let output = (self.world)
            .command(require("setpriv"))
            .args(["--reuid", &ids[0], "--regid", &ids[1], "--clear-groups"])
            .args(["setsid", "sh", "-c", "umask \"$0\"; exec \"$@\"", umask])
            .args(words)
            .env("HOME", &self.home)
            .env("GIT_CONFIG_GLOBAL", self.home.join(".gitconfig"))
            // A socket's path may not be longer than some 100 bytes.
            .env("TMUX_TMPDIR", self.sockets())
            .env("TMPDIR", self.sockets())
            .current_dir(self.world.repo())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into())
    }

    fn sockets(&self) -> PathBuf {
        let dir = PathBuf::from(format!("/tmp/ft-{}-{}", std::process::id(), self.uid));
        if !dir.exists() {
            fs::create_dir(&dir).unwrap();
            chown(&dir, Some(self.uid), Some(GROUP)).unwrap();
        }
        dir
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let (code, said) = self.run_with("022", &[&["git-flux"], words].concat());
        assert_eq!(code, Some(0), "{words:?}: {said}");
        said
    }

    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        let (code, said) = self.run_with("022", &[&["git-flux"], words].concat());
        assert_eq!(code, Some(1), "{words:?}: {said}");
        said
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.ok(words)).unwrap()
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        self.run_with("022", &["tmux", "kill-server"]);
        fs::remove_dir_all(self.sockets()).ok();
    }
}

/// Makes a repository of `owner` and the group, with an agent that waits; `None` if this user cannot act as another.
fn shared(world: &World, owner: u32) -> Option<()> {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI is root");
        eprintln!("left out: only root can be two users");
        return None;
    }
    for dir in world.root().ancestors().take(2).chain([world.tools()]) {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = world.tools().join("gitconfig");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "[safe]\n\tdirectory = *\n").unwrap();
    world.git_in(world.root(), ["init", "-q", "--shared=group", "myapp"]);
    world.fill(&world.repo());
    for (name, value) in [
        ("flux.agent", "mine"),
        ("flux.mine.command", "sleep 100000"),
        ("flux.mine.promptArg", "--ask="),
    ] {
        world.git(["config", name, value]);
    }
    world.install("mine", "#!/bin/sh\nexec sleep 100000\n");
    world.git(["config", "flux.mine.command", "mine"]);
    let owned = format!("{owner}:{GROUP}");
    for args in [["chown", "-R", &owned], ["chmod", "-R", "g+w"]] {
        let mut command = world.command(args[0]);
        let status = command.args(&args[1..]).arg(world.root()).status();
        assert!(status.unwrap().success());
    }
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o2775)).unwrap();
    Some(())
}

fn mode(path: impl AsRef<Path>) -> u32 {
    let path = path.as_ref();
    let metadata = path.symlink_metadata();
    let metadata = metadata.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.mode() & 0o7777
}

#[test]
fn commands_change_only_the_tasks_of_their_user_in_a_shared_repository() {
    let world = World::without_repository("flux world");
    let (alice, bob) = (64_711, 64_712);
    if shared(&world, alice).is_none() {
        return;
    }
    let (alice, bob) = (User::new(&world, alice), User::new(&world, bob));
    let flux = world.repo().join(".git/flux");
    alice.ok(&["run", "-q", "--name", "a1", "Of Alice"]);
    assert_eq!(mode(flux.join("run/a1")), 0o700);
    assert_eq!(mode(flux.join("run/a1/lock")), 0o600);
    for (path, bits) in [("", 0o2770), ("run", 0o2770), ("lock", 0o660)] {
        assert_eq!(mode(flux.join(path)) & 0o2770, bits, "{path}");
    }
    // Also where libgit2 has written, which follows the umask alone.
    for entry in fs::read_dir(world.repo().join(".git/objects")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o2070, 0o2070, "{}", path.display());
    }
    bob.ok(&["run", "-q", "--name", "b1", "Of Bob"]);

    // Each sees both, and whose they are.
    let list = bob.json(&["list", "--json"]);
    assert_eq!(
        (&list[0]["id"], &list[0]["owner"]),
        (&"a1".into(), &"64711".into())
    );
    assert_eq!(list[0]["state"], "unknown");
    assert_eq!(
        (&list[1]["id"], &list[1]["owner"]),
        (&"b1".into(), &Value::Null)
    );
    assert_eq!(list[1]["state"], "running");
    let table = bob.ok(&["list"]);
    assert!(
        table.starts_with("TASK      STATE    FOR  OWNER  AGE"),
        "{table}"
    );
    assert!(
        bob.ok(&["list", "--porcelain"])
            .contains("task a1\nowner 64711\n")
    );

    // By name, where the machine knows one.
    chown(flux.join("run/a1"), Some(0), None).unwrap();
    assert_eq!(bob.json(&["list", "--json"])[0]["owner"], "root");
    chown(flux.join("run/a1"), Some(alice.uid), None).unwrap();

    // Each is refused the other's, and pointed to what works.
    let before = world.snapshot();
    for words in [
        &["attach", "a1"][..],
        &["send", "a1", "Hello"],
        &["resume", "a1"],
        &["wait", "a1"],
        &["cleanup", "-y", "a1"],
        &["cleanup", "-y", "a1", "b1"],
        &["cleanup", "--dry-run", "a1"],
        &["cleanup", "-y", "--discard", "--discard-branch", "a1"],
        &["run", "--name", "a1", "Again"],
    ] {
        let said = bob.refused(words);
        let named = said.contains(
            "error: 'a1' is a task of '64711'\nhint: to see the state of the task: git flux status a1",
        );
        assert!(named || words[0] == "run", "{words:?}: {said}");
    }
    world.assert_unchanged(&before);
    let status = bob.ok(&["status", "a1"]);
    assert!(
        status.contains("Owner:     64711\nState:     unknown"),
        "{status}"
    );
    assert!(bob.ok(&["log", "a1"]).contains("Of Alice"));
    bob.ok(&["status", "--explain", "a1"]);

    // What a killed command of hers has left is hers to settle.
    let left = ["killed", ".gone.4711"].map(|name| flux.join("run").join(name));
    for dir in &left {
        fs::create_dir(dir).unwrap();
        chown(dir, Some(alice.uid), None).unwrap();
    }

    // What is meant for all is for his own.
    let work = "cd ../myapp-b1 && echo new >new.txt && git add -A && git commit -qm Work";
    assert_eq!(bob.run_with("022", &["sh", "-c", work]).0, Some(0));
    bob.ok(&["cleanup", "--all", "-y"]);
    assert_eq!(world.read("new.txt"), "new\n");
    assert!(!flux.join("run/b1").exists() && flux.join("run/a1").exists());
    assert!(left.iter().all(|dir| dir.exists()));
    assert_eq!(mode(flux.join("trash")) & 0o2770, 0o2770);
    bob.ok(&["restore", "-q", "b1"]);

    // Alice can work where Bob has written, and neither deletes what the other has removed.
    alice.ok(&["cleanup", "-y", "a1"]);
    assert!(left.iter().all(|dir| !dir.exists()));
    let trash = flux.join("trash/a1");
    assert!(trash.exists());
    world.git(["config", "flux.trashKeep", "0"]);
    world.git(["config", "flux.archiveExpire", "now"]);
    assert!(
        bob.refused(&["restore", "a1"])
            .contains("'a1' was removed by '64711'")
    );
    assert!(
        bob.refused(&["restore", "--drop", "-y", "a1"])
            .contains("'64711'")
    );
    bob.ok(&["gc", "--trash", "-y"]);
    bob.ok(&["__expire"]);
    assert!(trash.exists());
    alice.ok(&["__expire"]);
    assert!(!trash.exists());
    bob.ok(&["cleanup", "-y", "--discard-branch", "b1"]);
}

#[test]
fn gate_does_not_run_beside_what_another_user_has_left_running() {
    let world = World::without_repository("flux world");
    // Not those of another test at the same time.
    let (alice, bob) = (64_713, 64_714);
    if shared(&world, alice).is_none() {
        return;
    }
    let (alice, bob) = (User::new(&world, alice), User::new(&world, bob));
    for (user, name) in [(&alice, "a1"), (&bob, "b1")] {
        let place = format!("../{name}");
        let words = ["git", "worktree", "add", "-q", "-b", name, &place];
        let (code, said) = user.run_with("002", &words);
        assert_eq!(code, Some(0), "{said}");
        user.ok(&["adopt", "-q", "--name", name, &place]);
    }
    // His does not end, and she cannot end it.
    let pid_file = bob.home.join("pid");
    let gate = format!(
        "test $(id -u) != {} || {{ echo $$ >\"$HOME/pid\"; sleep 600; }}",
        bob.uid
    );
    world.git(["config", "flux.gate", &gate]);
    let first = |words: &[&str]| bob.run_with("002", words);
    std::thread::scope(|scope| {
        scope.spawn(|| first(&["sh", "-c", "echo $$ >\"$HOME/flux\"; exec git-flux gate b1"]));
        let pid = || {
            fs::read_to_string(&pid_file)
                .ok()?
                .trim()
                .parse::<i32>()
                .ok()
        };
        let gate = wait_for("the gate of the other user", pid);
        let said = scope.spawn(|| alice.run_with("002", &["git-flux", "gate", "a1"]));
        let flux = fs::read_to_string(bob.home.join("flux")).unwrap();
        first(&["kill", "-9", flux.trim()]);
        let (code, said) = said.join().unwrap();
        let group = Process::find(gate).expect("his gate goes on").group;
        let why = format!("process group {group} of another user may still run the gate");
        assert_eq!(code, Some(125), "{said}");
        for line in [
            format!("a1: no verdict: {why}\n"),
            format!("error: {why}\nhint: ps -f -p {group}\n"),
        ] {
            assert!(said.contains(&line), "{said}");
        }
        first(&["kill", "-9", "--", &format!("-{group}")]);
    });
    // Nothing of it is left, but the files are his.
    let (code, said) = alice.run_with("002", &["git-flux", "gate", "a1"]);
    assert!(
        code == Some(125) && !said.contains("may still run"),
        "{said}"
    );
}

#[test]
fn run_creates_private_files_with_any_umask() {
    for umask in ["000", "002"] {
        let world = World::new();
        world.git(["config", "core.sharedRepository", "umask"]);
        let run = format!("umask {umask}; exec git-flux run -q --name fix Fix");
        let status = world
            .command("sh")
            .args(["-c", &run])
            .current_dir(world.repo())
            .status();
        assert!(
            status.unwrap().success(),
            "git flux run succeeds with umask {umask}"
        );
        world.agent("fix").wait_started();
        let flux = world.repo().join(".git/flux");
        let state = world.tools().join("home/.local/state");
        for dir in [
            state.join("git-flux"),
            state.join("git-flux/ports"),
            flux.join("run/fix"),
        ] {
            assert_eq!(mode(&dir), 0o700, "{umask}: {}", dir.display());
        }
        for entry in fs::read_dir(flux.join("run/fix")).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path) & 0o077, 0, "{umask}: {}", path.display());
        }
        // What git shares by its umask is shared so here.
        let expected = 0o777 & !u32::from_str_radix(umask, 8).unwrap();
        for dir in [&flux, &flux.join("run")] {
            assert_eq!(mode(dir) & 0o777, expected);
        }
        world.flux(["cleanup", "-y", "fix"]).run().success();
        assert_eq!(mode(flux.join("trash/fix")), 0o700);
    }
}
