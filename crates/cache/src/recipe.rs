//! What decides the bytes of a row, as an opaque value: the cache compares its fields by name and knows what a
//! difference means, not what the fields say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::format::digest::{Hex, sha256};

/// How rows were computed: a JSON object of the caller's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpaqueRecipe(Map<String, Value>);

impl OpaqueRecipe {
    /// Of these fields. None may have the name of a field of [`crate::Settings`].
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// sha256 in hex over the fields that make an old cache stale: two recipes of the same digest give the same rows.
    pub fn digest(&self, rules: Rules) -> String {
        let mut leaves = BTreeMap::new();
        flatten("", &Value::Object(self.0.clone()), &mut leaves);
        (rules.alike)(&mut leaves);
        let lines = leaves.iter().filter(|(field, _)| rules.of(field).stale);
        let text: String = lines.map(|(field, value)| format!("{field}={value}\n")).collect();
        Hex(sha256(text.as_bytes())).to_string()
    }
}

/// What a difference in one field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Name of the field, dotted for inner ones.
    pub field: &'static str,
    /// It makes an old cache stale.
    pub stale: bool,
    /// Shards that differ in it can't be merged.
    pub merge: bool,
    /// Splits that differ in it can't be used together: train with one, validate with the other.
    pub together: bool,
}

/// Rules for fields by name. What is not listed counts for everything.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Of each field.
    pub fields: &'static [Rule],
    /// Puts one value for all that mean the same beside the other fields, before fields are compared. Names are dotted.
    pub alike: fn(&mut BTreeMap<String, Value>),
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Rules {
    /// Of fields of which no two values mean the same.
    pub const fn new(fields: &'static [Rule]) -> Self {
        Self { fields, alike: |_| () }
    }

    pub(crate) fn of(self, field: &str) -> Rule {
        let strict = Rule { field: "", stale: true, merge: true, together: true };
        self.fields.iter().copied().find(|rule| rule.field == field).unwrap_or(strict)
    }
}

/// Every value by its dotted name.
pub(crate) fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() || prefix.is_empty() => {
            for (name, inner) in fields {
                let name =
                    if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&name, inner, into);
            }
        }
        other => {
            into.insert(prefix.to_owned(), other.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recipe(value: Value) -> OpaqueRecipe {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_digest_is_of_what_makes_stale_whatever_the_order() {
        const RULES: Rules =
            Rules::new(&[Rule { field: "by", stale: false, merge: false, together: false }]);
        let digest = |value| recipe(value).digest(RULES);
        let one = digest(json!({ "a": 1, "b": { "c": "x", "d": null }, "by": "me" }));
        assert_eq!(one, digest(json!({ "by": "you", "b": { "d": null, "c": "x" }, "a": 1 })));
        assert_ne!(one, digest(json!({ "a": 1, "b": { "c": "y", "d": null } })));
        assert_ne!(one, digest(json!({ "a": 1, "b": { "c": "x" } })));
    }
}
