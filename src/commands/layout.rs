//! Where an agent is to run, as options.

use anyhow::Result;
use clap::Args;

use crate::lifecycle::Flux;
use crate::task::{Layout, TaskId};
use crate::tmux::target::{self, Place, Wanted};

#[derive(Debug, Default, Args)]
pub(super) struct Layouts {
    /// Run in a new pane of this window
    #[arg(long, group = "layout")]
    pane: bool,
    /// Run in a new window of this session
    #[arg(long, group = "layout")]
    window: bool,
    /// Run in a session of its own
    #[arg(long, group = "layout")]
    session: bool,
}

impl Layouts {
    /// Where a task is to run, as things are now.
    ///
    /// # Errors
    /// When there is no such place.
    pub(super) fn place(&self, flux: &Flux, id: &TaskId) -> Result<Place> {
        let forced = [
            (self.pane, Layout::Pane),
            (self.window, Layout::Window),
            (self.session, Layout::Session),
        ];
        let forced = forced
            .into_iter()
            .find_map(|(given, layout)| given.then_some(layout));
        let wanted = match (forced, flux.settings.layout()?) {
            (Some(layout), _) => Wanted::Demanded(layout),
            (None, Some(layout)) => Wanted::Preferred(layout),
            (None, None) => Wanted::Any,
        };
        let session = target::session_name(&flux.repo.project(), id);
        target::choose(wanted, session)
    }
}
