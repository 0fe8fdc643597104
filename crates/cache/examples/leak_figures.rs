//! How well the perceptual hash tells pictures apart: false positives among the photographs of a folder, and how far
//! re-encoded, resized and mirrored copies are from their original (every eighth picture).
//!
//! `cargo run --release -p cache --example leak_figures -- FOLDER`
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use cache::leaks::distance;
use image::{DynamicImage, RgbImage, codecs::jpeg::JpegEncoder, imageops::FilterType};
use images::perceptual_hash;

type Failure = Box<dyn std::error::Error>;

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "jpg") {
            found.push(path);
        }
    }
    Ok(())
}

fn hash(rgb: &RgbImage) -> Option<u64> {
    perceptual_hash(rgb, rgb.width() as usize, rgb.height() as usize)
}

fn encoded(rgb: &RgbImage, quality: u8) -> Result<RgbImage, Failure> {
    let mut bytes = Vec::new();
    rgb.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?;
    Ok(image::load_from_memory(&bytes)?.to_rgb8())
}

fn main() -> Result<(), Failure> {
    let dir = std::env::args().nth(1).ok_or("give a folder of JPEG files")?;
    let mut paths = Vec::new();
    files(Path::new(&dir), &mut paths)?;
    paths.sort();
    let names = [
        "quality 50",
        "quality 20",
        "half size",
        "150 x 150",
        "double size",
        "mirrored q75",
        "crop 2%",
        "brighter",
    ];
    let mut copies: Vec<[u32; 65]> = vec![[0; 65]; names.len()];
    let mut hashes = Vec::new();
    let mut seconds = 0.0;
    for path in &paths {
        let rgb = image::open(path)?.to_rgb8();
        let begun = Instant::now();
        let own = hash(&rgb);
        seconds += begun.elapsed().as_secs_f64();
        let Some(own) = own else {
            println!("no structure: {}", path.display());
            continue;
        };
        hashes.push((own, path));
        if hashes.len() % 8 != 0 {
            continue;
        }
        let (w, h) = rgb.dimensions();
        let image = DynamicImage::from(rgb.clone());
        let resized =
            |w: u32, h: u32| image.resize_exact(w.max(1), h.max(1), FilterType::Triangle).to_rgb8();
        let crop = image.crop_imm(w / 50, h / 50, w - w / 25, h - h / 25).to_rgb8();
        let changed = [
            encoded(&rgb, 50)?,
            encoded(&rgb, 20)?,
            resized(w / 2, h / 2),
            resized(150, 150),
            resized(w * 2, h * 2),
            encoded(&image.fliph().to_rgb8(), 75)?,
            crop,
            image.brighten(20).to_rgb8(),
        ];
        for (copy, counts) in changed.iter().zip(&mut copies) {
            let d = hash(copy).map_or(64, |c| distance(own, c).0);
            counts[d as usize] += 1;
        }
    }
    println!("{} pictures, {:.3} ms a hash", hashes.len(), seconds * 1e3 / hashes.len() as f64);
    for (name, counts) in names.iter().zip(&copies) {
        let within = |max: usize| counts[..=max].iter().sum::<u32>();
        let far = counts.iter().rposition(|&c| c > 0).unwrap_or(0);
        println!(
            "{name:>14}: within 4: {}, 6: {}, 8: {}, 10: {}, farthest {far}",
            within(4),
            within(6),
            within(8),
            within(10)
        );
    }
    let mut counts = [0u64; 65];
    for (i, (a, first)) in hashes.iter().enumerate() {
        for (b, second) in &hashes[i + 1..] {
            let (d, turned) = distance(*a, *b);
            counts[d as usize] += 1;
            if d <= 12 {
                println!(
                    "{d} {} {} {}",
                    if turned { "mirrored" } else { "" },
                    first.display(),
                    second.display()
                );
            }
        }
    }
    println!("pairs by distance: {:?}", counts.iter().take(24).collect::<Vec<_>>());
    Ok(())
}
