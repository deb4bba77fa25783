//! Runs the real Claude Code, Codex, Gemini CLI and OpenCode with a stand-in for their API: no account, no network. npm
//! installs them into the build directory, once.

mod api;
mod claude;
mod codex;
mod gemini;
mod land;
mod opencode;
mod states;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};

use crate::world::{World, require, wait_for, wait_until};
use api::{Api, Turn};

/// What was tried. Agents change fast: another version is another test.
const CLAUDE: &str = "@anthropic-ai/claude-code@2.1.332";
const CODEX: &str = "@openai/codex@0.171.0";
const GEMINI: &str = "@google/gemini-cli@0.61.0";
const OPENCODE: &str = "opencode-ai@1.18.33";

/// A world with a real agent in it, and the API that this agent talks to.
struct Real {
    world: World,
    api: Api,
    env: Vec<(&'static str, OsString)>,
}

impl Real {
    /// Makes a world in which `name` is this real program, which gets `env`.
    fn new(name: &str, program: &Path, env: &[(&'static str, &str)]) -> Self {
        let world = World::new();
        let bin = world.tools().join("bin").join(name);
        if bin.exists() {
            world.uninstall(name);
        }
        symlink(program, bin).unwrap();
        world.git(["config", "--global", "flux.agent", name]);
        // The task and nothing else, so that what arrives can be compared.
        let template = world.tools().join("template");
        fs::write(&template, "{{task}}").unwrap();
        world.git([
            "config",
            "--global",
            "flux.template",
            template.to_str().unwrap(),
        ]);
        let mut env: Vec<(&'static str, OsString)> = env
            .iter()
            .map(|(key, value)| (*key, value.into()))
            .collect();
        if geteuid().is_root() {
            // It does not skip permissions for root, unless it is told that this is a container.
            env.push(("IS_SANDBOX", "1".into()));
        }
        Self {
            world,
            api: Api::start(),
            env,
        }
    }

    fn home(&self) -> PathBuf {
        self.world.tools().join("home")
    }

    /// `git flux <args>`, as the user who has this environment.
    #[track_caller]
    fn flux<const N: usize>(&self, args: [&str; N]) -> crate::world::Output {
        let mut flux = self.world.flux(args);
        for (name, value) in &self.env {
            flux = flux.env(name, value);
        }
        flux.run()
    }

    /// Starts a task on `prompt`, and gives its id.
    #[track_caller]
    fn start(&self, prompt: &[u8]) -> String {
        let mut flux = self.world.flux(["run", "-q", "-F", "-"]).stdin(prompt);
        for (name, value) in &self.env {
            flux = flux.env(name, value);
        }
        let output = flux.run();
        output.success();
        output.stdout.trim_end().to_owned()
    }

    /// Returns the prompt in the record of the task.
    fn prompt(&self, id: &str) -> String {
        let file = format!("refs/flux/tasks/{id}:prompt.md");
        let git = self
            .world
            .command("git")
            .current_dir(self.world.repo())
            .args(["cat-file", "blob", &file])
            .output()
            .unwrap();
        assert!(git.status.success());
        String::from_utf8(git.stdout).unwrap()
    }

    /// Returns the state and its reason as in JSON: `waiting permission`.
    #[track_caller]
    fn state(&self, id: &str) -> String {
        let status = self.flux(["status", "--json", id]).json();
        let word = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", word("state"), word("stateReason"))
            .trim()
            .to_owned()
    }

    /// Waits until the state is this.
    #[track_caller]
    fn wait_state(&self, id: &str, state: &str) {
        let mut seen = String::new();
        wait_for(&format!("the state '{state}'"), || {
            let now = self.state(id);
            if now != seen {
                eprintln!("{now}");
                seen.clone_from(&now);
            }
            (now == state).then_some(())
        });
    }

    /// Returns the processes of a run.
    fn running(&self, id: &str) -> Running {
        let file = format!(".git/flux/run/{id}/running");
        let marks = fs::read_to_string(self.world.repo().join(file)).unwrap();
        let marks: serde_json::Value = serde_json::from_str(&marks).unwrap();
        let pid = |name: &str| i32::try_from(marks[name].as_i64().unwrap()).unwrap();
        Running {
            launcher: pid("launcher"),
            agent: pid("agent"),
        }
    }

    /// Starts a task whose agent has nothing more to do.
    #[track_caller]
    fn start_and_finish(&self, prompt: &[u8]) -> String {
        let id = self.start(prompt);
        self.api.turn().say("Done.");
        self.wait_state(&id, "done");
        id
    }

    /// Asserts that a prompt of this many bytes arrives unchanged.
    #[track_caller]
    fn assert_receives_prompt(&self, bytes: usize) {
        let id = self.start(text(bytes).as_bytes());
        let turn = self.api.turn();
        let prompt = self.prompt(&id);
        assert!(prompt.len() >= bytes);
        assert_eq!(turn.said().last(), Some(&prompt.as_str()));
        turn.say("Done.");
    }

    /// Asserts that the state shows the end of the agent, whichever process is killed.
    #[track_caller]
    fn assert_end_is_shown(&self) {
        let id = self.start_and_finish(b"Write it");
        kill(self.running(&id).agent);
        self.wait_state(&id, "killed");

        let id = self.start_and_finish(b"Write more");
        kill(self.running(&id).launcher);
        self.wait_state(&id, "lost");

        let id = self.start_and_finish(b"Write even more");
        // It is hung up, and heeds that; where it takes too long, it is killed.
        self.world.kill_tmux();
        wait_until("its end to be noted", || {
            ["exited", "killed"].contains(&self.state(&id).as_str())
        });
    }

    /// Starts a task, stops its agent once it is done, and resumes it; asserts that it shows its earlier session.
    #[track_caller]
    fn stop_and_resume(&self) -> String {
        let id = self.start_and_finish(b"Write it");
        self.flux(["stop", &id]).success();
        assert_eq!(self.state(&id), "stopped");
        let pane = self.world.pane(&id);
        self.world.tmux(["clear-history", "-t", &pane]);
        self.flux(["resume", &id]).success();
        wait_until("what it was told before", || {
            let screen = self.world.tmux(["capture-pane", "-p", "-t", &pane]);
            screen.contains("Write it") && screen.contains("Done.")
        });
        id
    }

    /// Starts a task, and waits until its agent has nothing more to do and shows its composer.
    #[track_caller]
    fn start_idle(&self) -> String {
        let id = self.start(b"Write it");
        self.api.turn().say("Done.");
        self.wait_idle(&id);
        id
    }

    /// Waits until the agent has nothing to do, by its hook or, where it takes none from here, its title.
    #[track_caller]
    fn wait_idle(&self, id: &str) {
        let is_idle = || ["done", "waiting"].contains(&self.state(id).as_str());
        wait_until("an agent that has nothing to do", is_idle);
    }

    /// Asserts that each of these messages arrives once and unchanged.
    #[track_caller]
    fn assert_receives_exactly(&self, id: &str, texts: &[&str]) {
        for text in texts {
            self.flux(["send", id, "--", text]).success();
            let turn = self.api.turn();
            let said = turn.said();
            let count = said.iter().filter(|said| said == &text).count();
            assert_eq!(
                count,
                1,
                "{text}: {:?}",
                &said[said.len().saturating_sub(3)..]
            );
            turn.say("Done.");
            self.wait_idle(id);
        }
    }

    /// Asserts that each of these messages is refused and leaves the composer empty.
    #[track_caller]
    fn assert_refuses(&self, id: &str, texts: &[&str]) {
        // The picture at the top may move.
        let below = |screen: &str| screen[screen.find("Write it").unwrap()..].to_owned();
        let shown = self.screen(id);
        for text in texts {
            let refused = self.flux(["send", id, text]);
            refused
                .code(1)
                .stderr_has("the agent would not read it as a message");
            assert_eq!(below(&self.screen(id)), below(&shown), "{text}");
        }
    }

    /// Asserts that no message is sent while a draft is in the composer, and that the draft stays.
    #[track_caller]
    fn assert_keeps_draft(&self, id: &str) {
        let pane = self.world.pane(id);
        self.world
            .tmux(["send-keys", "-t", &pane, "-l", "my draft"]);
        wait_until("the draft", || self.screen(id).contains("my draft"));
        let refused = self.flux(["send", id, "And test it"]);
        refused
            .code(1)
            .stderr_has("has other text in its input field, so the message was not sent");
        let screen = self.screen(id);
        assert!(
            screen.contains("my draft") && !screen.contains("And test it"),
            "{screen}"
        );
        self.press(id, "C-u");
        wait_until("no draft", || !self.screen(id).contains("my draft"));
    }

    /// Asserts that two simultaneous messages arrive one after the other.
    #[track_caller]
    fn assert_receives_two_at_once(&self, id: &str) {
        let texts = ["AAAA first message", "BBBB second message"];
        thread::scope(|scope| {
            for text in texts {
                scope.spawn(move || {
                    self.flux(["send", id, text]).success();
                });
            }
            // Answered as it comes: in one turn or in two.
            wait_until("both messages", || {
                let turn = self.api.turn();
                let is_there = texts.map(|text| turn.count(text)) == [1, 1];
                turn.say("Done.");
                is_there
            });
        });
    }

    #[track_caller]
    fn screen(&self, id: &str) -> String {
        let pane = self.world.pane(id);
        self.world.tmux(["capture-pane", "-p", "-t", &pane])
    }

    /// Presses a key in the task's pane.
    #[track_caller]
    fn press(&self, id: &str, key: &str) {
        self.world
            .tmux(["send-keys", "-t", &self.world.pane(id), key]);
    }

    /// Answers the question that the agent has asked with this key, until it goes on with a turn. A question that has
    /// just been painted may take no key yet.
    #[track_caller]
    fn agree(&self, id: &str, key: &str) -> Turn {
        wait_for("a turn after the answer", || {
            if self.state(id).starts_with("waiting") {
                self.press(id, key);
            }
            self.api.turn_within(Duration::from_secs(5))
        })
    }

    /// Types this line in the task's pane, as somebody who looks at the screen. What comes all at once may be taken for
    /// a paste, in which Enter is a new line.
    #[track_caller]
    fn enter(&self, id: &str, line: &str) {
        let pane = self.world.pane(id);
        self.world.tmux(["send-keys", "-t", &pane, "-l", line]);
        wait_until("the line on the screen", || self.screen(id).contains(line));
        self.press(id, "Enter");
    }
}

/// Returns text of about this many bytes, with characters that are often misread.
fn text(bytes: usize) -> String {
    let line =
        "- \"quotes\" 'and' $(touch x) `y` \\n #{pane_id} ; \u{e9}\u{4e2d}\u{1f600} -- --help\n";
    let mut text = "--dashed first line\n".to_owned();
    while text.len() < bytes {
        text.push_str(line);
    }
    text.truncate(text.len() - 1);
    text
}

struct Running {
    launcher: i32,
    agent: i32,
}

fn kill(pid: i32) {
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Installs these packages once for all tests and runs, and returns their root.
pub(crate) fn installed(packages: &[&str]) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(packages[0].replace('/', "-"));
    fs::create_dir_all(&dir).unwrap();
    let lock = File::create(dir.join("lock")).unwrap();
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let done = dir.join("installed");
    if !done.exists() {
        let npm = Command::new(require("npm"))
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
                "--prefix",
            ])
            .arg(&dir)
            .args(packages)
            .status();
        assert!(npm.unwrap().success(), "npm could not install {packages:?}");
        File::create(done).unwrap();
    }
    dir.join("node_modules")
}
