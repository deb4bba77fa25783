//! A text of the user, from the command line, a file, standard input or the editor.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use crate::context::Flux;
use crate::failure::{self, Failure, USAGE};
use crate::git::{Git, foreground};
use crate::interrupt;
use crate::ui::{quoted, shown};

/// The words about a kind of text.
pub(super) struct TextKind {
    /// `no … given`
    pub(super) name: &'static str,
    /// The help below the text in the editor.
    pub(super) help: &'static str,
    /// The rest of `nothing was …`, if the editor fails.
    pub(super) done: &'static str,
    /// Commands that give one.
    pub(super) hints: [&'static str; 2],
    /// A command that gives one on standard input.
    pub(super) piped: &'static str,
}

/// The source of a text.
#[derive(Clone, Copy)]
pub(super) enum TextSource<'a> {
    /// `-` is standard input.
    File(&'a Path),
    Words(&'a [OsString]),
}

/// A text of the user.
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// The file in which it was edited; deleted on drop.
    edited: Option<NamedTempFile>,
}

impl Text {
    /// Notes that the text was used: it need not be kept.
    pub(super) fn note_used(&mut self) {
        self.edited = None;
    }

    /// Keeps a text that was edited and not used if `result` is an error, which gets a hint with
    /// `command` and the file.
    pub(super) fn keep_unused<T>(
        self,
        result: Result<T>,
        kind: &TextKind,
        command: &str,
    ) -> Result<T> {
        result.map_err(|error| match self.keep() {
            Some(path) => {
                let hint = format!("to use the text again: {command} {}", quoted(&path));
                failure::add_hint(error, &format!("nothing was {}", kind.done), hint)
            }
            None => error,
        })
    }

    fn keep(self) -> Option<PathBuf> {
        let edited = self.edited.filter(|_| !self.bytes.is_empty())?;
        let (_, path) = edited.keep().ok()?;
        fs::write(&path, self.bytes).ok()?;
        Some(path)
    }
}

impl<'a> TextSource<'a> {
    pub(super) fn of(file: Option<&'a Path>, words: &'a [OsString]) -> Self {
        file.map_or(Self::Words(words), Self::File)
    }

    /// Returns the text of the file, of standard input or of the words, byte for byte; with `edit`,
    /// after the user has edited it. Fails if there is no file and no word, unless `edit`; an empty
    /// file is no error.
    pub(super) fn read(self, flux: &Flux, kind: &TextKind, edit: bool) -> Result<Text> {
        if edit {
            return self.edit(flux, kind);
        }
        if !matches!(self, Self::Words([])) {
            let bytes = self.read_bytes()?;
            return Ok(Text {
                bytes,
                edited: None,
            });
        }
        let piped = (!io::stdin().is_terminal()).then_some(kind.piped);
        let hints = kind.hints.into_iter().chain(piped);
        let failure = Failure::new(format!("no {} given", kind.name));
        Err(hints.fold(failure, Failure::hint).code(USAGE).into())
    }

    fn read_bytes(self) -> Result<Vec<u8>> {
        match self {
            Self::File(path) => read_file(path),
            Self::Words(words) => Ok(words.join(OsStr::new(" ")).into_vec()),
        }
    }

