use std::borrow::Cow;

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
}
