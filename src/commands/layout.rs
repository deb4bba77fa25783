//! Where an agent is to run, as options.

use clap::Args;

use crate::task::Layout;

#[derive(Debug, Default, Args)]
pub(super) struct Layouts {
    /// run in a new pane of this window
    #[arg(long, group = "layout")]
    pane: bool,
    /// run in a new window of this session
    #[arg(long, group = "layout")]
    window: bool,
    /// run in a session of its own
    #[arg(long, group = "layout")]
    session: bool,
}

impl Layouts {
    /// Returns the layout that is asked for.
    pub(super) fn layout(&self) -> Option<Layout> {
        match (self.pane, self.window, self.session) {
            (true, ..) => Some(Layout::Pane),
            (_, true, _) => Some(Layout::Window),
            (.., true) => Some(Layout::Session),
            _ => None,
        }
    }
}
