use crate::direct::Scratch;
use crate::memory::{Buffer, Pool};
use crate::winograd::Space;

/// What steps need while they run, shared by all steps of a network.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Patches, tables and unpooled rows of direct convolution, one a task.
    pub(crate) scratch: Pool<Scratch>,
    /// Transformed spaces of Winograd's algorithm, one a group in work.
    pub(crate) spaces: Pool<Space>,
    /// Tiles with their border, one a task.
    pub(crate) patches: Pool<Buffer>,
}
