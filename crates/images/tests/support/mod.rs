//! Reading goldens.

use std::path::{Path, PathBuf};

use images::{Format, Rgb8Image};

/// A file of `tests/golden`, such as `resize/cases.txt`.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// The data bytes of a version 1 `.npy` file whose header says `dtype`.
pub(crate) fn npy(path: &Path, dtype: &str) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"), "{}", path.display());
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8_lossy(&bytes[10..header]);
    assert!(
        text.contains(&format!("'{dtype}'")) && text.contains("'fortran_order': False"),
        "{text}"
    );
    bytes[header..].to_vec()
}

/// As [`npy`] for little-endian f32.
pub(crate) fn npy_f32(path: &Path) -> Vec<f32> {
    npy(path, "<f4").as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Fails unless every value is within `tolerance`; NaN fails.
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let close = (found - expected).abs() <= tolerance;
        assert!(close, "{what}: value {i}: expected {expected} within {tolerance}, found {found}");
    }
}

/// `picture` of the scripts that make goldens.
pub(crate) fn picture(width: u32, height: u32) -> Rgb8Image {
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let noise = y
                    .wrapping_mul(7919)
                    .wrapping_add(x.wrapping_mul(104_729))
                    .wrapping_add(c * 1_299_709)
                    .wrapping_mul(2_654_435_761);
                let smooth = x * 255 / (width - 1).max(1) * (c + 1) / 3 + y % 2;
                data.push(if y * 2 < height { noise >> 24 } else { smooth } as u8);
            }
        }
    }
    Rgb8Image { width, height, data, format: Format::Png }
}
