//! The files to install, at paths that their readers search by default if possible, and the existing files.
//! A file that ends in our line was installed by git flux.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{self, Path, PathBuf};
use std::{env, fs, iter};

use anyhow::{Context as _, Result};

use crate::embedded::{BASH, FISH, FISH_BELOW_GIT, MANUAL, ZSH, ZSH_BELOW_GIT};
use crate::failure::Failure;
use crate::system::program::which;

/// The program that reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(super) enum Reader {
    Man,
    Bash,
    Zsh,
    Fish,
}

impl Reader {
    /// Returns the characters that begin a comment in a file for this program.
    fn comment(self) -> &'static str {
        match self {
            Self::Man => r#".\""#,
            Self::Bash | Self::Zsh | Self::Fish => "#",
        }
    }

    /// Returns whether this program, man or a shell, is on PATH.
    pub(super) fn is_installed(self) -> bool {
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

/// Their directories below a prefix such as `/usr/local`.
const BELOW_PREFIX: [&str; 6] = [
    "share/man",
    "share/bash-completion/completions",
    "share/zsh/site-functions",
    "share/zsh/site-functions",
    "share/fish/vendor_completions.d",
    "share/fish/vendor_conf.d",
];

fn dirs_at_home(home: &Path) -> [PathBuf; 6] {
    let data = env_dir("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
    let config = env_dir("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
    let bash = env_dir("BASH_COMPLETION_USER_DIR");
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

/// Returns the `share/man` beside the `bin` directory of `git-flux` on PATH, if that is below the
/// user's home directory or `CARGO_HOME`; otherwise `None`. man searches it because `bin` is on
/// PATH.
fn man_beside_program(home: &Path) -> Option<PathBuf> {
    let program = which(Path::new("git-flux"))?;
    let bin = program.parent().filter(|bin| bin.ends_with("bin"))?;
    let parent = bin.parent()?;
    let is_own = parent.starts_with(home) || env_dir("CARGO_HOME").as_deref() == Some(parent);
    is_own.then(|| parent.join("share/man"))
}

/// Returns the first path in an environment variable such as `XDG_DATA_HOME`; `None` if the
/// variable is not set, or if the path is relative.
pub(super) fn env_dir(variable: impl AsRef<OsStr>) -> Option<PathBuf> {
    let first = env::split_paths(&env::var_os(variable)?).next()?;
    first.is_absolute().then_some(first)
}

/// Returns the directory below which the files are installed: `prefix` as an absolute path, or
/// without `prefix` the home directory. Fails without `prefix` if HOME is not set.
pub(super) fn root(prefix: Option<&Path>) -> Result<PathBuf> {
    match prefix {
        Some(prefix) => path::absolute(prefix)
            .with_context(|| format!("could not resolve '{}'", prefix.display())),
        None => Ok(env_dir("HOME").ok_or_else(|| {
            Failure::new("HOME is not set").hint("git flux install --prefix <dir>")
        })?),
    }
}

/// Returns all files that can be installed, at their paths below `prefix`, or else in the user's
/// own directories.
pub(super) fn list_files(prefix: Option<&Path>) -> Result<Vec<InstallFile>> {
    let root = root(prefix)?;
    let dirs = match prefix {
        Some(_) => BELOW_PREFIX.map(|dir| root.join(dir)),
        None => dirs_at_home(&root),
    };
    let files = iter::zip(FILES, dirs).map(|((reader, text, name), dir)| InstallFile {
        reader,
        text,
        path: dir.join(name),
    });
    Ok(files.collect())
}

#[derive(Debug)]
pub(super) struct InstallFile {
    pub(super) reader: Reader,
    pub(super) text: &'static str,
    pub(super) path: PathBuf,
}

/// The existing file at the path of an [`InstallFile`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExistingFile {
    Nothing,
    /// The file of this version.
    Current,
    /// A file of another version of git flux, or a copy made by hand.
    Own,
    /// Something else, with the end of a sentence about it.
    Foreign(&'static str),
}

impl InstallFile {
    /// Reads what is at the path to install: nothing, this version's file, another version's file,
    /// or something that git flux did not install, such as a symbolic link.
    pub(super) fn read_existing(&self) -> Result<ExistingFile> {
        let context = || format!("could not read '{}'", self.path.display());
        let metadata = match self.path.symlink_metadata() {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(ExistingFile::Nothing);
            }
            metadata => metadata.with_context(context)?,
        };
        if metadata.is_symlink() {
            Ok(ExistingFile::Foreign("is a symbolic link"))
        } else if metadata.is_file() {
            Ok(self.classify(&fs::read(&self.path).with_context(context)?))
        } else {
            Ok(ExistingFile::Foreign("is not a file"))
        }
    }

    fn classify(&self, bytes: &[u8]) -> ExistingFile {
        if bytes == self.content().as_bytes() {
            return ExistingFile::Current;
        }
        let text = String::from_utf8_lossy(bytes);
        let last = text.lines().next_back().unwrap_or_default();
        if text == self.text || last.starts_with(&self.mark()) {
            ExistingFile::Own
        } else {
            ExistingFile::Foreign("was not installed by git flux")
        }
    }

    fn mark(&self) -> String {
        format!("{} installed by git flux ", self.reader.comment())
    }

    /// Returns the content to install: the text, and a last line by which a file of git flux is
    /// recognized.
    pub(super) fn content(&self) -> String {
        [self.text, &self.mark(), env!("CARGO_PKG_VERSION"), "\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classify_recognizes_files_that_end_in_our_line() {
        let file = InstallFile {
            reader: Reader::Bash,
            text: "echo new\n",
            path: "/nowhere".into(),
        };
        #[track_caller]
        fn case(file: &InstallFile, text: &str, expected: &ExistingFile) {
            assert_eq!(&file.classify(text.as_bytes()), expected, "{text}");
        }
        let line = "# installed by git flux ";
        case(&file, &file.content(), &ExistingFile::Current);
        case(&file, "echo new\n", &ExistingFile::Own);
        case(&file, &format!("{line}9.9.9\n"), &ExistingFile::Own);
        case(
            &file,
            &format!("echo old\n{line}0.0.1, checksum 0\n"),
            &ExistingFile::Own,
        );
        let foreign = ExistingFile::Foreign("was not installed by git flux");
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
            case(&file, text, &foreign);
        }
        assert_eq!(file.classify(b"\xff\xfe\n"), foreign);
    }
}
