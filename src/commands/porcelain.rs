//! `--porcelain`: stable lines for programs.

use clap::Args;

use crate::sanitize;

/// The options.
#[derive(Debug, Default, Args)]
pub(super) struct Porcelain {
    /// machine-readable output
    #[arg(long, conflicts_with = "json")]
    porcelain: bool,
    /// terminate records of --porcelain with a NUL character
    #[arg(short = 'z', requires = "porcelain")]
    nul: bool,
}

impl Porcelain {
    /// Returns the lines to be filled, if they are asked for.
    pub(super) fn lines(&self) -> Option<Lines> {
        let is_exact = self.nul;
        self.porcelain.then(|| Lines {
            is_exact,
            ..Lines::default()
        })
    }
}

/// Lines of `key value` as `git worktree list --porcelain` has them, ended by an
/// empty one. They end in a newline, with harmless values, or in NUL, with exact ones.
#[derive(Debug, Default)]
pub(super) struct Lines {
    is_exact: bool,
    bytes: Vec<u8>,
}

impl Lines {
    pub(super) fn line(&mut self, key: &str, value: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(b' ');
        if self.is_exact {
            self.bytes.extend_from_slice(value.as_ref());
        } else {
            let text = String::from_utf8_lossy(value.as_ref());
            let text = sanitize::line(&text);
            self.bytes.extend_from_slice(text.as_bytes());
        }
        self.end();
    }

    /// Writes a line if its value is known.
    pub(super) fn known(&mut self, key: &str, value: Option<impl AsRef<[u8]>>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    /// Writes a line with a number, or numbers, if they are known.
    pub(super) fn number(&mut self, key: &str, value: Option<impl ToString>) {
        self.known(key, value.map(|value| value.to_string()));
    }

    /// Writes a key without a value: it is so.
    pub(super) fn label(&mut self, key: &str) {
        self.bytes.extend_from_slice(key.as_bytes());
        self.end();
    }

    /// Ends what the lines before it are about.
    pub(super) fn end(&mut self) {
        self.bytes.push(if self.is_exact { 0 } else { b'\n' });
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
