//! Values as they are written for programs: the lines of `--porcelain`, and paths in JSON.

use std::path::Path;

use clap::Args;
use serde::{Serialize as _, Serializer};

use crate::sanitize;
use crate::task::GateVerdict;

/// Serializes a path as a string, lossy where it is not UTF-8; `None` as `null`.
pub(super) fn lossy<S: Serializer>(
    path: &Option<impl AsRef<Path>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let path = path.as_ref().map(|path| path.as_ref().to_string_lossy());
    path.serialize(serializer)
}

/// The options of `--porcelain`.
#[derive(Debug, Default, Args)]
pub(in crate::commands) struct PorcelainArgs {
    /// machine-readable output
    #[arg(long, conflicts_with = "json")]
    porcelain: bool,
    /// terminate records of --porcelain with a NUL character
    #[arg(short = 'z', requires = "porcelain")]
    nul: bool,
}

impl PorcelainArgs {
    /// Returns an empty buffer for the lines of `--porcelain`; `None` if this option is not given.
    pub(in crate::commands) fn lines(&self) -> Option<Lines> {
        self.porcelain.then(|| Lines {
            is_exact: self.nul,
            bytes: Vec::new(),
        })
    }
}

/// Lines of `key value` as in `git worktree list --porcelain`; an empty line ends a record. They end in a
/// newline, with escaped values, or in NUL, with exact ones.
#[derive(Debug, Default)]
pub(in crate::commands) struct Lines {
    is_exact: bool,
    bytes: Vec<u8>,
}

impl Lines {
    /// Appends the line `<key> <value>`, or nothing if the value is `None`. Escapes control
    /// characters, except with `-z`.
    pub(super) fn line(&mut self, key: &str, value: Option<impl AsRef<[u8]>>) {
        let Some(value) = value else { return };
        let exact = value.as_ref();
        let escaped = sanitize::line(&String::from_utf8_lossy(exact));
        let value = if self.is_exact {
            exact
        } else {
            escaped.as_bytes()
        };
        self.bytes.extend([key.as_bytes(), b" ", value].concat());
        self.end();
    }

    /// Appends a line of a key without a value.
    pub(super) fn key(&mut self, key: &str) {
        self.bytes.extend(key.as_bytes());
        self.end();
    }

    /// Appends the end of a line, a newline or with `-z` a NUL. A second one makes an empty line,
    /// which ends a record.
    pub(super) fn end(&mut self) {
        self.bytes.push(if self.is_exact { 0 } else { b'\n' });
    }

    /// Appends the lines of a verdict: `gate <state>`, and what is known of `gate-command`,
    /// `gate-status`, `gate-why` and `gate-tree`.
    pub(super) fn verdict(&mut self, gate: &GateVerdict) {
        self.line("gate", Some(gate.state.into_str()));
        self.line("gate-command", gate.command.as_ref());
        self.line("gate-status", gate.status.map(|status| status.to_string()));
        self.line("gate-why", gate.why.as_ref());
        self.line("gate-tree", gate.tree.as_ref().map(|tree| tree.as_bytes()));
    }

    pub(in crate::commands) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
