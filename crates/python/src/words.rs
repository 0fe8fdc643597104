//! Keyword arguments as the flags that they are in the shell, and flags in messages as keyword arguments.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::fmt;

/// Flags without a value.
const SWITCHES: [&str; 6] =
    ["calibrated", "fail-on-leak", "offline", "overwrite", "resume", "update"];
/// Words that follow a flag in messages and are its value.
const VALUES: [&str; 8] = ["none", "auto", "skip", "cpu", "f32", "highest", "train", "random"];

/// A wrong word, in the terms of Python.
#[derive(Debug)]
pub(crate) struct WordsError(clap::Error);

impl From<clap::Error> for WordsError {
    fn from(error: clap::Error) -> Self {
        Self(error)
    }
}

impl std::error::Error for WordsError {}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |kind| match self.0.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            _ => None,
        };
        let name = text(ContextKind::InvalidArg).map(|arg| keyword(&arg));
        let found = text(ContextKind::InvalidValue);
        let source = std::error::Error::source(&self.0).map(ToString::to_string);
        match (self.0.kind(), name, found) {
            (ErrorKind::InvalidValue, Some(name), Some(found)) => {
                let valid = match self.0.get(ContextKind::ValidValue) {
                    Some(ContextValue::Strings(all)) => format!("one of {}", all.join(", ")),
                    _ => "a value".to_owned(),
                };
                write!(f, "{name}: expected {valid}, found '{found}'")
            }
            (ErrorKind::ValueValidation, Some(name), Some(found)) => {
                let why = source.unwrap_or_else(|| "not a value that it can have".to_owned());
                write!(f, "{name}: {}, found '{found}'", keywords(&why))
            }
            (ErrorKind::MissingRequiredArgument, ..) => {
                let missing = match self.0.get(ContextKind::InvalidArg) {
                    Some(ContextValue::Strings(all)) => {
                        all.iter().map(|arg| keyword(arg)).collect()
                    }
                    _ => Vec::new(),
                };
                write!(f, "expected {} beside what is given", missing.join(" and "))
            }
            _ => {
                let text = self.0.to_string();
                let line = text.lines().next().unwrap_or_default();
                f.write_str(&keywords(line.strip_prefix("error: ").unwrap_or(line)))
            }
        }
    }
}

/// What clap would suggest.
pub(crate) fn hint(error: &WordsError) -> Option<String> {
    match error.0.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(value)) => Some(format!("did you mean '{value}'?")),
        Some(ContextValue::Strings(values)) if !values.is_empty() => {
            Some(format!("did you mean '{}'?", values.join("' or '")))
        }
        _ => None,
    }
}

/// `--batch-size <N>` as `batch_size`.
fn keyword(flag: &str) -> String {
    let name = flag.trim_start_matches('-').split([' ', '=', '[', '<']).next().unwrap_or_default();
    python(name)
}

/// A flag's name as Python has it. `from` is a word of the language.
fn python(flag: &str) -> String {
    if flag == "from" { "start".to_owned() } else { flag.replace('-', "_") }
}

/// The flags of a message as keyword arguments: `--batch-size 4` as `batch_size=4`. What is between backquotes is for the shell
/// and stays.
pub(crate) fn keywords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, part) in text.split('`').enumerate() {
        if i > 0 {
            out.push('`');
        }
        if i % 2 == 1 { out.push_str(part) } else { outside(part, &mut out) }
    }
    out
}

fn outside(mut text: &str, out: &mut String) {
    while let Some(at) = text.find("--") {
        let (before, flag) = text.split_at(at);
        out.push_str(before);
        let name = flag[2..].split(|c: char| !c.is_ascii_lowercase() && c != '-').next();
        let name = name.unwrap_or_default().trim_end_matches('-');
        if name.is_empty() || before.ends_with(|c: char| c.is_alphanumeric() || c == '-') {
            out.push_str("--");
            text = &flag[2..];
            continue;
        }
        out.push_str(&python(name));
        if SWITCHES.contains(&name) && !before.ends_with("leave out ") {
            out.push_str("=True");
        }
        let rest = &flag[2 + name.len()..];
        text = match rest.strip_prefix(' ') {
            Some(value) if is_value(value) => {
                out.push('=');
                value
            }
            _ => rest,
        };
    }
    out.push_str(text);
}

/// Whether the text begins with a flag's value: capitals, a number, or a word that is known for one.
fn is_value(text: &str) -> bool {
    let word = text.split([' ', ',', ';', ':', '.']).next().unwrap_or_default();
    let capitals = word.chars().any(|c| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || "_/".contains(c));
    capitals || word.starts_with(|c: char| c.is_ascii_digit()) || VALUES.contains(&word)
}

/// An error of the words in the terms of Python; others as they are.
pub(crate) fn checked<T>(outcome: anyhow::Result<T>) -> anyhow::Result<T> {
    outcome.map_err(|error| match error.downcast::<clap::Error>() {
        Ok(error) => WordsError(error).into(),
        Err(error) => error,
    })
}
