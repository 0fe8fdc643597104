//! `.npy` headers, written byte for byte as numpy writes them and read with a limit.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. numpy since 1.24 pads the first
//! axis to 21 digits, so that an array may grow in place: the header's length does not depend on the number of rows.

use util::npy::Start;

/// Magic, version 1.0.
const PREFIX: &[u8] = b"\x93NUMPY\x01\x00";
/// Where the data begins is a multiple of this.
const ALIGN: usize = 64;
/// numpy's `GROWTH_AXIS_MAX_DIGITS`.
const GROWTH_DIGITS: usize = 21;
/// Longest accepted header, in bytes (version 1.0 could say 65,535).
pub(crate) const MAX_HEADER: usize = 10 + 4096;

/// What a header says, and where the data begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) declared: util::npy::Header,
    pub(crate) data_offset: usize,
}

/// The bytes before the data of a C-order `.npy` array of such a type, in numpy's name, and shape.
pub fn header(descr: &str, shape: &[u64]) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (");
    for (i, d) in shape.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        text.push_str(&d.to_string());
    }
    text.push_str(if shape.len() == 1 { ",), }" } else { "), }" });
    if let Some(first) = shape.first() {
        let digits = first.to_string().len();
        text.push_str(&" ".repeat(GROWTH_DIGITS.saturating_sub(digits)));
    }
    let used = PREFIX.len() + 2 + text.len() + 1;
    text.push_str(&" ".repeat(used.next_multiple_of(ALIGN) - used));
    text.push('\n');
    let mut bytes = PREFIX.to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Reads a header from the first bytes of a file ([`MAX_HEADER`] of them, or the whole file where it is shorter).
pub(crate) fn parse(bytes: &[u8]) -> Result<Header, String> {
    let Start { at, length } = Start::parse(bytes).map_err(|e| e.to_string())?;
    if length > MAX_HEADER - at {
        return Err(format!("expected a header below {MAX_HEADER} bytes, found {length}"));
    }
    let text = bytes.get(at..at + length).ok_or("the header is cut short")?;
    let declared = util::npy::Header::parse(text).map_err(|e| e.to_string())?;
    Ok(Header { declared, data_offset: at + length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_header() {
        let good = header("<f4", &[3, 4]);
        for cut in 0..good.len() {
            assert!(parse(&good[..cut]).is_err(), "cut at {cut}");
        }
        let longest = |length: u16| {
            let mut text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}".to_vec();
            text.resize(length.into(), b' ');
            parse(&[PREFIX, &length.to_le_bytes(), &text].concat())
        };
        assert!(longest(4096).is_ok() && longest(4097).is_err());
    }

    proptest! {
        #[test]
        fn headers_come_back(shape in prop::collection::vec(0u64..1 << 40, 0..9), half in any::<bool>()) {
            let descr = if half { "<f2" } else { "<f4" };
            let bytes = header(descr, &shape);
            prop_assert_eq!(bytes.len() % ALIGN, 0);
            let data_offset = bytes.len();
            let declared =
                util::npy::Header { descr: descr.to_owned(), fortran_order: false, shape };
            prop_assert_eq!(parse(&bytes), Ok(Header { declared, data_offset }));
        }

        #[test]
        fn length_is_free_of_the_number_of_rows(rows in any::<u64>(), rest in prop::collection::vec(1u64..5000, 0..4)) {
            let with = |n| header("<f4", &[&[n], rest.as_slice()].concat()).len();
            prop_assert_eq!(with(rows), with(0));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[PREFIX, &bytes].concat());
        }
    }
}
