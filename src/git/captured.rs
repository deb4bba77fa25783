//! What a process prints, where hooks may leave others running that print as well: a pipe would be
//! open until the last of them has ended, and whoever reads it would wait for that.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Files that have no name, in the place of pipes.
pub(super) struct Captured {
    stdout: File,
    /// None if it goes to the terminal.
    stderr: Option<File>,
}

impl Captured {
    /// Has `command` print into files; on standard error only if that is not shown while it runs.
    ///
    /// # Errors
    /// When a temporary file cannot be made.
    pub(super) fn new(command: &mut Command, loud: bool) -> Result<Self> {
        let file = || -> Result<File> {
            let file = tempfile::tempfile().context("could not make a temporary file")?;
            // Whoever opens /dev/stderr empties it for all, who then go on at its end.
            fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).context("could not set up a file")?;
            Ok(file)
        };
        let share = |file: &File| file.try_clone().context("could not share a file");
        let stdout = file()?;
        command.stdout(share(&stdout)?);
        let stderr = (!loud).then(file).transpose()?;
        if let Some(stderr) = &stderr {
            command.stderr(share(stderr)?);
        }
        Ok(Self { stdout, stderr })
    }

    /// Has all that `command` prints go to standard error, if that is a terminal, and otherwise into a file.
    ///
    /// # Errors
    /// When a temporary file cannot be made.
    pub(super) fn as_errors(command: &mut Command) -> Result<Self> {
        let loud = io::stderr().is_terminal();
        let captured = Self::new(command, loud)?;
        match &captured.stderr {
            None => command.stdout(io::stderr()),
            Some(stderr) => command.stdout(stderr.try_clone().context("could not share a file")?),
        };
        Ok(captured)
    }

    /// What was printed on standard error up to now, if that went nowhere else.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn errors(&self) -> Result<Vec<u8>> {
        let errors = self.stderr.as_ref().map(whole).transpose();
        Ok(errors
            .context("could not read what was printed")?
            .unwrap_or_default())
    }

    /// What was printed up to now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(self, output: &mut Output) -> Result<()> {
        output.stdout = whole(&self.stdout).context("could not read what was printed")?;
        output.stderr = self.errors()?;
        Ok(())
    }
}

/// What is in a file by now; whoever goes on writing goes on at its end.
fn whole(file: &File) -> io::Result<Vec<u8>> {
    let (mut bytes, mut part) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let at = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        match file.read_at(&mut part, at)? {
            0 => return Ok(bytes),
            count => bytes.extend(&part[..count]),
        }
    }
}
