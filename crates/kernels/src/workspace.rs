//! What steps need while they run, beside activations.

use crate::memory::{Buffer, Pool};

/// What steps need while they run, shared by all steps of a network.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Patches, tables and unpooled rows of direct convolution, one a task.
    pub(crate) scratch: Pool<Scratch>,
    /// For groups of Winograd's tiles that threads share.
    pub(crate) spaces: Pool<Space>,
    /// For groups of tiles and blocks of rows that one thread works on: smaller, so they are not lent for the others.
    pub(crate) per_thread_spaces: Pool<Space>,
    /// What is between the convolutions of a strip, one a task.
    pub(crate) strips: Pool<Strip>,
    /// Tiles with their border, one a task.
    pub(crate) patches: Pool<Buffer>,
}

/// A pointer in a table.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Row(pub(crate) *const f32);

// SAFETY: only a number while it is in a table; every task fills its table before it reads it.
unsafe impl Send for Row {}

/// What a task of direct convolution needs beside its output, reused by the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Block of MR pixels, tap, pixel.
    pub(crate) table: Vec<Row>,
    /// Lines of windows with their zeros.
    pub(crate) patches: Buffer,
    pub(crate) rows: Buffer,
}

impl Scratch {
    /// An empty table with room for so many rows and no more, as the estimate has it.
    pub(crate) fn begin_table(&mut self, rows: usize) {
        self.table.clear();
        if self.table.capacity() < rows {
            self.table = Vec::new();
            self.table.reserve_exact(rows);
        }
    }
}

/// The left operand of products, and the products: of a group of Winograd's tiles, or of a block of im2col's rows.
#[derive(Debug, Default)]
pub(crate) struct Space {
    pub(crate) inputs: Buffer,
    pub(crate) products: Buffer,
}

/// What the convolutions of a strip hand on: rows of the first 1×1 convolution's output, and of the depthwise one's.
#[derive(Debug, Default)]
pub(crate) struct Strip {
    pub(crate) expanded: Buffer,
    pub(crate) made: Buffer,
}

/// Bytes of what a step takes of the workspace. Each buffer grows to the most that any step asks for.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct WorkspaceBytes {
    pub(crate) inputs: usize,
    pub(crate) products: usize,
    pub(crate) per_thread_inputs: usize,
    pub(crate) per_thread_products: usize,
    pub(crate) expanded: usize,
    pub(crate) made: usize,
    pub(crate) patches: usize,
    pub(crate) direct: usize,
}

impl WorkspaceBytes {
    /// Of both, buffer by buffer.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            inputs: self.inputs.max(other.inputs),
            products: self.products.max(other.products),
            per_thread_inputs: self.per_thread_inputs.max(other.per_thread_inputs),
            per_thread_products: self.per_thread_products.max(other.per_thread_products),
            expanded: self.expanded.max(other.expanded),
            made: self.made.max(other.made),
            patches: self.patches.max(other.patches),
            direct: self.direct.max(other.direct),
        }
    }

    /// Of so many threads, each with its own.
    pub(crate) fn times(self, threads: usize) -> Self {
        Self {
            inputs: threads * self.inputs,
            products: threads * self.products,
            per_thread_inputs: threads * self.per_thread_inputs,
            per_thread_products: threads * self.per_thread_products,
            expanded: threads * self.expanded,
            made: threads * self.made,
            patches: threads * self.patches,
            direct: threads * self.direct,
        }
    }

    /// Of all buffers.
    pub(crate) fn sum(self) -> usize {
        let per_thread = self.per_thread_inputs + self.per_thread_products;
        let strips = self.expanded + self.made;
        self.inputs + self.products + per_thread + strips + self.patches + self.direct
    }
}
