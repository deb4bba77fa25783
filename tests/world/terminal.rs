//! Terminals: tmux is our pseudo-terminal. A terminal is a pane with an interactive `sh` in the repository,
//! into which a test types and whose screen it reads.
//!
//! `World::terminal` lives in a server of its own (`-L term`), so that git flux sees no tmux and its
//! panes are never the test's. `World::terminal_inside` is a pane of the product's server.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::wait::try_wait_for;
use super::{World, quote, wait_until};

const PROMPT: &str = "$ ";

/// The server of the terminals outside tmux.
const OUTSIDE: &str = "term";

impl World {
    /// Makes a terminal outside tmux, of this size.
    pub(crate) fn terminal(&self, cols: u16, rows: u16) -> Terminal<'_> {
        self.terminal_in(&self.repo(), cols, rows)
    }

    /// Makes a terminal outside tmux whose shell stands in this directory.
    pub(crate) fn terminal_in(&self, dir: &Path, cols: u16, rows: u16) -> Terminal<'_> {
        let terminal = Terminal::open(self, OUTSIDE, dir, cols, rows);
        terminal.wait_for_screen(PROMPT);
        terminal
    }

    /// Makes a terminal inside tmux: the only pane of a new session on the product's server, 200 × 50. No client is
    /// attached to it; see `Terminal::client`.
    pub(crate) fn terminal_inside(&self) -> Terminal<'_> {
        let terminal = Terminal::open(self, "default", &self.repo(), 200, 50);
        terminal.wait_for_screen(PROMPT);
        terminal
    }
}

/// A pane to type into and to read.
pub(crate) struct Terminal<'a> {
    world: &'a World,
    socket: &'static str,
    pane: String,
    commands: AtomicUsize,
}

impl<'a> Terminal<'a> {
    fn open(world: &'a World, socket: &'static str, dir: &Path, cols: u16, rows: u16) -> Self {
        // The server's environment is not the pane's: the pane starts from the world's, clean, like everything else.
        let inside = "exec env -i TMUX=\"$TMUX\" TMUX_PANE=\"$TMUX_PANE\" \"$@\"";
        let start = match socket {
            "default" => inside,
            _ => "exec env -i \"$@\"",
        };
        let mut args: Vec<OsString> = Vec::new();
        if socket != "default" {
            // The manual has more lines than a pane keeps by default.
            let set = "start-server ; set-option -g history-limit 10000 ;";
            args.extend(set.split(' ').map(OsString::from));
        }
        args.extend(["new-session", "-d", "-P", "-F", "#{pane_id}", "-x"].map(OsString::from));
        args.extend([cols.to_string(), "-y".into(), rows.to_string()].map(OsString::from));
        // `-c` would expand formats in the directory's name.
        let script = format!("cd \"$1\" || exit; shift; {start}");
        args.extend(["--", "/bin/sh", "-c", &script, "sh"].map(OsString::from));
        args.push(unseparated(dir.as_os_str()));
        for (name, value) in world.env() {
            let value = match name {
                "TERM" => "screen-256color".into(),
                _ => value,
            };
            let mut pair = OsString::from(format!("{name}="));
            pair.push(value);
            args.push(unseparated(&pair));
        }
        args.extend(["PS1=$ ", "/bin/sh", "-i"].map(OsString::from));
        let mut terminal = Self {
            world,
            socket,
            pane: String::new(),
            commands: AtomicUsize::new(0),
        };
        terminal.pane = terminal.tmux(&args).trim_end().to_owned();
        terminal
    }

    /// Makes a terminal outside tmux that is attached to the session of this one.
    pub(crate) fn client(&self, cols: u16, rows: u16) -> Self {
        let session = self.ask("#{session_id}");
        let client = self.world.terminal(cols, rows);
        client.type_line(&format!("exec tmux attach-session -t '{session}'"));
        wait_until("the client to attach", || {
            self.ask("#{session_attached}") != "0"
        });
        client
    }

    /// Writes what comes to this terminal from now on into a file, byte for byte.
    pub(crate) fn record(&self, file: &Path) {
        let command = format!("exec cat >{}", quote(file));
        self.tmux(&["pipe-pane", "-O", "-t", &self.pane, &command].map(OsString::from));
    }

    /// Returns the pane's id, `%1`.
    pub(crate) fn pane(&self) -> &str {
        &self.pane
    }

    /// Expands a tmux format for this pane: `ask("#{session_name}")`.
    pub(crate) fn ask(&self, format: &str) -> String {
        let args = ["display-message", "-p", "-t", &self.pane, format].map(OsString::from);
        self.tmux(&args).trim_end().to_owned()
    }

    /// Types text as it is.
    pub(crate) fn text(&self, text: &str) -> &Self {
        self.tmux(&self.typed(text));
        self
    }

