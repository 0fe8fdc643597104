//! The header of NumPy's `.npy` format, read with a limit; which element types hold weights.

use std::io::Read;

use util::npy::{Header, HeaderError, Start};

use super::dtype::DType;
use super::{FormatError, read_exactly};

/// Longest header that is read; NumPy itself refuses more than 10,000 bytes.
pub(super) const MAX_NPY_HEADER: usize = 10_000;

/// What an `.npy` header declares.
#[derive(Debug)]
pub(super) struct NpyHeader {
    pub(super) dtype: DType,
    pub(super) big_endian: bool,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl NpyHeader {
    /// Reads the header and leaves `input` at the first element.
    pub(super) fn read(input: &mut dyn Read) -> Result<Self, FormatError> {
        let what = "the .npy header";
        let mut start = read_exactly(input, 10, what)?;
        if matches!(start[6], 2 | 3) {
            start.extend(read_exactly(input, 2, what)?);
        }
        let Start { length, .. } = Start::parse(&start).map_err(refusal)?;
        if length > MAX_NPY_HEADER {
            return Err(FormatError::refused(format!(
                "an .npy header of {length} bytes, above the limit of {MAX_NPY_HEADER}"
            )));
        }
        let header = Header::parse(&read_exactly(input, length, what)?).map_err(refusal)?;
        let code = header.descr.trim_start_matches(['<', '>', '=', '|']);
        let shape: Option<Vec<usize>> =
            header.shape.iter().map(|&axis| axis.try_into().ok()).collect();
        Ok(Self {
            dtype: DType::from_numpy(code)?,
            big_endian: header.descr.starts_with('>'),
            fortran: header.fortran_order,
            shape: shape.ok_or_else(|| FormatError::damaged("the .npy header: a huge shape"))?,
        })
    }
}

fn refusal(error: HeaderError) -> FormatError {
    match error {
        HeaderError::Version(_) | HeaderError::Records => {
            FormatError::unsupported(error.to_string())
        }
        HeaderError::Malformed(why) => FormatError::damaged(format!("the .npy header: {why}")),
    }
}
