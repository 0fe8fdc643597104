//! One dense layer in training: weights and optimizer state in blocks, so that threads share none.
//!
//! Outputs are cut into panels and inputs into chunks; a block is one panel of one chunk. A sum over the inputs runs
//! within a chunk first, then over the chunks in order: the same bits for any number of threads.

use crate::batch::Batch;
use crate::optimizer::Rule;
use crate::sparse::CHUNK;
use crate::sweep::{self, NARROW, REGISTERS, Sweep, Update, WIDE};
use kernels::Buffer;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Layers with fewer weights are not worth waking other threads for.
const PARALLEL_WEIGHTS: usize = 1 << 15;
/// Outputs left over from wide panels take one more wide panel if they are more than this, else narrow ones.
const MOSTLY_NARROW: usize = 3 * NARROW;

/// `width` outputs from `start` on; those past the layer's end are padding, and stay zero.
#[derive(Clone, Copy, Debug)]
struct Panel {
    start: usize,
    width: usize,
    /// Outputs that are side by side in a block.
    part: usize,
}

fn panels(arch: Arch, outputs: usize) -> Vec<Panel> {
    let mut panels = Vec::new();
    let mut start = 0;
    while start < outputs {
        let left = outputs - start;
        let width = match left {
            ..=MOSTLY_NARROW => NARROW,
            _ => WIDE.min(left.next_multiple_of(REGISTERS)),
        };
        panels.push(Panel { start, width, part: sweep::part(arch, width) });
        start += width;
    }
    panels
}

impl Panel {
    /// Outputs that are not padding.
    fn used(self, outputs: usize) -> usize {
        self.width.min(outputs - self.start)
    }

    /// Where a block holds weights: for each row of `slots * part` numbers, in order, the column and the outputs whose
    /// weights it starts with.
    fn rows(self, outputs: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let (part, end) = (self.part, self.start + self.used(outputs));
        let parts = self.width / part;
        (0..).map(move |i| {
            let from = self.start + i % parts * part;
            (i / parts, from.min(end)..(from + part).min(end))
        })
    }
}

#[derive(Debug)]
struct Block {
    panel: usize,
    chunk: usize,
    /// (columns of the chunk, parts of the panel, slots, part width).
    data: Buffer,
    last_step: Vec<u32>,
    /// (rows, panel width), of as many rows as there ever were: this chunk's part of the product.
    product: Buffer,
}

/// Weights, biases and optimizer state of one layer.
#[derive(Debug)]
pub(crate) struct DenseLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    slots: usize,
    panels: Vec<Panel>,
    /// Panel by panel, chunks in order.
    blocks: Vec<Block>,
    bias: Vec<f32>,
    bias_state: Vec<f32>,
    arch: Arch,
}

/// A layer's output gradient, panel by panel.
#[derive(Debug, Default)]
pub(crate) struct PanelGradients {
    /// (rows, panel width) each, of as many rows as there ever were.
    panels: Vec<Buffer>,
}

impl DenseLayer {
    /// From a kernel in Keras's layout, with `slots` numbers a weight and all state zero.
    pub(crate) fn new(
        arch: Arch,
        inputs: usize,
        outputs: usize,
        slots: usize,
        kernel: &[f32],
        bias: &[f32],
    ) -> Self {
        let panels = panels(arch, outputs);
        let make = |p: usize, chunk: usize| {
            let (panel, first) = (panels[p], chunk * CHUNK);
            let columns = CHUNK.min(inputs - first);
            let mut data = Buffer::zeroed(columns * slots * panel.width);
            for (row, (d, out)) in
                data.as_mut_slice().chunks_exact_mut(slots * panel.part).zip(panel.rows(outputs))
            {
                let from = (first + d) * outputs;
                row[..out.len()].copy_from_slice(&kernel[from + out.start..from + out.end]);
            }
            let (last_step, product) = (vec![0; columns], Buffer::zeroed(0));
            Block { panel: p, chunk, data, last_step, product }
        };
        let chunks = inputs.div_ceil(CHUNK);
        let blocks = (0..panels.len() * chunks).map(|i| make(i / chunks, i % chunks)).collect();
        let bias_state = vec![0.0; outputs * (slots - 1)];
        Self { inputs, outputs, slots, panels, blocks, bias: bias.to_vec(), bias_state, arch }
    }

    /// Kernel (inputs, outputs) and bias.
    pub(crate) fn export(&self) -> (Vec<f32>, Vec<f32>) {
        let mut kernel = vec![0.0; self.inputs * self.outputs];
        for block in &self.blocks {
            let panel = self.panels[block.panel];
            let rows = block.data.as_slice().chunks_exact(self.slots * panel.part);
            for (row, (d, out)) in rows.zip(panel.rows(self.outputs)) {
                let to = (block.chunk * CHUNK + d) * self.outputs;
                kernel[to + out.start..to + out.end].copy_from_slice(&row[..out.len()]);
            }
        }
        (kernel, self.bias.clone())
    }

    /// One traversal: applies `update` (inputs, gradient, rule, step), then multiplies `next`, where given.
    pub(crate) fn sweep(
        &mut self,
        update: Option<(&Batch, &PanelGradients, Rule, u32)>,
        next: Option<&Batch>,
    ) {
        let (arch, slots, panels) = (self.arch, self.slots, &self.panels);
        let one = |block: &mut Block| {
            let Panel { width, part, .. } = panels[block.panel];
            let product = next.map(|n| {
                block.product.reserve(n.rows * width);
                (&n.chunks[block.chunk], &mut block.product.as_mut_slice()[..n.rows * width])
            });
            let update = update.map(|(inputs, delta, rule, step)| Update {
                inputs: &inputs.chunks[block.chunk],
                delta: &delta.panels[block.panel].as_slice()[..inputs.rows * width],
                rule,
                step,
            });
            arch.dispatch(Sweep {
                width,
                part,
                slots,
                data: block.data.as_mut_slice(),
                last_step: &mut block.last_step,
                update,
                product,
            });
        };
        if self.inputs * self.outputs < PARALLEL_WEIGHTS {
            self.blocks.iter_mut().for_each(one);
        } else {
            self.blocks.par_iter_mut().with_max_len(1).for_each(one);
        }
    }

