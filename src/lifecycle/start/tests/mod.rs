//! What the tests of a start, and of what comes after it, have in common.

pub(in crate::lifecycle) mod world;
