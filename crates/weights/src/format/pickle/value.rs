//! What a pickle can hold: plain values in an arena, which no nesting or self-reference can make costly to drop.

use super::super::FormatError;
use super::super::dtype::DType;
use super::Global;

/// Most axes of a tensor; nothing in use has more than 6.
const MAX_AXES: usize = 16;

/// Index of a value in its [`Arena`].
pub(in super::super) type Id = u32;

/// A string of bytes left where it is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Blob {
    pub(in super::super) start: u64,
    pub(in super::super) len: u64,
    /// The bytes are the UTF-8 form of a string whose characters 0 to 255 are the bytes meant (protocol 2).
    pub(in super::super) latin1: bool,
}

/// A NumPy array.
#[derive(Clone, Debug)]
pub(in super::super) struct Array {
    pub(in super::super) shape: Vec<usize>,
    pub(in super::super) dtype: String,
    pub(in super::super) big_endian: bool,
    pub(in super::super) fortran: bool,
    /// A [`Node::Blob`] or [`Node::Str`].
    pub(in super::super) data: Id,
}

/// A PyTorch storage; the values are outside of the pickle.
#[derive(Clone, Debug)]
pub(in super::super) struct Storage {
    /// None: elements that are not floats.
    pub(in super::super) dtype: Option<DType>,
    /// Bytes of one element.
    pub(in super::super) item: u64,
    /// Its name, a [`Node::Str`].
    pub(in super::super) key: Id,
    pub(in super::super) elements: u64,
}

/// A PyTorch tensor: a strided view of a storage, counted in elements.
#[derive(Clone, Debug)]
pub(in super::super) struct TensorView {
    pub(in super::super) storage: Id,
    pub(in super::super) offset: u64,
    pub(in super::super) shape: Vec<usize>,
    pub(in super::super) stride: Vec<usize>,
}

/// A value.
#[derive(Clone, Debug)]
pub(in super::super) enum Node {
    None,
    Bool(bool),
    /// Wide enough for PyTorch's magic number of 80 bits.
    Int(i128),
    Float,
    Str(String),
    Blob(Blob),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A NumPy element type: its code, such as `f4`, and whether it is big-endian.
    Dtype(String, bool),
    /// An array that `_reconstruct` has announced and `BUILD` has not filled yet.
    EmptyArray,
    Array(Box<Array>),
    Storage(Box<Storage>),
    Tensor(Box<TensorView>),
    /// A value that is allowed and of no use here, such as a NumPy scalar.
    Other,
}

/// All values of one pickle.
#[derive(Debug, Default)]
pub(in super::super) struct Arena {
    nodes: Vec<Node>,
}

impl Arena {
    pub(super) fn push(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        (self.nodes.len() - 1) as Id
    }

    pub(super) fn set(&mut self, id: Id, node: Node) {
        if let Some(slot) = self.nodes.get_mut(id as usize) {
            *slot = node;
        }
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)
    }

    pub(in super::super) fn get(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    /// Every storage that the pickle mentions.
    pub(in super::super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.nodes.iter().filter_map(|n| match n {
            Node::Storage(s) => Some(s.as_ref()),
            _ => None,
        })
    }

    pub(in super::super) fn str(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Str(s) => Some(s),
            _ => None,
        }
    }

    pub(in super::super) fn int(&self, id: Id) -> Option<u64> {
        match self.get(id) {
            Node::Int(i) => u64::try_from(*i).ok(),
            _ => None,
        }
    }

    pub(in super::super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// A tuple or list of sizes.
    pub(in super::super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let items = self.items(id)?;
        if items.len() > MAX_AXES {
            return None;
        }
        items.iter().map(|&i| usize::try_from(self.int(i)?).ok()).collect()
    }

    /// Visits every value that can be reached from `root` through dictionaries with keys of text, with the keys joined by `/`.
    ///
    /// # Errors
    /// Where the dictionaries contain one another without end.
    pub(in super::super) fn leaves(&self, root: Id) -> Result<Vec<(String, Id)>, FormatError> {
        const MAX_VISITS: usize = 1_000_000;
        const MAX_DEPTH: usize = 16;
        const MAX_NAME: usize = 1024;
        const MAX_NAMES: usize = 32 << 20;
        let (mut out, mut visits, mut names) = (Vec::new(), 0usize, 0usize);
        let mut todo = vec![(String::new(), root, 0usize)];
        while let Some((path, id, depth)) = todo.pop() {
            let Node::Dict(pairs) = self.get(id) else {
                out.push((path, id));
                continue;
            };
            // The optimiser's state in checkpoints has numbers as keys; none of it is weights.
            for &(key, value) in pairs {
                // Counted before it is known to be of use: a dictionary can be passed through many times.
                visits += 1;
                if visits > MAX_VISITS {
                    return Err(FormatError::refused("dictionaries nested without end"));
                }
                let Some(key) = self.str(key) else { continue };
                names += path.len() + key.len();
                if depth >= MAX_DEPTH || path.len() + key.len() > MAX_NAME || names > MAX_NAMES {
                    return Err(FormatError::refused("dictionaries nested without end"));
                }
                let name = if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
                todo.push((name, value, depth + 1));
            }
        }
        out.sort();
        out.dedup();
        Ok(out)
    }
}
