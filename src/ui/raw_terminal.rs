//! The terminal of a view: in raw mode, on the alternate screen, and left as it was.
//!
//! A process that is killed cannot restore its terminal. So a second process, the *keeper*, waits on
//! a socket until this one is gone, and restores the terminal if the view was shown then.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::panic;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use nix::sys::signal::SigSet;
use nix::sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios};

use crate::system::program::current_exe;

/// The alternate screen, a mark around pasted text, no cursor.
const SHOW: &str = "\u{1b}[?1049h\u{1b}[?2004h\u{1b}[?25l";
const HIDE: &str = "\u{1b}[?2004l\u{1b}[m\u{1b}[?25h\u{1b}[?1049l";

/// The message to the keeper that the view is shown, and that it is hidden.
const SHOWN: u8 = b'v';
const HIDDEN: u8 = b'h';

/// The modes of the terminal before the view, while that is shown.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal of this process, with its keeper.
pub(crate) struct RawTerminal {
    keeper: Child,
    socket: UnixStream,
}

impl RawTerminal {
    /// Starts the keeper, a process that restores the terminal if this one is killed. Does not
    /// change the terminal yet. From then on, a panic hides the view.
    pub(crate) fn new() -> Result<Self> {
        let (socket, other) = UnixStream::pair().context("could not make a socket")?;
        let mut command = Command::new(current_exe()?);
        command.arg("__terminal").stdin(OwnedFd::from(other));
        // A group of its own: what ends this one leaves it.
        command.stderr(Stdio::null()).process_group(0);
        let keeper = command
            .spawn()
            .context("could not start another git flux")?;
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore().ok();
            next(info);
        }));
        Ok(Self { keeper, socket })
    }

    /// Shows the view: raw mode, and an empty alternate screen. Before that, waits until the
    /// keeper, the process that restores the terminal, has read its modes.
    pub(crate) fn show(&mut self) -> Result<()> {
        self.tell(SHOWN)?;
        let mut raw = termios::tcgetattr(io::stdin())?;
        // After SIGSTOP the view is still shown.
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        before.get_or_insert_with(|| raw.clone());
        drop(before);
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        write(SHOW)
    }

    /// Hides the view, and leaves the terminal as it was before.
    pub(crate) fn hide(&mut self) -> Result<()> {
        restore()?;
        self.tell(HIDDEN)
    }

    /// Sends a message to the keeper, the process that restores the terminal, and waits until the
    /// keeper has handled it. Ignores that the keeper is gone.
    fn tell(&mut self, message: u8) -> Result<()> {
        if self.socket.write_all(&[message]).is_ok() {
            self.socket.read_exact(&mut [0]).ok();
        }
        Ok(())
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Ignore that the terminal is closed.
        self.hide().ok();
        self.socket.shutdown(std::net::Shutdown::Both).ok();
        self.keeper.wait().ok();
    }
}

/// The terminal without line editing and echo, until it is dropped: a single key can be read.
pub(crate) struct KeyMode(Termios);

impl KeyMode {
    pub(crate) fn set() -> Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut keys = before.clone();
        keys.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO);
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &keys)?;
        Ok(Self(before))
    }
}

impl Drop for KeyMode {
    fn drop(&mut self) {
        // Ignore that the terminal is closed. The key is not for anything else.
        termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0).ok();
    }
}

/// Hides the view and restores the modes of the terminal, if the view is shown.
fn restore() -> Result<()> {
    let before = || BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(modes) = before().clone() else {
        return Ok(());
    };
    let hidden = write(HIDE);
    // Also on a terminal that takes no output now.
    termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &modes)?;
    hidden?;
    *before() = None;
    Ok(())
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Restores the terminal on standard output after another process, which may be killed: reads that
/// process's messages from standard input until it is gone, and restores the terminal if its view
/// was shown then. If a program, such as a shell, has changed the modes of the terminal since,
/// leaves those.
pub(crate) fn keep_terminal() -> Result<()> {
    // Also SIGTTOU: this process is in the background.
    SigSet::all().thread_block()?;
    let mut socket = File::from(nix::unistd::dup(io::stdin())?);
    let mut before = None;
    let mut message = [0];
    while socket.read_exact(&mut message).is_ok() {
        before = match (message, before) {
            ([SHOWN], Some(before)) => Some(before),
            ([SHOWN], None) => Some(termios::tcgetattr(io::stdout())?),
            _ => None,
        };
        socket.write_all(&message)?;
    }
    if let Some(before) = before {
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        if termios::tcgetattr(io::stdout())? == raw {
            termios::tcsetattr(io::stdout(), SetArg::TCSANOW, &before)?;
        }
        write(HIDE)?;
    }
    Ok(())
}
