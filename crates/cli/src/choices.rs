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

/// Names of the bases, with underscores too; `--help` lists one width of each.
pub(crate) fn bases() -> clap::builder::PossibleValuesParser {
    let names = backbone::bases::ALL.iter().map(|definition| {
        clap::builder::PossibleValue::new(definition.name)
            .alias(definition.name.replace('-', "_"))
            .hide(definition.alpha != 1.0)
    });
    clap::builder::PossibleValuesParser::new(names)
}
