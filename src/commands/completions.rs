//! `git flux completions`

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::embedded;
use crate::ui::Ui;

/// Print what makes a shell complete git flux, to be sourced by it
#[derive(Debug, Args)]
#[command(override_usage = "git flux completions <shell>")]
pub(crate) struct Completions {
    /// the shell: bash, zsh or fish
    #[arg(value_enum, value_name = "shell", hide_possible_values = true)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// What makes the shell complete `git flux` and `git-flux`.
    pub(super) fn text(self) -> String {
        match self {
            Self::Bash => embedded::BASH.to_owned(),
            // The other file is for those who keep this one in a place of zsh's.
            Self::Zsh => embedded::ZSH.to_owned(),
            Self::Fish => embedded::FISH_BELOW_GIT.to_owned() + embedded::FISH,
        }
    }
}

impl Completions {
    pub(crate) fn run(self) -> Result<()> {
        Ui::default().bytes(self.shell.text().as_bytes())
    }
}
