//! Stands for the kernels on matrix tiles where the processor's kind has none: there is no such convolution.

#[path = "layout.rs"]
#[allow(dead_code)]
mod layout;

pub(crate) use layout::Layout;

use crate::bf16::Bf16Product;
use crate::layer::Conv2d;
use crate::place::Place;
use crate::simd::Form;
use crate::workspace::{Workspace, WorkspaceBytes};
use crate::{Algorithm, Isa};

/// Has no values.
#[derive(Debug)]
pub(crate) enum Blocked {}

impl Blocked {
    /// Never.
    pub(crate) fn fits(_: &Conv2d, _: Bf16Product) -> bool {
        false
    }

    pub(crate) fn can_keep(_: &Conv2d) -> bool {
        false
    }

    pub(crate) fn new(
        _: &Conv2d,
        _: [usize; 3],
        _: bool,
        _: Isa,
        _: Bf16Product,
        _: [Option<Layout>; 2],
        _: Form,
    ) -> Option<Self> {
        None
    }

    pub(crate) fn packed_bytes(&self) -> usize {
        match *self {}
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match *self {}
    }

    pub(crate) fn group(&self) -> usize {
        match *self {}
    }

    pub(crate) fn scratch(&self, _: usize, _: usize) -> WorkspaceBytes {
        match *self {}
    }

    pub(crate) fn run(&self, _: usize, _: &[f32], _: Option<&[f32]>, _: Place, _: &Workspace) {
        match *self {}
    }
}
