//! A run: from what is in the folder and what is requested to final files, and on after a kill at any moment.

pub(crate) mod compare;
#[cfg(test)]
pub(crate) mod crash_tests;
pub(crate) mod finish;
pub(crate) mod limits;
pub(crate) mod merge;
pub(crate) mod open;
pub(crate) mod part;
pub(crate) mod recover;
pub(crate) mod setup;
pub(crate) mod target;
pub(crate) mod writer;
