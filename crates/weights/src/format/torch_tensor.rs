//! What both PyTorch formats share: the tensors of a state dictionary, and which part of a storage each needs.

use super::dtype::{DType, gather};
use super::pickle::{Arena, Id, Node, Storage, TensorView};
use super::{Entry, FormatError, element_count, stored_bytes};

/// The tensors of a state dictionary, at the top or nested in a checkpoint.
pub(super) struct StateDict {
    pub(super) arena: Arena,
    pub(super) entries: Vec<Entry>,
    ids: Vec<Id>,
}

/// The part of a storage that a tensor needs.
pub(super) struct Span<'a> {
    pub(super) storage: &'a Storage,
    pub(super) dtype: DType,
    /// Bytes from the start of the storage.
    pub(super) start: u64,
    pub(super) len: usize,
    view: &'a TensorView,
}

impl StateDict {
    pub(super) fn new(arena: Arena, root: Id) -> Result<Self, FormatError> {
        let (mut entries, mut ids) = (Vec::new(), Vec::new());
        for (name, id) in arena.leaves(root)? {
            if let Node::Tensor(view) = arena.get(id) {
                super::check_count(entries.len() + 1)?;
                entries.push(Entry { name, shape: view.shape.clone() });
                ids.push(id);
            }
        }
        Ok(Self { arena, entries, ids })
    }

    /// Where the values of an entry are.
    pub(super) fn span(&self, index: usize) -> Result<Span<'_>, FormatError> {
        let name = &self.entries[index].name;
        let damaged = |what: &str| FormatError::damaged(format!("{name}: {what}"));
        let Node::Tensor(view) = self.arena.get(self.ids[index]) else {
            return Err(damaged("no tensor"));
        };
        let Node::Storage(storage) = self.arena.get(view.storage) else {
            return Err(damaged("no storage"));
        };
        let dtype = storage.dtype.ok_or_else(|| {
            FormatError::unsupported(format!("{name}: elements that are not floats"))
        })?;
        stored_bytes(name, &view.shape, dtype.size())?;
        let last = view.shape.iter().zip(&view.stride).try_fold(0u64, |at, (&d, &s)| {
            at.checked_add((d as u64).saturating_sub(1).checked_mul(s as u64)?)
        });
        let elements = if element_count(&view.shape) == Some(0) {
            Some(0)
        } else {
            last.and_then(|l| l.checked_add(1))
        };
        let end = elements.and_then(|n| n.checked_add(view.offset));
        let (Some(elements), Some(_)) = (elements, end.filter(|&end| end <= storage.elements))
        else {
            return Err(damaged("a view beyond its storage"));
        };
        let elements =
            usize::try_from(elements).map_err(|_| damaged("a view beyond its storage"))?;
        let len = stored_bytes(name, &[elements], dtype.size())?;
        let start = view
            .offset
            .checked_mul(dtype.size() as u64)
            .ok_or_else(|| damaged("a view beyond its storage"))?;
        Ok(Span { storage, dtype, start, len, view })
    }
}

impl Span<'_> {
    /// The tensor in C order from the bytes of its span.
    pub(super) fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        gather(&self.dtype.to_f32(bytes, false), &self.view.shape, &self.view.stride)
    }
}