    /// Returns the command of tmux that types a text.
    fn typed(&self, text: &str) -> Vec<OsString> {
        let args = ["send-keys", "-t", &self.pane, "-l", "--"];
        let mut args = args.map(OsString::from).to_vec();
        args.push(unseparated(text.as_ref()));
        args
    }

    /// Presses keys by tmux's names: `Enter`, `C-c`, `Down`.
    pub(crate) fn keys<const N: usize>(&self, keys: [&str; N]) -> &Self {
        let mut args = ["send-keys", "-t", &self.pane, "--"]
            .map(OsString::from)
            .to_vec();
        args.extend(keys.map(OsString::from));
        self.tmux(&args);
        self
    }

    /// Types a line and Enter.
    pub(crate) fn type_line(&self, line: &str) -> &Self {
        let mut args = self.typed(line);
        args.extend([";", "send-keys", "-t", &self.pane, "Enter"].map(OsString::from));
        self.tmux(&args);
        self
    }

    /// Clears the screen and runs a shell command on it; see `exit_code`.
    pub(crate) fn command(&self, line: &str) -> &Self {
        let n = self.commands.fetch_add(1, Ordering::Relaxed) + 1;
        self.world.forget_changed_config();
        self.clear();
        self.type_line(&format!("{line}; echo \"[exit $? of {n}]\""))
    }

    /// Waits for the end of the last `command`.
    #[track_caller]
    pub(crate) fn exit_code(&self) -> i32 {
        let end = format!(" of {}]", self.commands.load(Ordering::Relaxed));
        self.wait_for_what("the end of the command", |screen| {
            screen
                .split("[exit ")
                .find_map(|rest| rest.split_once(&end)?.0.parse().ok())
        })
    }

    /// Waits until the screen, or what has scrolled off it, contains this. The typed command line is part of it.
    #[track_caller]
    pub(crate) fn wait_for_screen(&self, text: &str) -> String {
        self.wait_for_what(&format!("{text:?}"), |screen| {
            screen.contains(text).then(|| screen.to_owned())
        })
    }

    /// Waits until what is visible, without what has scrolled off, is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_visible(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = try_wait_for(|| {
            last = self.screen();
            wanted(&last).then_some(())
        });
        assert!(found.is_some(), "no {what} on the screen, which is\n{last}");
        last
    }

    #[track_caller]
    fn wait_for_what<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut last = String::new();
        let found = try_wait_for(|| {
            last = self.capture(&["-S", "-"]);
            find(&last)
        });
        found.unwrap_or_else(|| panic!("no {what} on the screen, which is\n{last}"))
    }

    /// Returns what is visible, with wrapped lines joined and without blanks at their ends.
    pub(crate) fn screen(&self) -> String {
        self.capture(&[])
    }

    /// Returns what `screen` does, with its colours as escape codes.
    pub(crate) fn colours(&self) -> String {
        self.capture(&["-e"])
    }

    fn capture(&self, options: &[&str]) -> String {
        let mut args = ["capture-pane", "-p", "-J", "-t", &self.pane]
            .map(OsString::from)
            .to_vec();
        args.extend(options.iter().map(OsString::from));
        let text = self.tmux(&args);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        // The prompt's own blank is one that tests look for.
        let screen = lines.join("\n").trim_end().to_owned();
        match screen.ends_with('$') {
            true => screen + " ",
            false => screen,
        }
    }

    /// Forgets what was on the screen.
    pub(crate) fn clear(&self) -> &Self {
        let reset = ["send-keys", "-R", "-t", &self.pane, ";"];
        let forget = ["clear-history", "-t", &self.pane];
        let args = reset.iter().chain(&forget).map(OsString::from);
        self.tmux(&args.collect::<Vec<_>>());
        self
    }

    pub(crate) fn resize(&self, cols: u16, rows: u16) -> &Self {
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let args = ["resize-window", "-t", &self.pane, "-x", &cols, "-y", &rows];
        self.tmux(&args.map(OsString::from));
        self
    }

    /// Closes the terminal under its programs: they get a hang-up.
    pub(crate) fn close(&self) {
        self.tmux(&["kill-pane", "-t", &self.pane].map(OsString::from));
    }

    #[track_caller]
    fn tmux(&self, args: &[OsString]) -> String {
        let output = self.server().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn server(&self) -> Command {
        let mut command = self.world.command(&self.world.tmux);
        command.current_dir(PathBuf::from("/"));
        command.args(["-u", "-f", "/dev/null", "-L", self.socket]);
        if self.socket == OUTSIDE {
            // A server that ends with its last terminal would take a new one with it.
            command.args([
                "start-server",
                ";",
                "set-option",
                "-g",
                "exit-empty",
                "off",
                ";",
            ]);
        }
        command
    }
}

/// Escapes the last ';' of an argument, which would end the tmux command.
fn unseparated(arg: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = arg.as_bytes().to_vec();
    if bytes.last() == Some(&b';') {
        bytes.insert(bytes.len() - 1, b'\\');
    }
    OsString::from_vec(bytes)
}
