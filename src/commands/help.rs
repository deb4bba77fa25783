//! `git flux help`

use anyhow::Result;
use clap::{Args, Command};

use super::usage;
use crate::ui::Ui;

/// Show this help, or that of a command
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// The command
    command: Option<String>,
}

impl Help {
    pub(crate) fn run(self, mut all: Command) -> Result<()> {
        all.build();
        let Some(name) = self.command else {
            return Ui::default().data(all.render_help().to_string().trim_end());
        };
        if let Some(found) = all.find_subcommand_mut(&name).filter(|c| !c.is_hide_set()) {
            return Ui::default().data(found.render_help().to_string().trim_end());
        }
        Err(usage::unknown(&all, &name, &[]).into())
    }
}
