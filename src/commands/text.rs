//! Where a text of the user's comes from: the command line, a file, standard input, the editor.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::failure::{Failure, USAGE};
use crate::git::{Git, foreground};
use crate::lifecycle::Flux;
use crate::ui::shown;

/// What kind of text it is.
pub(super) struct Kind {
    /// `there is no …`
    pub(super) name: &'static str,
    /// What stands below it in the editor.
    pub(super) help: &'static str,
    /// What becomes of it when the editor fails: `nothing was …`
    pub(super) done: &'static str,
    /// How to give one.
    pub(super) hints: [&'static str; 2],
    /// How to give one where there is no terminal.
    pub(super) unattended: &'static str,
}

/// The text, byte for byte.
///
/// # Errors
/// When there is nothing, or it cannot be read.
pub(super) fn read(
    flux: &Flux,
    file: Option<&Path>,
    words: &[OsString],
    in_editor: bool,
    kind: &Kind,
) -> Result<Vec<u8>> {
    let text = match file {
        Some(path) if path.as_os_str() == "-" => {
            let mut text = Vec::new();
            io::stdin()
                .lock()
                .read_to_end(&mut text)
                .context("could not read standard input")?;
            text
        }
        Some(path) => {
            fs::read(path).with_context(|| format!("could not read '{}'", shown(path)))?
        }
        None => words
            .iter()
            .map(|word| word.as_bytes())
            .collect::<Vec<_>>()
            .join(&b' '),
    };
    if in_editor {
        return edit(flux, &text, kind);
    }
    if file.is_none() && words.is_empty() {
        let [one, other] = kind.hints;
        return Err(Failure::new(format!("there is no {}", kind.name))
            .hint(one)
            .hint(other)
            .code(USAGE)
            .into());
    }
    Ok(text)
}

/// Lets the user write in git's editor; lines that begin with `#` are left out.
fn edit(flux: &Flux, text: &[u8], kind: &Kind) -> Result<Vec<u8>> {
    let mut file = tempfile::Builder::new()
        .prefix("FLUX_TASK_")
        .suffix(".md")
        .tempfile()
        .context("could not make a temporary file")?;
    file.write_all(text)?;
    // git knows what begins a comment: core.commentChar.
    let stripspace = |option: &str, text: Vec<u8>| {
        Git::reading(flux.repo.home(), ["stripspace", option])
            .input(text)
            .output()
    };
    file.write_all(b"\n")?;
    file.write_all(&stripspace("--comment-lines", kind.help.into())?)?;
    file.flush()?;
    // git knows which editor: GIT_EDITOR, core.editor, VISUAL, EDITOR.
    let editor = Git::reading(flux.repo.home(), ["var", "GIT_EDITOR"]).output()?;
    let editor = OsString::from_vec(editor.trim_ascii_end().to_vec());
    if !io::stdin().is_terminal() && editor == "vi" {
        return Err(Failure::new("there is no terminal for an editor")
            .hint(kind.unattended)
            .into());
    }
    if foreground::edit(&editor, file.path())? != 0 {
        return Err(Failure::new(format!(
            "there was a problem with the editor; nothing was {}",
            kind.done
        ))
        .hint("git config core.editor")
        .into());
    }
    let text = fs::read(file.path()).context("could not read what was written")?;
    let text = stripspace("--strip-comments", text)?;
    Ok(text.trim_ascii_end().to_vec())
}
