//! Bases that end earlier.

use super::{golden, keras_3_name, keras_graph};
use crate::bases::ALL;
use graph::Graph;
use std::collections::HashSet;

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes().iter().map(|node| keras_3_name(&node.name)).collect()
}

#[test]
fn layers_of_a_cut_come_in_the_order_of_keras_s_model_that_ends_there() {
    let [(_, text)] = golden!("": "cuts");
    assert!(text.lines().count() >= 8);
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let cut = keras_graph(cells[0], true).1.cut(cells[1]).unwrap();
        assert_eq!(names(&cut), cells[2].split(' ').collect::<Vec<_>>(), "{line}");
    }
}

#[test]
fn a_cut_at_any_layer_has_the_shapes_and_parameters_of_the_whole() {
    for definition in ALL {
        let graph = keras_graph(definition.name, true).1;
        let side = definition.top_size;
        for image in [[side; 2], [97, 131]] {
            let shapes = graph.shapes(image).unwrap();
            let params: HashSet<_> = graph.params(image).unwrap().into_iter().collect();
            for (node, shape) in graph.nodes().iter().zip(&shapes) {
                let cut = graph.cut(&node.name).unwrap();
                let what = format!("{} at {}", definition.name, node.name);
                assert_eq!(cut.output_shape(image).unwrap(), *shape, "{what}");
                for spec in cut.params(image).unwrap() {
                    assert!(params.contains(&spec), "{what}: {spec:?}");
                }
            }
        }
    }
}
