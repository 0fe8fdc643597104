//! Milliseconds of each stage of loading, one thread: `load_stages < list` of image files.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::time::Instant;

use images::augment::Augmentation;
use images::{ImageSize, Interpolation, decode_rgb, read_file, resize};

fn best_ms<T>(items: &[T], mut run: impl FnMut(&T)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        items.iter().for_each(&mut run);
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e3 / items.len().max(1) as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for path in std::io::stdin().lock().lines() {
        files.push(read_file(path?.as_ref())?);
    }
    println!("decode {:.2}", best_ms(&files, |bytes| drop(black_box(decode_rgb(bytes)))));
    let decoded = files.iter().map(|bytes| decode_rgb(bytes)).collect::<Result<Vec<_>, _>>()?;
    for &interpolation in Interpolation::ALL {
        let ms = best_ms(&decoded, |image| {
            drop(black_box(resize(image, ImageSize::square(150), interpolation)))
        });
        println!("{interpolation} {ms:.2}");
    }
    let (lesson, size) = (Augmentation::lesson(), ImageSize::square(150));
    let pixels = vec![100.0; size.values()];
    let mut view = vec![0.0; size.values()];
    let views: Vec<u64> = (0..200).collect();
    let ms = best_ms(&views, |number| {
        let transform = lesson.draw(size, 0, &[0; 32], *number);
        // Both buffers are of this size.
        let _ = black_box(transform.apply(size, lesson.fill, lesson.sampling, &pixels, &mut view));
    });
    println!("augmented view {ms:.2}");
    Ok(())
}
