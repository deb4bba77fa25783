//! The exit code of several results.

use crate::failure::CONFLICTS;

/// Returns the exit code of several results: 1 beats 3 beats 0.
pub(super) fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    let rank = |code: &u8| match *code {
        0 => 0,
        CONFLICTS => 1,
        _ => 2,
    };
    codes.max_by_key(rank).unwrap_or_default()
}
