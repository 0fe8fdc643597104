//! A dense layer: forward, and the gradients by its input, its kernel and its bias.

use super::sums;
use crate::error::check_length;
use crate::memory::{Buffer, Pool, Shared};
use crate::parallel::for_each;
use crate::simd::tile::{Source, Start, TileArgs};
use crate::simd::{Job, Simd, dispatch, shape};
use crate::{Activation, Isa, KernelError};

/// A dense layer that is trained, for one instruction set. It keeps no weights: kernels are (inputs, outputs), as in Keras, and
/// are read where they are.
#[derive(Debug)]
pub struct Dense {
    isa: Isa,
    inputs: usize,
    outputs: usize,
    activation: Activation,
    /// Panels of kernels and gradients, one a task.
    panels: Pool<Buffer>,
}

/// Steps of depth whose weights are packed at a time.
const DEPTH: usize = 256;
/// Register tiles of rows a task.
const ROWS: usize = 16;
/// The most rows and columns of any instruction set's register tile.
const MAX_ROWS: usize = 16;
const MAX_COLUMNS: usize = 32;

impl Dense {
    /// For rows of `inputs` values.
    ///
    /// # Errors
    /// When `isa` is not available.
    pub fn new(
        [inputs, outputs]: [usize; 2],
        activation: Activation,
        isa: Isa,
    ) -> Result<Self, KernelError> {
        if !isa.is_available() {
            return Err(KernelError::IsaUnavailable { wanted: isa, available: Isa::available() });
        }
        Ok(Self { isa, inputs, outputs, activation, panels: Pool::default() })
    }

    /// activation(x · kernel + bias) of `batch` rows.
    ///
    /// # Errors
    /// When a slice has not the length that the layer and the batch ask for.
    pub fn forward(
        &self,
        batch: usize,
        input: &[f32],
        [kernel, bias]: [&[f32]; 2],
        output: &mut [f32],
    ) -> Result<(), KernelError> {
        self.check(batch, input, kernel, output)?;
        check_length("bias", self.outputs, bias.len())?;
        if batch == 0 {
            return Ok(());
        }
        let to = Shared(output.as_mut_ptr());
        for_each(self.outputs.div_ceil(shape(self.isa).nr), |panel| {
            self.panels.with(|buffer| {
                let task =
                    ForwardTask { layer: self, batch, input, kernel, bias, panel, buffer, to };
                // SAFETY: lengths were checked; tasks have columns of their own; `isa` was detected.
                unsafe { dispatch(self.isa, task) }
            });
        });
        Ok(())
    }

    /// The gradient by the input, from the gradient by the sum before the activation.
    ///
    /// # Errors
    /// When a slice has not the length that the layer and the batch ask for.
    pub fn backward_input(
        &self,
        batch: usize,
        gradient: &[f32],
        kernel: &[f32],
        to: &mut [f32],
    ) -> Result<(), KernelError> {
        self.check(batch, to, kernel, gradient)?;
        if batch == 0 {
            return Ok(());
        }
        let panels = self.gradient_panels(batch, gradient, true);
        let shared = Shared(to.as_mut_ptr());
        let rows = ROWS * shape(self.isa).mr;
        for_each(self.inputs.div_ceil(rows), |block| {
            let rows = block * rows..self.inputs.min((block + 1) * rows);
            let panels = panels.as_slice();
            let task = InputTask { layer: self, batch, panels, kernel, rows, to: shared };
            // SAFETY: lengths were checked; tasks have columns of the result of their own; `isa` was detected.
            unsafe { dispatch(self.isa, task) }
        });
        Ok(())
    }

