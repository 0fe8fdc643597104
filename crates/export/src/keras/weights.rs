//! `model.weights.h5`: `layers/<class>_<number>/vars/<place>` for each tensor.

use super::layers::{Layer, Weight};
use graph::snake_case;
use hdf5_pure::{FileBuilder, LibVer};
use std::collections::HashMap;

/// The groups of all layers, which come in Keras's order. Layers have no names there: they are counted by class. Keras
/// before 3.6 asks for a group of every layer, and for one of the model itself, though they hold nothing.
pub(super) fn hdf5(layers: &[Layer<'_>]) -> FileBuilder {
    let mut file = FileBuilder::new();
    // Any HDF5 of the last twelve years reads this.
    file.with_libver_bounds(LibVer::Earliest, LibVer::V18);
    let mut all = file.create_group("layers");
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for layer in layers {
        let count = counts.entry(layer.class).or_default();
        let name = match *count {
            0 => snake_case(layer.class),
            n => format!("{}_{n}", snake_case(layer.class)),
        };
        *count += 1;
        let mut group = all.create_group(&name);
        let mut vars = group.create_group("vars");
        for (place, Weight { shape, values }) in layer.weights.iter().enumerate() {
            let shape: Vec<u64> = shape.iter().map(|&extent| extent as u64).collect();
            vars.create_dataset(&place.to_string()).with_f32_data(values).with_shape(&shape);
        }
        group.add_group(vars.finish());
        all.add_group(group.finish());
    }
    file.add_group(all.finish());
    let model = file.create_group("vars").finish();
    file.add_group(model);
    file
}
