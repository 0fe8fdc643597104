//! The header of NumPy's `.npy` format: a magic number, a version, and a Python dictionary literal.

use std::io::Read;

use super::dtype::DType;
use super::{FormatError, read_exactly};

/// Longest header that is read; NumPy itself refuses more than 10,000 bytes.
pub(super) const MAX_NPY_HEADER: usize = 10_000;

/// Most axes of an array, as in NumPy.
const MAX_AXES: usize = 64;

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
        let head = read_exactly(input, 10, "the .npy header")?;
        if !head.starts_with(b"\x93NUMPY") {
            return Err(FormatError::damaged("an array without NumPy's magic number"));
        }
        let mut len = usize::from(u16::from_le_bytes([head[8], head[9]]));
        match head[6] {
            1 => {}
            2 | 3 => {
                let more = read_exactly(input, 2, "the .npy header")?;
                len |= usize::from(u16::from_le_bytes([more[0], more[1]])) << 16;
            }
            other => return Err(FormatError::unsupported(format!(".npy version {other}"))),
        }
        if len > MAX_NPY_HEADER {
            return Err(FormatError::refused(format!(
                "an .npy header of {len} bytes, above the limit of {MAX_NPY_HEADER}"
            )));
        }
        let text = read_exactly(input, len, "the .npy header")?;
        let text = std::str::from_utf8(&text)
            .map_err(|_| FormatError::damaged("the .npy header is not text"))?;
        parse(text)
            .ok_or_else(|| FormatError::damaged(format!("the .npy header '{}'", text.trim())))?
    }
}

/// The value after a key of the dictionary literal, with the rest of the text.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = [format!("'{key}'"), format!("\"{key}\"")]
        .iter()
        .find_map(|k| text.find(k.as_str()).map(|i| i + k.len()))?;
    text[at..].trim_start().strip_prefix(':').map(str::trim_start)
}

fn parse(text: &str) -> Option<Result<NpyHeader, FormatError>> {
    let descr = value(text, "descr")?;
    let quote = descr.chars().next()?;
    if quote == '[' {
        return Some(Err(FormatError::unsupported("an array of records")));
    }
    if quote != '\'' && quote != '"' {
        return None;
    }
    let descr = descr[1..].split(quote).next()?;
    let (order, code) = match descr.chars().next()? {
        c @ ('<' | '>' | '=' | '|') => (c, &descr[1..]),
        _ => ('=', descr),
    };
    let fortran = value(text, "fortran_order")?;
    let fortran = match (fortran.starts_with("True"), fortran.starts_with("False")) {
        (false, false) => return None,
        (fortran, _) => fortran,
    };
    let shape = value(text, "shape")?.strip_prefix('(')?.split(')').next()?;
    let shape = shape.split(',').map(str::trim).filter(|s| !s.is_empty());
    if shape.clone().nth(MAX_AXES).is_some() {
        return None;
    }
    let shape = shape.map(|s| s.parse::<usize>().ok()).collect::<Option<Vec<_>>>()?;
    Some(DType::from_numpy(code).map(|dtype| NpyHeader {
        dtype,
        big_endian: order == '>',
        fortran,
        shape,
    }))
}
