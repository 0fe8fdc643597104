//! The bases, one file each: a definition of layers, and where their weights come from.
//!
//! A new base is one file with a `build` function and a [`Definition`], and a line in [`ALL`].

mod definition;
mod inception_resnet_v2;
mod inception_v3;
mod mobilenet;
mod mobilenet_v2;
mod resnet50;
mod variant;
mod vgg;
mod xception;

pub use definition::Definition;
pub use variant::{Filter, KerasFile, Source, Variant, View};

/// Every base. A network of another width has an entry of its own.
pub const ALL: &[&Definition] = &[
    &vgg::VGG16,
    &vgg::VGG19,
    &resnet50::RESNET50,
    &inception_v3::INCEPTION_V3,
    &inception_resnet_v2::INCEPTION_RESNET_V2,
    &xception::XCEPTION,
    &mobilenet::MOBILENET,
    &mobilenet::MOBILENET_075,
    &mobilenet::MOBILENET_050,
    &mobilenet::MOBILENET_025,
    &mobilenet_v2::MOBILENET_V2,
    &mobilenet_v2::MOBILENET_V2_140,
    &mobilenet_v2::MOBILENET_V2_130,
    &mobilenet_v2::MOBILENET_V2_075,
    &mobilenet_v2::MOBILENET_V2_050,
    &mobilenet_v2::MOBILENET_V2_035,
];

/// The base of this name; underscores stand for hyphens.
pub fn find(name: &str) -> Option<&'static Definition> {
    let name = name.replace('_', "-");
    ALL.iter().copied().find(|definition| definition.name == name)
}

#[cfg(test)]
mod tests;
