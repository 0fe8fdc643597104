//! Enumerations of the libraries as clap values, with their names in `--help` and in error messages.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

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

/// Names of the bases, with underscores too; `--help` lists one width of each.
pub(crate) fn bases() -> PossibleValuesParser {
    PossibleValuesParser::new(base_names())
}

/// The same, and `none`.
pub(crate) fn bases_or_none() -> PossibleValuesParser {
    PossibleValuesParser::new(base_names().chain([PossibleValue::new("none")]))
}

fn base_names() -> impl Iterator<Item = PossibleValue> {
    backbone::bases::ALL.iter().map(|definition| {
        PossibleValue::new(definition.name)
            .alias(definition.name.replace('-', "_"))
            .hide(definition.alpha != 1.0)
    })
}
