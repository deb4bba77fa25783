//! Tests that hooks of a merge run in a scratch repository and change nothing in that of the user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::hooks::hook;
use crate::world::removal::*;
use crate::world::*;

/// Writes a hook into the repository's own directory of hooks.
fn install(world: &World, name: &str, script: &str) {
    hook(world, &world.repo().join(".git/hooks"), name, script);
}

/// Makes a task that is ready to be merged into a main that has moved.
fn ready(world: &World) -> String {
    let id = done_task(world);
    world.commit_in(world.repo(), "README.md", "moved\n");
    id
}

/// Returns the directory of the scratch repository of a task.
fn scratch_directory(world: &World, id: &str) -> PathBuf {
    let number = fs::metadata(world.repo().join(".git")).unwrap().ino();
    let name = format!(".myapp-{id}.{number:x}.merge");
    world.repo().with_file_name(name)
}

/// Cleans up with a hook that runs `script` and refuses, and asserts that nothing has changed.
#[track_caller]
fn assert_changes_nothing(style: &str, name: &str, script: &str) {
    let world = World::new();
    let id = ready(&world);
    world.git(["tag", "v1"]);
    world.git(["branch", "other"]);
    world.write("README.md", "stashed\n");
    world.git(["stash", "push", "-q"]);
    world.write("src/login.txt", "mine\n");
    world.write("untracked.txt", "mine\n");
    world.write("staged.txt", "mine\n");
    world.git(["add", "staged.txt"]);
    install(
        &world,
        name,
        &format!("{script}\necho because of the hook >&2; exit 1"),
    );
    let before = world.snapshot();
    let stash = world.git(["stash", "list"]);
    let output = world.flux(["cleanup", "-y", style, &id]).run();
    output
        .code(1)
        .stderr_has("because of the hook")
        .stderr_has("nothing was changed");
    fs::remove_file(world.tools().join("hooks.log")).unwrap();
    world.assert_unchanged(&before);
    assert_eq!(world.git(["stash", "list"]), stash);
    assert_eq!(world.git(["config", "--get-all", "core.bare"]), "false");
    assert!(!scratch_directory(&world, &id).exists());
    // The same hook that agrees is a merge, and no more than that.
    install(&world, name, script);
    let (tags, stash) = (world.git(["tag"]), world.git(["stash", "list"]));
    let output = world.flux(["cleanup", "-y", style, &id]).run();
    // One that has committed or stashed what is to be merged may be in the way of git itself.
    if output.code == Some(0) {
        assert_removed(&world, &id);
    }
    assert_eq!(world.git(["tag"]), tags);
    assert_eq!(world.git(["stash", "list"]), stash);
    assert_eq!(world.git(["config", "--get-all", "core.bare"]), "false");
    assert_eq!(world.read("untracked.txt"), "mine\n");
    assert_eq!(world.read("src/login.txt"), "mine\n");
    world.git(["rev-parse", "--verify", "other"]);
    world.git(["fsck", "--strict"]);
}

/// What a hook, or the tests that it runs, may do to the repository that it stands in.
const DEEDS: [&str; 9] = [
    "git commit -q --no-verify --allow-empty -m mine",
    "git stash push -q -u || :",
    "dir=$(mktemp -d); cd \"$dir\" && git init -q . && echo x >x && git add x && git commit -q -m fixture",
    "git tag v2; git tag -d v1; git branch -D other; git update-ref refs/heads/new HEAD",
    "git config user.name other; git config core.bare true; git config --unset core.bare",
    "git gc -q --prune=now; git reflog expire --all --expire=now; git prune",
    "git clean -qfdx; git reset -q --hard HEAD~1; git checkout -q --orphan lost",
    "rm -rf .git src README.md",
    "git worktree add -q ../elsewhere; git worktree prune",
];

#[test]
fn hook_of_a_merge_changes_nothing_in_the_repository_of_the_user() {
    for deed in DEEDS {
        assert_changes_nothing("--merge", "pre-merge-commit", deed);
    }
}

#[test]
fn hook_of_a_squash_changes_nothing_in_the_repository_of_the_user() {
    for deed in DEEDS {
        assert_changes_nothing("--squash", "pre-commit", deed);
    }
}

