//! Odd images against Pillow (`tests/odd/make_odd.py`), and hostile ones against panics.
#![allow(clippy::unwrap_used)] // also in the helpers of tests

use std::fs;
use std::path::{Path, PathBuf};

use images::{Format, ImageSize, Interpolation, LoadSpec, Preprocess, decode_rgb, thumbnail_jpeg};
use proptest::prelude::*;

/// Where the pixels are not Pillow's: the file, the most levels by which a value differs, and why.
const OTHER_PIXELS: &[(&str, u8, &str)] = &[
    ("bmp555.bmp", 1, "5-bit samples are rounded to 8 bits, Pillow cuts"),
    ("bmp565.bmp", 1, "5- and 6-bit samples are rounded to 8 bits, Pillow cuts"),
    ("cmyk.tif", 1, "inks are multiplied by other roundings"),
    ("jpeg.tif", 1, "JPEG inside TIFF goes through another JPEG decoder"),
    ("grey16.png", 255, "16-bit grey keeps its upper byte; Pillow cuts all above 255 to white"),
    ("grey16.tif", 255, "as grey16.png"),
    ("deep.pgm", 255, "as grey16.png"),
];
/// What Pillow accepts and we refuse, with the reason given.
const REFUSED_HERE: &[(&str, &str)] = &[
    ("float.tif", "unsupported TIFF: "),
    ("palette.tif", "unsupported TIFF: "),
    ("noend.png", "truncated PNG"),
];
/// The reasons where both refuse.
const REASONS: &[(&str, &str)] = &[
    ("bomb.bmp", "30000x30000 is over the limit of 178,956,970 pixels"),
    ("bomb.jpg", "30000x30000 is over the limit of 178,956,970 pixels"),
    ("bomb.png", "30000x30000 is over the limit of 178,956,970 pixels"),
    ("empty.jpg", "empty file"),
    ("headeronly.jpg", "truncated JPEG"),
    ("noend.jpg", "truncated JPEG"),
    ("nosize.jpg", "corrupt JPEG: "),
    ("textnamed.jpg", "not an image (text?)"),
    ("truncated.bmp", "truncated BMP"),
    ("truncated.gif", "truncated GIF"),
    ("truncated.jpg", "truncated JPEG"),
    ("truncated.png", "truncated PNG"),
    ("truncated.ppm", "truncated PNM"),
    ("truncated.tif", "truncated TIFF"),
    ("truncated.webp", "truncated WebP"),
    ("truncatedprogressive.jpg", "truncated JPEG"),
];

fn odd() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/odd")
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(odd().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Name, and the size when Pillow decodes it.
fn cases() -> Vec<(String, Option<(u32, u32)>)> {
    let text = fs::read_to_string(odd().join("cases.tsv")).unwrap();
    text.lines()
        .map(|line| {
            let mut cells = line.split('\t');
            let name = cells.next().unwrap().to_owned();
            let size = match cells.next().unwrap() {
                "-" => None,
                width => Some((width.parse().unwrap(), cells.next().unwrap().parse().unwrap())),
            };
            (name, size)
        })
        .collect()
}

#[test]
fn every_odd_image_is_pillows_or_refused() {
    let mut seen = 0;
    for (name, size) in cases() {
        let decoded = decode_rgb(&fixture(&name));
        let refused = REFUSED_HERE.iter().chain(REASONS).find(|(file, _)| *file == name);
        if let Some((_, reason)) = refused {
            seen += 1;
            let error = decoded.expect_err(&name).reason();
            assert!(error.starts_with(reason), "{name}: {error}");
            continue;
        }
        let image = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Some((image.width, image.height)), size, "{name}");
        let expected = fixture(&format!("{name}.rgb"));
        assert_eq!(image.data.len(), expected.len(), "{name}");
        let largest = image.data.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let allowed = OTHER_PIXELS.iter().find(|(file, ..)| *file == name);
        seen += usize::from(allowed.is_some());
        match allowed {
            None => assert_eq!(largest, 0, "{name}"),
            Some((_, levels, why)) => {
                assert!((1..=*levels).contains(&largest), "{name}: {largest} levels: {why}")
            }
        }
    }
    assert_eq!(
        seen,
        OTHER_PIXELS.len() + REFUSED_HERE.len() + REASONS.len(),
        "a listed file is missing"
    );
}

#[test]
fn sixteen_bit_grey_keeps_its_upper_byte() {
    let image = decode_rgb(&fixture("grey16.png")).unwrap();
    let expected: Vec<u8> =
        (0..19 * 13u32).flat_map(|i| [((i * 263 % 65_536) >> 8) as u8; 3]).collect();
    assert_eq!(image.data, expected);
}

#[test]
fn content_decides_not_the_suffix() {
    assert_eq!(decode_rgb(&fixture("pngnamed.jpg")).unwrap().format, Format::Png);
}