    /// The outputs (rows, outputs) of the batch last multiplied: chunks' products in order, then the bias.
    pub(crate) fn collect(&self, rows: usize, out: &mut Vec<f32>) {
        out.clear();
        out.resize(rows * self.outputs, 0.0);
        for block in &self.blocks {
            let panel = self.panels[block.panel];
            let used = panel.used(self.outputs);
            let product = block.product.as_slice().chunks_exact(panel.width);
            for (out, part) in out.chunks_exact_mut(self.outputs).zip(product) {
                let out = &mut out[panel.start..panel.start + used];
                out.iter_mut().zip(part).for_each(|(o, p)| *o += p);
            }
        }
        for out in out.chunks_exact_mut(self.outputs) {
            out.iter_mut().zip(&self.bias).for_each(|(o, b)| *o += b);
        }
    }

    /// Cuts an output gradient (rows, outputs) into panels, padded with zeros.
    pub(crate) fn split_into_panels(
        &self,
        delta: &[f32],
        rows: usize,
        panels: &mut PanelGradients,
    ) {
        panels.panels.resize_with(self.panels.len(), || Buffer::zeroed(0));
        for (panel, part) in self.panels.iter().zip(&mut panels.panels) {
            let used = panel.used(self.outputs);
            // What is past the outputs is zero, and is never written.
            part.reserve(rows * panel.width);
            let part = part.as_mut_slice().chunks_exact_mut(panel.width);
            for (part, row) in part.zip(delta.chunks_exact(self.outputs)) {
                part[..used].copy_from_slice(&row[panel.start..panel.start + used]);
            }
        }
    }

    /// Updates the bias by the sum of the gradient's rows.
    pub(crate) fn update_bias(&mut self, delta: &[f32], rule: Rule) {
        let mut sum = vec![0.0; self.outputs];
        for row in delta.chunks_exact(self.outputs) {
            sum.iter_mut().zip(row).for_each(|(s, d)| *s += d);
        }
        let state = self.slots - 1;
        for (j, (bias, g)) in self.bias.iter_mut().zip(sum).enumerate() {
            rule.apply(bias, g, &mut self.bias_state[j * state..(j + 1) * state]);
        }
    }

    /// Gradient by the inputs, (rows, inputs): `gate * (delta · kernelᵀ)`, computed only where the gate is not zero.
    pub(crate) fn input_gradient(
        &self,
        gradients: &PanelGradients,
        gate: &[f32],
        out: &mut Vec<f32>,
    ) {
        out.clear();
        out.resize(gate.len(), 0.0);
        let one = |(row, (gate, out)): (usize, (&[f32], &mut [f32]))| {
            self.arch.dispatch(RowGradient { layer: self, gradients, row, gate, out });
        };
        let rows =
            gate.chunks_exact(self.inputs).zip(out.chunks_exact_mut(self.inputs)).enumerate();
        if self.inputs * self.outputs < PARALLEL_WEIGHTS {
            rows.for_each(one);
        } else {
            rows.par_bridge().for_each(one);
        }
    }
}

/// The gradient of one row. No closure: that is not always compiled for the instruction set that runs it.
struct RowGradient<'a> {
    layer: &'a DenseLayer,
    gradients: &'a PanelGradients,
    row: usize,
    gate: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for RowGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { layer, gradients, row, gate, out } = self;
        for block in &layer.blocks {
            let Panel { width, part, .. } = layer.panels[block.panel];
            let panel = gradients.panels[block.panel].as_slice();
            let delta = &panel[row * width..(row + 1) * width];
            let first = block.chunk * CHUNK;
            let columns = block.data.as_slice().chunks_exact(layer.slots * width);
            if layer.outputs == 1 {
                // The sigmoid: the dot product of one value and of padding, which is zero.
                for (d, column) in columns.enumerate() {
                    if gate[first + d] != 0.0 {
                        out[first + d] = column[0] * delta[0];
                    }
                }
                continue;
            }
            for (d, column) in columns.enumerate() {
                if gate[first + d] != 0.0 {
                    let parts = column.chunks_exact(layer.slots * part);
                    for (weights, delta) in parts.zip(delta.chunks_exact(part)) {
                        // One dot product for as many outputs on every instruction set.
                        let weights = weights[..part].chunks(REGISTERS);
                        for (weights, delta) in weights.zip(delta.chunks(REGISTERS)) {
                            out[first + d] += dot(weights, delta);
                        }
                    }
                }
            }
        }
        out.iter_mut().zip(gate).for_each(|(o, g)| *o *= g);
    }
}

/// Dot product of slices whose length is a multiple of 16: 16 running sums, then a fixed tree.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; NARROW];
    for (a, b) in a.chunks_exact(NARROW).zip(b.chunks_exact(NARROW)) {
        for k in 0..NARROW {
            sums[k] = a[k].mul_add(b[k], sums[k]);
        }
    }
    for half in [8, 4, 2, 1] {
        for k in 0..half {
            sums[k] += sums[k + half];
        }
    }
    sums[0]
}
