//! Enumerations of the libraries as clap values, with their names in `--help` and in error messages.

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// A parser for one of `all`, by its name.
pub(crate) fn choice<T>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|&value| name(value))).try_map(move |text| {
        let found = all.iter().copied().find(|&value| name(value) == text);
        found.ok_or_else(|| format!("unknown value '{text}'"))
    })
}
