//! The user's own programs, which git is configured with: editor and pager.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Git;
use crate::failure::Failure;

/// Opens `file` in `editor` as git does, and returns its exit code. The editor is
/// the user's own shell command; the file is an argument to it, not part of it.
///
/// # Errors
/// When the shell cannot be started.
pub(crate) fn edit(editor: &OsStr, file: &Path) -> Result<i32> {
    let mut script = editor.to_owned();
    script.push(" \"$@\"");
    let status = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(editor)
        .arg(file)
        .status()
        .context("could not start the editor")?;
    status
        .code()
        .ok_or_else(|| Failure::declined(String::new()).into())
}

/// Shows `text` in git's own pager: `git var GIT_PAGER`. That the reader left before the end
/// is no failure.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn page(dir: &Path, text: &str) -> Result<()> {
    let pager = Git::reading(dir, "var").arg("GIT_PAGER").output()?;
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(OsStr::from_bytes(pager.trim_ascii_end()))
        .stdin(Stdio::piped());
    // As git does.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().context("could not start the pager")?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
    }
    child.wait().context("the pager was lost")?;
    Ok(())
}
