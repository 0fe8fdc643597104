use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every character made visible that could move the cursor, change the order of what is read, start a new
/// line or hide: control characters (C0, delete, C1), line and paragraph separators, marks of writing direction, invisible
/// characters of no width, and tags.
///
/// Such a character becomes `\n`, `\r`, `\t` or `\u{1b}`. All others, backslashes too, stay as they are: the result is for
/// people to read, and isn't meant to be parsed back.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            // `\n`, `\t`, `\r` by name, the others as `\u{…}`.
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// JSON in which such characters are written as `\uXXXX`: the same value, safe to print. Line feeds stay: inside of strings
/// JSON has none, so they are the layout's.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let hidden = |c: char| c != '\n' && is_hidden(c);
    if !json.chars().any(hidden) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The text as a cell of a table that people open in a spreadsheet: a first character that would make it a formula there
/// (`=`, `+`, `-`, `@`, a tab, a carriage return) is written as `\xNN`, two lower-case hex digits. A number stays as it is.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    match text.as_bytes().first() {
        Some(&first @ (b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r')) if !is_number(text) => {
            Cow::Owned(format!("\\x{first:02x}{}", &text[1..]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// A sign, digits, and at most one point: what a spreadsheet shows as it is.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().filter(|&b| b == b'.').count() <= 1
}

/// Unicode 16: category Cc, the separators of lines and paragraphs, `Bidi_Control`, and what has no width but for the
/// joiners that scripts and emoji need (U+200C, U+200D).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                // No characters at all; XML refuses them.
                | '\u{fffe}'..='\u{ffff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_shown() {
        for (text, expected) in [
            ("a\nb\rc\td", r"a\nb\rc\td"),
            ("\u{1b}]0;title\u{7}", r"\u{1b}]0;title\u{7}"),
            ("\u{9b}2J\u{7f}", r"\u{9b}2J\u{7f}"),
            ("\u{202e}gpj.exe", r"\u{202e}gpj.exe"),
            ("a\u{2066}b\u{2069}\u{200f}", r"a\u{2066}b\u{2069}\u{200f}"),
            ("a\u{2028}b\u{2029}", r"a\u{2028}b\u{2029}"),
            ("a\u{200b}b\u{feff}\u{ad}", r"a\u{200b}b\u{feff}\u{ad}"),
            ("\u{e0041}", r"\u{e0041}"),
            ("\u{fffe}\u{ffff}", r"\u{fffe}\u{ffff}"),
        ] {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        for text in
            ["", "cat.0.jpg", r"C:\data\Löwe", "猫 и собака", "👩\u{200d}🚀", "می\u{200c}خواهم"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(t) if t == text));
        }
    }

    #[test]
    fn json_keeps_its_value_and_its_layout() {
        let json = "{\n  \"a\u{7f}\": \"\u{202e}b\u{e0041}\u{9b}猫\"\n}";
        let shown = visible_json(json);
        assert_eq!(shown, "{\n  \"a\\u007f\": \"\\u202eb\\udb40\\udc41\\u009b猫\"\n}");
        assert!(matches!(visible_json("[\n]"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_cell_begins_a_formula() {
        for (text, cell) in [
            ("=1+1", r"\x3d1+1"),
            ("+cmd", r"\x2bcmd"),
            ("-2+3", r"\x2d2+3"),
            ("@SUM(A1)", r"\x40SUM(A1)"),
            ("\t=1", r"\x09=1"),
            ("\r=1", r"\x0d=1"),
            ("-", r"\x2d"),
            ("-1.2.3", r"\x2d1.2.3"),
        ] {
            assert_eq!(csv_cell(text), cell);
        }
        for text in ["", "cats", "-1", "+1", "-0.5", "a=1", "猫", r"\x3d"] {
            assert!(matches!(csv_cell(text), Cow::Borrowed(t) if t == text), "{text}");
        }
    }
}
