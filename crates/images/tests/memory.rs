//! What decoding really takes against what it says it takes, and many threads against the bound for all of them.
//!
//! One test alone in its process, for the allocator counts what all threads hold.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // also in the helpers of tests

use std::fs;
use std::path::Path;

use images::{ImageSize, Interpolation, LoadSpec, Memory, Preprocess};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling, compress};
use peak_alloc::PeakAlloc;
use png::{BitDepth, ColorType};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// What a run may take beside: decoders' tables, the test's own texts.
const SLACK: u64 = 1 << 20;

fn spec(side: u32, interpolation: Interpolation) -> LoadSpec {
    LoadSpec { size: ImageSize::square(side), interpolation, preprocess: Preprocess::Rescale }
}

fn png(width: u32, height: u32, color: ColorType, depth: BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.set_compression(png::Compression::Fast);
    let length = color.samples() * width as usize * (depth as usize) / 8 * height as usize;
    encoder.write_header().unwrap().write_image_data(&vec![7; length]).unwrap();
    bytes
}

fn jpeg(width: usize, height: usize, sampling: Subsampling, progressive: bool) -> Vec<u8> {
    let pixels: Vec<u8> = (0..width * height * 3).map(|i| (i % 251) as u8).collect();
    if progressive {
        Encoder::new(&pixels, width, height, PixelFormat::Rgb)
            .subsampling(sampling)
            .progressive(true)
            .encode()
            .unwrap()
    } else {
        compress(&pixels, width, height, PixelFormat::Rgb, 90, sampling).unwrap()
    }
}

/// The other formats, in every kind of pixels that can be written.
fn others(width: u32, height: u32) -> Vec<(String, Vec<u8>)> {
    use image::{DynamicImage, ImageFormat as F};
    let image = DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 7) as u8, (y * 3) as u8, (x ^ y) as u8])
    }));
    let kinds: [(&str, DynamicImage); 5] = [
        ("grey", image.to_luma8().into()),
        ("rgba", image.to_rgba8().into()),
        ("grey16", image.to_luma16().into()),
        ("rgb16", image.to_rgb16().into()),
        ("rgb", image),
    ];
    let mut all = Vec::new();
    for (kind, image) in &kinds {
        for format in [F::Bmp, F::Tiff, F::Pnm, F::WebP] {
            let mut bytes = std::io::Cursor::new(Vec::new());
            // Not every format has every kind, and WebP no such long sides.
            if image.write_to(&mut bytes, format).is_ok() {
                all.push((format!("{format:?} {kind}"), bytes.into_inner()));
            }
        }
    }
    if let (Ok(columns), Ok(rows)) = (u16::try_from(width), u16::try_from(height)) {
        for interlaced in [false, true] {
            let mut bytes = Vec::new();
            let mut encoder = gif::Encoder::new(&mut bytes, columns, rows, &[1, 2, 3]).unwrap();
            let pixels = vec![0; width as usize * height as usize];
            let mut frame = gif::Frame::from_indexed_pixels(columns, rows, pixels, None);
            frame.interlaced = interlaced;
            encoder.write_frame(&frame).unwrap();
            drop(encoder);
            all.push((format!("Gif interlaced {interlaced}"), bytes));
        }
    }
    assert!(all.len() > 8, "{}", all.len());
    all
}

/// Everything that decoding and resizing `bytes` held at a time, against what was claimed for it.
fn check(name: &str, bytes: &[u8], spec: &LoadSpec) {
    let memory = Memory::new(0, 8 << 30);
    let mut values = vec![0.0; spec.values()];
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let Ok(image) = memory.decode(bytes, spec) else { return };
    let claimed = memory.in_use();
    spec.fill(&image, &mut values).unwrap();
    let taken = (ALLOCATED.peak_usage() - before) as u64;
    let (width, height) = (image.width, image.height);
    println!("{name} {width}x{height}: claimed {claimed}, took {taken}");
    assert!(taken <= claimed + SLACK / 4, "{name}: claimed {claimed}, took {taken}");
    drop(image);
    assert_eq!(memory.in_use(), 0, "{name}");
}

#[test]
fn no_more_is_taken_than_claimed_and_no_more_claimed_than_there_is() {
    let small = spec(32, Interpolation::Bilinear);
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/odd");
    for entry in fs::read_dir(odd).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|suffix| suffix != "rgb") {
            check(&path.file_name().unwrap().to_string_lossy(), &fs::read(&path).unwrap(), &small);
        }
    }
    for color in [ColorType::Grayscale, ColorType::GrayscaleAlpha, ColorType::Rgb, ColorType::Rgba]
    {
        for depth in [BitDepth::Eight, BitDepth::Sixteen] {
            for (width, height) in [(1500, 1400), (2_000_000, 1), (1, 2_000_000), (300_000, 7)] {
                let name = format!("png {color:?} {depth:?}");
                check(&name, &png(width, height, color, depth), &small);
            }
        }
    }
    for sampling in [
        Subsampling::S444,
        Subsampling::S422,
        Subsampling::S420,
        Subsampling::S440,
        Subsampling::S411,
        Subsampling::S441,
    ] {
        for progressive in [false, true] {
            for (width, height) in [(1500, 1400), (60_000, 20), (20, 60_000)] {
                let name = format!("jpeg {sampling:?} progressive {progressive}");
                check(&name, &jpeg(width, height, sampling, progressive), &small);
            }
        }
    }
    for (width, height) in [(1500, 1400), (300_000, 7), (7, 60_000)] {
        for (name, bytes) in others(width, height) {
            check(&name, &bytes, &small);
        }
    }
    let wide = png(400_000, 2, ColorType::Rgb, BitDepth::Eight);
    let tall = png(2, 400_000, ColorType::Rgb, BitDepth::Eight);
    for &interpolation in Interpolation::ALL {
        for side in [1, 32, 700] {
            check("wide", &wide, &spec(side, interpolation));
            check("tall", &tall, &spec(side, interpolation));
        }
    }

    // Sixteen threads, each with images of a third of the bound or more.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.png");
    fs::write(&path, png(2600, 2500, ColorType::Rgb, BitDepth::Sixteen)).unwrap();
    let bound: u64 = 100 << 20;
    let memory = Memory::new(1 << 20, bound);
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let bytes = memory.read(&path).unwrap();
                    let image = memory.decode(&bytes, &small).unwrap();
                    let mut values = vec![0.0; small.values()];
                    small.fill(&image, &mut values).unwrap();
                }
            });
        }
    });
    let taken = (ALLOCATED.peak_usage() - before) as u64;
    println!("16 threads: took {taken} of {bound}");
    assert!(taken <= bound + (1 << 20) + 16 * SLACK, "{taken}");
    assert!(taken > bound / 3, "nothing was decoded: {taken}");
    assert_eq!(memory.in_use(), 0);

    // Larger than the whole bound: alone.
    let narrow = Memory::new(1, 1 << 20);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| narrow.decode(&narrow.read(&path).unwrap(), &small).map(drop).unwrap());
        }
    });
}
