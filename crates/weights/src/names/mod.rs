//! What tensors are called in files.
//!
//! A [`Scheme`] is one way of reading a file's names: for each parameter of a variant the entries that may be it. Where a
//! whole set of names is known beforehand, it is a [`pattern`]; Keras's files name tensors by the layer in one of many
//! group structures ([`by_layer`]), or only by their order.

mod by_layer;
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
        schemes.push(by_layer::scheme(listing.entries, variant));
    }
    schemes.extend(pattern::schemes(listing.entries, variant));
    if variant.framework == Framework::Keras {
        schemes.extend(in_order(listing, variant));
    }
    schemes.retain(|scheme| scheme.parameters.iter().any(|found| !found.entries.is_empty()));
    schemes
}

/// Tensors by their place, as Keras loads its own files: names are made up anew by each process that saves a model.
///
/// The file says in which order its layers come. It may have more layers than the base: those of a classifier, at the end.
fn in_order(listing: &Listing<'_>, variant: &Variant) -> Option<Scheme> {
    let fits = |(parameter, &entry): (&crate::Parameter, &usize)| {
        listing.entries.get(entry).is_some_and(|found| found.shape == parameter.spec.shape)
    };
    let enough = listing.order.len() >= variant.parameters.len();
    if !enough || !variant.parameters.iter().zip(listing.order).all(fits) {
        return None;
    }
    let parameters = variant.parameters.iter().zip(listing.order).map(|(parameter, &entry)| {
        Found { name: by_layer::name(&parameter.spec), entries: vec![entry] }
    });
    Some(Scheme { parameters: parameters.collect(), layout: Layout::OutLast })
}