    /// The gradients by kernel and bias, summed over the batch.
    ///
    /// # Errors
    /// When a slice has not the length that the layer and the batch ask for.
    pub fn backward_weights(
        &self,
        batch: usize,
        input: &[f32],
        gradient: &[f32],
        kernel: &mut [f32],
        bias: &mut [f32],
    ) -> Result<(), KernelError> {
        self.check(batch, input, kernel, gradient)?;
        check_length("bias gradient", self.outputs, bias.len())?;
        sums::channels(self.isa, gradient, self.outputs, bias);
        let panels = self.gradient_panels(batch, gradient, false);
        let shared = Shared(kernel.as_mut_ptr());
        let rows = ROWS * shape(self.isa).block_mr;
        for_each(self.inputs.div_ceil(rows), |block| {
            let rows = block * rows..self.inputs.min((block + 1) * rows);
            self.panels.with(|buffer| {
                let panels = panels.as_slice();
                let task =
                    KernelTask { layer: self, batch, input, panels, rows, buffer, to: shared };
                // SAFETY: lengths were checked; tasks have rows of the kernel of their own; `isa` was detected.
                unsafe { dispatch(self.isa, task) }
            });
        });
        Ok(())
    }

    /// The gradient in panels of NR columns: of outputs, with a row of the batch after the other; or, transposed, of rows of the
    /// batch, with an output after the other.
    fn gradient_panels(&self, batch: usize, gradient: &[f32], transposed: bool) -> Buffer {
        let nr = shape(self.isa).nr;
        let (depth, columns) =
            if transposed { (self.outputs, batch) } else { (batch, self.outputs) };
        let mut panels = Buffer::zeroed(columns.div_ceil(nr) * depth * nr);
        for (row, values) in gradient.chunks_exact(self.outputs.max(1)).enumerate() {
            for (output, value) in values.iter().enumerate() {
                let (k, column) = if transposed { (output, row) } else { (row, output) };
                panels.as_mut_slice()[(column / nr * depth + k) * nr + column % nr] = *value;
            }
        }
        panels
    }

    fn check(
        &self,
        batch: usize,
        input: &[f32],
        kernel: &[f32],
        output: &[f32],
    ) -> Result<(), KernelError> {
        check_length("rows", batch * self.inputs, input.len())?;
        check_length("kernel", self.inputs * self.outputs, kernel.len())?;
        check_length("outputs", batch * self.outputs, output.len())
    }
}

/// Pointers to so many of `rows` rows from `first` on, the last one's again where there are no more.
fn table(values: &[f32], length: usize, first: usize, rows: usize) -> [*const f32; MAX_ROWS] {
    std::array::from_fn(|i| values[(first + i).min(rows - 1) * length..].as_ptr())
}

/// One panel of outputs, for all rows.
///
/// The caller promises: lengths fit the layer, `batch` is not 0, and nobody else writes the panel's columns.
struct ForwardTask<'a> {
    layer: &'a Dense,
    batch: usize,
    input: &'a [f32],
    kernel: &'a [f32],
    bias: &'a [f32],
    panel: usize,
    buffer: &'a mut Buffer,
    to: Shared,
}

impl Job for ForwardTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Dense { inputs, outputs, activation, .. } = *self.layer;
        let column = self.panel * S::NR;
        let columns = S::NR.min(outputs - column);
        self.buffer.reserve((DEPTH + 1) * S::NR);
        let (packed, bias) = self.buffer.as_mut_slice().split_at_mut(DEPTH * S::NR);
        bias[..columns].copy_from_slice(&self.bias[column..column + columns]);
        for offset in (0..inputs).step_by(DEPTH) {
            let depth = DEPTH.min(inputs - offset);
            for (k, to) in packed.chunks_exact_mut(S::NR).take(depth).enumerate() {
                let from = &self.kernel[(offset + k) * outputs + column..][..columns];
                to[..columns].copy_from_slice(from);
            }
            let is_last = offset + depth == inputs;
            for row in (0..self.batch).step_by(S::MR) {
                let table = table(self.input, inputs, row, self.batch);
                let args = TileArgs {
                    source: Source::Table { table: table.as_ptr(), taps: 1, offset },
                    depth,
                    weights: packed.as_ptr(),
                    start: if offset == 0 { Start::Bias(bias.as_ptr()) } else { Start::Out },
                    residual: None,
                    activation: if is_last { activation } else { Activation::None },
                    // SAFETY: the row and the panel are in the output.
                    out: unsafe { self.to.get().add(row * outputs + column) },
                    out_stride: outputs,
                    rows: S::MR.min(self.batch - row),
                    cols: columns,
                };
                // SAFETY: the table has MR rows of the input, each readable for `depth` from `offset` on; the packed weights
                // are a panel of `depth` rows; the output's columns are this task's.
                unsafe { S::tile(&args) }
            }
        }
    }
}

