//! What the tests of a start, and of what comes after it, have in common.

mod claim;
pub(in crate::lifecycle) mod world;
