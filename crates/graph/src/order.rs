//! The order of layers in Keras's `model.layers`.

/// The layers that `output` depends on, itself included, in Keras's order: by falling distance from the output, and among
/// equals in the order in which a search from the output finds them, first inputs first. `inputs` gives the positions of a
/// layer's inputs, which come before it.
///
/// The distance is the longest path, so inputs always come before what uses them. Keras loads weights without names by
/// position in this order, which is not the order in which branches were written down.
pub fn layer_order<'a>(inputs: impl Fn(usize) -> &'a [usize], output: usize) -> Vec<usize> {
    let found = search(&inputs, output);
    let mut distance: Vec<Option<usize>> = vec![None; output + 1];
    distance[output] = Some(0);
    // Layers come after their inputs, so each has its final distance when it is met.
    for index in (0..=output).rev() {
        if let Some(own) = distance[index] {
            for &input in inputs(index) {
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
fn search<'a>(inputs: &impl Fn(usize) -> &'a [usize], output: usize) -> Vec<usize> {
    let mut seen = vec![false; output + 1];
    let (mut found, mut stack) = (Vec::new(), vec![output]);
    while let Some(index) = stack.pop() {
        if !std::mem::replace(&mut seen[index], true) {
            found.push(index);
            stack.extend(inputs(index).iter().rev());
        }
    }
    found
}
