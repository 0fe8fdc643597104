//! Bases in two parts, one that stays frozen and one that is trained, and bases as text.

use super::keras_graph;
use crate::bases::ALL;
use graph::description::Description;

#[test]
fn a_split_anywhere_has_the_shapes_and_parameters_of_the_whole() {
    for definition in ALL {
        let graph = keras_graph(definition.name, false).1;
        let image = [167, 139];
        let shapes = graph.shapes(image).unwrap();
        let params = graph.params(image).unwrap();
        let mut positions: Vec<usize> = graph
            .nodes()
            .iter()
            .skip(1)
            .map(|node| graph.split_before(&node.name).unwrap())
            .collect();
        positions.dedup();
        // Blocks of every base can be told apart: none is one long block.
        assert!(positions.len() >= 12, "{}: {positions:?}", definition.name);
        assert!(positions.is_sorted(), "{}", definition.name);
        for position in positions {
            let at = &graph.nodes()[position];
            let what = format!("{} at {}", definition.name, at.name);
            let (suffix, size) = graph.suffix(position, image).unwrap();
            assert_eq!(suffix.nodes()[0].name, at.name, "{what}");
            assert_eq!(suffix.shapes(size).unwrap(), shapes[position..], "{what}");
            let prefix = graph.cut(&at.name).unwrap();
            let mut parts = prefix.params(image).unwrap();
            parts.extend(suffix.params(size).unwrap());
            assert_eq!(parts, params, "{what}");
            assert_eq!(prefix.append(&suffix).unwrap(), graph, "{what}");
        }
    }
}

#[test]
fn residual_blocks_stay_whole() {
    let block = |name: &str, layer: &str| {
        let graph = keras_graph(name, false).1;
        graph.nodes()[graph.split_before(layer).unwrap()].name.clone()
    };
    let graph = keras_graph("vgg16", false).1;
    let position = graph.split_before("block5_conv1").unwrap();
    assert_eq!(graph.nodes()[position].name, "block4_pool");
    // The middle of ResNet's last block takes what its shortcut takes too.
    assert_eq!(block("resnet50", "conv5_block3_2_conv"), "conv5_block2_out");
    assert_eq!(block("xception", "block14_sepconv1"), "add_11");
    assert_eq!(block("mobilenet-v2", "block_15_project"), "block_14_add");
    // A block without a sum is a chain.
    assert_eq!(block("mobilenet-v2", "block_16_project"), "block_16_depthwise_relu");
}

#[test]
fn every_base_comes_back_from_its_description() {
    for definition in ALL {
        for variant in definition.variants {
            for top in [false, true] {
                let Ok(graph) = definition.graph(variant, top) else { continue };
                let described = Description::of(&graph);
                let json = serde_json::to_string(&described).unwrap();
                let read: Description = serde_json::from_str(&json).unwrap();
                assert_eq!(read.build(3).unwrap(), graph, "{}", definition.name);
            }
        }
    }
}
