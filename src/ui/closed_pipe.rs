//! Notices that standard output has no reader any more.

use std::io;
use std::os::fd::AsFd as _;
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Starts a thread that calls `then` once the reader of standard output has closed the pipe, or the
/// terminal is gone. Never calls it for a file.
pub(crate) fn on_closed_pipe(then: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        let out = io::stdout();
        // Without events, only errors end the wait.
        let mut ends = [PollFd::new(out.as_fd(), PollFlags::empty())];
        loop {
            match poll(&mut ends, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                _ => return then(),
            }
        }
    });
}