#[test]
fn a_bomb_is_refused_at_once() {
    let start = std::time::Instant::now();
    for bomb in ["bomb.jpg", "bomb.png", "bomb.bmp"] {
        assert!(decode_rgb(&fixture(bomb)).is_err());
        assert!(thumbnail_jpeg(&fixture(bomb), 64).is_err());
    }
    assert!(start.elapsed().as_secs() < 2);
}

fn load(bytes: &[u8]) -> Result<Vec<f32>, images::ImageError> {
    let spec = LoadSpec {
        size: ImageSize { width: 33, height: 32 },
        interpolation: Interpolation::Bilinear,
        preprocess: Preprocess::Torch,
    };
    let mut values = vec![f32::NAN; spec.values()];
    spec.load_bytes(bytes, &mut values).map(|_| values)
}

/// Finite values, or one short line.
fn loads_or_says_why(bytes: &[u8]) {
    match load(bytes) {
        Ok(values) => assert!(values.iter().all(|value| value.is_finite())),
        Err(error) => {
            let reason = error.reason();
            assert!(!reason.is_empty() && reason.chars().count() <= 210, "{reason}");
            assert!(!reason.chars().any(char::is_control), "{reason:?}");
            assert!(!reason.contains("the decoder failed"), "a decoder panicked");
        }
    }
}

#[test]
fn every_odd_image_loads_or_says_why() {
    for (name, _) in cases() {
        loads_or_says_why(&fixture(&name));
    }
}

/// Every prefix of a small file of each format.
#[test]
fn cut_files_load_or_say_why() {
    for name in [
        "sampling420.jpg",
        "progressive422.jpg",
        "cmyk.jpg",
        "palettealpha.png",
        "transparent.gif",
        "bmp565.bmp",
    ]
    .into_iter()
    .chain(["lossyalpha.webp", "tiff_lzw.tif", "plain.ppm"])
    {
        let whole = fixture(name);
        for length in 0..whole.len() {
            loads_or_says_why(&whole[..length]);
        }
    }
}

/// Every mix of sampling factors in the header of files that were made with other ones.
#[test]
fn false_sampling_factors_load_or_say_why() {
    const FACTORS: [u8; 8] = [0x11, 0x12, 0x21, 0x22, 0x13, 0x31, 0x41, 0x24];
    for (name, frame_marker) in [
        ("cmyk.jpg", 0xc0),
        ("cmykblack.jpg", 0xc0),
        ("ycck.jpg", 0xc0),
        ("progressive420.jpg", 0xc2),
    ] {
        let mut bytes = fixture(name);
        let at = bytes.windows(2).position(|pair| pair == [0xff, frame_marker]).expect(name);
        let components = usize::from(bytes[at + 9]);
        for mix in 0..FACTORS.len().pow(components as u32) {
            for component in 0..components {
                let choice = mix / FACTORS.len().pow(component as u32) % FACTORS.len();
                bytes[at + 11 + component * 3] = FACTORS[choice];
            }
            loads_or_says_why(&bytes);
        }
    }
}

/// Some bytes of a file changed, perhaps a piece removed or repeated.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<String> = cases()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("empty"))
        .collect();
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12);
    (proptest::sample::select(names), changes, any::<proptest::sample::Index>(), 0usize..40, 0u8..4)
        .prop_map(|(name, changes, at, length, kind)| {
            let mut bytes = fixture(&name);
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            let start = at.index(bytes.len());
            let end = (start + length).min(bytes.len());
            match kind {
                0 => drop(bytes.drain(start..end)),
                1 => {
                    let piece = bytes[start..end].to_vec();
                    bytes.splice(start..start, piece);
                }
                _ => {}
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damaged_files_load_or_say_why(bytes in damaged()) {
        loads_or_says_why(&bytes);
    }

    #[test]
    fn random_bytes_load_or_say_why(bytes: Vec<u8>, start in 0usize..8) {
        const STARTS: [&[u8]; 8] = [
            b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM\0\0\0\0\0\0\0\0", b"RIFF\xff\xff\0\0WEBP", b"II*\0",
            b"P6\n",
        ];
        loads_or_says_why(&[STARTS[start], &bytes].concat());
    }
}

#[test]
fn no_buffer_of_more_than_a_gib_is_asked_for() {
    // 144 million pixels are few enough; eight bytes each are too many.
    let side = 12_000u32.to_be_bytes();
    let mut png = fixture("rgba16.png");
    png[16..20].copy_from_slice(&side);
    png[20..24].copy_from_slice(&side);
    let sum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    let mut jpeg = fixture("cmyk.jpg");
    let frame = jpeg.windows(2).position(|marker| matches!(marker, [0xff, 0xc0..=0xc2])).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&side[2..]);
    jpeg[frame + 7..frame + 9].copy_from_slice(&side[2..]);
    for (bytes, format) in [(png, "PNG"), (jpeg, "JPEG")] {
        let reason = decode_rgb(&bytes).unwrap_err().reason();
        assert_eq!(
            reason,
            format!("unsupported {format}: needs more memory than the largest image")
        );
    }
}

/// The sum that ends each chunk of a PNG.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |s, _| s >> 1 ^ (0xedb8_8320 * (s & 1)))
    })
}
