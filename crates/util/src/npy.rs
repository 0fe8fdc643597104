//! The header of numpy's `.npy` files: a magic number, a version, a length, and a Python dictionary literal.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Reading takes bytes, not a file, so
//! that each reader has limits of its own.

/// The first bytes of every file; the version follows.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes up to the end of the length, in version 2 and 3 (10 in version 1).
const LONGEST_START: usize = 12;
/// Largest number of axes (numpy's own limit).
const MAX_AXES: usize = 64;

/// Why bytes are no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A version that this reader does not know.
    #[error("expected .npy version 1 to 3, found {0}")]
    Version(u8),
    /// Elements that have fields.
    #[error("expected numbers, found an array of records")]
    Records,
    /// Anything else.
    #[error("{0}")]
    Malformed(String),
}

impl<T: Into<String>> From<T> for HeaderError {
    fn from(what: T) -> Self {
        Self::Malformed(what.into())
    }
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// numpy's name of the element type, for instance `<f4`.
    pub descr: String,
    /// Whether the first axis is the fastest.
    pub fortran_order: bool,
    /// The length of each axis.
    pub shape: Vec<u64>,
}

/// Where the dictionary of a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Its first byte, from the beginning of the file.
    pub at: usize,
    /// Its bytes; the data begins behind them.
    pub length: usize,
}

impl Start {
    /// Reads magic number, version and length from the first 12 bytes of a file (or all, where there are fewer).
    ///
    /// # Errors
    /// What was expected, where these are not the first bytes of a `.npy` file of version 1 to 3.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let head = bytes.get(..8).ok_or("expected a .npy header, found the end of the file")?;
        if !head.starts_with(MAGIC) {
            return Err("expected the magic bytes of .npy, found something else".into());
        }
        let length = bytes.get(8..LONGEST_START.min(bytes.len())).unwrap_or_default();
        match (head[6], length) {
            (1, &[a, b, ..]) => Ok(Self { at: 10, length: u16::from_le_bytes([a, b]).into() }),
            (2 | 3, &[a, b, c, d]) => {
                Ok(Self { at: 12, length: u32::from_le_bytes([a, b, c, d]) as usize })
            }
            (1..=3, _) => Err("the header is cut short".into()),
            (version, _) => Err(HeaderError::Version(version)),
        }
    }
}

impl Header {
    /// Reads the dictionary: exactly the keys `descr` (a string, so no records), `fortran_order` and `shape`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(dictionary: &[u8]) -> Result<Self, HeaderError> {
        let text = std::str::from_utf8(dictionary).map_err(|_| "the header is not text")?;
        let (descr, fortran_order, shape) = Scan(text).dict()?;
        Ok(Self { descr, fortran_order, shape })
    }
}

/// A scanner of the one Python literal that a header may hold; no recursion, no allocation beyond the text's size.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn dict(&mut self) -> Result<(String, bool, Vec<u64>), HeaderError> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.eat('}') {
            let key = self.string()?;
            self.expect(':')?;
            if key == "descr" && self.0.trim_start().starts_with('[') {
                return Err(HeaderError::Records);
            }
            let twice = match key {
                "descr" => descr.replace(self.string()?.to_owned()).is_some(),
                "fortran_order" => fortran.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                other => return Err(format!("the header has an unknown key {other:?}").into()),
            };
            if twice {
                return Err(format!("the header has {key:?} twice").into());
            }
            if !self.eat(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.0.trim().is_empty() {
            return Err("the header has text after its end".into());
        }
        match (descr, fortran, shape) {
            (Some(d), Some(f), Some(s)) => Ok((d, f, s)),
            _ => Err("the header lacks descr, fortran_order or shape".into()),
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

    #[test]
    fn dictionaries_are_read_strictly() {
        let header = |shape: &[u64], fortran_order| {
            Ok(Header { descr: "<f4".to_owned(), fortran_order, shape: shape.to_vec() })
        };
        let with = |text: &str| Header::parse(text.as_bytes());
        let plain = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
        assert_eq!(with(plain), header(&[2], false));
        let turned = "{\"shape\": (), \"fortran_order\": True, \"descr\": \"<f4\", } \n";
        assert_eq!(with(turned), header(&[], true));
        for bad in [
            "",
            "{",
            "{}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} + 1",
            "{'descr': '<f4', 'fortran_order': False}",
        ] {
            assert!(matches!(with(bad), Err(HeaderError::Malformed(_))), "{bad}");
        }
        let records = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}";
        assert_eq!(with(records), Err(HeaderError::Records));
        let deep =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {}", "(".repeat(4000));
        assert!(with(&deep).is_err());
        let axes = |n: usize| {
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({})}}", "1,".repeat(n))
        };
        assert!(with(&axes(64)).is_ok() && with(&axes(65)).is_err());
    }

    #[test]
    fn the_start_says_where_the_dictionary_is() {
        let at = |rest: &[u8]| Start::parse(&[MAGIC.as_slice(), rest].concat());
        assert_eq!(at(b"\x01\0\x76\x01"), Ok(Start { at: 10, length: 0x176 }));
        assert_eq!(at(b"\x01\0\x76\x01{'"), Ok(Start { at: 10, length: 0x176 }));
        for version in [2, 3] {
            let start = [version, 0, 0x76, 1, 2, 0, b'{'];
            assert_eq!(at(&start), Ok(Start { at: 12, length: 0x20176 }));
            assert!((0..6).all(|cut| at(&start[..cut]).is_err()));
        }
        assert_eq!(at(b"\x04\0\x76\x01"), Err(HeaderError::Version(4)));
        assert_eq!(at(b"\0\0\x76\x01"), Err(HeaderError::Version(0)));
        assert!(Start::parse(b"PK\x03\x04\0\0\0\0\0\0\0\0").is_err());
    }
}
