//! How a cleanup is shown.

/// What is printed of conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Porcelain {
    No,
    /// The files in conflict, a line each.
    Lines,
    /// The files in conflict, with a NUL after each.
    Nul,
}

/// What is done with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Removal(Porcelain),
    DryRun,
    Json,
}
