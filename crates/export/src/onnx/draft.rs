//! An ONNX graph while it is put together: nodes and constants, with names that nothing else has.

use std::borrow::Cow;
use std::collections::HashSet;

use super::proto::{Attribute, Constant, Data, node};
use super::protobuf::Message;

/// Nodes and constants so far.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    pub(super) nodes: Vec<Message>,
    pub(super) constants: Vec<Constant<'a>>,
    used: HashSet<String>,
}

impl<'a> Draft<'a> {
    /// A name for a value, as it is wanted or with a number.
    pub(super) fn name(&mut self, wanted: &str) -> String {
        let numbered = (1..).map(|i| format!("{wanted}_{i}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        let free = names.find(|name| !self.used.contains(name)).unwrap_or_default();
        self.used.insert(free.clone());
        free
    }

    /// A node whose output has a name that was got before.
    pub(super) fn node_to(
        &mut self,
        output: &str,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) {
        self.nodes.push(node(operator, name, inputs, &[output], attributes));
    }

    /// A node, and its output by the same name.
    pub(super) fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let output = self.name(name);
        self.node_to(&output, operator, name, inputs, attributes);
        output
    }

    pub(super) fn constant(&mut self, name: &str, dims: &[usize], data: Data<'a>) -> String {
        let name = self.name(name);
        self.constants.push(Constant { name: name.clone(), dims: dims.to_vec(), data });
        name
    }

    /// One number, which broadcasts.
    pub(super) fn float(&mut self, name: &str, value: f32) -> String {
        self.constant(name, &[], Data::Float(Cow::Owned(vec![value])))
    }

    /// A vector.
    pub(super) fn floats(&mut self, name: &str, values: &[f32]) -> String {
        self.constant(name, &[values.len()], Data::Float(Cow::Owned(values.to_vec())))
    }

    /// A vector of whole numbers, such as a shape.
    pub(super) fn ints(&mut self, name: &str, values: &[i64]) -> String {
        self.constant(name, &[values.len()], Data::Int64(values.to_vec()))
    }
}
