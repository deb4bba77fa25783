//! Where a text of the user's comes from: the command line, a file, standard input, the editor.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::{Git, foreground};
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
    /// How to give one on standard input.
    pub(super) piped: &'static str,
}

/// Where a text comes from.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// `-` is standard input.
    File(&'a Path),
    Words(&'a [OsString]),
}

impl<'a> Input<'a> {
    pub(super) fn of(file: Option<&'a Path>, words: &'a [OsString]) -> Self {
        file.map_or(Self::Words(words), Self::File)
    }

    /// Returns the text, byte for byte, or as it is after it was edited.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn get(self, flux: &Flux, kind: &Kind, edit: bool) -> Result<Vec<u8>> {
        if edit {
            return self.edit(flux, kind);
        }
        if !matches!(self, Self::Words([])) {
            return self.bytes();
        }
        let piped = (!io::stdin().is_terminal()).then_some(kind.piped);
        let hints = kind.hints.into_iter().chain(piped);
        let failure = Failure::new(format!("there is no {}", kind.name));
        Err(hints.fold(failure, Failure::hint).code(USAGE).into())
    }

    fn bytes(self) -> Result<Vec<u8>> {
        match self {
            Self::File(path) if path.as_os_str() == "-" => {
                let mut text = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut text);
                read.context("could not read standard input")?;
                Ok(text)
            }
            Self::File(path) => {
                fs::read(path).with_context(|| format!("could not read '{}'", shown(path)))
            }
            Self::Words(words) => Ok(words.join(OsStr::new(" ")).into_vec()),
        }
    }

    /// Lets the user go on with the text in git's editor, as `git commit --cleanup=scissors` does, and returns
    /// what was written: nothing of it is taken for a comment, for a heading in Markdown begins with `#` too.
    ///
    /// # Errors
    /// When it cannot be read, or the editor fails.
    fn edit(self, flux: &Flux, kind: &Kind) -> Result<Vec<u8>> {
        let text = self.bytes()?;
        let dir = flux.repo.home();
        // git knows what begins a comment: core.commentChar.
        let help = Git::reading(dir, "stripspace")
            .arg("--comment-lines")
            .input([SCISSORS, kind.help].concat())
            .output()?;
        let mut file = tempfile::Builder::new()
            .prefix("FLUX_TASK_")
            .suffix(".md")
            .tempfile()
            .context("could not make a temporary file")?;
        let between: &[u8] = if text.is_empty() { b"\n" } else { b"\n\n" };
        file.write_all(&[&text, between, &help].concat())?;
        // git knows which editor: GIT_EDITOR, core.editor, VISUAL, EDITOR.
        let editor = Git::reading(dir, "var").arg("GIT_EDITOR").output()?;
        let editor = OsString::from_vec(editor.trim_ascii_end().to_vec());
        if !io::stdin().is_terminal() && editor == "vi" {
            let failure = Failure::new("there is no terminal for an editor");
            return Err(failure.hint(kind.piped).into());
        }
        if foreground::edit(&editor, file.path())? != 0 {
            let done = kind.done;
            let what = format!("there was a problem with the editor; nothing was {done}");
            return Err(Failure::new(what).hint("git config core.editor").into());
        }
        let text = fs::read(file.path()).context("could not read what was written")?;
        Ok(above(&text, &help))
    }
}

/// What is put below a text in the editor, after the empty line.
const SCISSORS: &str = "\
------------------------ >8 ------------------------
Do not modify or remove the line above.
Everything below it is ignored.
";

/// Returns what stands above the first line of `help`, without empty lines around it. Where that line
/// was removed, the others of the help are no text either.
fn above(text: &[u8], help: &[u8]) -> Vec<u8> {
    let help: Vec<&[u8]> = help.trim_ascii_end().split(|&byte| byte == b'\n').collect();
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let lines = lines.take_while(|line| help.first() != Some(&line.trim_ascii_end()));
    let text = lines.filter(|line| !help.contains(&line.trim_ascii_end()));
    let text = text.skip_while(|line| line.trim_ascii().is_empty());
    text.collect::<Vec<_>>().concat().trim_ascii_end().to_vec()
}

#[cfg(test)]
mod tests {
    use super::above;

    #[test]
    fn what_stands_above_the_scissors_is_kept_as_it_is() {
        const HELP: &[u8] = b"# --- >8 ---\n# Write it.\n";
        #[track_caller]
        fn case(text: &str, expected: &str) {
            let found = above(text.as_bytes(), HELP);
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{text:?}");
        }
        case(
            "# Goal\n\n\n  Fix  \n#1\n\n# --- >8 ---\n# Write it.\nx\n",
            "# Goal\n\n\n  Fix  \n#1",
        );
        case("\n\n  Fix\n", "  Fix");
        case("Fix\r\n# --- >8 ---\r\n# Write it.\r\n", "Fix");
        case("Fix\n# Write it.\n# Mine\n", "Fix\n# Mine");
        case("\n# --- >8 ---\n# Write it.\n", "");
    }
}
