//! The options for the style of a merge.

use anyhow::Result;
use clap::Args;

use crate::git::Style;
use crate::settings::Settings;

/// The options for the style of the merge.
#[derive(Clone, Debug, Args)]
#[group(id = "styles", multiple = false)]
pub(super) struct Styles {
    /// create a merge commit (the default, unless flux.merge says otherwise)
    #[arg(long)]
    merge: bool,
    /// create a single commit instead of doing a merge
    #[arg(long)]
    squash: bool,
    /// put the task's commits on top of the branch, one by one
    #[arg(long)]
    rebase: bool,
    /// abort if fast-forward is not possible
    #[arg(long)]
    ff_only: bool,
}

impl Styles {
    /// Returns the style of the merge: that of the options, or else of `flux.merge`. Fails if that
    /// setting is invalid.
    pub(super) fn chosen(&self, settings: &Settings) -> Result<Style> {
        self.given().map_or_else(|| settings.merge_style(), Ok)
    }

    /// Returns the option that is given; `None` if there is none.
    pub(super) fn option(&self) -> Option<String> {
        self.given().map(|style| format!("--{}", style.into_str()))
    }

    fn given(&self) -> Option<Style> {
        match (self.merge, self.squash, self.rebase, self.ff_only) {
            (true, ..) => Some(Style::Merge),
            (_, true, ..) => Some(Style::Squash),
            (.., true, _) => Some(Style::Rebase),
            (.., true) => Some(Style::FastForward),
            _ => None,
        }
    }
}
