//! What tensors are called in files.
//!
//! A [`Scheme`] is one way of reading a file's names: for each parameter of a variant the entries that may be it. Where a
//! whole set of names is known beforehand, it is a [`pattern`]; Keras's files name tensors by the layer in one of many
//! group structures ([`by_layer`]), or only by their order ([`in_order`]).

mod by_layer;
mod in_order;
mod pattern;

use crate::format::Listing;
use crate::layout::Layout;
use crate::{Framework, Variant};

/// Longest name that is looked at; a longer name is none that anybody gave.
const MAX_NAME: usize = 1024;

/// For each parameter of a variant, in its order, what a file has for it.
#[derive(Debug)]
pub(crate) struct Scheme {
    pub(crate) parameters: Vec<Found>,
    /// The layout that such names stand for.
    pub(crate) layout: Layout,
}

/// What a file has for one parameter.
#[derive(Debug)]
pub(crate) struct Found {
    /// The name under which it was looked for.
    pub(crate) name: String,
    /// Positions of the entries of that name.
    pub(crate) entries: Vec<usize>,
}

/// Every scheme under which a file has at least one of a variant's parameters, the surest first.
pub(crate) fn schemes(listing: &Listing<'_>, variant: &Variant) -> Vec<Scheme> {
    let mut schemes = Vec::new();
    if variant.framework == Framework::Keras {
        // Keras 3 numbers what others name: its `layers/conv2d_1` is the second convolution, not the layer `conv2d_1`.
        schemes.extend(pattern::keras_3(listing.entries, variant));
        schemes.push(by_layer::scheme(listing.entries, variant));
        schemes.extend(in_order::schemes(listing, variant));
    }
    schemes.extend(pattern::schemes(listing.entries, variant));
    schemes.retain(|scheme| scheme.parameters.iter().any(|found| !found.entries.is_empty()));
    schemes
}
