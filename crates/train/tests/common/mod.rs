//! A naive head in f64: dense, row by row, no tricks. What the crate's training is held to.
#![allow(dead_code)]

use train::{Optimizer, Randomness};

/// Initial weights, order and masks drawn from a hash of their indices, the same for both sides.
pub(crate) struct Given {
    pub(crate) seed: u64,
}

impl Given {
    fn draw(&self, key: u64) -> f32 {
        util::SplitMix64::new(self.seed ^ key.wrapping_mul(0x9E37_79B9)).next_f32()
    }
    pub(crate) fn weight(&self, layer: usize, i: usize, inputs: usize) -> f32 {
        (self.draw((layer as u64) << 40 | i as u64) - 0.5) * 2.0 / (inputs as f32).sqrt()
    }
    pub(crate) fn keep(&self, step: usize, layer: usize, i: usize, rate: f32) -> f32 {
        let u = self.draw(1 << 60 | (step as u64) << 40 | (layer as u64) << 30 | i as u64);
        if u < rate { 0.0 } else { 1.0 / (1.0 - rate) }
    }
    pub(crate) fn permute(&self, epoch: usize, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by(|a, b| {
            let at = |i: u32| self.draw(1 << 61 | (epoch as u64) << 32 | u64::from(i));
            at(*a).total_cmp(&at(*b))
        });
        order
    }
}

impl Randomness for Given {
    fn kernel(&mut self, layer: usize, inputs: usize, _outputs: usize, kernel: &mut [f32]) {
        kernel.iter_mut().enumerate().for_each(|(i, w)| *w = self.weight(layer, i, inputs));
    }
    fn order(&mut self, epoch: usize, order: &mut [u32]) {
        order.copy_from_slice(&self.permute(epoch, order.len()));
    }
    fn mask(&mut self, step: usize, layer: usize, _units: usize, rate: f32, mask: &mut [f32]) {
        mask.iter_mut().enumerate().for_each(|(i, m)| *m = self.keep(step, layer, i, rate));
    }
}

/// One parameter with its optimiser state.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parameter {
    pub(crate) w: f64,
    m: f64,
    v: f64,
}

impl Parameter {
    /// Keras 3's formulas.
    fn update(&mut self, g: f64, optimizer: Optimizer, lr: f64, step: i32) {
        match optimizer {
            Optimizer::Sgd => self.w -= lr * g,
            Optimizer::Rmsprop => {
                self.v = 0.9 * self.v + 0.1 * g * g;
                self.w -= lr * g / (self.v + 1e-7).sqrt();
            }
            Optimizer::Adam => {
                let alpha = lr * (1.0 - 0.999_f64.powi(step)).sqrt() / (1.0 - 0.9_f64.powi(step));
                self.m += (g - self.m) * 0.1;
                self.v += (g * g - self.v) * 0.001;
                self.w -= self.m * alpha / (self.v.sqrt() + 1e-7);
            }
        }
    }
}

pub(crate) struct Naive {
    pub(crate) widths: Vec<usize>,
    /// Kernel (inputs, outputs) and bias of each layer.
    pub(crate) layers: Vec<(Vec<Parameter>, Vec<Parameter>)>,
}

impl Naive {
    pub(crate) fn new(widths: &[usize], given: &Given) -> Self {
        let layers = widths.windows(2).enumerate().map(|(l, w)| {
            let kernel =
                |i| Parameter { w: f64::from(given.weight(l, i, w[0])), ..Default::default() };
            ((0..w[0] * w[1]).map(kernel).collect(), vec![Parameter::default(); w[1]])
        });
        Self { widths: widths.to_vec(), layers: layers.collect() }
    }

