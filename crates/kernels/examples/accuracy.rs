//! The largest difference of the VGG16 base from a float64 reference, with real weights and photographs.
//!
//! ```text
//! accuracy DIR [ISA…]      DIR holds weights.bin and images.bin of accuracy_inputs.py
//! ```
//!
//! The reference is the direct algorithm in f64 on the same f32 weights and images, without rounding in between.

#![allow(clippy::print_stdout)]

use std::path::Path;

use kernels::{Activation, Conv2d, Isa, Layer, Network, Precision};
use rayon::prelude::*;

const SIDE: usize = 150;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: accuracy DIR [ISA...]")?;
    let mut isas = arguments.map(|name| name.parse()).collect::<Result<Vec<Isa>, _>>()?;
    if isas.is_empty() {
        isas = Isa::available();
    }
    let weights = read(&Path::new(&folder).join("weights.bin"))?;
    let images = read(&Path::new(&folder).join("images.bin"))?;
    let base = vgg16(&weights)?;
    let length = SIDE * SIDE * 3;
    let count = images.len() / length;
    let cached = Path::new(&folder).join("reference.bin");
    let expected: Vec<f64> = match std::fs::read(&cached) {
        Ok(bytes) => bytes
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default()))
            .collect(),
        Err(_) => {
            let values: Vec<f64> =
                images.chunks_exact(length).flat_map(|image| reference(&base, image)).collect();
            std::fs::write(
                &cached,
                values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>(),
            )?;
            values
        }
    };
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    println!("{count} photographs, largest feature {largest:.4}");
    for isa in isas {
        for precision in Precision::ON_CPU {
            let network = Network::new(&base, [SIDE, SIDE, 3], isa, *precision)?;
            let mut found = vec![0.0; expected.len()];
            network.run(count, &images, &mut found)?;
            let off = found.iter().zip(&expected).map(|(f, e)| (f64::from(*f) - e).abs());
            let (most, squares) = off.fold((0.0f64, 0.0), |(m, s), d| (m.max(d), s + d * d));
            println!(
                "{isa} {precision}: largest difference {:.2e} of the largest feature, root mean square {:.2e}",
                most / largest,
                (squares / expected.len() as f64).sqrt() / largest
            );
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<f32>, std::io::Error> {
    let bytes = std::fs::read(path)?;
    Ok(bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap_or_default()))
        .collect())
}

fn vgg16(mut weights: &[f32]) -> Result<Vec<Layer>, &'static str> {
    let mut layers = Vec::new();
    let mut channels = 3;
    for (width, count) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..count {
            let (weight, rest) =
                weights.split_at_checked(width * channels * 9).ok_or("weights.bin is too short")?;
            let (bias, rest) = rest.split_at_checked(width).ok_or("weights.bin is too short")?;
            weights = rest;
            layers.push(Layer::Conv(Conv2d {
                in_channels: channels,
                out_channels: width,
                kernel: [3, 3],
                stride: [1, 1],
                padding: [1, 1].into(),
                groups: 1,
                activation: Activation::Relu,
                weight: weight.to_vec(),
                bias: bias.to_vec(),
                bias_last: false,
            }));
            channels = width;
        }
        layers.push(Layer::max_pool([2, 2], [2, 2]));
    }
    Ok(layers)
}

/// One image through the base in f64.
fn reference(base: &[Layer], image: &[f32]) -> Vec<f64> {
    let mut values: Vec<f64> = image.iter().map(|v| f64::from(*v)).collect();
    let mut side = SIDE;
    for layer in base {
        match layer {
            Layer::Conv(conv) => values = convolve(conv, side, &values),
            _ => {
                let channels = values.len() / (side * side);
                let half = side / 2;
                let at = |y: usize, x: usize, c: usize| values[(y * side + x) * channels + c];
                values = (0..half * half * channels)
                    .map(|i| {
                        let (y, x, c) =
                            (2 * (i / channels / half), 2 * (i / channels % half), i % channels);
                        at(y, x, c).max(at(y, x + 1, c)).max(at(y + 1, x, c)).max(at(
                            y + 1,
                            x + 1,
                            c,
                        ))
                    })
                    .collect();
                side = half;
            }
        }
    }
    values
}

/// 3×3, padding 1, ReLU; rows in parallel, the innermost loop over output channels.
fn convolve(conv: &Conv2d, side: usize, input: &[f64]) -> Vec<f64> {
    let (ic, oc) = (conv.in_channels, conv.out_channels);
    // Tap, input channel, output channel.
    let mut weight = vec![0.0f64; 9 * ic * oc];
    for (i, w) in conv.weight.iter().enumerate() {
        weight[(i % 9 * ic + i / 9 % ic) * oc + i / 9 / ic] = f64::from(*w);
    }
    let bias: Vec<f64> = conv.bias.iter().map(|b| f64::from(*b)).collect();
    let mut out = vec![0.0; side * side * oc];
    out.par_chunks_mut(side * oc).enumerate().for_each(|(y, row)| {
        row.chunks_exact_mut(oc).for_each(|pixel| pixel.copy_from_slice(&bias));
        for tap in 0..9 {
            let Some(sy) = (y + tap / 3).checked_sub(1).filter(|sy| *sy < side) else { continue };
            for c in 0..ic {
                let line = &weight[(tap * ic + c) * oc..][..oc];
                for x in 0..side {
                    let Some(sx) = (x + tap % 3).checked_sub(1).filter(|sx| *sx < side) else {
                        continue;
                    };
                    let value = input[(sy * side + sx) * ic + c];
                    if value != 0.0 {
                        for (to, w) in row[x * oc..][..oc].iter_mut().zip(line) {
                            *to += w * value;
                        }
                    }
                }
            }
        }
        row.iter_mut().for_each(|v| *v = v.max(0.0));
    });
    out
}
