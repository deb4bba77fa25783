//! Where each file goes: where its reader looks without being told, as far as there is such a place; and
//! what is there. A file that ends in our line is ours.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{self, Path, PathBuf};
use std::{env, fs, iter};

use anyhow::{Context as _, Result};

use crate::embedded::{BASH, FISH, FISH_BELOW_GIT, MANUAL, ZSH, ZSH_BELOW_GIT};
use crate::failure::Failure;
use crate::system::program::which;

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(super) enum Reader {
    Man,
    Bash,
    Zsh,
    Fish,
}

impl Reader {
    /// Returns what begins a comment in its files.
    fn comment(self) -> &'static str {
        match self {
            Self::Man => r#".\""#,
            Self::Bash | Self::Zsh | Self::Fish => "#",
        }
    }

    /// Returns whether the program is on PATH.
    pub(super) fn is_there(self) -> bool {
        which(Path::new(self.into_str())).is_some()
    }
}

/// The readers, texts and names of all files.
const FILES: [(Reader, &str, &str); 6] = [
    (Reader::Man, MANUAL, "man1/git-flux.1"),
    (Reader::Bash, BASH, "git-flux"),
    (Reader::Zsh, ZSH, "_git-flux"),
    (Reader::Zsh, ZSH_BELOW_GIT, "_git_flux"),
    (Reader::Fish, FISH, "git-flux.fish"),
    (Reader::Fish, FISH_BELOW_GIT, "git-flux.fish"),
];

/// Their directories below a directory such as `/usr/local`.
const BELOW_PREFIX: [&str; 6] = [
    "share/man",
    "share/bash-completion/completions",
    "share/zsh/site-functions",
    "share/zsh/site-functions",
    "share/fish/vendor_completions.d",
    "share/fish/vendor_conf.d",
];

/// Returns the user's own directories for them.
fn at_home(home: &Path) -> [PathBuf; 6] {
    let data = directory("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
    let config = directory("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
    let bash = directory("BASH_COMPLETION_USER_DIR");
    [
        man_beside_program(home).unwrap_or_else(|| home.join(".local/share/man")),
        bash.unwrap_or_else(|| data.join("bash-completion"))
            .join("completions"),
        data.join("zsh/site-functions"),
        data.join("zsh/site-functions"),
        config.join("fish/completions"),
        config.join("fish/conf.d"),
    ]
}

/// Returns the `share/man` beside the `bin` in which git-flux is found, if that is the user's own, such as
/// cargo's: man looks there for the programs of that `bin`.
fn man_beside_program(home: &Path) -> Option<PathBuf> {
    let program = which(Path::new("git-flux"))?;
    let bin = program.parent().filter(|bin| bin.ends_with("bin"))?;
    let parent = bin.parent()?;
    let is_own = parent.starts_with(home) || directory("CARGO_HOME").as_deref() == Some(parent);
    is_own.then(|| parent.join("share/man"))
}

/// Returns the directory that an environment variable names; the first of several. Relative ones mean nothing.
pub(super) fn directory(variable: impl AsRef<OsStr>) -> Option<PathBuf> {
    let first = env::split_paths(&env::var_os(variable)?).next()?;
    first.is_absolute().then_some(first)
}

/// Returns the directory above which nothing is made or removed: `prefix`, or the home directory.
///
/// # Errors
/// When there is none.
pub(super) fn root(prefix: Option<&Path>) -> Result<PathBuf> {
    match prefix {
        Some(prefix) => path::absolute(prefix)
            .with_context(|| format!("could not tell where '{}' is", prefix.display())),
        None => Ok(directory("HOME").ok_or_else(|| {
            Failure::new("could not tell where to install: HOME is not set")
                .hint("git flux install --prefix <dir>")
        })?),
    }
}

/// Returns the places of all files, below `prefix` or at home.
///
/// # Errors
/// As [`root`].
pub(super) fn places(prefix: Option<&Path>) -> Result<Vec<Place>> {
    let root = root(prefix)?;
    let dirs = match prefix {
        Some(_) => BELOW_PREFIX.map(|dir| root.join(dir)),
        None => at_home(&root),
    };
    let files = iter::zip(FILES, dirs).map(|((reader, text, name), dir)| Place {
        reader,
        text,
        path: dir.join(name),
    });
    Ok(files.collect())
}

/// One file and its place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) reader: Reader,
    pub(super) text: &'static str,
    pub(super) path: PathBuf,
}

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

impl Place {
    /// Looks at what is there.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn look(&self) -> Result<Found> {
        let what = || format!("could not look at '{}'", self.path.display());
        let there = match self.path.symlink_metadata() {
            // Nor could anything be there.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Found::Nothing);
            }
            there => there.with_context(what)?,
        };
        if there.is_symlink() {
            Ok(Found::Foreign("is a symbolic link"))
        } else if there.is_file() {
            Ok(self.judge(&fs::read(&self.path).with_context(what)?))
        } else {
            Ok(Found::Foreign("is not a file"))
        }
    }

    fn judge(&self, bytes: &[u8]) -> Found {
        if bytes == self.marked().as_bytes() {
            return Found::Current;
        }
        let text = String::from_utf8_lossy(bytes);
        let last = text.lines().next_back().unwrap_or_default();
        if text == self.text || last.starts_with(&self.mark()) {
            Found::Own
        } else {
            Found::Foreign("is not git flux's own")
        }
    }

    fn mark(&self) -> String {
        format!("{} installed by git flux ", self.reader.comment())
    }

    /// Returns the file as it is installed: with our line at its end.
    pub(super) fn marked(&self) -> String {
        [self.text, &self.mark(), env!("CARGO_PKG_VERSION"), "\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_ends_in_our_line_is_ours() {
        let place = Place {
            reader: Reader::Bash,
            text: "echo new\n",
            path: "/nowhere".into(),
        };
        #[track_caller]
        fn case(place: &Place, text: &str, expected: &Found) {
            assert_eq!(&place.judge(text.as_bytes()), expected, "{text}");
        }
        let line = "# installed by git flux ";
        case(&place, &place.marked(), &Found::Current);
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
        assert_eq!(place.judge(b"\xff\xfe\n"), foreign);
    }
}
