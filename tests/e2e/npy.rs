//! The few kinds of `.npy` that the tools write.

use std::fs;
use std::path::Path;

pub struct Npy {
    pub descr: String,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

impl Npy {
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{}", path.display());
        let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!(start % 64, 0, "numpy aligns data at 64 bytes");
        let header = std::str::from_utf8(&bytes[10..start]).unwrap();
        assert!(header.ends_with('\n') && header.contains("'fortran_order': False"), "{header}");
        let after = |key: &str| header.split_once(key).unwrap().1;
        let descr = after("'descr': '").split('\'').next().unwrap().to_owned();
        let shape = after("'shape': (").split(')').next().unwrap();
        let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
        let shape: Vec<usize> = axes.map(|axis| axis.parse().unwrap()).collect();
        let data = bytes[start..].to_vec();
        let size: usize = descr[2..].parse().unwrap();
        assert_eq!(data.len(), size * shape.iter().product::<usize>(), "{}", path.display());
        Self { descr, shape, data }
    }

    pub fn features(dir: &Path, split: &str) -> Self {
        Self::read(&dir.join(format!("{split}_features.npy")))
    }

    pub fn labels(dir: &Path, split: &str) -> Vec<i64> {
        let npy = Self::read(&dir.join(format!("{split}_labels.npy")));
        assert_eq!((npy.descr.as_str(), npy.shape.len()), ("<i8", 1));
        npy.data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    }

    pub fn f32s(&self) -> Vec<f32> {
        assert_eq!(self.descr, "<f4");
        self.data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    /// The bytes of one row.
    pub fn row(&self, i: usize) -> &[u8] {
        let size = self.data.len() / self.shape[0];
        &self.data[i * size..(i + 1) * size]
    }
}

/// The largest difference as a part of the largest value of `b`; NaN anywhere gives NaN.
pub fn relative_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    let most =
        differences.fold(0f32, |m, d| if d.is_nan() || m.is_nan() { f32::NAN } else { m.max(d) });
    most / largest
}
