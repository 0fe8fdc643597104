//! What the files of a cache look like: written and parsed here, without knowing when or why.

pub(crate) mod digest;
pub(crate) mod features;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod npy;
pub(crate) mod stamps;
