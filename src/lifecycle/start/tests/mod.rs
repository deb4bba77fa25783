//! Fixtures for the tests of `lifecycle`.

mod claim;
pub(in crate::lifecycle) mod world;
