//! Random views of a picture, as Keras's `ImageDataGenerator` makes them.
//!
//! [`Augmentation`] is what may happen, [`Augmentation::draw`] chooses a [`Transform`] for one view of one file, and
//! [`Transform::apply`] makes the view: one matrix about the centre, one resampling, then channel shift, flips and brightness.
//! `docs/augmentation.md` has the formulas.

mod affine;
mod draw;
mod fill;
mod settings;
mod text;
mod transform;

pub use fill::{Fill, Sampling};
pub use settings::Augmentation;
pub use text::AugmentationError;
pub use transform::Transform;
