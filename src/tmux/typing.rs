//! Text for the program on a pane, as if it were typed or pasted there.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::process;

use anyhow::{Context as _, Result};

use super::Tmux;
use super::composer::Typed;
use crate::task::Target;

/// How many bytes a tmux client can say at once, with room to spare.
const LONGEST_CALL: usize = 12_000;

/// How many bytes of that the commands of one paste take.
const PASTE_COMMANDS: usize = 150;

/// Types a message: in one paste, or in as many as the composer takes for typed text. A first
/// character that would be obeyed comes behind a space, which is erased before the rest comes.
/// `tmux set-buffer -b <name> -- <piece> ; paste-buffer -p -r -d -b <name> ; …`
pub(super) fn type_text(target: &Target, typed: &Typed) -> Result<()> {
    let mut rest = typed.text.as_str();
    let mut pastes = Vec::new();
    if typed.is_erased_space_first
        && let Some(first) = rest.chars().next()
    {
        rest = &rest[first.len_utf8()..];
        pastes.push((format!(" {first}"), &["-p"][..]));
        // To the beginning, delete, to the end.
        pastes.push(("\u{1}\u{1b}[3~\u{5}".to_owned(), &[]));
    }
    if let Some(longest) = typed.longest_paste {
        let pieces = pieces(rest, longest).into_iter();
        pastes.extend(pieces.map(|piece| (piece.to_owned(), &["-p"][..])));
        rest = "";
    }
    let name = buffer_name(target);
    let mut call: Option<Tmux> = None;
    let mut length = 0;
    for (text, options) in pastes {
        length += text.len() + PASTE_COMMANDS;
        if length > LONGEST_CALL {
            length = text.len() + PASTE_COMMANDS;
            call.take().map_or(Ok(()), Tmux::run)?;
        }
        let tmux = match call {
            None => Tmux::on(&target.socket, "set-buffer"),
            Some(tmux) => tmux.then("set-buffer"),
        };
        let tmux = tmux.args(["-b", &name, "--", &text]);
        call = Some(put(tmux, target, &name, options));
    }
    call.map_or(Ok(()), Tmux::run)?;
    match rest {
        "" => Ok(()),
        rest => paste(target, rest, &["-p"]),
    }
}

/// Cuts a text into pieces of no more than `longest` bytes and two lines.
fn pieces(text: &str, longest: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut lines) = (0, 0);
    for (at, c) in text.char_indices() {
        if at + c.len_utf8() - from > longest || lines == 2 {
            pieces.push(&text[from..at]);
            (from, lines) = (at, 0);
        }
        lines += usize::from(c == '\n');
    }
    pieces.push(&text[from..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Pastes text by one process: `tmux load-buffer -b <name> - ; paste-buffer -r -d -b <name>`
pub(super) fn paste(target: &Target, text: &str, options: &[&str]) -> Result<()> {
    let name = buffer_name(target);
    let tmux = Tmux::on(&target.socket, "load-buffer").input(file(text)?);
    put(tmux.args(["-b", &name, "-"]), target, &name, options).run()
}

/// Returns a name that no other message to a pane of this server uses now.
fn buffer_name(target: &Target) -> String {
    format!("flux-{}-{}", process::id(), target.pane)
}

fn file(text: &str) -> Result<File> {
    let mut file = tempfile::tempfile().context("could not make a temporary file")?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// Adds the paste of a buffer, which goes with it.
fn put(tmux: Tmux, target: &Target, name: &str, options: &[&str]) -> Tmux {
    tmux.then("paste-buffer")
        .args(options)
        .args(["-r", "-d", "-b", name])
        .target(target.pane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_lines_and_characters_and_nothing_is_lost() {
        for (text, longest, expected) in [
            ("", 9, &[][..]),
            ("a\nb", 9, &["a\nb"]),
            ("a\nb\n\nc\nd", 9, &["a\nb\n", "\nc\n", "d"]),
            ("ää", 3, &["ä", "ä"]),
        ] {
            assert_eq!(pieces(text, longest), expected, "{text}");
        }
    }
}
