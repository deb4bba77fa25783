//! Where each file goes: where its reader looks without being told, as far as there is such a place.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::embedded::{BASH, FISH, FISH_BELOW_GIT, MANUAL, ZSH, ZSH_BELOW_GIT};
use crate::failure::Failure;
use crate::system::program::which;

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Man,
    Bash,
    Zsh,
    Fish,
}

impl Reader {
    /// The program's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Man => "man",
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// What begins a comment in its files.
    pub(super) fn comment(self) -> &'static str {
        match self {
            Self::Man => r#".\""#,
            Self::Bash | Self::Zsh | Self::Fish => "#",
        }
    }
}

/// One file and its place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) reader: Reader,
    pub(super) text: &'static str,
    pub(super) path: PathBuf,
}

/// The directories for all files.
#[derive(Debug)]
pub(super) struct Places {
    /// The best first.
    man: Vec<PathBuf>,
    bash: PathBuf,
    zsh: PathBuf,
    fish: PathBuf,
    fish_below_git: PathBuf,
    /// For whoever reads them, not only for the shells of this machine.
    everybody: bool,
}

impl Places {
    /// Below a directory such as `/usr/local`.
    ///
    /// # Errors
    /// When there is no current directory that it is relative to.
    pub(super) fn below(prefix: &Path) -> Result<Self> {
        let prefix = std::path::absolute(prefix)
            .with_context(|| format!("could not tell where '{}' is", prefix.display()))?;
        let share = prefix.join("share");
        Ok(Self {
            man: vec![share.join("man")],
            bash: share.join("bash-completion/completions"),
            zsh: share.join("zsh/site-functions"),
            fish: share.join("fish/vendor_completions.d"),
            fish_below_git: share.join("fish/vendor_conf.d"),
            everybody: true,
        })
    }

    /// The user's own.
    ///
    /// # Errors
    /// When there is no home directory.
    pub(super) fn at_home() -> Result<Self> {
        let home = directory("HOME").ok_or_else(|| {
            Failure::new("could not tell where to install: HOME is not set")
                .hint("git flux install --prefix <dir>")
        })?;
        let data = directory("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
        let config = directory("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let bash = directory("BASH_COMPLETION_USER_DIR");
        Ok(Self {
            man: man_at_home(&home),
            bash: bash
                .unwrap_or_else(|| data.join("bash-completion"))
                .join("completions"),
            zsh: data.join("zsh/site-functions"),
            fish: config.join("fish/completions"),
            fish_below_git: config.join("fish/conf.d"),
            everybody: false,
        })
    }

    /// What is to be installed: the manual, and completion for the shells that there are.
    pub(super) fn wanted(&self) -> Vec<Place> {
        let mut places = vec![manual(&self.man[0])];
        places.extend(
            self.completions()
                .into_iter()
                .filter(|place| self.everybody || which(Path::new(place.reader.name())).is_some()),
        );
        places
    }

    /// All places in which there may be something of ours.
    pub(super) fn all(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.man.iter().map(|dir| manual(dir)).collect();
        places.extend(self.completions());
        places
    }

    fn completions(&self) -> Vec<Place> {
        let place = |reader, text, dir: &Path, name| Place {
            reader,
            text,
            path: dir.join(name),
        };
        vec![
            place(Reader::Bash, BASH, &self.bash, "git-flux"),
            place(Reader::Zsh, ZSH, &self.zsh, "_git-flux"),
            place(Reader::Zsh, ZSH_BELOW_GIT, &self.zsh, "_git_flux"),
            place(Reader::Fish, FISH, &self.fish, "git-flux.fish"),
            place(
                Reader::Fish,
                FISH_BELOW_GIT,
                &self.fish_below_git,
                "git-flux.fish",
            ),
        ]
    }
}

fn manual(dir: &Path) -> Place {
    Place {
        reader: Reader::Man,
        text: MANUAL,
        path: dir.join("man1/git-flux.1"),
    }
}

/// The directory that an environment variable names; the first of several. Relative ones mean nothing.
pub(super) fn directory(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name)?;
    let first = env::split_paths(&value).next()?;
    first.is_absolute().then_some(first)
}

/// The places for a manual below the home directory, the best first: `~/.local/share/man`, unless man looks only in
/// the `share/man` beside the `bin` in which git-flux lies, such as cargo's.
fn man_at_home(home: &Path) -> Vec<PathBuf> {
    let usual = home.join(".local/share/man");
    let program = which(Path::new("git-flux"));
    let bin = program.as_deref().and_then(Path::parent);
    let beside = bin
        .filter(|bin| bin.ends_with("bin"))
        .and_then(Path::parent)
        .filter(|parent| {
            parent.starts_with(home) || directory("CARGO_HOME").as_deref() == Some(parent)
        })
        .map(|parent| parent.join("share/man"));
    match beside {
        Some(beside) if beside == usual => vec![usual],
        Some(beside) if !is_searched(&usual) && is_searched(&beside) => vec![beside, usual],
        beside => [usual].into_iter().chain(beside).collect(),
    }
}

/// Whether man looks in this directory, going by its manual: it is on MANPATH, or that leaves room for the usual
/// places, and `bin` beside `share/man` is on PATH. Whether it does is seen when the page is there.
fn is_searched(dir: &Path) -> bool {
    if let Some(manpath) = env::var_os("MANPATH").filter(|manpath| !manpath.is_empty()) {
        let mut dirs = env::split_paths(&manpath);
        if dirs.any(|one| one == dir) {
            return true;
        }
        if env::split_paths(&manpath).all(|one| !one.as_os_str().is_empty()) {
            return false;
        }
    }
    let bin = dir.ancestors().nth(2).map(|parent| parent.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|one| Some(&one) == bin.as_ref())
}
