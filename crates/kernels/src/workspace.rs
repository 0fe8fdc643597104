use crate::direct::Scratch;
use crate::memory::{Buffer, Pool};
use crate::winograd::Space;

/// What steps need while they run, shared by all steps of a network.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Patches, tables and unpooled rows of direct convolution, one a task.
    pub(crate) scratch: Pool<Scratch>,
    /// Transformed spaces of Winograd's algorithm, for groups that threads share.
    pub(crate) spaces: Pool<Space>,
    /// The same for groups of one thread's own: far smaller, so they are not lent for the others.
    pub(crate) own_spaces: Pool<Space>,
    /// Tiles with their border, one a task.
    pub(crate) patches: Pool<Buffer>,
}

/// Bytes of what a step takes of the workspace. Each buffer grows to the most that any step asks for.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct WorkspaceBytes {
    pub(crate) inputs: usize,
    pub(crate) products: usize,
    pub(crate) own_inputs: usize,
    pub(crate) own_products: usize,
    pub(crate) patches: usize,
    pub(crate) direct: usize,
}

impl WorkspaceBytes {
    /// Of both, buffer by buffer.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            inputs: self.inputs.max(other.inputs),
            products: self.products.max(other.products),
            own_inputs: self.own_inputs.max(other.own_inputs),
            own_products: self.own_products.max(other.own_products),
            patches: self.patches.max(other.patches),
            direct: self.direct.max(other.direct),
        }
    }

    /// Of all buffers.
    pub(crate) fn sum(self) -> usize {
        let own = self.own_inputs + self.own_products;
        self.inputs + self.products + own + self.patches + self.direct
    }
}
