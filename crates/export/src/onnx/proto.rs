//! ONNX's messages: field numbers are those of `onnx.proto`.

use std::borrow::Cow;

use super::protobuf::Message;

/// Version of the intermediate representation: that of opset 13.
pub(super) const IR_VERSION: i64 = 7;
/// Version of the operators.
pub(super) const OPSET: i64 = 13;

/// `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Float = 1,
    Uint8 = 2,
    Int64 = 7,
    Double = 11,
}

/// An attribute of a node.
#[derive(Clone, Debug)]
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Ints(Vec<i64>),
    Graph(Message),
}

/// `NodeProto`.
pub(super) fn node(
    operator: &str,
    name: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[(&str, Attribute)],
) -> Message {
    let mut node = Message::new();
    node = inputs.iter().fold(node, |node, input| node.text(1, input));
    node = outputs.iter().fold(node, |node, output| node.text(2, output));
    node = node.text(3, name).text(4, operator);
    attributes.iter().fold(node, |node, (name, value)| {
        let attribute = Message::new().text(1, name);
        let attribute = match value {
            Attribute::Float(value) => attribute.float(2, *value).int(20, 1),
            Attribute::Int(value) => attribute.int(3, *value).int(20, 2),
            Attribute::Ints(values) => attribute.ints(8, values).int(20, 7),
            Attribute::Graph(graph) => attribute.message(6, graph).int(20, 5),
        };
        node.message(5, &attribute)
    })
}

/// An extent of a value's shape.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dim<'a> {
    Fixed(usize),
    /// Any, by a name for people.
    Any(&'a str),
}

/// `ValueInfoProto` of a tensor.
pub(super) fn value(name: &str, kind: Type, dims: &[Dim<'_>]) -> Message {
    let shape = dims.iter().fold(Message::new(), |shape, dim| {
        let dim = match dim {
            Dim::Fixed(extent) => Message::new().int(1, *extent as i64),
            Dim::Any(name) => Message::new().text(2, name),
        };
        shape.message(1, &dim)
    });
    let tensor = Message::new().int(1, kind as i64).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}

/// `StringStringEntryProto`.
pub(super) fn entry(key: &str, value: &str) -> Message {
    Message::new().text(1, key).text(2, value)
}

/// The values of a constant.
#[derive(Clone, Debug)]
pub(super) enum Data<'a> {
    Float(Cow<'a, [f32]>),
    Double(Vec<f64>),
    Int64(Vec<i64>),
}

impl Data<'_> {
    fn kind(&self) -> Type {
        match self {
            Self::Float(_) => Type::Float,
            Self::Double(_) => Type::Double,
            Self::Int64(_) => Type::Int64,
        }
    }

    /// Bytes of all values.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Float(values) => size_of_val(&values[..]),
            Self::Double(values) => size_of_val(&values[..]),
            Self::Int64(values) => size_of_val(&values[..]),
        };
        bytes as u64
    }

    /// The values as `raw_data` and external files have them: little-endian.
    pub(super) fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        /// So many values are turned into bytes at once.
        const CHUNK: usize = 1 << 14;
        fn all<T: Copy, const N: usize>(
            values: &[T],
            bytes: fn(T) -> [u8; N],
            out: &mut dyn std::io::Write,
        ) -> std::io::Result<()> {
            for chunk in values.chunks(CHUNK) {
                let chunk: Vec<u8> = chunk.iter().flat_map(|&value| bytes(value)).collect();
                out.write_all(&chunk)?;
            }
            Ok(())
        }
        match self {
            Self::Float(values) => all(values, f32::to_le_bytes, out),
            Self::Double(values) => all(values, f64::to_le_bytes, out),
            Self::Int64(values) => all(values, i64::to_le_bytes, out),
        }
    }
}

/// A named constant.
#[derive(Clone, Debug)]
pub(super) struct Constant<'a> {
    pub(super) name: String,
    pub(super) dims: Vec<usize>,
    pub(super) data: Data<'a>,
}

/// Where the values of a constant are outside of the model's file.
#[derive(Clone, Copy, Debug)]
pub(super) struct External<'a> {
    /// Name of the file, in the same folder.
    pub(super) file: &'a str,
    pub(super) offset: u64,
}

impl Constant<'_> {
    /// `TensorProto` without its values, which are in another file, or follow this one's bytes.
    pub(super) fn header(&self, external: Option<External<'_>>) -> Message {
        let dims: Vec<i64> = self.dims.iter().map(|&extent| extent as i64).collect();
        let header = Message::new().ints(1, &dims).int(2, self.data.kind() as i64);
        let header = header.text(8, &self.name);
        let bytes = self.data.bytes();
        let Some(External { file, offset }) = external else { return header.announce(9, bytes) };
        header
            .message(13, &entry("location", file))
            .message(13, &entry("offset", &offset.to_string()))
            .message(13, &entry("length", &bytes.to_string()))
            .int(14, 1)
    }
}
