//! Everything that decides the bytes of a row, compared field by field.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::changes::Difference;
use crate::choice::choice;
use crate::error::CacheError;

/// Largest accepted row, in elements (1 GiB as f32): a guard against hostile manifests.
pub const MAX_ROW_ELEMENTS: usize = 1 << 28;
/// Largest number of axes of one row.
pub const MAX_ROW_AXES: usize = 8;

/// How a feature is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dtype {
    /// Little-endian 32-bit floats, numpy's `<f4`: exactly what the base computed.
    #[default]
    F32,
    /// Little-endian 16-bit floats, numpy's `<f2`: half the space, rounded to nearest even.
    F16,
}

choice!(Dtype, "the stored type", { F32 = "f32", F16 = "f16" });

impl Dtype {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// numpy's name of the type, as it stands in a `.npy` header.
    pub fn descr(self) -> &'static str {
        match self {
            Self::F32 => "<f4",
            Self::F16 => "<f2",
        }
    }
}

/// The weights that the frozen base used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsId {
    /// As the user named them, for instance `timm/vgg16.tv_in1k`.
    pub name: String,
    /// sha256 of the tensors or of the file, in hex.
    pub sha256: String,
    /// The preprocessing that these weights were trained with.
    pub preprocess: String,
}

/// Everything that decides the bytes of a row. Two caches with equal settings and equal input files hold equal bytes;
/// a difference in any field but `tool_version` makes an old cache stale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Version of the tool that computes the rows, for people: another version may well compute the same.
    pub tool_version: String,
    /// Version of what is computed: it changes when the same input and settings give other bytes than before.
    /// 0 where a manifest does not tell.
    #[serde(default)]
    pub numerics: u32,
    /// Name of the frozen base, for instance `vgg16`.
    pub backbone: String,
    /// Layer whose output is stored, by its Keras name, for instance `block5_pool`.
    pub layer: String,
    /// Pooling after the layer: `none`, `avg` or `max`.
    pub pooling: String,
    /// The weights.
    pub weights: WeightsId,
    /// Size of the image that the base sees: width, height, in pixels.
    pub image_size: [u32; 2],
    /// How images are resized, for instance `bilinear`.
    pub interpolation: String,
    /// How pixels become numbers: `rescale`, `torch`, `caffe` or `tf` (never `auto`: what `auto` chose).
    pub preprocess: String,
    /// Description of the random augmentation, `None` when rows are made from the images as they are.
    #[serde(default)]
    pub augmentation: Option<Value>,
    /// Seed of everything random (of no effect without augmentation).
    pub seed: u64,
    /// Matmul precision: `highest`, `high` or `medium`.
    pub precision: String,
    /// What convolved, for instance `kernels` or `candle-cuda`.
    pub engine: String,
    /// Instruction set or GPU that the engine used, for instance `avx2+fma`.
    pub isa_or_gpu: String,
    /// How a feature is stored.
    pub dtype: Dtype,
    /// Class names, in the order of the labels.
    pub classes: Vec<String>,
    /// Shape of one row: `(h, w, c)` or `(c)`.
    pub row_shape: Vec<usize>,
}

impl Settings {
    /// Elements of one row; an error when the shape is empty, has a zero or is absurdly large.
    pub fn row_elements(&self) -> Result<usize, CacheError> {
        let shape = &self.row_shape;
        let bad = |why: &str| {
            let first = shape.get(..MAX_ROW_AXES).unwrap_or(shape);
            CacheError::Usage(format!("the row shape {first:?} ({} axes) {why}", shape.len()))
        };
        if shape.is_empty() || shape.len() > MAX_ROW_AXES {
            return Err(bad("must have 1 to 8 axes"));
        }
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        match elements {
            Some(n) if (1..=MAX_ROW_ELEMENTS).contains(&n) => Ok(n),
            _ => Err(bad("must hold 1 to 2^28 elements")),
        }
    }

    /// Bytes of one stored row.
    pub fn row_bytes(&self) -> Result<usize, CacheError> {
        Ok(self.row_elements()? * self.dtype.bytes())
    }

    /// The fields in which `self` and `other` differ, in the order of the fields' names; the tool's version is none.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        if self != other {
            let (a, b) = (to_value(self), to_value(other));
            collect("", &a, &b, &mut found);
            found.retain(|difference| difference.field != "tool_version");
        }
        found
    }
}

fn to_value(settings: &Settings) -> Value {
    serde_json::to_value(settings).unwrap_or(Value::Null)
}

fn collect(prefix: &str, a: &Value, b: &Value, found: &mut Vec<Difference>) {
    if a == b {
        return;
    }
    if let (Value::Object(x), Value::Object(y)) = (a, b) {
        let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
        for key in keys {
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            let (left, right) =
                (x.get(key).unwrap_or(&Value::Null), y.get(key).unwrap_or(&Value::Null));
            collect(&name, left, right, found);
        }
        return;
    }
    found.push(Difference { field: prefix.to_owned(), first: short(a), second: short(b) });
}

fn short(value: &Value) -> String {
    const LIMIT: usize = 120;
    let text = value.to_string();
    if text.chars().count() <= LIMIT {
        return text;
    }
    let mut cut: String = text.chars().take(LIMIT).collect();
    cut.push('…');
    cut
}
