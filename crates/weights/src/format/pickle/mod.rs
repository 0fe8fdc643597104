//! A reader of Python pickles that cannot run code: a small stack machine over an arena of plain values.
//!
//! It knows the opcodes that dictionaries of arrays need, and the handful of Python names in [`Global`], each of which makes
//! one plain value here. Every other opcode or name is refused by name. Large strings of bytes are not read but noted by
//! place ([`Node::Blob`]) and skipped, so a classifier that nobody asks for never enters memory.

mod global;
mod machine;
mod stream;
mod value;

pub(super) use global::{Global, Library};
pub(super) use machine::load;
pub(super) use stream::Stream;
pub(super) use value::{Arena, Array, Blob, Id, Node, Storage, TensorView};
