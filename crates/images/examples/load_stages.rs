//! Milliseconds of each stage of loading, one thread: `load_stages < list` of image files. `scripts/bench_loading.py` runs it beside
//! other libraries.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::time::Instant;

use images::augment::Augmentation;
use images::{
    ImageSize, Interpolation, LoadSpec, Preprocess, decode_rgb, perceptual_hash, read_file,
    resize_rgb8,
};

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
    let paths = std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()?;
    let files = paths.iter().map(|path| read_file(path.as_ref())).collect::<Result<Vec<_>, _>>()?;
    println!("decode {:.3}", best_ms(&files, |bytes| drop(black_box(decode_rgb(bytes)))));
    let decoded = files.iter().map(|bytes| decode_rgb(bytes)).collect::<Result<Vec<_>, _>>()?;
    let size = ImageSize::square(150);
    for &interpolation in Interpolation::ALL {
        let ms =
            best_ms(&decoded, |image| drop(black_box(resize_rgb8(image, size, interpolation))));
        println!("{interpolation} {ms:.3}");
    }
    let ms = best_ms(&decoded, |image| {
        let (width, height) = (image.width as usize, image.height as usize);
        black_box(perceptual_hash(&image.data, width, height));
    });
    println!("perceptual hash {ms:.3}");
    let (interpolation, preprocess) = (Interpolation::Bilinear, Preprocess::Torch);
    let spec = LoadSpec { size, interpolation, preprocess };
    let mut values = vec![0.0; size.values()];
    let ms = best_ms(&paths, |path| {
        // All could be read and decoded above.
        let _ = black_box(
            read_file(path.as_ref()).and_then(|bytes| spec.load_bytes(&bytes, &mut values)),
        );
    });
    println!("load {ms:.3}");
    let lesson = Augmentation::lesson();
    let pixels = vec![100.0; size.values()];
    let mut view = vec![0.0; size.values()];
    let views: Vec<u64> = (0..200).collect();
    let ms = best_ms(&views, |number| {
        let transform = lesson.draw(size, 0, &[0; 32], *number);
        // Both buffers are of this size.
        let _ = black_box(transform.apply(size, lesson.fill, lesson.sampling, &pixels, &mut view));
    });
    println!("augmented view {ms:.3}");
    Ok(())
}
