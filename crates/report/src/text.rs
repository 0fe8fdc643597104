//! Text that comes from outside (file names, class names, messages), made safe to look at and fitted into its place.

/// About how wide the text is, in ems of a sans-serif face.
pub(crate) fn width_em(text: &str) -> f64 {
    text.chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' => {
                0.36
            }
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.9,
            'A'..='Z' => 0.7,
            c if u32::from(c) >= 0x1100 => 1.0,
            _ => 0.61,
        })
        .sum()
}

/// The text, its middle left out where it would be wider than `max_em`.
pub(crate) fn fitted(text: &str, max_em: f64) -> String {
    if width_em(text) <= max_em {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut kept = chars.len();
    while kept > 2 {
        kept -= 1;
        let head = kept.div_ceil(2);
        let mut candidate: String = chars[..head].iter().collect();
        candidate.push('…');
        candidate.extend(&chars[chars.len() - (kept - head)..]);
        if width_em(&candidate) <= max_em {
            return candidate;
        }
    }
    chars.iter().take(1).chain(&['…']).collect()
}

/// The last part of a path-like text, for captions.
pub(crate) fn base_name(file: &str) -> &str {
    file.rsplit('/').find(|part| !part.is_empty()).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(fitted("cats", 10.0), "cats");
        let short = fitted("a_rather_long_class_name_17", 8.0);
        assert!(width_em(&short) <= 8.0, "{short}");
        assert!(short.starts_with("a_r") && short.ends_with("17"), "{short}");
        assert_eq!(fitted("猫猫猫", 0.1), "猫…");
    }

    #[test]
    fn base_names() {
        assert_eq!(base_name("test/cats/a.jpg"), "a.jpg");
        assert_eq!(base_name("a.jpg"), "a.jpg");
        assert_eq!(base_name("///"), "///");
    }
}
