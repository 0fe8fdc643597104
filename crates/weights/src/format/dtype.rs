//! Element types of weight files, and their conversion to f32.

use super::FormatError;

/// A floating-point element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DType {
    F16,
    BF16,
    F32,
    F64,
}

impl DType {
    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// From NumPy's code without the byte order, such as `f4`.
    pub(super) fn from_numpy(code: &str) -> Result<Self, FormatError> {
        match code {
            "f2" => Ok(Self::F16),
            "f4" => Ok(Self::F32),
            "f8" => Ok(Self::F64),
            "O" | "O8" => Err(FormatError::refused("an array of pickled Python objects")),
            other => Err(FormatError::unsupported(format!(
                "elements of NumPy type '{other}': expected f2, f4 or f8"
            ))),
        }
    }

    /// Converts raw elements; a trailing part of an element is ignored, as callers have checked lengths. f64 is rounded to nearest.
    pub(super) fn to_f32(self, bytes: &[u8], big_endian: bool) -> Vec<f32> {
        fn map<const N: usize>(bytes: &[u8], big: bool, f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            let (items, _) = bytes.as_chunks::<N>();
            let convert = |item: &[u8; N]| {
                let mut item = *item;
                if big {
                    item.reverse();
                }
                f(item)
            };
            items.iter().map(convert).collect()
        }
        match self {
            Self::F16 => map(bytes, big_endian, |b| half::f16::from_le_bytes(b).to_f32()),
            Self::BF16 => map(bytes, big_endian, |b| half::bf16::from_le_bytes(b).to_f32()),
            Self::F32 => map(bytes, big_endian, f32::from_le_bytes),
            Self::F64 => map(bytes, big_endian, |b| f64::from_le_bytes(b) as f32),
        }
    }
}

/// Reorders Fortran-order elements (first axis fastest) into C order.
pub(super) fn fortran_to_c(data: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &d in shape {
        strides.push(stride);
        stride *= d;
    }
    gather(data, shape, &strides)
}

/// Reads a strided view in C order. Callers have checked that the view stays within `data`; what does not is left out.
pub(super) fn gather(data: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    if shape.contains(&0) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0usize; shape.len()];
    let mut at = 0usize;
    loop {
        out.extend(data.get(at));
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return out;
            }
            axis -= 1;
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}
