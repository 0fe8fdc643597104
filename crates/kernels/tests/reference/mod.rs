//! The naive loop in f64 that every kernel is held to, and random networks to hold.

#![allow(dead_code)] // Each test takes what it needs.

use kernels::{Activation, Conv2d, Layer, Operation, Padding, Program, Value};

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
        let activation = if relu { Activation::Relu } else { Activation::None };
        let padding = padding.into();
        Conv2d {
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            groups,
            activation,
            weight,
            bias,
            bias_last: false,
        }
    }
}

/// An image in f64: height, width, channels, and the values.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) shape: [usize; 3],
    pub(crate) values: Vec<f64>,
}

impl Image {
    fn new(shape: [usize; 3]) -> Self {
        Self { shape, values: vec![0.0; shape.iter().product()] }
    }

    fn at(&mut self, y: usize, x: usize, c: usize) -> &mut f64 {
        &mut self.values[(y * self.shape[1] + x) * self.shape[2] + c]
    }

    /// The value at a place of the padded image; none in its border.
    fn padded(&self, padding: Padding, y: usize, x: usize, c: usize) -> Option<f64> {
        let [h, w, channels] = self.shape;
        let (y, x) = (y.checked_sub(padding.top)?, x.checked_sub(padding.left)?);
        (y < h && x < w).then(|| self.values[(y * w + x) * channels + c])
    }

    /// Height and width of what windows of `size` make.
    fn windows(&self, size: [usize; 2], stride: [usize; 2], padding: Padding) -> [usize; 2] {
        [
            (self.shape[0] + padding.top + padding.bottom - size[0]) / stride[0] + 1,
            (self.shape[1] + padding.left + padding.right - size[1]) / stride[1] + 1,
        ]
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape, values: self.values.iter().map(|v| f(*v)).collect() }
    }
}

/// One image through a chain of layers; returns the values and their shape.
pub(crate) fn network(
    layers: &[Layer],
    shape: [usize; 3],
    input: &[f32],
) -> (Vec<f64>, [usize; 3]) {
    let image = program(&Program::chain(layers), shape, input);
    (image.values, image.shape)
}

/// One image through a program.
pub(crate) fn program(program: &Program, shape: [usize; 3], input: &[f32]) -> Image {
    let mut made = all_of_program(program, shape, input);
    made.pop()
        .unwrap_or_else(|| Image { shape, values: input.iter().map(|v| f64::from(*v)).collect() })
}

/// What each operation makes.
pub(crate) fn all_of_program(program: &Program, shape: [usize; 3], input: &[f32]) -> Vec<Image> {
    let input = Image { shape, values: input.iter().map(|v| f64::from(*v)).collect() };
    let mut made: Vec<Image> = Vec::new();
    for Operation { layer, inputs } in &program.operations {
        let inputs: Vec<&Image> = inputs
            .iter()
            .map(|value| match value {
                Value::Input => &input,
                Value::Of(index) => &made[*index],
            })
            .collect();
        let image = operation(layer, &inputs);
        made.push(image);
    }
    made
}

