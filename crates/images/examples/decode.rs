//! Decodes listed files, for comparing with other decoders.
//!
//! `decode OUT < list`: writes the RGB pixels of the i-th listed file to `OUT/<i>.rgb` and prints a line for each:
//! `width height format` or `! reason`. Last, the mean milliseconds of decoding one file, best of five rounds.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: decode OUT < list")?);
    std::fs::create_dir_all(&out)?;
    let mut files = Vec::new();
    for path in std::io::stdin().lock().lines() {
        files.push(images::read_file(path?.as_ref())?);
    }
    for (i, bytes) in files.iter().enumerate() {
        match images::decode_rgb(bytes) {
            Ok(image) => {
                println!("{} {} {}", image.width, image.height, image.format);
                std::fs::write(out.join(format!("{i}.rgb")), image.data)?;
            }
            Err(error) => println!("! {}", error.reason()),
        }
    }
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for bytes in &files {
            std::hint::black_box(images::decode_rgb(bytes).ok());
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("mean {:.3} ms", best * 1e3 / files.len().max(1) as f64);
    Ok(())
}
