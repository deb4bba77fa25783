//! The repositories that have a task's pane on the tmux server.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use crate::context::Flux;
use crate::git::Repo;
use crate::settings::Settings;
use crate::tmux::pane;
use crate::ui::Ui;

/// Finds them by the options on the panes: their git directories, and what opens them. A pane may outlive its
/// repository, and its option may have been tampered with.
///
/// # Errors
/// When tmux does not answer.
pub(crate) fn repositories(ui: &Ui) -> Result<Vec<(PathBuf, Result<Flux>)>> {
    let panes = pane::list(None)?.into_iter();
    let found: BTreeSet<PathBuf> = panes.filter_map(|pane| pane.repo).collect();
    let open = |common_dir: &PathBuf| {
        let mut repo = Repo::open_at(common_dir)?;
        let settings = Settings::load(repo.home())?;
        // Who wrote the option may have written that, too.
        if let Some(key) = settings.own_filter() {
            repo.distrust(key);
        }
        let ui = ui.clone();
        Ok(Flux { repo, settings, ui })
    };
    let opened = found.into_iter().map(|common_dir| {
        let flux = open(&common_dir);
        (common_dir, flux)
    });
    Ok(opened.collect())
}