fn operation(layer: &Layer, inputs: &[&Image]) -> Image {
    let input = inputs[0];
    let [h, w, channels] = input.shape;
    match layer {
        Layer::Conv(c) => {
            let mut out = conv(c, input);
            if let Some(second) = inputs.get(1) {
                out.values.iter_mut().zip(&second.values).for_each(|(o, s)| *o += s);
            }
            activate(&out, c.activation)
        }
        Layer::MaxPool { size, stride, padding } => {
            pool(input, *size, *stride, *padding, |values, _| {
                values.iter().copied().fold(f64::NEG_INFINITY, |best, v| {
                    if v > best || v.is_nan() { v } else { best }
                })
            })
        }
        Layer::AvgPool { size, stride, padding, count_padding } => {
            pool(input, *size, *stride, *padding, |values, places| {
                let count = if *count_padding { places } else { values.len() };
                values.iter().sum::<f64>() / count as f64
            })
        }
        Layer::GlobalAvgPool | Layer::GlobalMaxPool => {
            let none = Padding::default();
            let layer = match layer {
                Layer::GlobalAvgPool => Layer::AvgPool {
                    size: [h, w],
                    stride: [1, 1],
                    padding: none,
                    count_padding: true,
                },
                _ => Layer::MaxPool { size: [h, w], stride: [1, 1], padding: none },
            };
            operation(&layer, inputs)
        }
        Layer::Add { scale, activation } => {
            let mut out = input.clone();
            for (o, second) in out.values.iter_mut().zip(&inputs[1].values) {
                *o += f64::from(*scale) * second;
            }
            activate(&out, *activation)
        }
        Layer::Affine { scale, shift, activation } => {
            let mut out = input.clone();
            for (i, o) in out.values.iter_mut().enumerate() {
                let c = i % channels;
                *o = f64::from(scale[c]) * *o + f64::from(shift[c]);
            }
            activate(&out, *activation)
        }
        Layer::Activate(activation) => activate(input, *activation),
        Layer::Pad(padding) => {
            let [oh, ow] = [h + padding.top + padding.bottom, w + padding.left + padding.right];
            let mut out = Image::new([oh, ow, channels]);
            for y in 0..oh {
                for x in 0..ow {
                    for c in 0..channels {
                        *out.at(y, x, c) = input.padded(*padding, y, x, c).unwrap_or(0.0);
                    }
                }
            }
            out
        }
        Layer::Concat => {
            let all = inputs.iter().map(|image| image.shape[2]).sum();
            let mut out = Image::new([h, w, all]);
            for y in 0..h {
                for x in 0..w {
                    let mut first = 0;
                    for image in inputs {
                        for c in 0..image.shape[2] {
                            let at = (y * w + x) * image.shape[2] + c;
                            *out.at(y, x, first + c) = image.values[at];
                        }
                        first += image.shape[2];
                    }
                }
            }
            out
        }
        Layer::Flatten => Image { shape: [1, 1, h * w * channels], values: input.values.clone() },
        Layer::Softmax => {
            let mut out = input.clone();
            for pixel in out.values.chunks_mut(channels) {
                let largest = pixel.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = pixel.iter().map(|v| (v - largest).exp()).sum();
                pixel.iter_mut().for_each(|v| *v = (*v - largest).exp() / sum);
            }
            out
        }
        _ => panic!("no reference for {layer:?}"),
    }
}

fn activate(image: &Image, activation: Activation) -> Image {
    // Comparisons keep NaN.
    let relu = |v: f64| if v < 0.0 { 0.0 } else { v };
    match activation {
        Activation::None => image.clone(),
        Activation::Relu => image.map(relu),
        Activation::Relu6 => image.map(|v| if v > 6.0 { 6.0 } else { relu(v) }),
    }
}

fn conv(c: &Conv2d, input: &Image) -> Image {
    let [kh, kw] = c.kernel;
    let [oh, ow] = input.windows(c.kernel, c.stride, c.padding);
    let (ic, oc) = (c.in_channels / c.groups, c.out_channels / c.groups);
    let mut out = Image::new([oh, ow, c.out_channels]);
    for y in 0..oh {
        for x in 0..ow {
            for o in 0..c.out_channels {
                let mut sum = f64::from(c.bias[o]);
                for ky in 0..kh {
                    for kx in 0..kw {
                        for i in 0..ic {
                            let (y, x) = (y * c.stride[0] + ky, x * c.stride[1] + kx);
                            let value = input.padded(c.padding, y, x, o / oc * ic + i);
                            if let Some(value) = value {
                                let weight = c.weight[((o * ic + i) * kh + ky) * kw + kx];
                                sum += f64::from(weight) * value;
                            }
                        }
                    }
                }
                *out.at(y, x, o) = sum;
            }
        }
    }
    out
}

/// What `reduce` makes of the values in each window, and of the number of its places.
fn pool(
    input: &Image,
    size: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    reduce: impl Fn(&[f64], usize) -> f64,
) -> Image {
    let channels = input.shape[2];
    let [oh, ow] = input.windows(size, stride, padding);
    let mut out = Image::new([oh, ow, channels]);
    for y in 0..oh {
        for x in 0..ow {
            for c in 0..channels {
                let mut values = Vec::new();
                for ky in 0..size[0] {
                    for kx in 0..size[1] {
                        let (y, x) = (y * stride[0] + ky, x * stride[1] + kx);
                        values.extend(input.padded(padding, y, x, c));
                    }
                }
                *out.at(y, x, c) = reduce(&values, size[0] * size[1]);
            }
        }
    }
    out
}
