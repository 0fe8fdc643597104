//! Everything that decides the bytes of a row, compared field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::changes::Difference;
use crate::error::CacheError;
use crate::recipe::{OpaqueRecipe, Rule, Rules, flatten};

/// Largest accepted row, in elements (1 GiB as f32): a guard against hostile manifests.
pub const MAX_ROW_ELEMENTS: usize = 1 << 28;
/// Largest number of axes of one row.
pub const MAX_ROW_AXES: usize = 8;

/// How a feature is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dtype {
    /// Little-endian 32-bit floats, numpy's `<f4`: exactly what was computed.
    #[default]
    F32,
    /// Little-endian 16-bit floats, numpy's `<f2`: half the space, rounded to nearest even.
    F16,
}

util::named!(Dtype, "the stored type", { F32 = "f32", F16 = "f16" });

impl Dtype {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// numpy's name of the type, as it is in a `.npy` header.
    pub fn descr(self) -> &'static str {
        match self {
            Self::F32 => "<f4",
            Self::F16 => "<f2",
        }
    }
}

/// Everything that decides the bytes of a row. Two caches with equal settings and equal input files hold equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How rows were computed; in JSON its fields are beside the others.
    #[serde(flatten)]
    pub recipe: OpaqueRecipe,
    /// How a feature is stored.
    pub dtype: Dtype,
    /// Class names, in the order of the labels.
    pub classes: Vec<String>,
    /// Shape of one row, or of each view of it: `(h, w, c)` or `(c)`.
    pub row_shape: Vec<usize>,
    /// Views of each row, which then is `(views, …row_shape)`. With 1, the default, there is no such axis.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub views: usize,
}

fn one() -> usize {
    1
}

fn is_one(views: &usize) -> bool {
    *views == 1
}

impl Settings {
    /// Shape of the array of so many rows.
    pub(crate) fn array_shape(&self, rows: u64) -> Vec<u64> {
        let views = (self.views != 1).then_some(self.views);
        let rest = views.iter().chain(&self.row_shape).map(|&d| d as u64);
        std::iter::once(rows).chain(rest).collect()
    }

    /// Elements of one row with all its views; an error when the shape is empty, has a zero or is absurdly large.
    ///
    /// # Errors
    /// [`CacheError::Usage`].
    pub fn row_elements(&self) -> Result<usize, CacheError> {
        let shape = &self.row_shape;
        let bad = |why: &str| {
            let first = shape.get(..MAX_ROW_AXES).unwrap_or(shape);
            CacheError::Usage(format!("the row shape {first:?} ({} axes) {why}", shape.len()))
        };
        if shape.is_empty() || shape.len() > MAX_ROW_AXES {
            return Err(bad("must have 1 to 8 axes"));
        }
        let elements = shape.iter().try_fold(self.views, |n, &d| n.checked_mul(d));
        match elements {
            Some(n) if (1..=MAX_ROW_ELEMENTS).contains(&n) => Ok(n),
            _ if self.views != 1 => {
                Err(bad(&format!("in {} views must hold 1 to 2^28 elements", self.views)))
            }
            _ => Err(bad("must hold 1 to 2^28 elements")),
        }
    }

    /// Bytes of one stored row.
    ///
    /// # Errors
    /// As [`Self::row_elements`].
    pub fn row_bytes(&self) -> Result<usize, CacheError> {
        Ok(self.row_elements()? * self.dtype.bytes())
    }

    /// Differences that make an old cache stale, in the order of the fields' names.
    pub fn stale(&self, other: &Self, rules: Rules) -> Vec<Difference> {
        self.differences(other, rules, |rule| rule.stale)
    }

    /// Differences for which shards can't be merged.
    pub fn unmergeable(&self, other: &Self, rules: Rules) -> Vec<Difference> {
        self.differences(other, rules, |rule| rule.merge)
    }

    /// Differences for which two splits can't be used together.
    pub fn incompatible(&self, other: &Self, rules: Rules) -> Vec<Difference> {
        self.differences(other, rules, |rule| rule.together)
    }

    /// Differences with which two splits can be used together, although they are not of the same bits.
    pub fn harmless(&self, other: &Self, rules: Rules) -> Vec<Difference> {
        self.differences(other, rules, |rule| rule.stale && !rule.together)
    }

    fn differences(
        &self,
        other: &Self,
        rules: Rules,
        counts: impl Fn(Rule) -> bool,
    ) -> Vec<Difference> {
        if self == other {
            return Vec::new();
        }
        let (first, second) = (self.fields(), other.fields());
        let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
        let meaning = |fields: &BTreeMap<_, _>| {
            let mut fields = fields.clone();
            (rules.alike)(&mut fields);
            fields
        };
        let means = [meaning(&first), meaning(&second)];
        let different = names.into_iter().filter(|name| means[0].get(*name) != means[1].get(*name));
        different
            .filter(|name| counts(rules.of(name)))
            .map(|name| Difference {
                field: name.clone(),
                first: short(first.get(name)),
                second: short(second.get(name)),
            })
            .collect()
    }

    fn fields(&self) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::new();
        flatten("", &serde_json::to_value(self).unwrap_or(Value::Null), &mut fields);
        fields
    }
}

fn short(value: Option<&Value>) -> String {
    const LIMIT: usize = 120;
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    if text.chars().count() <= LIMIT {
        return text;
    }
    let mut cut: String = text.chars().take(LIMIT).collect();
    cut.push('…');
    cut
}
