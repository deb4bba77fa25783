//! Notifications when an agent waits, is done or has ended.
//!
//! Hooks and the launcher start a process for them. The user's commands get texts in the
//! environment, so that no shell interprets them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::run::RunDir;
use crate::run::events::Event;
use crate::run::file::{read_json, write_private};
use crate::sanitize;
use crate::system::program::{current_exe, which};
use crate::task::{Activity, BranchName, Bytes, Task, record};
use crate::tmux::client;

/// The notification settings of a run, stored because hooks open no repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Notifier {
    task: String,
    title: String,
    branch: BranchName,
    #[serde(with = "record::path")]
    worktree: PathBuf,
    ways: Vec<String>,
}

const FILE_NAME: &str = "notify";

const BELL: &str = "bell";
const OSC9: &str = "osc9";
const OSC777: &str = "osc777";
const DESKTOP: &str = "desktop";
/// The values of `flux.notify`; any other is a command.
pub(crate) const METHODS: [&str; 4] = [BELL, OSC9, OSC777, DESKTOP];

/// Returns whether `text` is a valid value of `flux.notify`: `bell`, `osc9`, `osc777`, `desktop`, a
/// shell command, or empty. If it has only letters, digits, `-` and `_`, it must be a program on
/// PATH; any other command is not checked.
pub(crate) fn is_notify_value(text: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || "-_".contains(c);
    let lone = text.chars().all(is_name);
    METHODS.contains(&text) || !lone || text.is_empty() || which(Path::new(text)).is_some()
}

impl Notifier {
    /// Writes how to notify the user of `task` to the file `notify` in its run directory, for hooks
    /// and launcher. Removes that file if `ways` is empty.
    pub(crate) fn write_to(task: &Task, ways: Vec<String>, run: &RunDir) -> Result<()> {
        if ways.is_empty() {
            return run.remove_file(FILE_NAME);
        }
        let config = Self {
            task: task.id.to_string(),
            title: task.title.clone(),
            branch: task.branch.clone(),
            worktree: task.worktree.clone(),
            ways,
        };
        write_private(&run.0.join(FILE_NAME), &serde_json::to_vec(&config)?)
    }

    /// Reads from the file `notify` in a run directory how to notify the user; `None` if the file is
    /// missing or invalid. The launcher calls this before it starts the agent, because the agent could
    /// change the file.
    pub(super) fn of(run: &RunDir) -> Option<Self> {
        read_json(&run.0.join(FILE_NAME)).ok()?
    }
}

/// Starts `git-flux __tell` in the background, which notifies the user of `event`, with `env` in
/// its environment. Returns `None` if `config` is `None`, if the event's state is not waiting,
/// done, failed or exited, or if `before` has the state, reason and question of `event`.
pub(super) fn start_notifier(
    config: Option<Notifier>,
    before: Option<&Event>,
    event: &Event,
    env: &[(Bytes, Bytes)],
) -> Result<Option<Child>> {
    let is_worth = matches!(
        event.state,
        Activity::Waiting | Activity::Done | Activity::Failed | Activity::Exited
    );
    let is_new = before.is_none_or(|before| !before.has_state_of(event));
    let Some(config) = config.filter(|_| is_worth && is_new) else {
        return Ok(None);
    };
    let mut command = Command::new(current_exe()?);
    command.arg("__tell");
    command.envs(env.iter().map(|(name, value)| (&name.0, &value.0)));
    command.env("FLUX_STATE", event.state.into_str());
    command.env("FLUX_REASON", event.why.map_or("", |why| why.into_str()));
    command.env("FLUX_MESSAGE", event.message.as_deref().unwrap_or_default());
    let mut child = spawn(command, Stdio::piped())?;
    let mut input = child.stdin.take().context("no pipe")?;
    serde_json::to_writer(&mut input, &config).context("could not write to the pipe")?;
    Ok(Some(child))
}

/// Starts `program` with `args`, the notification program that the user has set in the agent's own
/// configuration, in the background. Does not wait for it.
pub(super) fn start_notify_program(program: &OsStr, args: &[OsString]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args);
    spawn(command, Stdio::null()).map(drop)
}

/// Starts a program in the background, in its own process group, with `input` as its standard
/// input. Discards its output, and does not wait for it.
fn spawn(mut command: Command, input: Stdio) -> Result<Child> {
    command.stdin(input).stdout(Stdio::null());
    command.stderr(Stdio::null()).process_group(0);
    command.spawn().context("could not start a program")
}

/// Runs `git-flux __tell`: notifies the user as the settings on standard input say, of the event in
/// `FLUX_STATE`, `FLUX_REASON` and `FLUX_MESSAGE`. Ignores all failures.
pub(crate) fn run() {
    drop(notify_all());
}

fn notify_all() -> Result<()> {
    let config: Notifier = serde_json::from_reader(io::stdin())?;
    let text = |name: &str| env::var(name).unwrap_or_default();
    let (state, reason) = (text("FLUX_STATE"), text("FLUX_REASON"));
    let head = match (state.as_str(), reason.as_str()) {
        (state, "") => format!("{}: {state}", config.task),
        (state, reason) => format!("{}: {state} ({reason})", config.task),
    };
    let message = text("FLUX_MESSAGE");
    let line = message.lines().find(|line| !line.trim().is_empty());
    let body = sanitize::line(line.unwrap_or(&config.title));
    let body: String = body.chars().take(200).collect();
    for method in &config.ways {
        let result = match method.as_str() {
            BELL => client::write_to_all("\x07"),
            OSC9 => client::write_to_all(&format!("\x1b]9;{head}: {body}\x07")),
            // A semicolon separates fields.
            OSC777 => {
                let body = body.replace(';', ",");
                client::write_to_all(&format!("\x1b]777;notify;{head};{body}\x07"))
            }
            DESKTOP => show_on_desktop(&head, &body),
            command => run_command(command, &config),
        };
        // Continue with the next one after a failure.
        drop(result);
    }
    Ok(())
}

/// Starts `notify-send`, or `osascript` if that is not installed, to show a notification on the
/// desktop. Does not wait for it; fails if neither is installed.
fn show_on_desktop(head: &str, body: &str) -> Result<()> {
    let installed = |name: &str| which(Path::new(name));
    if let Some(program) = installed("notify-send") {
        let mut command = Command::new(program);
        // Notifications may contain markup.
        let body = body.replace('&', "&amp;").replace('<', "&lt;");
        command.args(["--app-name=git flux", "--", head, &body]);
        return spawn(command, Stdio::null()).map(drop);
    }
    let program = installed("osascript").context("notify-send is not installed")?;
    let mut command = Command::new(program);
    for line in [
        "on run argv",
        "display notification (item 2 of argv) with title (item 1 of argv)",
        "end run",
    ] {
        command.args(["-e", line]);
    }
    command.args(["--", head, body]);
    spawn(command, Stdio::null()).map(drop)
}

/// Starts a shell command of `flux.notify` in the background, in the task's worktree, or in `/` if
/// that is gone. Sets `FLUX_TASK`, `FLUX_TITLE`, `FLUX_BRANCH` and `FLUX_WORKTREE` for it.
fn run_command(text: &str, config: &Notifier) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", text]);
    command.env("FLUX_TASK", &config.task);
    command.env("FLUX_TITLE", &config.title);
    command.env("FLUX_BRANCH", &config.branch);
    command.env("FLUX_WORKTREE", &config.worktree);
    // The worktree may be removed.
    let dir = Some(&*config.worktree).filter(|dir| dir.is_dir());
    command.current_dir(dir.unwrap_or(Path::new("/")));
    spawn(command, Stdio::null()).map(drop)
}
