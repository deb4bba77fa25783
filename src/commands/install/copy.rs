//! What lies at a place, and whether it is ours.
//!
//! A file that was installed ends in a line that says so, with a checksum of all before it. One whose checksum is right
//! is as some git flux left it, this one or another version. One whose checksum is wrong has been changed by somebody.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};

use super::place::Place;

const MARK: &str = "installed by git flux";
const DIRECTORIES: &str = ", directories made: ";
const CHECKSUM: &str = ", checksum ";

/// What lies at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// A file that was installed.
    Own {
        /// How many directories, from its own upwards, were made for it.
        made: usize,
        /// It is what would be installed now.
        current: bool,
    },
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
    // Copied by hand, before there was a command for it.
    if bytes == place.text.as_bytes() {
        let (made, current) = (0, false);
        return Found::Own { made, current };
    }
    let Some(stamp) = last_line(bytes).filter(|line| line.contains(MARK)) else {
        return Found::Foreign("is not git flux's own");
    };
    let read = || {
        let (rest, sum) = stamp.rsplit_once(CHECKSUM)?;
        let (_, made) = rest.rsplit_once(DIRECTORIES)?;
        let covered = &bytes[..bytes.len() - sum.len() - 1];
        (format!("{:016x}", checksum(covered)) == sum).then_some(made.parse().ok()?)
    };
    match read() {
        Some(made) => Found::Own {
            made,
            current: bytes == stamped(place, made).as_bytes(),
        },
        None => Found::Foreign("was changed since it was installed"),
    }
}

fn last_line(bytes: &[u8]) -> Option<&str> {
    let text = bytes.strip_suffix(b"\n")?;
    std::str::from_utf8(text.rsplit(|&b| b == b'\n').next()?).ok()
}

/// The file as it is installed: with its line at the end.
pub(super) fn stamped(place: &Place, made: usize) -> String {
    let comment = place.reader.comment();
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        "{}{comment} {MARK} {version}{DIRECTORIES}{made}{CHECKSUM}",
        place.text
    );
    let sum = checksum(text.as_bytes());
    format!("{text}{sum:016x}\n")
}

/// FNV-1a of 64 bits: the same for every version, and it need not resist anybody.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::install::place::Reader;

    fn place(text: &'static str) -> Place {
        let (reader, path) = (Reader::Bash, "/nowhere".into());
        Place { reader, text, path }
    }

    #[test]
    fn what_was_installed_is_known_as_long_as_nobody_changes_it() {
        let own = |made, current| Found::Own { made, current };
        let (old, new) = (place("echo old\n"), place("echo new\n"));
        let installed = stamped(&old, 2);
        assert_eq!(judge(&old, installed.as_bytes()), own(2, true));
        // By another version.
        assert_eq!(judge(&new, installed.as_bytes()), own(2, false));
        let version = installed.replace(env!("CARGO_PKG_VERSION"), "9.9.9");
        let (text, _) = version.rsplit_once(CHECKSUM).unwrap();
        let text = format!("{text}{CHECKSUM}");
        let version = format!("{text}{:016x}\n", checksum(text.as_bytes()));
        assert_eq!(judge(&new, version.as_bytes()), own(2, false));
        // By hand.
        assert_eq!(judge(&old, b"echo old\n"), own(0, false));
        let changed = Found::Foreign("was changed since it was installed");
        for text in [
            installed.replace("old", "odd"),
            installed.replace("made: 2", "made: 3"),
            format!("{}0\n", installed.trim_end()),
            installed.replace(CHECKSUM, ""),
        ] {
            assert_eq!(judge(&old, text.as_bytes()), changed, "{text}");
        }
        let foreign = Found::Foreign("is not git flux's own");
        for text in [
            "",
            "\n",
            "echo old",
            "echo other\n",
            "\u{0}",
            installed.trim_end(),
            &format!("{installed}alias x=y\n"),
        ] {
            assert_eq!(judge(&old, text.as_bytes()), foreign, "{text}");
        }
        assert_eq!(judge(&old, b"\xff\xfe\n"), foreign);
    }

    #[test]
    fn the_checksum_is_the_one_that_everybody_computes() {
        // The published test vectors of FNV-1a.
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
