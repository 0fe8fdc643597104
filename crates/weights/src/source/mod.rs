//! The ways to weights, one file each.

pub(crate) mod archive;
pub(crate) mod cache;
pub(crate) mod hub;
pub(crate) mod index;
pub(crate) mod local;
pub(crate) mod mirror;
pub(crate) mod pip;
pub(crate) mod random;
