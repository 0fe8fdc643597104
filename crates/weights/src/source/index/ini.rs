//! pip's configuration files, in the syntax of Python's `configparser` without interpolation.

use std::collections::HashMap;

/// Values by section and key. Sections are told apart by case, keys are not: they are in lower case, with hyphens.
pub(super) type Sections = HashMap<(String, String), String>;

/// Adds what a file says; a later value replaces an earlier one.
///
/// # Errors
/// The number and kind of the first line that is neither a section, a setting, a comment nor the rest of a value.
pub(super) fn parse_into(sections: &mut Sections, text: &str) -> Result<(), String> {
    let mut section: Option<&str> = None;
    // The setting that a deeper line goes on with, and how deep it is itself.
    let mut last: Option<((String, String), usize)> = None;
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        if let Some((key, _)) = last.as_ref().filter(|(_, own)| depth > *own) {
            if let Some(value) = sections.get_mut(key) {
                value.push('\n');
                value.push_str(content);
            }
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|c| c.strip_suffix(']')) {
            (section, last) = (Some(name), None);
            continue;
        }
        let fault = |what: &str| format!("line {}: {what}", number + 1);
        let section = section.ok_or_else(|| fault("expected a [section] first"))?;
        let (key, value) =
            content.split_once(['=', ':']).ok_or_else(|| fault("expected NAME = VALUE"))?;
        let key = (section.to_owned(), name_of(key.trim()));
        sections.insert(key.clone(), value.trim().to_owned());
        last = Some((key, depth));
    }
    Ok(())
}

/// The name of a setting as pip compares it.
fn name_of(key: &str) -> String {
    let name = key.to_lowercase().replace('_', "-");
    name.strip_prefix("--").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Sections, String> {
        let mut sections = Sections::new();
        parse_into(&mut sections, text)?;
        Ok(sections)
    }

    #[test]
    fn what_configparser_reads_is_read() {
        let text = "\u{feff}# comment\n[global]\nindex_url = https://a.example/simple?x=1:2\nTimeout: 60\n\
            extra-index-url =\n    https://b.example/simple\n    ; not this\n    https://c.example/simple\n\n[install]\n--cert=/ca.pem\nno-index =\n";
        let found = parsed(text).unwrap();
        let at = |section: &str, key: &str| {
            found.get(&(section.to_owned(), key.to_owned())).map(String::as_str)
        };
        assert_eq!(at("global", "index-url"), Some("https://a.example/simple?x=1:2"));
        assert_eq!(at("global", "timeout"), Some("60"));
        assert_eq!(
            at("global", "extra-index-url"),
            Some("\nhttps://b.example/simple\nhttps://c.example/simple")
        );
        assert_eq!(at("install", "cert"), Some("/ca.pem"));
        assert_eq!(at("install", "no-index"), Some(""));
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(parsed("index-url = x"), Err("line 1: expected a [section] first".into()));
        assert_eq!(parsed("[a]\n\nnonsense"), Err("line 3: expected NAME = VALUE".into()));
    }
}