/// Some columns of the gradient by the input: rows of the kernel times the transposed gradient.
///
/// The caller promises: lengths fit the layer, `batch` is not 0, and nobody else writes these columns.
struct InputTask<'a> {
    layer: &'a Dense,
    batch: usize,
    panels: &'a [f32],
    kernel: &'a [f32],
    rows: std::ops::Range<usize>,
    to: Shared,
}

impl Job for InputTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Dense { inputs, outputs, .. } = *self.layer;
        for (panel, weights) in self.panels.chunks_exact(outputs * S::NR).enumerate() {
            for row in self.rows.clone().step_by(S::MR) {
                let table = table(self.kernel, outputs, row, inputs);
                let mut sums = [0.0f32; MAX_ROWS * MAX_COLUMNS];
                let rows = S::MR.min(self.rows.end - row);
                let args = TileArgs {
                    source: Source::Table { table: table.as_ptr(), taps: 1, offset: 0 },
                    depth: outputs,
                    weights: weights.as_ptr(),
                    start: Start::Zero,
                    residual: None,
                    activation: Activation::None,
                    out: sums.as_mut_ptr(),
                    out_stride: S::NR,
                    rows,
                    cols: S::NR,
                };
                // SAFETY: the table has MR rows of the kernel; the panel has a row an output; the sums have room for a tile.
                unsafe { S::tile(&args) }
                for b in 0..S::NR.min(self.batch - panel * S::NR) {
                    for i in 0..rows {
                        let at = (panel * S::NR + b) * inputs + row + i;
                        // SAFETY: the place is in the result, in a column of this task's.
                        unsafe { *self.to.get().add(at) = sums[i * S::NR + b] };
                    }
                }
            }
        }
    }
}

/// Some rows of the gradient by the kernel: columns of the input times the gradient.
///
/// The caller promises: lengths fit the layer, and nobody else writes these rows.
struct KernelTask<'a> {
    layer: &'a Dense,
    batch: usize,
    input: &'a [f32],
    panels: &'a [f32],
    rows: std::ops::Range<usize>,
    buffer: &'a mut Buffer,
    to: Shared,
}

impl Job for KernelTask<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Dense { inputs, outputs, .. } = *self.layer;
        for row in self.rows.clone().step_by(S::BLOCK_MR) {
            let rows = S::BLOCK_MR.min(self.rows.end - row);
            // A register tile may read beyond the last column of the input: those are copied.
            let (first, stride) = if row + S::BLOCK_MR <= inputs {
                (self.input[row.min(self.input.len())..].as_ptr(), inputs)
            } else {
                self.buffer.reserve(self.batch * S::BLOCK_MR);
                let copy = self.buffer.as_mut_slice().chunks_exact_mut(S::BLOCK_MR);
                for (to, from) in copy.zip(self.input.chunks_exact(inputs)) {
                    to[..rows].copy_from_slice(&from[row..row + rows]);
                }
                (self.buffer.as_slice().as_ptr(), S::BLOCK_MR)
            };
            for panel in 0..outputs.div_ceil(S::NR) {
                let args = TileArgs {
                    source: Source::Depth { first, stride },
                    depth: self.batch,
                    weights: self.panels[panel * self.batch * S::NR..].as_ptr(),
                    start: Start::Zero,
                    residual: None,
                    activation: Activation::None,
                    // SAFETY: the rows and the panel are in the kernel.
                    out: unsafe { self.to.get().add(row * outputs + panel * S::NR) },
                    out_stride: outputs,
                    rows,
                    cols: S::NR.min(outputs - panel * S::NR),
                };
                // SAFETY: at each row of the batch BLOCK_MR values can be read, of the input or of the copy; the panel has a row
                // for each; the kernel's rows are this task's.
                unsafe { S::tile(&args) }
            }
        }
    }
}
