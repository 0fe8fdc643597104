//! The order of layers in Keras's `model.layers`.

use crate::Node;

/// The nodes that `output` depends on, itself included, in Keras's order: by falling distance from the output, and among
/// equals in the order in which a search from the output finds them, first inputs first.
///
/// The distance is the longest path, so inputs always come before what uses them. Keras loads weights without names by
/// position in this order, which is not the order in which branches were written down.
pub(crate) fn layers(nodes: &[Node], output: usize) -> Vec<usize> {
    let found = search(nodes, output);
    let mut distance: Vec<Option<usize>> = vec![None; nodes.len()];
    distance[output] = Some(0);
    // Nodes come after their inputs, so each has its final distance when it is met.
    for (index, node) in nodes.iter().enumerate().take(output + 1).rev() {
        if let Some(own) = distance[index] {
            for &input in &node.inputs {
                distance[input] = distance[input].max(Some(own + 1));
            }
        }
    }
    let mut order: Vec<usize> = found;
    // A stable sort keeps the order of the search among equals.
    order.sort_by(|&a, &b| distance[b].cmp(&distance[a]));
    order
}

/// Depth-first search along inputs, in the order of first visits. A stack, not recursion: a base may be 800 nodes deep.
fn search(nodes: &[Node], output: usize) -> Vec<usize> {
    let mut seen = vec![false; nodes.len()];
    let (mut found, mut stack) = (Vec::new(), vec![output]);
    while let Some(index) = stack.pop() {
        if !std::mem::replace(&mut seen[index], true) {
            found.push(index);
            stack.extend(nodes[index].inputs.iter().rev());
        }
    }
    found
}
