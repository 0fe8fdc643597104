//! The cache as its callers see it. One program, for it links much.
#![allow(clippy::unwrap_used)]

mod changes;
mod common;
mod leaks;
#[cfg(unix)]
mod locks;
mod round_trip;
mod shards;
#[cfg(unix)]
mod system;
