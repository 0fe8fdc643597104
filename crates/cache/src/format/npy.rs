//! `.npy` headers, written byte for byte as numpy writes them and read with limits.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. numpy since 1.24 pads the first
//! axis to 21 digits, so that an array may grow in place: the header's length does not depend on the number of rows.

/// Magic, version 1.0.
const PREFIX: &[u8] = b"\x93NUMPY\x01\x00";
/// Where the data begins is a multiple of this.
const ALIGN: usize = 64;
/// numpy's `GROWTH_AXIS_MAX_DIGITS`.
const GROWTH_DIGITS: usize = 21;
/// Longest accepted header, in bytes (version 1.0 could say 65,535).
pub(crate) const MAX_HEADER: usize = 10 + 4096;
/// Largest number of axes (numpy's own limit).
const MAX_AXES: usize = 64;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// numpy's name of the element type, for instance `<f4`.
    pub(crate) descr: String,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<u64>,
    /// Where the data begins.
    pub(crate) data_offset: usize,
}

/// The bytes before the data of a C-order array.
pub(crate) fn header(descr: &str, shape: &[u64]) -> Vec<u8> {
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
    let magic = bytes.get(..8).ok_or("expected a .npy header, found the end of the file")?;
    if magic[..6] != PREFIX[..6] {
        return Err("expected the magic bytes of .npy, found something else".to_owned());
    }
    let (length, start) = match magic[6] {
        1 => {
            let b = bytes.get(8..10).ok_or("the header is cut short")?;
            (usize::from(u16::from_le_bytes([b[0], b[1]])), 10)
        }
        2 | 3 => {
            let b = bytes.get(8..12).ok_or("the header is cut short")?;
            (u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize, 12)
        }
        v => return Err(format!("expected .npy version 1 to 3, found {v}")),
    };
    if length > MAX_HEADER - start {
        return Err(format!("expected a header below {MAX_HEADER} bytes, found {length}"));
    }
    let text = bytes.get(start..start + length).ok_or("the header is cut short")?;
    let text = std::str::from_utf8(text).map_err(|_| "the header is not text")?;
    let mut scan = Scan(text);
    let (descr, fortran_order, shape) = scan.dict()?;
    Ok(Header { descr, fortran_order, shape, data_offset: start + length })
}

/// A scanner of the one Python literal that a header may hold; no recursion, no allocation beyond the text's size.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn dict(&mut self) -> Result<(String, bool, Vec<u64>), String> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.eat('}') {
            let key = self.string()?;
            self.expect(':')?;
            let twice = match key {
                "descr" => descr.replace(self.string()?.to_owned()).is_some(),
                "fortran_order" => fortran.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                other => return Err(format!("the header has an unknown key {other:?}")),
            };
            if twice {
                return Err(format!("the header has {key:?} twice"));
            }
            if !self.eat(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.0.trim().is_empty() {
            return Err("the header has text after its end".to_owned());
        }
        match (descr, fortran, shape) {
            (Some(d), Some(f), Some(s)) => Ok((d, f, s)),
            _ => Err("the header lacks descr, fortran_order or shape".to_owned()),
        }
    }

    fn eat(&mut self, c: char) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.eat(c) { Ok(()) } else { Err(format!("the header lacks {c:?} where it is due")) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.eat('\'') { '\'' } else { '"' };
        if quote == '"' {
            self.expect('"')?;
        }
        let end = self.0.find(quote).ok_or("the header has an open string")?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        if text.contains('\\') {
            Err("the header has an escape in a string".to_owned())
        } else {
            Ok(text)
        }
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.0 = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err("fortran_order is neither True nor False".to_owned())
    }

    fn shape(&mut self) -> Result<Vec<u64>, String> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.eat(')') {
            self.0 = self.0.trim_start();
            let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let number =
                self.0[..end].parse().map_err(|_| "the shape has something else than numbers")?;
            self.0 = &self.0[end..];
            if shape.len() == MAX_AXES {
                return Err(format!("the shape has more than {MAX_AXES} axes"));
            }
            shape.push(number);
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
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
        let with = |text: &str| {
            let mut b = PREFIX.to_vec();
            b.extend_from_slice(&(text.len() as u16).to_le_bytes());
            b.extend_from_slice(text.as_bytes());
            parse(&b)
        };
        assert!(with("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}").is_ok());
        assert!(with("{\"shape\": (), \"fortran_order\": True, \"descr\": \"<f4\"}\n").is_ok());
        for bad in [
            "",
            "{",
            "{}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} + 1",
            "{'descr': '<f4', 'fortran_order': False}",
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
        let deep =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {}", "(".repeat(4000));
        assert!(with(&deep).is_err());
    }

    proptest! {
        #[test]
        fn headers_come_back(shape in prop::collection::vec(0u64..1 << 40, 0..9), half in any::<bool>()) {
            let descr = if half { "<f2" } else { "<f4" };
            let bytes = header(descr, &shape);
            prop_assert_eq!(bytes.len() % ALIGN, 0);
            let data_offset = bytes.len();
            let expected = Header { descr: descr.to_owned(), fortran_order: false, shape, data_offset };
            prop_assert_eq!(parse(&bytes), Ok(expected));
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
