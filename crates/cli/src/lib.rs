//! The binaries: arguments → validated config → run → report.
//!
//! Each command is one module with a `main` that reads like a table of contents. Only this crate parses flags, draws
//! progress bars and prints.
#![forbid(unsafe_code)]

mod available;
pub mod cache_tool;
mod choices;
mod console;
pub mod extract;
mod failure;
mod feature_source;
pub mod fit_head;
mod interrupt;
mod pipeline;
pub mod predict;
pub mod program;
mod progress;
mod shared_pictures;
mod text;
mod threads;
