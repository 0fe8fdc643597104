//! The binaries: arguments → validated config → run → report.
//!
//! Each command is one module with a `main` that reads like a table of contents. Only this crate parses flags, draws
//! progress bars and prints.
#![forbid(unsafe_code)]

mod arguments;
pub mod cache_tool;
mod choices;
mod compare;
mod console;
pub mod embed;
mod export;
pub mod extract;
mod failure;
pub mod fit_head;
mod hints;
mod interrupt;
mod leaks;
pub mod predict;
pub mod program;
mod progress;
mod source_args;
mod text;
mod threads;
mod train;
