//! A split's rows, a block at a time.

use cache::{Dtype, IndexEntry, RowEntries, SplitReader};
use half::f16;
use std::ops::ControlFlow;

use crate::error::TableError;

/// Values of a block: 16 MiB as f32, and at least one row.
const BLOCK_VALUES: usize = 4 << 20;
/// Rows of a block at most, however short they are.
const BLOCK_ROWS: usize = 1 << 16;

/// Rows of a block of a split with such rows.
pub(crate) fn block_rows(split: &SplitReader) -> usize {
    (BLOCK_VALUES / split.row_elements().max(1)).clamp(1, BLOCK_ROWS)
}

/// The rows of a split in order, a block at a time; the caller of the export learns of each block.
pub(crate) struct Blocks<'a> {
    entries: RowEntries<'a>,
    block_rows: usize,
    done: u64,
    progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(
        split: &'a SplitReader,
        block_rows: usize,
        progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Self, TableError> {
        Ok(Self { entries: split.row_entries()?, block_rows, done: 0, progress })
    }

    /// The index's entries of the next rows, and the first of these; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Vec<IndexEntry>)>, TableError> {
        if self.done > 0 && (self.progress)(self.done).is_break() {
            return Err(TableError::Stopped);
        }
        let block: Vec<IndexEntry> =
            self.entries.by_ref().take(self.block_rows).collect::<Result<_, _>>()?;
        let first = self.done as usize;
        self.done += block.len() as u64;
        Ok((!block.is_empty()).then_some((first, block)))
    }
}

/// Stored values as f32, behind those in `out`.
pub(crate) fn append_f32(dtype: Dtype, bytes: &[u8], out: &mut Vec<f32>) {
    match dtype {
        Dtype::F32 => {
            out.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        }
        Dtype::F16 => {
            out.extend(bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()));
        }
    }
}
