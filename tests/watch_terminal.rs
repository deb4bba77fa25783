//! Tests what `git flux watch` leaves of a terminal that takes no output.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::tcgetattr;

use crate::watch::idle_task;
use crate::world::*;

/// Opens a terminal, which no other process inherits. Returns its other end, too, which comes first.
fn open_terminal(world: &World) -> (File, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let mut options = File::options();
    options.read(true).write(true);
    options.custom_flags(OFlag::O_NOCTTY.bits());
    let terminal = options.open(ptsname_r(&master).unwrap()).unwrap();
    let mut resize = world.command("stty");
    resize.args(["rows", "30", "cols", "100"]);
    resize.stdin(terminal.try_clone().unwrap());
    assert!(resize.status().unwrap().success());
    (OwnedFd::from(master).into(), terminal)
}

#[test]
fn watch_restores_the_modes_of_its_terminal_if_that_takes_no_output() {
    let world = World::new();
    idle_task(&world, "fix");
    // Two terminals, so that one can be closed and the other one be asked.
    let (keyboard, keys) = open_terminal(&world);
    let (mut shown, screen) = open_terminal(&world);
    let before = tcgetattr(&keys).unwrap();
    let output = screen.try_clone().unwrap();
    let mut watch = world
        .command("git-flux")
        .arg("watch")
        .current_dir(world.repo())
        .stdin(keys.try_clone().unwrap())
        .stdout(screen)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&text).contains("attach") {
        let length = shown.read(&mut buffer).unwrap();
        text.extend(&buffer[..length]);
    }
    assert_ne!(tcgetattr(&keys).unwrap(), before);
    drop(shown);
    // A process that another test just starts may have it until it runs its program.
    wait_until("the terminal to be closed", || {
        (&output).write(b" ").is_err()
    });
    (&keyboard).write_all(b"q").unwrap();
    assert!(!watch.wait().unwrap().success());
    assert_eq!(tcgetattr(&keys).unwrap(), before);
}
