//! As in the real crate.

#[path = "../../../crates/backbone/src/weights/format/mod.rs"]
pub mod format;
