//! The editor and the pager that git is configured with.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Git;
use super::command::feed;
use crate::failure::Failure;

/// Returns git's editor, a shell command: `git var GIT_EDITOR`. `None` if git has none, since no
/// editor is set for a dumb terminal.
pub(crate) fn find_editor(dir: &Path) -> Result<Option<OsString>> {
    // git reads GIT_EDITOR, core.editor, VISUAL and EDITOR.
    let (code, mut editor) = Git::reading(dir).words("var GIT_EDITOR").with_code(1)?;
    editor.truncate(editor.trim_ascii_end().len());
    Ok((code == 0).then(|| OsString::from_vec(editor)))
}

/// Opens `file` in `editor`, a shell command, as git does, waits until the editor ends, and returns
/// the editor's exit code. Fails if a signal ends the editor.
pub(crate) fn edit(editor: &OsStr, file: &Path) -> Result<i32> {
    let mut script = editor.to_owned();
    script.push(" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(editor).arg(file);
    let status = command.status().context("could not start the editor")?;
    let code = status.code();
    code.ok_or_else(|| Failure::declined(String::new()).into())
}

/// Shows `text` in the pager that `git var GIT_PAGER` names, even without a terminal, and waits
/// until the pager ends. Quitting the pager early, or a failing pager, is not an error.
pub(crate) fn page(dir: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    let pager = Git::reading(dir).words("var GIT_PAGER").output()?;
    let pager = OsStr::from_bytes(pager.trim_ascii_end());
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    // git sets the same defaults.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().context("could not start the pager")?;
    feed(&mut child, text.as_ref())?;
    child.wait().context("could not wait for the pager")?;
    Ok(())
}
