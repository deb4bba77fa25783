//! The shim: stands for git and tmux on PATH, notes the calls that git-flux itself makes (not those of git's
//! own children, hooks, agents or shells), and makes the chosen one fail or kills its caller.
//!
//! This is how crashes are tested without a hook in the product. It knows a caller by `/proc`, so: Linux only.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{World, quote, wait_until};

impl World {
    /// Notes calls from now on, also in panes that are open already.
    pub(crate) fn shim(&self) {
        assert!(
            Path::new("/proc/self/comm").exists(),
            "the shim needs /proc"
        );
        let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/shim.sh"));
        for (program, real) in [("git", &self.git), ("tmux", &self.tmux)] {
            for (dir, target) in [("real", real.as_path()), ("shim", script)] {
                let link = self.tools.join(dir).join(program);
                if !link.is_symlink() {
                    symlink(target, link).unwrap();
                }
            }
        }
    }

    /// Returns the calls noted since the last `clear_calls`, in the order in which they began.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let dir = self.tools.join("calls");
        // A gap is a file that is being created right now: nothing after it is lost by skipping it.
        let mut numbers: Vec<u32> = fs::read_dir(&dir)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers
            .iter()
            .filter_map(|n| Call::parse(&fs::read(dir.join(n.to_string())).ok()?))
            .collect()
    }

    pub(crate) fn clear_calls(&self) {
        empty(&self.tools.join("calls"));
    }

    /// Plans a fault, in place of the one planned before; counting begins anew.
    pub(crate) fn fault(&self, fault: &Fault) {
        self.shim();
        self.clear_fault();
        let plan = format!(
            "program={} nth={} mode={} caller={} words={}\n",
            fault.program,
            fault.nth,
            fault.mode.word(),
            fault.caller.word(),
            quote(Path::new(fault.words))
        );
        let new = self.tools.join("fault/new");
        fs::write(&new, plan).unwrap();
        fs::rename(new, self.tools.join("fault/plan")).unwrap();
    }

    /// No faults from now on.
    pub(crate) fn clear_fault(&self) {
        fs::remove_file(self.tools.join("fault/plan")).ok();
        empty(&self.tools.join("fault"));
    }

    /// Returns whether the planned fault has happened: after the last call it never does.
    pub(crate) fn fault_fired(&self) -> bool {
        self.tools.join("fault/fired").exists()
    }

    /// Waits until the real program of a fault that killed its caller has ended too.
    #[track_caller]
    pub(crate) fn wait_fault_over(&self) {
        wait_until("the end of the injected fault", || {
            self.tools.join("fault/over").exists()
        });
    }
}

fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).ok();
    }
}

/// A call of git or tmux by git-flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) program: String,
    pub(crate) by: Caller,
    pub(crate) pid: i32,
    /// The git-flux that made it.
    pub(crate) parent: i32,
    pub(crate) args: Vec<OsString>,
}

impl Call {
    /// `None` for one that is being written right now.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields: Vec<&[u8]> = bytes.strip_suffix(b"\0end\0")?.split(|b| *b == 0).collect();
        let args = fields.split_off(4);
        let word = |n: usize| std::str::from_utf8(fields[n]).unwrap();
        Some(Self {
            program: word(0).to_owned(),
            by: match word(1) {
                "flux" => Caller::Flux,
                "launcher" => Caller::Launcher,
                "hook" => Caller::Hook,
                other => panic!("the shim noted a caller '{other}'"),
            },
            pid: word(2).parse().unwrap(),
            parent: word(3).parse().unwrap(),
            args: args
                .iter()
                .map(|arg| OsString::from_vec(arg.to_vec()))
                .collect(),
        })
    }

    /// Returns the call as a command line, without quotes.
    pub(crate) fn line(&self) -> String {
        let args: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        format!("{} {}", self.program, args.join(" "))
    }
}

/// Which git-flux made a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The one the user started.
    Flux,
    /// The one in a pane, `git-flux __run`.
    Launcher,
    /// The one an agent's hook started, `git-flux __hook`.
    Hook,
}

impl Caller {
    fn word(self) -> &'static str {
        match self {
            Self::Flux => "flux",
            Self::Launcher => "launcher",
            Self::Hook => "hook",
        }
    }
}

/// A fault, and the call at which it happens.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) program: &'static str,
    /// The first is 1; 0 means every one.
    pub(crate) nth: usize,
    pub(crate) mode: Mode,
    pub(crate) caller: Caller,
    /// Only calls with these words in a row count; empty: all.
    pub(crate) words: &'static str,
}

impl Fault {
    /// At the n-th call of `program` by the command itself.
    pub(crate) fn nth(program: &'static str, nth: usize, mode: Mode) -> Self {
        Self {
            program,
            nth,
            mode,
            caller: Caller::Flux,
            words: "",
        }
    }

    /// At every call with these words: `Fault::every("tmux", "new-session", Mode::Fail)`.
    pub(crate) fn every(program: &'static str, words: &'static str, mode: Mode) -> Self {
        Self {
            words,
            ..Self::nth(program, 0, mode)
        }
    }

    pub(crate) fn by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `fatal: injected`, exit code 1, nothing done.
    Fail,
    /// Everything done, and exit code 1 all the same.
    FailAfter,
    /// Everything done, but for the last byte of the answer.
    CutOff,
    /// Nothing done, no answer.
    Hang,
    /// `kill -9` of the caller before anything is done.
    KillBefore,
    /// `kill -9` of the caller while the program runs on to its end.
    KillDuring,
    /// `kill -9` of the caller when everything is done and before it can know.
    KillAfter,
    /// The program `meanwhile` runs first, and then it is done as if nothing were.
    Meanwhile,
    /// `kill -9` of the caller, which leads its process group, and of all else in the group.
    KillGroup,
}

impl Mode {
    /// Those that end the caller.
    pub(crate) const KILLS: [Self; 3] = [Self::KillBefore, Self::KillDuring, Self::KillAfter];

    fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::FailAfter => "fail-after",
            Self::CutOff => "cut-off",
            Self::Hang => "hang",
            Self::KillBefore => "kill-before",
            Self::KillDuring => "kill-during",
            Self::KillAfter => "kill-after",
            Self::Meanwhile => "meanwhile",
            Self::KillGroup => "kill-group",
        }
    }
}