    /// Loss of one row; adds `scale` times its gradient to `grads` (kernels and biases in order). `keep(layer, unit)`.
    pub(crate) fn row(
        &self,
        x: &[f64],
        label: usize,
        scale: f64,
        keep: &dyn Fn(usize, usize) -> f64,
        grads: &mut [(Vec<f64>, Vec<f64>)],
    ) -> f64 {
        let mut inputs = vec![x.to_vec()];
        let mut gates: Vec<Vec<f64>> = Vec::new();
        let last = self.layers.len() - 1;
        for (l, (kernel, bias)) in self.layers.iter().enumerate() {
            let out = self.widths[l + 1];
            let x = &inputs[l];
            let mut z: Vec<f64> = (0..out)
                .map(|j| {
                    bias[j].w + (0..x.len()).map(|i| x[i] * kernel[i * out + j].w).sum::<f64>()
                })
                .collect();
            if l < last {
                let gate: Vec<f64> = z
                    .iter()
                    .enumerate()
                    .map(|(j, z)| if *z > 0.0 { keep(l, j) } else { 0.0 })
                    .collect();
                z.iter_mut().zip(&gate).for_each(|(z, g)| *z *= g);
                gates.push(gate);
            }
            inputs.push(z);
        }
        let z = &inputs[last + 1];
        let (loss, mut delta) = if let [z] = z[..] {
            let p = 1.0 / (1.0 + (-z).exp());
            (z.max(0.0) - z * label as f64 + (-z.abs()).exp().ln_1p(), vec![p - label as f64])
        } else {
            let max = z.iter().copied().fold(f64::MIN, f64::max);
            let sum = max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
            let d = z
                .iter()
                .enumerate()
                .map(|(k, z)| (z - sum).exp() - f64::from(u8::from(k == label)));
            (sum - z[label], d.collect())
        };
        delta.iter_mut().for_each(|d| *d *= scale);
        for l in (0..=last).rev() {
            let out = self.widths[l + 1];
            let x = &inputs[l];
            let (gk, gb) = &mut grads[l];
            for j in 0..out {
                gb[j] += delta[j];
                for i in 0..x.len() {
                    gk[i * out + j] += x[i] * delta[j];
                }
            }
            if l > 0 {
                let kernel = &self.layers[l].0;
                delta = (0..x.len())
                    .map(|i| {
                        gates[l - 1][i]
                            * (0..out).map(|j| delta[j] * kernel[i * out + j].w).sum::<f64>()
                    })
                    .collect();
            }
        }
        loss
    }

    pub(crate) fn zero_grads(&self) -> Vec<(Vec<f64>, Vec<f64>)> {
        self.layers.iter().map(|(k, b)| (vec![0.0; k.len()], vec![0.0; b.len()])).collect()
    }

    /// One epoch; gives the mean loss.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn epoch(
        &mut self,
        rows: &[Vec<f64>],
        labels: &[i64],
        given: &Given,
        epoch: usize,
        step: &mut usize,
        batch: usize,
        rate: f32,
        weights: &[f64],
        optimizer: Optimizer,
        lr: f32,
    ) -> f64 {
        let mut total = 0.0;
        for batch in given.permute(epoch, rows.len()).chunks(batch) {
            let mut grads = self.zero_grads();
            for (b, &r) in batch.iter().enumerate() {
                let label = labels[r as usize] as usize;
                let keep = |l: usize, j: usize| {
                    if rate == 0.0 {
                        1.0
                    } else {
                        f64::from(given.keep(*step, l, b * self.widths[l + 1] + j, rate))
                    }
                };
                let scale = weights[label] / batch.len() as f64;
                total +=
                    weights[label] * self.row(&rows[r as usize], label, scale, &keep, &mut grads);
            }
            *step += 1;
            for ((k, b), (gk, gb)) in self.layers.iter_mut().zip(grads) {
                for (p, g) in k.iter_mut().zip(gk).chain(b.iter_mut().zip(gb)) {
                    p.update(g, optimizer, f64::from(lr), *step as i32);
                }
            }
        }
        total / rows.len() as f64
    }
}

/// Rows of which about `density` is not zero, and labels that go round the classes.
pub(crate) fn data(
    rows: usize,
    width: usize,
    classes: usize,
    density: f32,
    seed: u64,
) -> (Vec<f32>, Vec<i64>) {
    let mut rng = util::SplitMix64::new(seed);
    let labels: Vec<i64> = (0..rows).map(|i| ((i * 7 + i / 3) % classes) as i64).collect();
    let labels = if (0..classes as i64).all(|c| labels.contains(&c)) {
        labels
    } else {
        (0..rows).map(|i| (i % classes) as i64).collect()
    };
    let values = (0..rows * width)
        .map(|i| {
            let (row, column) = (i / width, i % width);
            let push = if column % classes == labels[row] as usize { 0.7 } else { 0.0 };
            // Some columns are nearly always zero, some never.
            let density = density * 2.0 * ((column % 11) as f32 / 10.0);
            let u = rng.next_f32();
            if rng.next_f32() < density { u + push } else { 0.0 }
        })
        .collect();
    (values, labels)
}
