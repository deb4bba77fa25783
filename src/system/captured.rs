//! What a process prints, where hooks may leave others running that print as well: a pipe would be
//! open until the last of them has ended, and whoever reads it would wait for that.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Where what a process prints on standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stderr {
    /// To the terminal, while it runs.
    Shown,
    Captured,
}

/// Files that have no name, in the place of pipes.
pub(crate) struct Captured {
    stdout: File,
    /// None if it goes to the terminal.
    stderr: Option<File>,
}

impl Captured {
    /// Has `command` print into files.
    ///
    /// # Errors
    /// When a temporary file cannot be made.
    pub(crate) fn new(command: &mut Command, stderr: Stderr) -> Result<Self> {
        let file = || -> Result<File> {
            let file = tempfile::tempfile().context("could not make a temporary file")?;
            // Whoever opens /dev/stderr empties it for all, who then go on at its end.
            fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).context("could not set up a file")?;
            Ok(file)
        };
        let stdout = file()?;
        command.stdout(share(&stdout)?);
        let stderr = (stderr == Stderr::Captured).then(file).transpose()?;
        if let Some(stderr) = &stderr {
            command.stderr(share(stderr)?);
        }
        Ok(Self { stdout, stderr })
    }

    /// Has all that `command` prints go to standard error, if that is a terminal, and otherwise into a file.
    ///
    /// # Errors
    /// When a temporary file cannot be made.
    pub(crate) fn as_errors(command: &mut Command) -> Result<Self> {
        if io::stderr().is_terminal() {
            let captured = Self::new(command, Stderr::Shown)?;
            command.stdout(io::stderr());
            return Ok(captured);
        }
        let captured = Self::new(command, Stderr::Captured)?;
        if let Some(stderr) = &captured.stderr {
            command.stdout(share(stderr)?);
        }
        Ok(captured)
    }

    /// Returns the end of what was printed on standard error up to now, if that went nowhere else.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn errors(&self) -> Result<Vec<u8>> {
        let errors = self.stderr.as_ref().map_or(Ok(Vec::new()), end);
        errors.context("could not read what was printed")
    }

    /// What was printed up to now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(self, output: &mut Output) -> Result<()> {
        output.stdout = from(&self.stdout, 0).context("could not read what was printed")?;
        output.stderr = self.errors()?;
        Ok(())
    }
}

fn share(file: &File) -> Result<File> {
    file.try_clone().context("could not share a file")
}

/// The most that is read of what a process prints on standard error, in bytes: the rest is for nobody to read.
const MOST: u64 = 256 << 10;

/// Returns the last lines in a file.
fn end(file: &File) -> io::Result<Vec<u8>> {
    let start = file.metadata()?.len().saturating_sub(MOST);
    let mut bytes = from(file, start)?;
    if start > 0 {
        let cut = bytes.iter().position(|&byte| byte == b'\n');
        drop(bytes.drain(..cut.map_or(0, |at| at + 1)));
        bytes.splice(..0, *b"...\n");
    }
    Ok(bytes)
}

/// Returns what is in a file from the byte at `start` on; whoever goes on writing goes on at its end.
fn from(file: &File, start: u64) -> io::Result<Vec<u8>> {
    let (mut bytes, mut part) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let at = start + u64::try_from(bytes.len()).map_err(io::Error::other)?;
        match file.read_at(&mut part, at)? {
            0 => return Ok(bytes),
            count => bytes.extend(&part[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_end_of_a_long_output_is_its_last_lines() {
        let text = |lines: usize| -> String {
            let mut file = tempfile::tempfile().unwrap();
            let lines: String = (0..lines).map(|line| format!("{line:09}\n")).collect();
            file.write_all(lines.as_bytes()).unwrap();
            String::from_utf8(end(&file).unwrap()).unwrap()
        };
        assert_eq!(text(2), "000000000\n000000001\n");
        let long = text(1_000_000);
        assert!(long.starts_with("...\n0009") && long.ends_with("\n000999999\n"));
        assert!(long.len() < 300_000, "{}", long.len());
    }
}
