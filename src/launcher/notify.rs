//! Telling the user, at the moment when an agent waits, is done or has ended.
//!
//! Whoever notes that, the hook or the launcher, starts a process of its own for it, and does
//! not wait. Nobody's text passes a shell: a command of the user's has it in its environment.

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
use crate::run::file::{read, write};
use crate::sanitize;
use crate::system::program::{ourselves, which};
use crate::task::{BranchName, Bytes, Said, Task, record};
use crate::tmux::client;

/// What the run's directory holds of it: whoever tells opens no repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Notices {
    task: String,
    title: String,
    branch: BranchName,
    #[serde(with = "record::path")]
    worktree: PathBuf,
    ways: Vec<String>,
}

/// Where they are.
const FILE: &str = "notify";

const BELL: &str = "bell";
const OSC9: &str = "osc9";
const OSC777: &str = "osc777";
const DESKTOP: &str = "desktop";
/// What a way to tell is called; anything else is a command.
pub(crate) const WAYS: [&str; 4] = [BELL, OSC9, OSC777, DESKTOP];

/// Returns whether this is one of them, or may be a command: a lone word has to be a program.
pub(crate) fn is_way(text: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || "-_".contains(c);
    let lone = text.chars().all(is_name);
    WAYS.contains(&text) || !lone || text.is_empty() || which(Path::new(text)).is_some()
}

impl Notices {
    /// Writes down how the user of `task` is to be told; nothing where in no way.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn arrange(task: &Task, ways: Vec<String>, run: &RunDir) -> Result<()> {
        if ways.is_empty() {
            return run.remove_file(FILE);
        }
        let notices = Self {
            task: task.id.to_string(),
            title: task.title.clone(),
            branch: task.branch.clone(),
            worktree: task.worktree.clone(),
            ways,
        };
        write(&run.0.join(FILE), &serde_json::to_vec(&notices)?)
    }

    /// Returns how the user is to be told; none in no way. An agent can write this file: who is not
    /// fenced in with it, the launcher, reads it before the agent starts.
    pub(super) fn of(run: &RunDir) -> Option<Self> {
        read(&run.0.join(FILE)).ok()?
    }
}

/// Starts a process that tells of `event`, if it is one to tell of and comes after another
/// state or is about something else. It gets our environment, and `env`, and reads how; whoever
/// lives on waits for its end.
///
/// # Errors
/// When it cannot be started.
pub(super) fn begin(
    notices: Option<Notices>,
    before: Option<&Event>,
    event: &Event,
    env: &[(Bytes, Bytes)],
) -> Result<Option<Child>> {
    let is_worth = matches!(
        event.state,
        Said::Waiting | Said::Done | Said::Failed | Said::Exited
    );
    let key = |event: &Event| (event.state, event.why, event.about.clone());
    let is_new = before.is_none_or(|before| key(before) != key(event));
    let Some(notices) = notices.filter(|_| is_worth && is_new) else {
        return Ok(None);
    };
    let mut command = Command::new(ourselves()?);
    command.arg("__tell");
    command.envs(env.iter().map(|(name, value)| (&name.0, &value.0)));
    command.env("FLUX_STATE", event.state.into_str());
    command.env("FLUX_REASON", event.why.map_or("", |why| why.into_str()));
    command.env("FLUX_MESSAGE", event.message.as_deref().unwrap_or_default());
    let mut teller = start(command, Stdio::piped())?;
    let mut input = teller.stdin.take().context("there is no pipe to it")?;
    serde_json::to_writer(&mut input, &notices).context("could not tell it how")?;
    Ok(Some(teller))
}

/// Tells a program that the agent's user has for its notices what the agent says.
///
/// # Errors
/// When it cannot be started.
pub(super) fn pass_on(program: &OsStr, args: &[OsString]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args);
    start(command, Stdio::null()).map(drop)
}

/// Starts a program that nobody waits for, and that outlives us.
fn start(mut command: Command, input: Stdio) -> Result<Child> {
    command.stdin(input).stdout(Stdio::null());
    command.stderr(Stdio::null()).process_group(0);
    command.spawn().context("could not start a program")
}

/// Tells in every way that standard input names: `__tell`, what it is about in the environment.
pub(crate) fn run() {
    // Nobody is there to hear of an error.
    drop(tell());
}

fn tell() -> Result<()> {
    let notices: Notices = serde_json::from_reader(io::stdin())?;
    let text = |name: &str| env::var(name).unwrap_or_default();
    let (state, reason) = (text("FLUX_STATE"), text("FLUX_REASON"));
    let head = match (state.as_str(), reason.as_str()) {
        (state, "") => format!("{}: {state}", notices.task),
        (state, reason) => format!("{}: {state} ({reason})", notices.task),
    };
    let message = text("FLUX_MESSAGE");
    let line = message.lines().find(|line| !line.trim().is_empty());
    let body = plain(line.unwrap_or(&notices.title));
    for way in &notices.ways {
        let told = match way.as_str() {
            BELL => client::write_to_all("\x07"),
            OSC9 => client::write_to_all(&format!("\x1b]9;{head}: {body}\x07")),
            // Its fields end at a semicolon.
            OSC777 => {
                let body = body.replace(';', ",");
                client::write_to_all(&format!("\x1b]777;notify;{head};{body}\x07"))
            }
            DESKTOP => desktop(&head, &body),
            command => own(command, &notices),
        };
        // One that fails is no reason to leave out the next.
        drop(told);
    }
    Ok(())
}

/// Returns foreign text in a line that does no harm in a terminal, and is no longer than one.
fn plain(text: &str) -> String {
    sanitize::line(text).chars().take(200).collect()
}

/// Starts `notify-send`, or on macOS `osascript`.
fn desktop(head: &str, body: &str) -> Result<()> {
    let installed = |name: &str| which(Path::new(name));
    if let Some(program) = installed("notify-send") {
        let mut command = Command::new(program);
        // What it shows may have tags.
        let body = body.replace('&', "&amp;").replace('<', "&lt;");
        command.args(["--app-name=git flux", "--", head, &body]);
        return start(command, Stdio::null()).map(drop);
    }
    let program = installed("osascript").context("there is no notify-send")?;
    let mut command = Command::new(program);
    for line in [
        "on run argv",
        "display notification (item 2 of argv) with title (item 1 of argv)",
        "end run",
    ] {
        command.args(["-e", line]);
    }
    command.args(["--", head, body]);
    start(command, Stdio::null()).map(drop)
}

/// Starts a command of the user's.
fn own(text: &str, notices: &Notices) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", text]);
    command.env("FLUX_TASK", &notices.task);
    command.env("FLUX_TITLE", &notices.title);
    command.env("FLUX_BRANCH", &notices.branch);
    command.env("FLUX_WORKTREE", &notices.worktree);
    // The worktree may be gone by now.
    let dir = Some(&*notices.worktree).filter(|dir| dir.is_dir());
    command.current_dir(dir.unwrap_or(Path::new("/")));
    start(command, Stdio::null()).map(drop)
}
