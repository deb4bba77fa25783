//! A world per test: directories, HOME, git configuration and tmux server of its own, real git, real tmux
//! and an agent that writes down what it is given.
//!
//! Nothing here is global, for the tests run as threads of one process: every program is started with an
//! empty environment plus what `World::env` lists. Set `KEEP_WORLD=1` to look at a world afterwards, and
//! `TEST_GIT` to the path of a git that is used instead of the machine's.
//!
//! ```text
//! <temp>/<name>/myapp      the repository; what git flux creates appears beside it
//! <temp>/the tools/        bin (git-flux, claude), shim, calls, fault, agent, home, gitconfig
//! /tmp/ft-XXXXXX/          tmux sockets: 'default' is the product's server, 'term' our terminals'
//! ```

mod agent;
pub(crate) mod archive;
pub(crate) mod cases;
#[cfg(target_os = "linux")]
mod clock;
pub(crate) mod cycle;
pub(crate) mod documents;
mod flux;
pub(crate) mod hints;
pub(crate) mod home;
pub(crate) mod hooks;
pub(crate) mod launcher;
pub(crate) mod limits;
pub(crate) mod output;
pub(crate) mod questions;
pub(crate) mod removal;
pub(crate) mod reports;
mod repository;
mod selftest;
mod shared_config;
mod shell;
mod shim;
pub(crate) mod slurm;
mod snapshot;
mod stash;
mod template;
mod terminal;
#[cfg(target_os = "linux")]
mod trace;
mod wait;

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use bstr::ByteSlice as _;
use tempfile::TempDir;

use agent::kill;
pub(crate) use agent::{Agent, Process};
pub(crate) use expect_test::expect;
pub(crate) use flux::{Flux, Output};
pub(crate) use shell::AgentShell;
pub(crate) use shim::{Call, Caller, Fault, Mode};
pub(crate) use snapshot::Snapshot;
pub(crate) use terminal::Terminal;
#[cfg(target_os = "linux")]
pub(crate) use trace::{calls_and_starts_in_a_minute, calls_in_an_idle_second};
pub(crate) use wait::{require, wait_for, wait_until, watching_process};

/// All that one test can use.
pub(crate) struct World {
    temp: TempDir,
    sockets: TempDir,
    root: PathBuf,
    tools: PathBuf,
    git: PathBuf,
    tmux: PathBuf,
    /// Changes of the configuration between two commands count.
    compares_config: AtomicBool,
    /// What git lists for index files of this content.
    indexes: Mutex<BTreeMap<Vec<u8>, String>>,
}

impl World {
    /// Makes a world whose paths have a space in them, to flush out quoting mistakes.
    pub(crate) fn new() -> Self {
        Self::at("flux world")
    }

    /// Makes a world whose repository is in a directory of this name, which can contain any byte but '/' and NUL.
    pub(crate) fn at(name: impl AsRef<OsStr>) -> Self {
        let world = Self::without_repository(name);
        world.copy_repository();
        world
    }

    /// Makes a world in which `repo()` does not exist yet.
    pub(crate) fn without_repository(name: impl AsRef<OsStr>) -> Self {
        let mut temp = tempfile::Builder::new().prefix("flux-").tempdir().unwrap();
        // Directly under /tmp, whatever TMPDIR says: a socket's path may not exceed some 100 bytes.
        let mut sockets = tempfile::Builder::new()
            .prefix("ft-")
            .tempdir_in("/tmp")
            .unwrap();
        let keep = env::var_os("KEEP_WORLD").is_some();
        temp.disable_cleanup(keep);
        sockets.disable_cleanup(keep);
        // What git prints has no symbolic links in it.
        let base = temp.path().canonicalize().unwrap();
        let world = Self {
            root: base.join(name.as_ref()),
            tools: base.join("the tools"),
            git: env::var_os("TEST_GIT").map_or_else(|| require("git"), PathBuf::from),
            tmux: require("tmux"),
            compares_config: AtomicBool::new(false),
            indexes: Mutex::default(),
            temp,
            sockets,
        };
        fs::create_dir(&world.root).unwrap();
        for dir in [
            "bin", "shim", "real", "calls", "fault", "agent", "home", "tmp",
        ] {
            fs::create_dir_all(world.tools.join(dir)).unwrap();
        }
        symlink(
            env!("CARGO_BIN_EXE_git-flux"),
            world.tools.join("bin/git-flux"),
        )
        .unwrap();
        world.write_git_config();
        world.install_agent("claude");
        world
    }

