//! Captures the output of a process in files. A pipe would stay open until the last process that a
//! hook left in the background has ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// The destination of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stderr {
    /// To the terminal.
    Shown,
    CapturedOutput,
}

/// Temporary files that replace pipes.
pub(crate) struct CapturedOutput {
    /// The name or path of the program.
    program: OsString,
    stdout: File,
    /// `None` if it goes to the terminal.
    stderr: Option<File>,
}

impl CapturedOutput {
    /// Redirects the standard output of `command` to a temporary file. The standard error of
    /// `command` goes to a second one with [`Stderr::CapturedOutput`], otherwise it stays as it is.
    /// Starts nothing.
    pub(crate) fn new(command: &mut Command, stderr: Stderr) -> Result<Self> {
        let file = || -> Result<File> {
            let file = tempfile::tempfile().context("could not make a temporary file")?;
            // A program that opens /dev/stderr truncates it; the others must continue at its end.
            fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).context("could not set up a file")?;
            Ok(file)
        };
        let stdout = file()?;
        command.stdout(share(&stdout)?);
        let stderr = (stderr == Stderr::CapturedOutput).then(file).transpose()?;
        if let Some(stderr) = &stderr {
            command.stderr(share(stderr)?);
        }
        let program = command.get_program().to_owned();
        Ok(Self {
            program,
            stdout,
            stderr,
        })
    }

    /// Redirects the standard output of `command` to this process's standard error if that is a
    /// terminal. Otherwise redirects both of its outputs to one temporary file.
    pub(crate) fn to_stderr(command: &mut Command) -> Result<Self> {
        if io::stderr().is_terminal() {
            let captured = Self::new(command, Stderr::Shown)?;
            command.stdout(io::stderr());
            return Ok(captured);
        }
        let captured = Self::new(command, Stderr::CapturedOutput)?;
        if let Some(stderr) = &captured.stderr {
            command.stdout(share(stderr)?);
        }
        Ok(captured)
    }

    /// Returns what the process has printed on standard error so far, at most the last 256 KiB;
    /// nothing if that is not redirected.
    pub(crate) fn errors(&self) -> Result<Vec<u8>> {
        let errors = self.stderr.as_ref().map_or(Ok(Vec::new()), end);
        errors.with_context(|| self.unread())
    }

    /// Replaces the content of `output` by what the process has printed so far: all of its standard
    /// output, and at most the last 256 KiB of its standard error.
    pub(crate) fn read(self, output: &mut Output) -> Result<()> {
        output.stdout = from(&self.stdout, 0).with_context(|| self.unread())?;
        output.stderr = self.errors()?;
        Ok(())
    }

    fn unread(&self) -> String {
        format!("could not read the output of '{}'", self.program.display())
    }
}

fn share(file: &File) -> Result<File> {
    file.try_clone().context("could not share a file")
}

/// The most that is read of standard error.
const MAX_STDERR_BYTES: u64 = 256 << 10;

/// Returns the bytes of a file; if it is longer than 256 KiB, a line `...` and at most its last 256
/// KiB, from the beginning of a line.
fn end(file: &File) -> io::Result<Vec<u8>> {
    let start = file.metadata()?.len().saturating_sub(MAX_STDERR_BYTES);
    let mut bytes = from(file, start)?;
    if start > 0 {
        let cut = bytes.iter().position(|&byte| byte == b'\n');
        drop(bytes.drain(..cut.map_or(0, |at| at + 1)));
        bytes.splice(..0, *b"...\n");
    }
    Ok(bytes)
}

/// Returns the bytes of a file from offset `start` to its present end. Its writers only append.
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
    fn end_returns_the_last_lines_of_a_long_output() {
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
