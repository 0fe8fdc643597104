//! A pickle of nested dictionaries of NumPy arrays: Flax checkpoints, and the `.ckpt` of the package mirror.

use super::dtype::{DType, fortran_to_c};
use super::pickle::{Arena, Array, Id, Library, Node, Stream, load};
use super::{Container, Entry, FormatError, Input, stored_bytes};

/// An open pickle.
pub(super) struct NumpyPickle {
    stream: Stream,
    arena: Arena,
    entries: Vec<Entry>,
    ids: Vec<Id>,
}

impl NumpyPickle {
    pub(super) fn open(input: Input) -> Result<Self, FormatError> {
        let mut stream = Stream::new(input)?;
        let (arena, root) = load(&mut stream, Library::Numpy)?;
        let (mut entries, mut ids) = (Vec::new(), Vec::new());
        for (name, id) in arena.leaves(root)? {
            if let Node::Array(array) = arena.get(id) {
                super::check_count(entries.len() + 1)?;
                entries.push(Entry { name, shape: array.shape.clone() });
                ids.push(id);
            }
        }
        Ok(Self { stream, arena, entries, ids })
    }
}

impl Container for NumpyPickle {
    fn kind(&self) -> &'static str {
        "pickle of NumPy arrays"
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>, FormatError> {
        let name = &self.entries[index].name;
        let Node::Array(array) = self.arena.get(self.ids[index]) else {
            return Err(FormatError::damaged(format!("{name} is no array")));
        };
        let Array { shape, dtype, big_endian, fortran, data } = array.as_ref();
        let dtype = DType::from_numpy(dtype)?;
        let len = stored_bytes(name, shape, dtype.size())?;
        let too_short = |found: usize| {
            FormatError::damaged(format!("{name}: expected {len} bytes, found {found}"))
        };
        let bytes = match self.arena.get(*data) {
            // In the UTF-8 form of Latin-1 a byte takes at most two.
            Node::Blob(blob) if blob.latin1 && blob.len <= 2 * len as u64 => {
                latin1(&self.stream.read_at(blob.start, blob.len, name)?)
            }
            Node::Blob(blob) if !blob.latin1 && blob.len == len as u64 => {
                Some(self.stream.read_at(blob.start, blob.len, name)?)
            }
            Node::Blob(blob) => {
                return Err(too_short(usize::try_from(blob.len).unwrap_or(usize::MAX)));
            }
            Node::Str(text) => latin1(text.as_bytes()),
            _ => None,
        };
        let bytes = bytes.ok_or_else(|| FormatError::damaged(format!("{name} has no data")))?;
        if bytes.len() != len {
            return Err(too_short(bytes.len()));
        }
        let data = dtype.to_f32(&bytes, *big_endian);
        Ok(if *fortran { fortran_to_c(&data, shape) } else { data })
    }
}

/// Characters 0 to 255 back to bytes.
fn latin1(utf8: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(utf8).ok()?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}
