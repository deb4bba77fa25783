//! Where it is measured: a directory that is taken away again, with its own HOME and tmux server.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::TempDir;

/// What all that is built here takes, at most, in bytes.
const SPACE: u64 = 4 << 30;

/// Agents take over the terminal. `git flux run` waits for that, up to a second.
const AGENT: &str = "#!/bin/sh\nstty raw -echo\nexec sleep ";

/// A signal has asked to stop.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

pub(crate) struct World {
    dir: TempDir,
    /// Directly below /tmp: the path of a socket may not be long.
    sockets: TempDir,
    root: PathBuf,
    /// Where all this is, in words.
    pub(crate) place: String,
    path: OsString,
    stop: Arc<AtomicBool>,
}

impl World {
    /// An empty one, whose tmux server runs.
    ///
    /// # Errors
    /// When a file or a process cannot be had.
    pub(crate) fn new() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        let (parent, place) = roomy()?;
        let named = |prefix| {
            let mut builder = tempfile::Builder::new();
            builder.prefix(prefix);
            builder
        };
        let dir = named("git-flux-bench-").tempdir_in(parent)?;
        let sockets = named("flux-").tempdir_in("/tmp")?;
        let root = dir.path().canonicalize()?;
        let mut path = vec![root.join("bin")];
        path.extend(env::split_paths(&env::var_os("PATH").context("no PATH")?));
        let world = Self {
            path: env::join_paths(path)?,
            dir,
            sockets,
            root,
            place,
            stop,
        };
        world.furnish()?;
        Ok(world)
    }

    fn furnish(&self) -> Result<()> {
        // One that stays until it is ended, and one that ends by itself.
        for (name, seconds) in [("stays", "100000"), ("ends", "2")] {
            self.script(&format!("bin/{name}"), &format!("{AGENT}{seconds}\n"))?;
        }
        symlink(
            env!("CARGO_BIN_EXE_git-flux"),
            self.root.join("bin/git-flux"),
        )?;
        let config = "[user]\n\tname = Bench\n\temail = bench@example.com\n\
             [init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n\
             [flux]\n\tagent = stays\n\
             [flux \"stays\"]\n\tcommand = stays\n[flux \"ends\"]\n\tcommand = ends\n";
        self.file("home/.gitconfig", config)?;
        fs::create_dir(self.root.join("tmp"))?;
        self.run(&mut self.tmux(["new-session", "-d", "-s", "keep", "sleep 100000"]))
    }

    /// Writes a program, by its path in the directory.
    pub(crate) fn script(&self, path: &str, text: &str) -> Result<()> {
        self.file(path, text)?;
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Writes a file, by its path in the directory.
    pub(crate) fn file(&self, path: &str, text: &str) -> Result<()> {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().context("it is in the directory")?)?;
        Ok(fs::write(path, text)?)
    }

    /// A path in the directory.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The repository. What belongs to it appears beside it.
    pub(crate) fn repo(&self) -> PathBuf {
        self.at("app")
    }

    /// A command in the repository, with nothing of the caller's environment but PATH.
    pub(crate) fn command<I, S>(&self, program: &str, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let repo = self.repo();
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.root.join("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C.UTF-8")
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm-256color")
            .env("TMUX_TMPDIR", self.sockets.path())
            .env("TMPDIR", self.root.join("tmp"))
            .current_dir(if repo.exists() { &repo } else { &self.root })
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    pub(crate) fn git<const N: usize>(&self, args: [&str; N]) -> Command {
        self.command("git", args)
    }

    pub(crate) fn flux<const N: usize>(&self, args: [&str; N]) -> Command {
        self.command("git-flux", args)
    }

    /// Opens a session with a program that does not end, in `dir`.
    pub(crate) fn open_session(&self, name: &str, dir: &str) -> Command {
        self.tmux(["new-session", "-d", "-s", name, "-c", dir, "stays"])
    }

    pub(crate) fn tmux<const N: usize>(&self, args: [&str; N]) -> Command {
        self.command("tmux", args)
    }

    /// PATH, with what stands for git and tmux before it.
    pub(crate) fn shimmed(&self) -> Result<OsString> {
        let shim = [self.at("shim")];
        Ok(env::join_paths(
            shim.into_iter().chain(env::split_paths(&self.path)),
        )?)
    }

    /// Runs one command.
    ///
    /// # Errors
    /// When it fails, with what it said, or a signal has asked to stop.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        self.check()?;
        // Not a pipe: who is started may keep it open.
        let mut said = tempfile::tempfile_in(&self.root)?;
        let status = command.stderr(said.try_clone()?).status();
        let status = status.with_context(|| format!("could not start {command:?}"))?;
        self.check()?;
        if !status.success() {
            let mut text = String::new();
            said.rewind()?;
            said.read_to_string(&mut text)?;
            bail!("{command:?} failed: {status}\n{text}");
        }
        Ok(())
    }

    /// What a command prints.
    ///
    /// # Errors
    /// As [`World::run`].
    pub(crate) fn output(&self, mut command: Command) -> Result<String> {
        let mut out = tempfile::tempfile_in(&self.root)?;
        self.run(command.stdout(out.try_clone()?))?;
        let mut text = String::new();
        out.rewind()?;
        out.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Runs a command that reads `input`.
    ///
    /// # Errors
    /// As [`World::run`].
    pub(crate) fn feed(&self, mut command: Command, input: &str) -> Result<()> {
        let mut file = tempfile::tempfile_in(&self.root)?;
        file.write_all(input.as_bytes())?;
        file.rewind()?;
        self.run(command.stdin(file))
    }

    /// How long some commands take, one after the other.
    ///
    /// # Errors
    /// As [`World::run`].
    pub(crate) fn time<const N: usize>(&self, mut commands: [Command; N]) -> Result<Duration> {
        let begun = Instant::now();
        for command in &mut commands {
            self.run(command)?;
        }
        Ok(begun.elapsed())
    }

    /// How long some jobs take, each of commands one after the other, of which so many are done at once.
    ///
    /// # Errors
    /// As [`World::run`].
    pub(crate) fn at_once(&self, workers: usize, jobs: Vec<Vec<Command>>) -> Result<Duration> {
        let jobs = Mutex::new(jobs.into_iter());
        let next = || jobs.lock().expect("no worker panics").next();
        let work = || -> Result<()> {
            while let Some(job) = next() {
                for mut command in job {
                    self.run(&mut command)?;
                }
            }
            Ok(())
        };
        let begun = Instant::now();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let mut done = workers.into_iter().map(|worker| worker.join());
            done.try_for_each(|done| done.expect("no worker panics"))
        })?;
        Ok(begun.elapsed())
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// When it is not within a minute, or a signal has asked to stop.
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !is_so()? {
            self.check()?;
            ensure!(begun.elapsed() < Duration::from_secs(60), "no {what}");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Lets files grow old enough for git to trust their times, which have whole
    /// seconds, and has it note that it may.
    ///
    /// # Errors
    /// As [`World::run`].
    pub(crate) fn let_age(&self, worktrees: &[PathBuf]) -> Result<()> {
        thread::sleep(Duration::from_millis(1100));
        for worktree in worktrees {
            self.run(self.git(["status"]).current_dir(worktree))?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Interrupted.into());
        }
        Ok(())
    }

    /// Ends what was started here and still runs: what has this directory in its environment.
    fn reap(&self) {
        let name = self.dir.path().file_name().unwrap_or_default().as_bytes();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|n| n.parse().ok());
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let ours = environment.windows(name.len()).any(|part| part == name);
            if let (Some(pid), true) = (pid, ours) {
                kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tmux(["kill-server"])
            .stderr(Stdio::null())
            .status()
            .ok();
        self.reap();
        // Who is ended writes a last file, it may be.
        for _ in 0..100 {
            match fs::remove_dir_all(&self.root) {
                Err(_) if self.root.exists() => thread::sleep(Duration::from_millis(50)),
                _ => return,
            }
        }
        eprintln!("could not remove '{}'", self.root.display());
    }
}

/// Where there is room: the memory file system if there is one, else the temporary directory; and what to call it.
fn roomy() -> Result<(PathBuf, String)> {
    let memory = Path::new("/dev/shm");
    let temporary = env::temp_dir();
    // Not so wide on every system.
    #[allow(clippy::useless_conversion)]
    let free = |dir: &Path| {
        let found = statvfs(dir).ok()?;
        Some(u64::from(found.blocks_available()) * u64::from(found.fragment_size()))
    };
    if free(memory).is_some_and(|free| free >= SPACE) {
        return Ok((
            memory.to_owned(),
            format!("in memory ({})", memory.display()),
        ));
    }
    let shown = temporary.display().to_string();
    ensure!(
        free(&temporary).is_none_or(|free| free >= SPACE),
        "'{shown}' has not the {} GB that this takes",
        SPACE >> 30
    );
    Ok((
        temporary,
        format!("on disk ({shown}): no memory file system with room"),
    ))
}
