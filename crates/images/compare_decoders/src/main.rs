//! `compare-decoders DECODER OUT < list`: decodes each listed JPEG to RGB, writes `OUT/<i>.rgb`, and prints the mean
//! milliseconds an image of one thread, best of five rounds. Run by `compare_decoders.py`.

use std::io::BufRead;
use std::time::Instant;

type Decode = fn(&[u8]) -> Option<Vec<u8>>;

fn ours(bytes: &[u8]) -> Option<Vec<u8>> {
    images::decode_rgb(bytes).ok().map(|image| image.data)
}

fn load(bytes: &[u8]) -> Option<Vec<u8>> {
    use images::{ImageSize, Interpolation, LoadSpec, Preprocess};
    let (interpolation, preprocess) = (Interpolation::Bilinear, Preprocess::Torch);
    let spec = LoadSpec { size: ImageSize::square(150), interpolation, preprocess };
    let mut values = vec![0.0; spec.values()];
    spec.load_bytes(bytes, &mut values).ok().map(|_| Vec::new())
}

fn zune(bytes: &[u8]) -> Option<Vec<u8>> {
    use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode().ok()
}

fn jpeg_decoder(bytes: &[u8]) -> Option<Vec<u8>> {
    ::jpeg_decoder::Decoder::new(bytes).decode().ok()
}

/// libjpeg-turbo's decoder in C, built without an assembler.
fn mozjpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let decode = || {
        let mut decoder = ::mozjpeg::Decompress::new_mem(bytes).ok()?.rgb().ok()?;
        let pixels = decoder.read_scanlines().ok()?;
        decoder.finish().ok()?;
        Some(pixels)
    };
    std::panic::catch_unwind(decode).ok().flatten()
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let decode: Decode = match args[1].as_str() {
        "images" => ours,
        "images-load" => load,
        "zune-jpeg" => zune,
        "jpeg-decoder" => jpeg_decoder,
        "mozjpeg" => mozjpeg,
        other => panic!("unknown decoder {other}"),
    };
    let list = std::io::stdin().lock().lines();
    let files: Vec<Vec<u8>> = list.map(|path| std::fs::read(path.unwrap()).unwrap()).collect();
    std::fs::create_dir_all(&args[2]).unwrap();
    for (i, bytes) in files.iter().enumerate() {
        std::fs::write(format!("{}/{i}.rgb", args[2]), decode(bytes).unwrap_or_default()).unwrap();
    }
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for bytes in &files {
            std::hint::black_box(decode(bytes));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{:.2}", best * 1e3 / files.len() as f64);
}
