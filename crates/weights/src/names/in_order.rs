//! Tensors by their place, as Keras loads its own files: names are made up by each process that saves a model.

use super::{Found, Scheme};
use crate::format::Listing;
use crate::layout::Layout;
use crate::{Parameter, Variant};

/// The orders in which Keras's legacy files have a variant's tensors: layer by layer; and, of a model that is a layer of
/// another one, first all that are trained, then the statistics.
///
/// The file may have more layers than the base: those of a classifier, at the end. Where more than half of its tensors do not
/// fit, it is the file of another base, and there is no scheme.
pub(super) fn schemes(listing: &Listing<'_>, variant: &Variant) -> Vec<Scheme> {
    let parameters: Vec<usize> = (0..variant.parameters.len()).collect();
    let (trained, statistics): (Vec<usize>, Vec<usize>) =
        parameters.iter().partition(|p| variant.parameters[**p].spec.role.is_trainable());
    let orders = [parameters, [trained, statistics].concat()];
    orders.iter().filter_map(|order| scheme(listing, &variant.parameters, order)).collect()
}

/// The scheme in which the `n`th tensor of the file is the parameter `order[n]`.
fn scheme(listing: &Listing<'_>, parameters: &[Parameter], order: &[usize]) -> Option<Scheme> {
    let named = |p: &Parameter| Found { name: p.spec.path(), entries: Vec::new() };
    let mut found: Vec<Found> = parameters.iter().map(named).collect();
    let mut fitting = 0;
    for (&parameter, &entry) in order.iter().zip(listing.order) {
        let shape = listing.entries.get(entry).map(|entry| &entry.shape);
        fitting += usize::from(shape == Some(&parameters[parameter].spec.shape));
        found[parameter].entries.push(entry);
    }
    let is_this_base = 2 * fitting > parameters.len();
    is_this_base.then_some(Scheme { parameters: found, layout: Layout::OutLast })
}
