//! Where each file goes: where its reader looks without being told, as far as there is such a place.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::embedded::{BASH, FISH, FISH_BELOW_GIT, MANUAL, ZSH, ZSH_BELOW_GIT};
use crate::failure::Failure;
use crate::system::program::which;

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Reader {
    Man,
    Bash,
    Zsh,
    Fish,
}

impl Reader {
    /// Returns what begins a comment in its files.
    pub(super) fn comment(self) -> &'static str {
        match self {
            Self::Man => r#".\""#,
            Self::Bash | Self::Zsh | Self::Fish => "#",
        }
    }

    /// Returns whether the program is on PATH.
    pub(super) fn is_there(self) -> bool {
        let name: &str = self.into();
        which(Path::new(name)).is_some()
    }
}

/// One file and its place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) reader: Reader,
    pub(super) text: &'static str,
    pub(super) path: PathBuf,
}

/// The directories of all files.
struct Directories {
    man: PathBuf,
    bash: PathBuf,
    zsh: PathBuf,
    fish: PathBuf,
    fish_below_git: PathBuf,
}

impl Directories {
    fn places(&self) -> Vec<Place> {
        let place = |reader, text, dir: &Path, name| Place {
            reader,
            text,
            path: dir.join(name),
        };
        let fish = "git-flux.fish";
        vec![
            place(Reader::Man, MANUAL, &self.man, "man1/git-flux.1"),
            place(Reader::Bash, BASH, &self.bash, "git-flux"),
            place(Reader::Zsh, ZSH, &self.zsh, "_git-flux"),
            place(Reader::Zsh, ZSH_BELOW_GIT, &self.zsh, "_git_flux"),
            place(Reader::Fish, FISH, &self.fish, fish),
            place(Reader::Fish, FISH_BELOW_GIT, &self.fish_below_git, fish),
        ]
    }
}

/// Returns the directory above which nothing is made or removed: `prefix`, or the home directory.
///
/// # Errors
/// When there is none.
pub(super) fn root(prefix: Option<&Path>) -> Result<PathBuf> {
    match prefix {
        Some(prefix) => std::path::absolute(prefix)
            .with_context(|| format!("could not tell where '{}' is", prefix.display())),
        None => home(),
    }
}

fn home() -> Result<PathBuf> {
    let home = directory("HOME").ok_or_else(|| {
        Failure::new("could not tell where to install: HOME is not set")
            .hint("git flux install --prefix <dir>")
    })?;
    Ok(home)
}

/// Returns the places below a directory such as `/usr/local`.
///
/// # Errors
/// When there is no current directory that it is relative to.
pub(super) fn below(prefix: &Path) -> Result<Vec<Place>> {
    let share = root(Some(prefix))?.join("share");
    let directories = Directories {
        man: share.join("man"),
        bash: share.join("bash-completion/completions"),
        zsh: share.join("zsh/site-functions"),
        fish: share.join("fish/vendor_completions.d"),
        fish_below_git: share.join("fish/vendor_conf.d"),
    };
    Ok(directories.places())
}

/// Returns the user's own places.
///
/// # Errors
/// When there is no home directory.
pub(super) fn at_home() -> Result<Vec<Place>> {
    let home = home()?;
    let data = directory("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
    let config = directory("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
    let bash = directory("BASH_COMPLETION_USER_DIR");
    let directories = Directories {
        man: man_beside_program(&home).unwrap_or_else(|| home.join(".local/share/man")),
        bash: bash
            .unwrap_or_else(|| data.join("bash-completion"))
            .join("completions"),
        zsh: data.join("zsh/site-functions"),
        fish: config.join("fish/completions"),
        fish_below_git: config.join("fish/conf.d"),
    };
    Ok(directories.places())
}

/// Returns the directory that an environment variable names; the first of several. Relative ones mean nothing.
pub(super) fn directory(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name)?;
    let first = env::split_paths(&value).next()?;
    first.is_absolute().then_some(first)
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
