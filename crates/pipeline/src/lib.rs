//! What the programs do, as a library: no flags, no printing.
#![forbid(unsafe_code)]

pub mod recipe;

pub use recipe::{NUMERICS, Recipe, RecipeError, WeightsId};
