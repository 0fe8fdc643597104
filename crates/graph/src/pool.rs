//! Pooling over windows.

use crate::{Padding, Window};

/// How a window becomes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest value.
    Max,
    /// The mean.
    Avg,
}

/// Pooling of each channel over windows. Windows that would reach past the (padded) map are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Max or average.
    pub kind: PoolKind,
    /// Window height and width, in pixels.
    pub size: [usize; 2],
    /// Step between windows, (vertical, horizontal).
    pub stride: [usize; 2],
    /// Pixels around the input. Padding never is the largest value of a window.
    pub padding: Padding,
    /// For averages: whether padding counts among the values that the sum is divided by. PyTorch counts it by default
    /// (`count_include_pad`), TensorFlow never does.
    pub count_padding: bool,
}

impl Pool {
    /// Max pooling without padding.
    pub fn max(size: [usize; 2], stride: [usize; 2]) -> Self {
        Self { kind: PoolKind::Max, size, stride, padding: Padding::Valid, count_padding: false }
    }

    /// Average pooling without padding.
    pub fn avg(size: [usize; 2], stride: [usize; 2]) -> Self {
        Self { kind: PoolKind::Avg, size, stride, padding: Padding::Valid, count_padding: false }
    }

    /// With this padding.
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// With padding counted among the values of an average, or not.
    pub fn count_padding(self, count_padding: bool) -> Self {
        Self { count_padding, ..self }
    }

    /// The window that slides over the input.
    pub fn window(&self) -> Window {
        Window::new(self.size, self.stride)
    }
}
