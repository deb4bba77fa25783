//! The view of `git flux watch`: how long until it is there, and until it shows what has happened.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::commands::LISTED;
use crate::measure::{Side, in_turns};
use crate::table::{self, Bar, growth};
use crate::world::World;

/// A view on a terminal of its own.
struct View {
    child: Child,
    shown: Receiver<Vec<u8>>,
}

impl View {
    fn open(world: &World) -> Result<Self> {
        let size = Winsize {
            ws_row: 50,
            ws_col: 150,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None)?;
        let slave = || Ok::<OwnedFd, anyhow::Error>(pair.slave.try_clone()?);
        let mut command = world.flux(["watch"]);
        let command = command.stdin(Stdio::from(slave()?)).stdout(slave()?);
        let child = command.stderr(slave()?).spawn()?;
        let (sender, shown) = channel();
        let mut master = File::from(pair.master);
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(length @ 1..) = master.read(&mut buffer) {
                sender.send(buffer[..length].to_vec()).ok();
            }
        });
        Ok(Self { child, shown })
    }

    /// Waits until the terminal is sent these words; blanks between them are not sent.
    fn wait_for(&self, words: &[&str]) -> Result<()> {
        let mut all = Vec::new();
        loop {
            let more = self.shown.recv_timeout(Duration::from_secs(60));
            all.extend(more.with_context(|| format!("no {words:?} on the terminal"))?);
            let text = String::from_utf8_lossy(&all);
            if words.iter().all(|word| text.contains(word)) {
                return Ok(());
            }
        }
    }

    fn end(mut self) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?);
        kill(pid, Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.code() == Some(130), "the view ended with {status}");
        Ok(())
    }
}

fn hook(world: &World, event: &str) -> Result<()> {
    let run = world.repo().join(".git/flux/run/changed-0");
    let input = r#"{"session_id":"1"}"#;
    let mut hook = world.flux(["__hook", "claude", event, input]);
    world.run(hook.env("FLUX_TASK", "changed-0").env("FLUX_RUN", run))
}

/// The first frame with all tasks, and the time from the start of a hook to the screen.
pub(crate) fn measure(world: &World, repetitions: usize) -> Result<()> {
    let last = format!("changed-{}", LISTED - 1);
    let first = Box::new(|_| {
        let begun = Instant::now();
        let view = View::open(world)?;
        view.wait_for(&["changed-0", &last, "attach"])?;
        let time = begun.elapsed();
        view.end()?;
        Ok(time)
    }) as Side<'_>;
    let event = Box::new(|_| {
        hook(world, "Stop")?;
        let view = View::open(world)?;
        view.wait_for(&["attach"])?;
        // Its first events come from what it has begun itself.
        thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        hook(world, "PermissionRequest")?;
        view.wait_for(&["(permission)"])?;
        let time = begun.elapsed();
        view.end()?;
        Ok(time)
    }) as Side<'_>;
    let mut times = in_turns(repetitions, |_| Ok(()), vec![first, event])?.into_iter();
    let tasks = format!("{LISTED} tasks");
    table::head(&["watch", &tasks, "bar"]);
    for (what, bar) in [("first frame", 50.0), ("a hook's event", 100.0)] {
        let times = times.next().context("no times")?;
        growth(what, &[(times, Some(Bar(bar)))]);
    }
    Ok(())
}
