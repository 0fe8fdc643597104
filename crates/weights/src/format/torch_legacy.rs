//! PyTorch's `.pth` before 1.6: five pickles (magic number, version, system, state dictionary, storage keys), then each storage
//! as its number of elements and its raw elements, in the order of the keys.

use std::collections::HashMap;

use super::pickle::{Arena, Id, Library, Node, Stream, load};
use super::torch_tensor::StateDict;
use super::{Container, Entry, FormatError, Input};

/// How such a file begins: the pickle of 0x1950a86a20f9469cfc6c.
pub(super) const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// An open legacy file.
pub(super) struct TorchLegacy {
    stream: Stream,
    dict: StateDict,
    /// Where the elements of each storage begin.
    starts: HashMap<String, u64>,
}

impl TorchLegacy {
    pub(super) fn open(input: Input) -> Result<Self, FormatError> {
        let mut stream = Stream::new(input)?;
        load(&mut stream, Library::Torch)?;
        let (arena, version) = load(&mut stream, Library::Torch)?;
        if arena.int(version) != Some(1001) {
            return Err(FormatError::unsupported("a PyTorch file of an unknown version"));
        }
        let (arena, system) = load(&mut stream, Library::Torch)?;
        if !is_little_endian(&arena, system) {
            return Err(FormatError::unsupported("PyTorch tensors of a big-endian machine"));
        }
        let (arena, root) = load(&mut stream, Library::Torch)?;
        let (keys, list) = load(&mut stream, Library::Torch)?;
        // By value first: one long key can be used a million times, and must not be hashed as often.
        let distinct: HashMap<Id, (u64, u64)> =
            arena.storages().map(|s| (s.key, (s.elements, s.item))).collect();
        let declared: HashMap<&str, (u64, u64)> =
            distinct.iter().filter_map(|(&key, &size)| Some((arena.str(key)?, size))).collect();
        let mut starts = HashMap::new();
        for &key in keys.items(list).unwrap_or_default() {
            let key =
                keys.str(key).ok_or_else(|| FormatError::damaged("a storage key is not text"))?;
            let &(elements, item) = declared.get(key).ok_or_else(|| {
                FormatError::damaged(format!("the storage '{key:.100}' is not declared"))
            })?;
            let found = u64::from_le_bytes(stream.array()?);
            if found != elements {
                return Err(FormatError::damaged(format!(
                    "storage '{key:.100}': expected {elements} elements, found {found}"
                )));
            }
            let bytes = elements.checked_mul(item).ok_or_else(|| {
                FormatError::damaged(format!("storage '{key:.100}' of {elements} elements"))
            })?;
            if starts.contains_key(key) {
                return Err(FormatError::damaged(format!(
                    "the storage '{key:.100}' is there twice"
                )));
            }
            starts.insert(key.to_owned(), stream.position());
            stream.skip(bytes)?;
        }
        Ok(Self { dict: StateDict::new(arena, root)?, stream, starts })
    }
}

fn is_little_endian(arena: &Arena, system: Id) -> bool {
    let Node::Dict(pairs) = arena.get(system) else { return false };
    pairs.iter().any(|&(key, value)| {
        arena.str(key) == Some("little_endian") && matches!(arena.get(value), Node::Bool(true))
    })
}

impl Container for TorchLegacy {
    fn kind(&self) -> &'static str {
        "PyTorch (before 1.6)"
    }

    fn entries(&self) -> &[Entry] {
        &self.dict.entries
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>, FormatError> {
        let name = &self.dict.entries[index].name;
        let span = self.dict.span(index)?;
        let key = self.dict.arena.str(span.storage.key).unwrap_or_default();
        let start = self.starts.get(key).and_then(|s| s.checked_add(span.start));
        let start = start.ok_or_else(|| {
            FormatError::damaged(format!("{name}: its storage is not in the file"))
        })?;
        let bytes = self.stream.read_at(start, span.len as u64, name)?;
        Ok(span.decode(&bytes))
    }
}