    fn write_git_config(&self) {
        let config = "[user]\n\tname = Flux Test\n\temail = flux@example.com\n\
                      [init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n\
                      [gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[advice]\n\tdetachedHead = false\n\
                      \tdefaultBranchName = false\n\taddEmbeddedRepo = false\n\tmergeConflict = false\n";
        fs::write(self.tools.join("gitconfig"), config).unwrap();
        // The agent loses GIT_CONFIG_GLOBAL with the caller's other GIT_* variables, but must be able to commit.
        symlink("../gitconfig", self.tools.join("home/.gitconfig")).unwrap();
    }

    /// Returns the directory of the repository and its worktrees.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory for the test itself: bin, shim, calls, agent, home, tmp.
    pub(crate) fn tools(&self) -> &Path {
        &self.tools
    }

    /// Returns the main worktree of the default repository.
    pub(crate) fn repo(&self) -> PathBuf {
        self.root.join("myapp")
    }

    /// Returns the whole environment of every program started here.
    pub(crate) fn env(&self) -> Vec<(&'static str, OsString)> {
        let date = "2026-01-02T03:04:05+00:00";
        vec![
            ("HOME", self.tools.join("home").into()),
            ("TMPDIR", self.tools.join("tmp").into()),
            ("PATH", self.path()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("TERM", "xterm-256color".into()),
            ("SHELL", "/bin/sh".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", self.tools.join("gitconfig").into()),
            ("GIT_AUTHOR_DATE", date.into()),
            ("GIT_COMMITTER_DATE", date.into()),
            ("TMUX_TMPDIR", self.sockets.path().into()),
        ]
    }

    /// Returns the shims' directory (empty until `shim`), the world's programs, then the machine's.
    pub(crate) fn path(&self) -> OsString {
        let mut dirs = vec![self.tools.join("shim"), self.tools.join("bin")];
        dirs.extend(self.machine_path());
        env::join_paths(dirs).unwrap()
    }

    fn machine_path(&self) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = wait::USUAL.iter().map(PathBuf::from).collect();
        // A git that was asked for comes before that of the machine.
        if env::var_os("TEST_GIT").is_some() {
            dirs.insert(0, self.git.parent().unwrap().to_path_buf());
        }
        for tool in [&self.git, &self.tmux] {
            let dir = tool.parent().unwrap().to_path_buf();
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
        dirs
    }

    /// Returns a PATH on which these programs are not found: `.env("PATH", world.path_without(["tmux"]))`.
    pub(crate) fn path_without<const N: usize>(&self, programs: [&str; N]) -> OsString {
        let farm = self.tools.join(format!("without {}", programs.join(" ")));
        fs::create_dir_all(&farm).unwrap();
        let mut dirs = vec![self.tools.join("bin")];
        dirs.extend(self.machine_path());
        for entry in dirs
            .iter()
            .filter_map(|dir| fs::read_dir(dir).ok())
            .flatten()
        {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if programs.iter().all(|program| name != *program) {
                // The first directory wins, as on PATH.
                symlink(entry.path(), farm.join(name)).ok();
            }
        }
        farm.into()
    }

    /// Returns a command in this world: without the environment of the test, a terminal or input.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        // A program that is searched in another PATH than ours is started by fork(2), which copies all that the
        // tests hold in memory; one with a path by posix_spawn(3), which does not.
        let mut command = Command::new(self.find(program.as_ref()));
        command
            .env_clear()
            .envs(self.env())
            .current_dir(&self.root)
            .stdin(Stdio::null());
        command
    }

    /// Returns the path of a program on the world's PATH, or its name if it is not there.
    fn find(&self, program: &OsStr) -> OsString {
        if program.as_bytes().contains(&b'/') {
            return program.to_owned();
        }
        let path = self.path();
        let mut found = env::split_paths(&path).map(|dir| dir.join(program));
        found
            .find(|path| path.is_file())
            .map_or_else(|| program.to_owned(), PathBuf::into_os_string)
    }

    /// Puts a program (a script, with its `#!` line) into the world's own `bin`.
    pub(crate) fn install(&self, name: &str, script: &str) {
        install_at(&self.tools.join("bin").join(name), script);
    }

    /// Takes a program out of the world's own `bin`; the machine's, if any, shows again.
    pub(crate) fn uninstall(&self, name: &str) {
        fs::remove_file(self.tools.join("bin").join(name)).unwrap();
    }

    /// Asks the product's tmux server; `None` when there is no server or it refuses.
    pub(crate) fn try_tmux<const N: usize>(&self, args: [&str; N]) -> Option<String> {
        let output = self
            .command(&self.tmux)
            .arg("-u")
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        output.status.success().then_some(text)
    }

    /// Asks the product's tmux server.
    #[track_caller]
    pub(crate) fn tmux<const N: usize>(&self, args: [&str; N]) -> String {
        let mut answer = self.try_tmux(args);
        // A server that ends with its last session may still take a connection.
        if answer.is_none() && args[0] == "new-session" {
            wait_until("a new session of tmux", || {
                answer = self.try_tmux(args);
                answer.is_some()
            });
        }
        answer.unwrap_or_else(|| panic!("tmux {args:?} failed"))
    }

    /// Waits until the launcher has put the end of the task's agent on record: an agent that is gone is not enough.
    #[track_caller]
    pub(crate) fn wait_ended(&self, id: &str) {
        self.wait_ended_in(&self.repo().join(".git"), id);
    }

    /// Waits until the launcher has left a pane to the user's shell: what is typed before is discarded.
    #[track_caller]
    pub(crate) fn wait_for_shell(&self, pane: &str) {
        wait_until("the shell in the pane", || {
            let screen = self.tmux(["capture-pane", "-p", "-J", "-t", pane]);
            screen.contains("To merge its work")
        });
    }

    /// Does the same as `wait_ended` for a task of another repository.
    #[track_caller]
    pub(crate) fn wait_ended_in(&self, common_dir: &Path, id: &str) {
        let exit = common_dir.join("flux/run").join(id).join("exit");
        wait_until("the agent's end to be on record", || exit.exists());
    }

    /// Returns whether there ever was a tmux server of this name, which leaves its socket behind.
    fn has_socket(&self, name: &str) -> bool {
        let users = fs::read_dir(self.sockets.path()).into_iter().flatten();
        let mut sockets = users.flatten().map(|user| user.path().join(name));
        sockets.any(|socket| socket.exists())
    }

    /// Ends the product's tmux server and all in it, as a reboot would.
    pub(crate) fn kill_tmux(&self) {
        // A server that ends answers no more, but a new client may still connect to it.
        let Some(server) = self.try_tmux(["display-message", "-p", "#{pid}"]) else {
            return;
        };
        self.try_tmux(["kill-server"]);
        let server: i32 = server.parse().unwrap();
        wait_until("the tmux server to end", || {
            Process::find(server).is_none_or(|process| process.state == 'Z')
        });
    }

    /// Kills what outlived the tmux servers (an agent that ignores hang-ups, a hanging shim): only processes
    /// whose environment names this world's own directory.
    fn reap(&self) {
        let marks = [&self.tools, self.sockets.path()].map(|path| path.as_os_str().as_bytes());
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            if marks.iter().any(|mark| environ.contains_str(mark)) {
                agent::kill(pid, "KILL");
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for socket in ["default", "term"]
            .into_iter()
            .filter(|name| self.has_socket(name))
        {
            self.command(&self.tmux)
                .args(["-L", socket, "kill-server"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .ok();
        }
        self.reap();
        if env::var_os("KEEP_WORLD").is_some() {
            eprintln!("the world is kept in {}", self.temp.path().display());
        }
    }
}

/// Writes an executable file. A script that is open for writing cannot be started, and what we open, a child that
/// another test is just starting has open too for a moment: so another process writes it, by a new name first.
pub(crate) fn install_at(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut child = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(&new)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "{}", path.display());
    fs::rename(new, path).unwrap();
}

/// Returns one word of POSIX shell that means exactly `text`.
fn quote(text: &Path) -> String {
    let text = text.to_str().expect("the tools' paths are UTF-8");
    format!("'{}'", text.replace('\'', r"'\''"))
}
