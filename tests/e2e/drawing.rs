//! Images that tests draw: random pictures, each of its own, in PNG or JPEG.

use std::fs;
use std::path::Path;

use libjpeg_turbo_rs::{PixelFormat, Subsampling};

/// An 8-bit RGB picture.
#[derive(Clone)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In 0..n.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Cells a side of the grid that [`Picture::random`] draws.
const CELLS: usize = 12;

impl Picture {
    /// A grid of random colours, blended: coarse enough to survive re-encoding, and with a perceptual hash of its own.
    pub fn random(seed: u64, width: u32, height: u32) -> Self {
        let mut random = Random(seed);
        let grid: Vec<[f64; 3]> = (0..(CELLS + 1) * (CELLS + 1))
            .map(|_| {
                let light = 20.0 + 180.0 * random.unit();
                [light, light + 35.0 * random.unit(), light + 35.0 * random.unit()]
            })
            .collect();
        let place = |at: u32, side: u32| {
            let place = f64::from(at) / f64::from(side) * CELLS as f64;
            (place as usize, place.fract())
        };
        let mut pixels = Vec::with_capacity((width * height * 3) as usize);
        for y in 0..height {
            let (row, below) = place(y, height);
            for x in 0..width {
                let (column, right) = place(x, width);
                let cell = |dy: usize, dx: usize, c: usize| {
                    grid[(row + dy) * (CELLS + 1) + column + dx][c]
                };
                pixels.extend([0, 1, 2].map(|c| {
                    let above = cell(0, 0, c) * (1.0 - right) + cell(0, 1, c) * right;
                    let under = cell(1, 0, c) * (1.0 - right) + cell(1, 1, c) * right;
                    (above * (1.0 - below) + under * below) as u8
                }));
            }
        }
        Self { width, height, pixels }
    }

    pub fn mirrored(&self) -> Self {
        let rows = self.pixels.chunks_exact(self.width as usize * 3);
        let flip = |row: &[u8]| row.as_chunks::<3>().0.iter().rev().flatten().copied().collect();
        let rows = rows.map(flip);
        Self { pixels: rows.collect::<Vec<Vec<u8>>>().concat(), ..*self }
    }

    /// Half as wide and high: means of four pixels.
    pub fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let at = |x: u32, y: u32, c: u32| {
            u32::from(self.pixels[((y * self.width + x) * 3 + c) as usize])
        };
        let mut pixels = Vec::new();
        for (y, x, c) in (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (y * 2, x * 2, c))))
        {
            let sum = at(x, y, c) + at(x + 1, y, c) + at(x, y + 1, c) + at(x + 1, y + 1, c);
            pixels.push((sum / 4) as u8);
        }
        Self { width, height, pixels }
    }

    pub fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(&self.pixels).unwrap();
        bytes
    }

    pub fn jpeg(&self, quality: u8) -> Vec<u8> {
        let (width, height) = (self.width as usize, self.height as usize);
        let layout = PixelFormat::Rgb;
        libjpeg_turbo_rs::compress(&self.pixels, width, height, layout, quality, Subsampling::S444)
            .unwrap()
    }

    /// In the format that the suffix names; folders are made.
    pub fn save(&self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = match path.extension() {
            Some(suffix) if suffix == "jpg" => self.jpeg(92),
            _ => self.png(),
        };
        fs::write(path, bytes).unwrap();
    }
}

/// `n` pictures of some size in `folder`: `0.png`, `1.jpg`, `2.png`, …
pub fn class_folder(folder: &Path, seed: u64, n: u64) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..n {
        let mut random = Random(seed * 1000 + i);
        let (width, height) = (24 + random.below(40) as u32, 24 + random.below(40) as u32);
        let suffix = if i % 2 == 0 { "png" } else { "jpg" };
        Picture::random(random.next(), width, height).save(&folder.join(format!("{i}.{suffix}")));
    }
}

/// A split with `n` pictures in each of its classes.
pub fn split(data: &Path, name: &str, classes: &[&str], n: u64) {
    for (i, class) in classes.iter().enumerate() {
        let of_name = name.bytes().fold(7, |h, b| (h * 31 + u64::from(b)) % 100_003);
        class_folder(&data.join(name).join(class), of_name * 10 + i as u64, n);
    }
}

/// Cats and dogs.
pub const TWO: [&str; 2] = ["cats", "dogs"];
