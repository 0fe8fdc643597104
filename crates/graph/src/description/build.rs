//! From a description to a graph.

use super::layer::{LONGEST_NAME, Layer, check_name};
use super::{Description, DescriptionError, INPUT};
use crate::graph::check_arity;
use crate::{Builder, Graph, GraphError, NodeId};
use std::collections::{HashMap, HashSet};

impl Description {
    /// The graph of these layers for pixels of so many `channels`. Whether shapes go together depends on the image's size:
    /// see [`Graph::shapes`].
    ///
    /// # Errors
    /// [`DescriptionError::Input`]; [`DescriptionError::Layer`]: an input that no layer before it has for a name, too few
    /// or too many inputs, a name that a layer before it has, or an output that nothing takes.
    pub fn build(&self, channels: usize) -> Result<Graph, DescriptionError> {
        let mut builder = Builder::new();
        let input = self.input.as_deref().unwrap_or(INPUT);
        check_name(input).map_err(DescriptionError::Input)?;
        let mut before = builder.input(input, channels);
        let mut names = Vec::with_capacity(self.layers.len());
        let mut by_name = HashMap::from([(input.to_owned(), before)]);
        for (layer, number) in self.layers.iter().zip(1..) {
            let refused = |reason| refused(layer, number, reason);
            let inputs = inputs(layer, before, &by_name).map_err(refused)?;
            if let Err(GraphError::Arity { expected, found, .. }) =
                check_arity("", &layer.op, inputs.len())
            {
                return Err(refused(format!("expected {expected} inputs, found {found}")));
            }
            before = match &layer.name {
                Some(name) => builder.add(name, layer.op, &inputs),
                None => builder.add_unnamed(layer.op, &inputs),
            };
            if let Some(tensors) = &layer.tensors {
                builder.name_tensors(before, tensors);
            }
            let name = builder.name(before).to_owned();
            if by_name.insert(name.clone(), before).is_some() {
                return Err(refused(format!(
                    "the input or a layer before it is named '{name}' too"
                )));
            }
            names.push(name);
        }
        let graph = builder.finish(before)?;
        // A graph has only what its output depends on; a layer that somebody wrote is there to be used.
        let used: HashSet<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        let unused = names.iter().position(|name| !used.contains(name.as_str()));
        match unused.and_then(|index| Some((self.layers.get(index)?, index + 1))) {
            Some((layer, number)) => {
                Err(refused(layer, number, "the last layer does not depend on it".to_owned()))
            }
            None => Ok(graph),
        }
    }
}

/// What a layer takes.
fn inputs(
    layer: &Layer,
    before: NodeId,
    by_name: &HashMap<String, NodeId>,
) -> Result<Vec<NodeId>, String> {
    let Some(names) = &layer.inputs else {
        return Ok(vec![before]);
    };
    let find = |name: &String| {
        let short: String = name.chars().take(LONGEST_NAME).collect();
        let id = by_name.get(name).copied();
        id.ok_or_else(|| format!("no layer before it is named '{}'", util::visible(&short)))
    };
    names.iter().map(find).collect()
}

fn refused(layer: &Layer, number: usize, reason: String) -> DescriptionError {
    let name = layer.name.clone().unwrap_or_else(|| layer.op.class_name().to_owned());
    DescriptionError::Layer { number, name, reason }
}
