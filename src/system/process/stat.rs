//! What every system that tells of processes tells of each.

/// A process, as the system sees it.
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) name: String,
    /// `T` or `t` if it is stopped, `Z` or `X` if it has ended.
    pub(super) state: char,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// The foreground process group of its terminal.
    pub(super) in_front: i32,
    /// When it started, in a unit of the system's own.
    pub(super) born: u64,
}

impl Stat {
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}
