//! The naive loop in f64 that every kernel is held to, and random networks to hold.

#![allow(dead_code)] // Each test takes what it needs.

use kernels::{Conv2d, Layer};

/// How many of the usual cases to take: all, or that number divided by `KERNEL_TEST_SHARE`, for checkers under which a
/// test takes a hundred times as long.
pub(crate) fn share(usual: usize) -> usize {
    let divisor = std::env::var("KERNEL_TEST_SHARE").ok();
    let divisor: usize =
        divisor.map_or(1, |text| text.parse().expect("KERNEL_TEST_SHARE is a number above 0"));
    (usual / divisor).max(1)
}

/// SplitMix64, mapped to −1..1.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.unit()).collect()
    }

    /// A convolution with weights scaled so that outputs are of the size of inputs.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn conv(
        &mut self,
        [in_channels, out_channels]: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
        relu: bool,
    ) -> Conv2d {
        let fan_in = in_channels / groups * kernel[0] * kernel[1];
        let scale = (6.0 / fan_in as f32).sqrt();
        let weight = self.values(out_channels * fan_in).iter().map(|w| w * scale).collect();
        let bias = self.values(out_channels).iter().map(|b| b * 0.1).collect();
        Conv2d { in_channels, out_channels, kernel, stride, padding, groups, relu, weight, bias }
    }
}

/// One image through all layers; returns the values and their shape.
pub(crate) fn network(
    layers: &[Layer],
    shape: [usize; 3],
    input: &[f32],
) -> (Vec<f64>, [usize; 3]) {
    let mut values: Vec<f64> = input.iter().map(|v| f64::from(*v)).collect();
    let mut shape = shape;
    for layer in layers {
        (values, shape) = match layer {
            Layer::Conv(c) => conv(c, shape, &values),
            Layer::MaxPool { size, stride } => max_pool(*size, *stride, shape, &values),
            _ => panic!("no reference for {layer:?}"),
        };
    }
    (values, shape)
}

fn conv(c: &Conv2d, [h, w, channels]: [usize; 3], input: &[f64]) -> (Vec<f64>, [usize; 3]) {
    let [kh, kw] = c.kernel;
    let oh = (h + 2 * c.padding[0] - kh) / c.stride[0] + 1;
    let ow = (w + 2 * c.padding[1] - kw) / c.stride[1] + 1;
    let (ic, oc) = (c.in_channels / c.groups, c.out_channels / c.groups);
    let mut out = vec![0.0; oh * ow * c.out_channels];
    for y in 0..oh {
        for x in 0..ow {
            for o in 0..c.out_channels {
                let mut sum = f64::from(c.bias[o]);
                for ky in 0..kh {
                    for kx in 0..kw {
                        let iy = (y * c.stride[0] + ky).wrapping_sub(c.padding[0]);
                        let ix = (x * c.stride[1] + kx).wrapping_sub(c.padding[1]);
                        if iy >= h || ix >= w {
                            continue;
                        }
                        for i in 0..ic {
                            let weight = c.weight[((o * ic + i) * kh + ky) * kw + kx];
                            sum += f64::from(weight)
                                * input[(iy * w + ix) * channels + o / oc * ic + i];
                        }
                    }
                }
                out[(y * ow + x) * c.out_channels + o] =
                    if c.relu && sum < 0.0 { 0.0 } else { sum };
            }
        }
    }
    (out, [oh, ow, c.out_channels])
}

fn max_pool(
    size: [usize; 2],
    stride: [usize; 2],
    [h, w, channels]: [usize; 3],
    input: &[f64],
) -> (Vec<f64>, [usize; 3]) {
    let oh = (h - size[0]) / stride[0] + 1;
    let ow = (w - size[1]) / stride[1] + 1;
    let mut out = Vec::with_capacity(oh * ow * channels);
    for y in 0..oh {
        for x in 0..ow {
            for c in 0..channels {
                let mut best = f64::NEG_INFINITY;
                for ky in 0..size[0] {
                    for kx in 0..size[1] {
                        let v =
                            input[((y * stride[0] + ky) * w + x * stride[1] + kx) * channels + c];
                        if v > best || v.is_nan() {
                            best = v;
                        }
                    }
                }
                out.push(best);
            }
        }
    }
    (out, [oh, ow, channels])
}
