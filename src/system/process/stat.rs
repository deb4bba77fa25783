//! The facts about a process that every system has.

/// A process, as the system shows it.
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) name: String,
    /// `T` or `t` if it is suspended, `Z` or `X` if it has ended.
    pub(super) state: char,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// The foreground process group of its terminal.
    pub(super) foreground: i32,
    /// Its start, in a unit of the system.
    pub(super) born: u64,
}

impl Stat {
    pub(super) fn is_suspended(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}
