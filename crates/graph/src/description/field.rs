//! The fields of a layer: which values they take, and how those are written.

use crate::{Activation, Padding, Shape, Window};
use serde_json::{Map, Value, json};

/// The largest number that a field takes: far above what any network needs, far below what makes sums overflow.
const LARGEST: u64 = 1 << 24;

/// A type of field.
pub(super) trait Field: Sized + PartialEq {
    /// What a value should be, to follow "expected".
    const EXPECTED: &'static str;

    fn read(value: &Value) -> Option<Self>;
    fn write(&self) -> Value;
}

/// The fields of one layer that have not been read yet.
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    /// A field's value, `None` where there is no such field.
    pub(super) fn optional<T: Field>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(value) = self.0.remove(name) else {
            return Ok(None);
        };
        match T::read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(format!("{name}: expected {}, found {}", T::EXPECTED, brief(&value))),
        }
    }

    pub(super) fn or<T: Field>(&mut self, name: &str, default: T) -> Result<T, String> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    pub(super) fn required<T: Field>(&mut self, name: &str) -> Result<T, String> {
        let found = self.optional(name)?;
        found.ok_or_else(|| format!("it has no {name}: expected {}", T::EXPECTED))
    }

    pub(super) fn put<T: Field>(&mut self, name: &str, value: &T) {
        self.0.insert(name.to_owned(), value.write());
    }

    /// Leaves a field out that has its default.
    pub(super) fn put_unless<T: Field>(&mut self, name: &str, value: &T, default: &T) {
        if value != default {
            self.put(name, value);
        }
    }

    pub(super) fn put_some<T: Field>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

/// A value in a message: whole where short.
fn brief(value: &Value) -> String {
    const MOST: usize = 40;
    let text = value.to_string();
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    util::visible(&short).into_owned()
}

fn number(value: &Value, least: u64) -> Option<usize> {
    let number = value.as_u64().filter(|n| (least..=LARGEST).contains(n))?;
    usize::try_from(number).ok()
}

/// `N` numbers, or one that stands for all.
fn numbers<const N: usize>(value: &Value, least: u64) -> Option<[usize; N]> {
    let Value::Array(list) = value else {
        return number(value, least).map(|n| [n; N]);
    };
    let list: Option<Vec<usize>> = list.iter().take(N + 1).map(|v| number(v, least)).collect();
    list?.try_into().ok()
}

fn short<const N: usize>(numbers: &[usize; N]) -> Value {
    if numbers.iter().all(|n| *n == numbers[0]) { json!(numbers[0]) } else { json!(numbers[..]) }
}

impl Field for usize {
    const EXPECTED: &'static str = "a whole number from 1 to 16777216";

    fn read(value: &Value) -> Option<Self> {
        number(value, 1)
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

/// (Vertical, horizontal).
impl Field for [usize; 2] {
    const EXPECTED: &'static str = "a whole number from 1, or two such as [3, 3]";

    fn read(value: &Value) -> Option<Self> {
        numbers(value, 1)
    }

    fn write(&self) -> Value {
        short(self)
    }
}

/// (Top, left, bottom, right).
impl Field for [usize; 4] {
    const EXPECTED: &'static str = "a whole number, or four as [top, left, bottom, right]";

    fn read(value: &Value) -> Option<Self> {
        numbers(value, 0)
    }

    fn write(&self) -> Value {
        short(self)
    }
}

impl Field for Padding {
    const EXPECTED: &'static str =
        "\"valid\", \"same\", a whole number, or four as [top, left, bottom, right]";

    fn read(value: &Value) -> Option<Self> {
        match value.as_str() {
            Some("valid") => Some(Self::Valid),
            Some("same") => Some(Self::Same),
            Some(_) => None,
            None => numbers(value, 0).map(Self::Explicit),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Valid => json!("valid"),
            Self::Same => json!("same"),
            Self::Explicit(sides) => sides.write(),
        }
    }
}

/// The window that a padding is made for.
impl Field for Window {
    const EXPECTED: &'static str =
        "a window such as { size = 3, stride = 2 }, with a dilation where it has one";

    fn read(value: &Value) -> Option<Self> {
        let mut fields = Fields(value.as_object()?.clone());
        let size = fields.required("size").ok()?;
        let stride = fields.or("stride", [1, 1]).ok()?;
        let dilation = fields.or("dilation", [1, 1]).ok()?;
        fields.0.is_empty().then_some(Self { size, stride, dilation })
    }

    fn write(&self) -> Value {
        let mut fields = Fields(Map::new());
        fields.put("size", &self.size);
        fields.put_unless("stride", &self.stride, &[1, 1]);
        fields.put_unless("dilation", &self.dilation, &[1, 1]);
        Value::Object(fields.0)
    }
}

impl Field for Shape {
    const EXPECTED: &'static str = "one to three whole numbers from 1, such as [7, 7, 64]";

    fn read(value: &Value) -> Option<Self> {
        match value.as_array()?.len() {
            1 => numbers(value, 1).map(|[len]| Self::Vector { len }),
            2 => numbers(value, 1).map(|[count, width]| Self::Tokens { count, width }),
            3 => numbers(value, 1).map(|[height, width, channels]| Self::Map {
                height,
                width,
                channels,
            }),
            _ => None,
        }
    }

    fn write(&self) -> Value {
        json!(self.dims())
    }
}

impl Field for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

impl Field for f64 {
    const EXPECTED: &'static str = "a number";

    fn read(value: &Value) -> Option<Self> {
        value.as_f64().filter(|number| number.is_finite())
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

const ACTIVATIONS: [(&str, Activation); 6] = [
    ("relu", Activation::Relu),
    ("relu6", Activation::Relu6),
    ("sigmoid", Activation::Sigmoid),
    ("softmax", Activation::Softmax),
    ("swish", Activation::Swish),
    ("gelu", Activation::Gelu),
];

impl Field for Activation {
    const EXPECTED: &'static str =
        "\"relu\", \"relu6\", \"sigmoid\", \"softmax\", \"swish\" or \"gelu\"";

    fn read(value: &Value) -> Option<Self> {
        let name = value.as_str()?;
        ACTIVATIONS.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation)
    }

    fn write(&self) -> Value {
        json!(ACTIVATIONS.iter().find(|(_, known)| known == self).map(|(name, _)| name))
    }
}

/// A layer's name.
impl Field for String {
    const EXPECTED: &'static str = "a text";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

/// Names of layers.
impl Field for Vec<String> {
    const EXPECTED: &'static str = "a list of names such as [\"left\", \"right\"]";

    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::read).collect()
    }

    fn write(&self) -> Value {
        json!(self)
    }
}