#[test]
fn hook_of_a_rebase_changes_nothing_in_the_repository_of_the_user() {
    for deed in &DEEDS[1..] {
        assert_changes_nothing("--rebase", "pre-rebase", deed);
    }
}

#[test]
fn cleanup_does_not_wait_for_a_background_process_of_a_hook() {
    let world = World::new();
    let id = ready(&world);
    let stop = world.root().join("stop");
    let script = format!(
        "(until [ -e '{0}' ]; do sleep 0.05; done; : >'{0}ped') &",
        stop.display()
    );
    for name in ["pre-merge-commit", "post-merge"] {
        install(&world, name, &script);
    }
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
    fs::write(&stop, "").unwrap();
    wait_until("the hook's program to end", || {
        world.root().join("stopped").exists()
    });
}

#[test]
fn cleanup_removes_the_scratch_repository_after_a_hook_killed_git_flux() {
    let world = World::new();
    let id = ready(&world);
    // git, its wrapper's shell and this one: the first above them that is called so.
    let script = "pid=$$; while [ \"$pid\" -gt 1 ]; do\n\
        [ \"$(cat /proc/$pid/comm)\" != git-flux ] || { kill -9 \"$pid\"; break; }\n\
        pid=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$pid/status); done; kill -9 $PPID";
    install(&world, "pre-merge-commit", script);
    world.write("untracked.txt", "mine\n");
    let before = world.snapshot();
    world.flux(["cleanup", &id]).run().killed();
    assert!(scratch_directory(&world, &id).join("myapp/.git").is_dir());
    let after = world.snapshot();
    let changes = before.changes(&after);
    let is_ours = |change: &String| change.contains("flux") || change.contains(".merge");
    assert!(changes.iter().all(is_ours), "{changes:#?}");
    fs::remove_file(world.repo().join(".git/hooks/pre-merge-commit")).unwrap();
    fs::remove_file(world.tools().join("hooks.log")).unwrap();
    // One that changes anything.
    world.flux(["cleanup", "no-such-task"]).run().code(1);
    assert!(!scratch_directory(&world, &id).exists());
    world.assert_unchanged(&before);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_keeps_a_commit_of_the_user_made_while_a_hook_runs() {
    let world = World::new();
    let id = done_task(&world);
    let (begun, go) = (world.root().join("begun"), world.root().join("go"));
    let script = format!(
        ": >'{}'; until [ -e '{}' ]; do sleep 0.05; done",
        begun.display(),
        go.display()
    );
    install(&world, "pre-merge-commit", &script);
    std::thread::scope(|scope| {
        let cleanup = scope.spawn(|| world.flux(["cleanup", &id]).run());
        wait_until("the hook to run", || begun.exists());
        world.write("README.md", "mine\n");
        world.git(["commit", "-q", "-a", "-m", "My own small change"]);
        let files = world.git(["show", "--format=", "--name-only", "HEAD"]);
        assert_eq!(files, "README.md");
        fs::write(&go, "").unwrap();
        cleanup.join().unwrap().success();
    });
    assert_removed(&world, &id);
    assert_eq!(
        world.git(["log", "-1", "--format=%s", "main^1"]),
        "My own small change"
    );
    assert_eq!(world.read("agent.txt"), "one\n");
}

/// Returns the directories in which hooks have run.
fn hook_directories(world: &World) -> Vec<String> {
    let log = fs::read_to_string(world.tools().join("hooks.log")).unwrap();
    let top = |line: &str| line.splitn(3, ' ').nth(2).unwrap().to_owned();
    log.lines().map(top).collect()
}

#[test]
fn hook_runs_neither_in_the_checkout_nor_in_the_git_directory() {
    for dir in [
        None,
        Some(".worktrees"),
        Some(".git/worktrees-of-mine"),
        Some("@/away"),
    ] {
        let world = World::new();
        if let Some(dir) = dir {
            let dir = dir.replace('@', world.root().to_str().unwrap());
            world.git(["config", "flux.worktreeDir", &dir]);
        }
        let id = ready(&world);
        install(&world, "pre-merge-commit", "");
        world.flux(["cleanup", &id]).run().success();
        let tops = hook_directories(&world);
        let [top] = &tops[..] else { panic!("{tops:?}") };
        assert!(!top.contains("/.git/"), "{dir:?}: {top}");
        assert!(!Path::new(top).starts_with(world.repo()), "{dir:?}: {top}");
        assert!(top.ends_with("/myapp"), "{dir:?}: {top}");
        assert_removed(&world, &id);
        let left = fs::read_dir(world.root()).unwrap().flatten();
        let left: Vec<_> = left.map(|entry| entry.path()).collect();
        let is_scratch = |path: &PathBuf| path.to_string_lossy().ends_with(".merge");
        assert!(!left.iter().any(is_scratch), "{left:?}");
    }
}

#[test]
fn hook_changes_only_a_copy_of_a_small_file_of_a_tool_in_the_git_directory() {
    let world = World::new();
    let id = ready(&world);
    let state = world.repo().join(".git/tool-state");
    world.write(&state, "mine\n");
    let append = r#"file=$(git rev-parse --absolute-git-dir)/tool-state
        grep -q mine "$file" || exit 1
        echo hook >>"$file""#;
    install(&world, "pre-merge-commit", append);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(hook_directories(&world).len(), 1, "the hook ran");
    assert_eq!(fs::read_to_string(&state).unwrap(), "mine\n");
}

#[test]
fn cleanup_refuses_if_a_directory_is_in_place_of_the_scratch_repository() {
    let world = World::new();
    let id = ready(&world);
    install(&world, "pre-merge-commit", "");
    let file = scratch_directory(&world, &id).join("mine.txt");
    world.write(&file, "mine\n");
    let before = world.snapshot();
    let place = scratch_directory(&world, &id).display().to_string();
    let refused = world.flux(["cleanup", "-y", &id]).run();
    // Its name has the repository's inode, which may have any number of digits.
    assert_eq!(
        refused.code(1).stderr,
        format!(
            "error: '{place}' exists already; the merge needs this path\n\
             hint: to make room: mv '{place}' '{place}.away'\n"
        )
    );
    world.assert_unchanged(&before);
    assert_eq!(world.read(&file), "mine\n");
    fs::rename(scratch_directory(&world, &id), world.tools().join("away")).unwrap();
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}

/// Returns what a killed merge must not change: files with their times, index, refs, stash, configuration.
fn repository_state(world: &World) -> Vec<String> {
    let mut traces = vec![
        world.git(["for-each-ref"]),
        world.git(["stash", "list"]),
        world.git(["worktree", "list"]),
        world.read(".git/config"),
        world.read(".git/HEAD"),
    ];
    let files = ["README.md", "src/login.txt", "untracked.txt", ".git/index"];
    traces.extend(files.map(|file| {
        let found = fs::metadata(world.repo().join(file)).unwrap();
        format!("{file} {} {:?}", found.ino(), found.modified().unwrap())
    }));
    traces
}

#[test]
#[ignore = "it takes minutes: .ci/long killed_merges"]
fn cleanup_killed_during_a_merge_leaves_no_trace() {
    const TIMES: usize = 30;
    let world = World::new();
    let id = ready(&world);
    world.write("untracked.txt", "mine\n");
    world.write("src/login.txt", "mine\n");
    install(
        &world,
        "pre-merge-commit",
        "git stash push -q -ku; git stash pop -q; exit 1",
    );
    install(&world, "prepare-commit-msg", "");
    world.git(["status"]);
    let program = world.flux(["--version"]).run();
    program.success();
    let whole = std::time::Instant::now();
    world.flux(["cleanup", "-y", &id]).run().code(1);
    let whole = whole.elapsed();
    let before = repository_state(&world);
    let mut killed = 0;
    for n in 0..TIMES {
        let mut command = world.command(env!("CARGO_BIN_EXE_git-flux"));
        command
            .args(["cleanup", "-y", &id])
            .current_dir(world.repo());
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        // Spread over the time that it takes, and a part of the way to the next.
        let part = (n as f64 + f64::from(rand::random::<u8>()) / 256.0) / TIMES as f64;
        std::thread::sleep(whole.mul_f64(part));
        let group = i32::try_from(child.id()).unwrap();
        killed += usize::from(child.try_wait().unwrap().is_none());
        kill(Pid::from_raw(-group), Signal::SIGKILL).ok();
        child.wait().unwrap();
        assert_eq!(
            repository_state(&world),
            before,
            "killed after {part} of the way"
        );
        world.git(["fsck", "--strict"]);
        world.flux(["cleanup", "no-such-task"]).run().code(1);
        assert!(!scratch_directory(&world, &id).exists());
        assert_eq!(
            repository_state(&world),
            before,
            "settled after {part} of the way"
        );
    }
    assert!(killed > 0, "each had ended before");
    println!("{killed} of {TIMES} were killed on the way, and left no trace");
}

#[test]
fn hook_post_checkout_can_create_a_repository_elsewhere() {
    let world = World::new();
    let script = "set -e; dir=$(mktemp -d); cd \"$dir\"; git init -q .; echo x >x; git add x; git commit -q -m fixture; test -d .git";
    install(&world, "post-checkout", script);
    world.behaviour("commit one");
    let main = commit(&world, "main");
    world.git(["branch", "side"]);
    let output = world.flux(["run", "--name", "a", "Fix"]).run();
    output.success().has_not("hook failed");
    world.agent("a").wait_first_done();
    assert_eq!(commit(&world, "feature/a~1"), main);
    world
        .flux(["run", "-q", "--name", "b", "--branch", "side", "Fix"])
        .ok();
    world.agent("b").wait_first_done();
    assert_eq!(commit(&world, "side~1"), main);
    for id in ["a", "b"] {
        end_agent(&world, id);
    }
    world
        .flux(["cleanup", "--discard-branch", "-y", "a"])
        .run()
        .success();
    fs::remove_dir_all(trash(&world, "a")).unwrap();
    world.behaviour("raw");
    world.flux(["restore", "a"]).ok();
    assert_eq!(commit(&world, "feature/a~1"), main);
    assert_eq!(world.git(["config", "--get-all", "core.bare"]), "false");
    world.try_git(["config", "core.worktree"]).unwrap_err();
    assert_eq!(hook_directories(&world).len(), 3);
}

#[test]
fn cleanup_changes_nothing_when_interrupted_while_a_hook_hangs() {
    let world = World::new();
    let id = ready(&world);
    let begun = world.root().join("begun");
    install(
        &world,
        "pre-merge-commit",
        &format!(": >'{}'; sleep 1000", begun.display()),
    );
    world.write("untracked.txt", "mine\n");
    let before = world.snapshot();
    let terminal = world.terminal(100, 30);
    terminal.command(&format!("git-flux cleanup -y {id}"));
    wait_until("the hook to run", || begun.exists());
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
    terminal.close();
    fs::remove_file(begun).unwrap();
    fs::remove_file(world.tools().join("hooks.log")).unwrap();
    assert!(!scratch_directory(&world, &id).exists());
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_does_not_remove_a_scratch_directory_of_another_repository() {
    let world = World::new();
    let id = ready(&world);
    // An agent can write this, and it says that a merge was begun.
    world.write(format!(".git/flux/run/{id}/merge/x"), "");
    let others = world.repo().with_file_name(format!(".myapp-{id}.merge"));
    world.write(others.join("notes"), "mine\n");
    // And this, as if the entry of a worktree of the user's belonged to it.
    let mine = world.root().join("mine");
    world.git(["worktree", "add", "-q", "--detach", mine.to_str().unwrap()]);
    let link = world.repo().join(format!(".git/flux/run/{id}/merge/.git"));
    let gitdir = world.repo().join(".git/worktrees/mine/gitdir");
    let honest = world.read(&gitdir);
    fs::write(&gitdir, format!("{}\n", link.display())).unwrap();
    world.flux(["cleanup", "-y", &id]).run().success();
    fs::write(&gitdir, honest).unwrap();
    assert_eq!(world.read(others.join("notes")), "mine\n");
    world.git_in(&mine, ["status"]);
}
