//! What is at a place, and whether it is ours: a file that ends in our line is.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};

use super::place::Place;

const MARK: &str = "installed by git flux";

/// What is at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// The file as it would be installed now.
    Current,
    /// A file of another version of git flux, or a copy made by hand.
    Own,
    /// Something else; the rest of a sentence about it.
    Foreign(&'static str),
}

/// Looks at a place.
///
/// # Errors
/// When it cannot be told what is there.
pub(super) fn look(place: &Place) -> Result<Found> {
    let what = || format!("could not look at '{}'", place.path.display());
    let there = match place.path.symlink_metadata() {
        // Nor could anything be there.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Found::Nothing);
        }
        there => there.with_context(what)?,
    };
    if there.is_symlink() {
        return Ok(Found::Foreign("is a symbolic link"));
    }
    if !there.is_file() {
        return Ok(Found::Foreign("is not a file"));
    }
    let bytes = fs::read(&place.path).with_context(what)?;
    Ok(judge(place, &bytes))
}

fn judge(place: &Place, bytes: &[u8]) -> Found {
    if bytes == marked(place).as_bytes() {
        return Found::Current;
    }
    let text = String::from_utf8_lossy(bytes);
    let line = format!("{} {MARK} ", place.reader.comment());
    match text.lines().next_back() {
        Some(last) if last.starts_with(&line) => Found::Own,
        _ if text == place.text => Found::Own,
        _ => Found::Foreign("is not git flux's own"),
    }
}

/// Returns the file as it is installed: with our line at its end.
pub(super) fn marked(place: &Place) -> String {
    let (text, comment) = (place.text, place.reader.comment());
    format!("{text}{comment} {MARK} {}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::install::place::Reader;

    #[test]
    fn a_file_that_ends_in_our_line_is_ours() {
        let place = Place {
            reader: Reader::Bash,
            text: "echo new\n",
            path: "/nowhere".into(),
        };
        #[track_caller]
        fn case(place: &Place, text: &str, expected: &Found) {
            assert_eq!(&judge(place, text.as_bytes()), expected, "{text}");
        }
        let line = "# installed by git flux ";
        case(&place, &marked(&place), &Found::Current);
        case(&place, "echo new\n", &Found::Own);
        case(&place, &format!("{line}9.9.9\n"), &Found::Own);
        case(
            &place,
            &format!("echo old\n{line}0.0.1, checksum 0\n"),
            &Found::Own,
        );
        let foreign = Found::Foreign("is not git flux's own");
        for text in [
            "",
            "\n",
            "echo new",
            "echo other\n",
            "\u{0}",
            "# installed by git fluxes 1\n",
            &format!("{line}9.9.9\nalias x=y\n"),
            &format!("echo {line}9.9.9\n"),
            ".\\\" installed by git flux 9.9.9\n",
        ] {
            case(&place, text, &foreign);
        }
        assert_eq!(judge(&place, b"\xff\xfe\n"), foreign);
    }
}