    /// Opens the text in git's editor, and returns what the user has written above a scissors line,
    /// without blank lines around it. Keeps lines that begin with `#`. Fails if the editor fails; then
    /// keeps the file if the editor has changed it.
    fn edit(self, flux: &Flux, kind: &TextKind) -> Result<Text> {
        let text = self.read_bytes()?;
        let dir = flux.repo.home();
        // git reads core.commentChar.
        let git = Git::reading(dir).words("stripspace --comment-lines");
        let help = git.input([SCISSORS, kind.help].concat()).output()?;
        let mut file = tempfile::Builder::new()
            .prefix("FLUX_TASK_")
            .suffix(".md")
            .tempfile()
            .context("could not make a temporary file")?;
        let between: &[u8] = if text.is_empty() { b"\n" } else { b"\n\n" };
        let draft = [&text, between, &help].concat();
        file.write_all(&draft)?;
        let edited = run_editor(&find_editor(dir, kind.piped)?, file.path(), kind);
        let written = match fs::read(file.path()) {
            Ok(written) => written,
            Err(error) => {
                return edited.and(Err(error).context("could not read the edited text"));
            }
        };
        let text = Text {
            bytes: text_above(&written, &help),
            edited: Some(file),
        };
        match edited {
            Ok(()) => Ok(text),
            Err(error) if written == draft => Err(error),
            // The user may have saved it before the editor failed.
            Err(error) => text.keep_unused(Err(error), kind, &format!("{} <", kind.piped)),
        }
    }
}

/// Opens `file` in an editor, and waits until that ends. Fails if the editor fails.
fn run_editor(editor: &OsStr, file: &Path, kind: &TextKind) -> Result<()> {
    if foreground::edit(editor, file)? == 0 {
        return Ok(());
    }
    let done = kind.done;
    let failure = Failure::new(format!(
        "there was a problem with the editor; nothing was {done}"
    ));
    Err(failure
        .hint("to set another editor: git config core.editor <editor>")
        .into())
}

/// Reads a whole file; `-` is standard input. SIGINT, SIGTERM and SIGHUP end the process at once,
/// so the caller must have nothing to undo.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    interrupt::exit_on_signal(|| {
        if path.as_os_str() != "-" {
            return fs::read(path).with_context(|| format!("could not read '{}'", shown(path)));
        }
        let mut text = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut text);
        read.context("could not read standard input")?;
        Ok(text)
    })
}

/// Returns git's editor, a shell command: `git var GIT_EDITOR`. Fails if none is set for a dumb
/// terminal, and with the hint `piped` if it needs a terminal and there is none.
pub(super) fn find_editor(dir: &Path, piped: &str) -> Result<OsString> {
    let Some(editor) = foreground::find_editor(dir)? else {
        let failure = Failure::new("git has no editor for a dumb terminal");
        let hint = "to set one: git config --global core.editor <editor>";
        return Err(failure.hint(hint).into());
    };
    if !io::stdin().is_terminal() && editor == "vi" {
        let failure = Failure::new("there is no terminal for an editor");
        return Err(failure.hint(piped).into());
    }
    Ok(editor)
}

/// The line below a text in the editor.
const SCISSORS: &str = "\
------------------------ >8 ------------------------
Do not modify or remove the line above.
Everything below it is ignored.
";

/// Returns the part of `text` above the first line of `help`, without empty lines around it. If that
/// line was deleted, drops the lines that equal another line of `help`.
fn text_above(text: &[u8], help: &[u8]) -> Vec<u8> {
    let help: Vec<&[u8]> = help.trim_ascii_end().split(|&byte| byte == b'\n').collect();
    let mut lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let is_first = |line: &&[u8]| help.first() == Some(&line.trim_ascii_end());
    match lines.iter().position(is_first) {
        Some(end) => lines.truncate(end),
        None => lines.retain(|line| !help.contains(&line.trim_ascii_end())),
    }
    let text = lines.into_iter();
    let text = text.skip_while(|line| line.trim_ascii().is_empty());
    text.collect::<Vec<_>>().concat().trim_ascii_end().to_vec()
}

#[cfg(test)]
mod tests {
    use super::text_above;

    #[test]
    fn text_above_keeps_the_text_unchanged() {
        const HELP: &[u8] = b"# --- >8 ---\n# Write it.\n";
        #[track_caller]
        fn case(text: &str, expected: &str) {
            let found = text_above(text.as_bytes(), HELP);
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
        case("# Write it.\nx\n# --- >8 ---\n", "# Write it.\nx");
    }
}
