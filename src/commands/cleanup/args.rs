//! Parts of the command line: the output.

/// The output of conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Porcelain {
    No,
    /// The files in conflict, one per line.
    Lines,
    /// The files in conflict, with a NUL after each.
    Nul,
}

/// The use of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Removal(Porcelain),
    DryRun,
    Json,
}
