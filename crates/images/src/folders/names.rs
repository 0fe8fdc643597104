//! Paths as text, without loss.
//!
//! A file name on Unix is any bytes but `/` and NUL; CSV and JSON want one line of valid UTF-8. So: text stays as
//! it is, a backslash becomes `\\`, and every byte that is not part of valid UTF-8 or that belongs to a control
//! character or line separator becomes `\xNN` (two lower-case hex digits). So does a first character that would make a
//! spreadsheet take the name for a formula (`=`, `+`, `-`, `@`), but for plain numbers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A text that [`display_name`] never writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "file name '{found}': expected \\\\ or \\xNN (two lower-case hex digits) after each backslash"
)]
pub struct ParseNameError {
    found: String,
}

/// A path as one line of valid UTF-8: `\` as `\\`, bytes that are no UTF-8 or belong to control characters as
/// `\xNN`, and so a first `=`, `+`, `-` or `@` of what is not a number. [`parse_name`] is the inverse; different paths have different texts.
///
/// Elsewhere than on Unix, names that are no valid Unicode lose what is invalid, and `\` separators become `/`.
pub fn display_name(path: &Path) -> String {
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    #[cfg(not(unix))]
    let text = path.to_string_lossy().replace('\\', "/");
    #[cfg(not(unix))]
    let bytes = text.as_bytes();
    let mut name = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => name.push_str("\\\\"),
                '\u{2028}' | '\u{2029}' => escape(&mut name, c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ if c.is_control() => escape(&mut name, c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => name.push(c),
            }
        }
        escape(&mut name, chunk.invalid());
    }
    match util::csv_cell(&name) {
        std::borrow::Cow::Owned(cell) => cell,
        std::borrow::Cow::Borrowed(_) => name,
    }
}

fn escape(name: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(name, "\\x{byte:02x}");
    }
}

/// The path that [`display_name`] wrote.
///
/// # Errors
/// When a backslash begins none of the two escapes; elsewhere than on Unix also when the bytes are no UTF-8.
pub fn parse_name(text: &str) -> Result<PathBuf, ParseNameError> {
    let error = || ParseNameError { found: text.to_owned() };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [b'x', high, low, after @ ..] => {
                bytes.push(
                    hex(*high)
                        .zip(hex(*low))
                        .map(|(high, low)| high << 4 | low)
                        .ok_or_else(error)?,
                );
                rest = after;
            }
            _ => return Err(error()),
        }
    }
    #[cfg(unix)]
    return Ok(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(
        bytes,
    )));
    #[cfg(not(unix))]
    return String::from_utf8(bytes).map(PathBuf::from).map_err(|_| error());
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in ["cats/cat.0.jpg", "a b,c\"d'e.png", "größe/猫.jpg", ""] {
            assert_eq!(display_name(Path::new(name)), name);
            assert_eq!(parse_name(name).unwrap(), Path::new(name));
        }
    }

    #[test]
    fn refuses_false_escapes() {
        for text in ["\\", "a\\", "\\n", "\\x", "\\x4", "\\xg0", "\\xFF", "\\é"] {
            assert!(parse_name(text).is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn odd_bytes_are_escaped() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let name = |bytes: &[u8]| display_name(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(name(b"a\nb\\c\xff.jpg"), "a\\x0ab\\\\c\\xff.jpg");
        assert_eq!(name("\u{2028}\u{85}".as_bytes()), "\\xe2\\x80\\xa8\\xc2\\x85");
    }

    #[test]
    fn no_name_begins_a_formula() {
        for (path, name) in [
            ("=1+1/a.jpg", r"\x3d1+1/a.jpg"),
            ("-x", r"\x2dx"),
            ("-1", "-1"),
            ("-1/a.jpg", r"\x2d1/a.jpg"),
            ("@a", r"\x40a"),
            ("\t=1", r"\x09=1"),
        ] {
            assert_eq!(display_name(Path::new(path)), name);
            assert_eq!(parse_name(name).unwrap(), Path::new(path));
        }
    }

    #[cfg(unix)]
    proptest::proptest! {
        #[test]
        fn any_bytes_go_there_and_back(bytes: Vec<u8>) {
            use std::os::unix::ffi::OsStringExt;
            let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
            let text = display_name(&path);
            proptest::prop_assert!(!text.chars().any(char::is_control));
            proptest::prop_assert_eq!(parse_name(&text).unwrap().into_os_string(), path.into_os_string());
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(path) = parse_name(&text) {
                proptest::prop_assert_eq!(parse_name(&display_name(&path)).unwrap(), path);
            }
        }
    }
}
