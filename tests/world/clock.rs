//! Moves the clock that programs see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Flux, World, install_at, require};

impl World {
    /// Returns the file with the seconds by which the clock is moved; none are while it is missing.
    pub(crate) fn clock(&self) -> PathBuf {
        self.tools.join("clock")
    }
}

impl Flux<'_> {
    /// Runs it with the clock of the world: [`World::clock`].
    pub(crate) fn with_clock(self, world: &World) -> Self {
        self.env("LD_PRELOAD", library())
            .env("CLOCK", world.clock())
    }
}

/// Returns the library that moves the clock; builds it once for all tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock");
        let (source, new) = (
            dir.join("clock.c"),
            dir.join(std::process::id().to_string()),
        );
        install_at(&source, include_str!("clock.c"));
        let mut cc = Command::new(require("cc"));
        let cc = cc.args(["-shared", "-fPIC", "-Wall", "-o"]).arg(&new);
        assert!(cc.arg(source).status().unwrap().success());
        // Another process may use the one that is there.
        let library = dir.join("clock.so");
        fs::rename(new, &library).unwrap();
        library
    })
}
