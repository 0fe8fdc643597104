//! One dense layer in training: weights and optimizer state in blocks, so that threads share none.
//!
//! Outputs are cut into panels and inputs into chunks; a block is one panel of one chunk. A sum over the inputs runs
//! within a chunk first, then over the chunks in order: the same bits for any number of threads.

use crate::optimizer::Rule;
use crate::sparse::{BatchColumns, CHUNK};
use crate::sweep::{NARROW, REGISTERS, Sweep, Update};
use pulp::Arch;
use rayon::prelude::*;

/// Layers with fewer weights are not worth waking other threads for.
const PARALLEL_WEIGHTS: usize = 1 << 15;
/// Outputs left over from wide panels take one more wide panel if they are more than this, else narrow ones.
const MOSTLY_NARROW: usize = 3 * NARROW;

/// Outputs of the widest panel. Two parts share the list of a column's rows, whose length is hard to predict.
const MAX_WIDTH: usize = 2 * REGISTERS;

/// `width` outputs from `start` on; those past the layer's end are padding, and stay zero.
#[derive(Clone, Copy, Debug)]
struct Panel {
    start: usize,
    width: usize,
}

fn panels(outputs: usize) -> Vec<Panel> {
    let mut panels = Vec::new();
    let mut start = 0;
    while start < outputs {
        let left = outputs - start;
        let width = match left {
            ..=MOSTLY_NARROW => NARROW,
            _ => MAX_WIDTH.min(left.next_multiple_of(REGISTERS)),
        };
        panels.push(Panel { start, width });
        start += width;
    }
    panels
}

impl Panel {
    /// Outputs that are not padding.
    fn used(self, outputs: usize) -> usize {
        self.width.min(outputs - self.start)
    }

    /// Outputs that are side by side in a block.
    fn part(self) -> usize {
        self.width.min(REGISTERS)
    }

    /// Where a block holds weights: for each row of `slots * part` numbers, in order, the column and the outputs whose
    /// weights it starts with.
    fn rows(self, outputs: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let (part, end) = (self.part(), self.start + self.used(outputs));
        let parts = self.width / part;
        (0..).map(move |i| {
            let from = self.start + i % parts * part;
            (i / parts, from.min(end)..(from + part).min(end))
        })
    }
}

#[derive(Clone, Debug)]
struct Block {
    panel: usize,
    chunk: usize,
    /// (columns of the chunk, parts of the panel, slots, part width).
    data: Vec<f32>,
    last_step: Vec<u32>,
    /// (rows, panel width): this chunk's part of the product.
    product: Vec<f32>,
}

/// Weights, biases and optimizer state of one layer.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug, Default)]
pub(crate) struct PanelGradients {
    panels: Vec<Vec<f32>>,
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
        let panels = panels(outputs);
        let make = |p: usize, chunk: usize| {
            let (panel, first) = (panels[p], chunk * CHUNK);
            let columns = CHUNK.min(inputs - first);
            let mut data = vec![0.0; columns * slots * panel.width];
            for (row, (d, out)) in
                data.chunks_exact_mut(slots * panel.part()).zip(panel.rows(outputs))
            {
                let from = (first + d) * outputs;
                row[..out.len()].copy_from_slice(&kernel[from + out.start..from + out.end]);
            }
            Block { panel: p, chunk, data, last_step: vec![0; columns], product: Vec::new() }
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
            let rows = block.data.chunks_exact(self.slots * panel.part());
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
        update: Option<(&BatchColumns, &PanelGradients, Rule, u32)>,
        next: Option<&BatchColumns>,
    ) {
        let (arch, slots, panels) = (self.arch, self.slots, &self.panels);
        let one = |block: &mut Block| {
            let width = panels[block.panel].width;
            let product = next.map(|n| {
                block.product.resize(n.rows * width, 0.0);
                (&n.chunks[block.chunk], &mut block.product[..])
            });
            let update = update.map(|(columns, delta, rule, step)| Update {
                columns: &columns.chunks[block.chunk],
                delta: &delta.panels[block.panel],
                rule,
                step,
            });
            arch.dispatch(Sweep {
                width,
                slots,
                data: &mut block.data,
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
            for (out, part) in
                out.chunks_exact_mut(self.outputs).zip(block.product.chunks_exact(panel.width))
            {
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
        panels.panels.resize_with(self.panels.len(), Vec::new);
        for (panel, part) in self.panels.iter().zip(&mut panels.panels) {
            let used = panel.used(self.outputs);
            part.clear();
            part.resize(rows * panel.width, 0.0);
            for (part, row) in
                part.chunks_exact_mut(panel.width).zip(delta.chunks_exact(self.outputs))
            {
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
        let one = |(b, (gate, out)): (usize, (&[f32], &mut [f32]))| {
            self.arch.dispatch(|| self.row_gradient(gradients, b, gate, out));
        };
        let rows =
            gate.chunks_exact(self.inputs).zip(out.chunks_exact_mut(self.inputs)).enumerate();
        if self.inputs * self.outputs < PARALLEL_WEIGHTS {
            rows.for_each(one);
        } else {
            rows.par_bridge().for_each(one);
        }
    }

    #[inline(always)]
    fn row_gradient(&self, gradients: &PanelGradients, b: usize, gate: &[f32], out: &mut [f32]) {
        for block in &self.blocks {
            let panel = self.panels[block.panel];
            let (width, part) = (panel.width, panel.part());
            let delta = &gradients.panels[block.panel][b * width..(b + 1) * width];
            let first = block.chunk * CHUNK;
            for (d, column) in block.data.chunks_exact(self.slots * width).enumerate() {
                if gate[first + d] != 0.0 {
                    for (row, delta) in
                        column.chunks_exact(self.slots * part).zip(delta.chunks_exact(part))
                    {
                        out[first + d] += dot(&row[..part], delta);
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
