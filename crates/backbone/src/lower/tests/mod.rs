//! That lowering keeps the values, and what it makes one operation.

mod exact;
mod fusion;
mod parameters;
