//! What several crates need and no crate offers.
//!
//! - [`regular`]: opens regular files only, without waiting on a pipe and, for writing, without following a link.
//! - [`atomic`]: a file appears under its name whole or not at all, also after a power cut.
//! - [`visible`], [`visible_json`], [`csv_cell`]: text from files and other people, made safe to print and to open.
//! - [`named!`]: names of the choices that users have.
//! - [`SplitMix64`]: random numbers that are the same everywhere.
//! - [`npy`]: the header of numpy's `.npy` files.
//! - [`Hint`]: an error that knows what fixes it. [`thousands`], [`gib`], [`shape`]: numbers as people read them.
//!
//! ```
//! assert_eq!(util::visible("cat\u{1b}[2J.jpg"), r"cat\u{1b}[2J.jpg");
//! ```
//!
//! It knows nothing of images, weights or caches.
#![forbid(unsafe_code)]

pub mod atomic;
mod axes;
mod hint;
mod named;
pub mod npy;
mod numbers;
mod random;
pub mod regular;
mod visible;

pub use axes::permute;
pub use hint::Hint;
pub use named::UnknownName;
pub use numbers::{gib, shape, thousands};
pub use random::SplitMix64;
#[doc(hidden)]
pub use serde;
pub use visible::{csv_cell, visible, visible_json};
