//! One layer of a description.

use super::DescriptionError;
use super::field::Fields;
use super::op::{self, OPS};
use crate::Op;
use serde_json::{Map, Value};

/// Fields of every layer.
const COMMON: [&str; 4] = ["op", "name", "inputs", "tensors"];

/// The most characters of a name.
pub(super) const LONGEST_NAME: usize = 200;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    pub(super) op: Op,
    pub(super) name: Option<String>,
    /// `None`: the layer before.
    pub(super) inputs: Option<Vec<String>>,
    pub(super) tensors: Option<String>,
}

impl Layer {
    /// `number` counts from 1.
    pub(super) fn read(map: Map<String, Value>, number: usize) -> Result<Self, DescriptionError> {
        let mut fields = Fields(map);
        let shown = ["name", "op"].iter().find_map(|key| fields.0.get(*key)?.as_str());
        let name = shown.unwrap_or_default().chars().take(LONGEST_NAME).collect();
        let read = Self::read_fields(&mut fields);
        read.map_err(|reason| DescriptionError::Layer { number, name, reason })
    }

    fn read_fields(fields: &mut Fields) -> Result<Self, String> {
        let known: Vec<&str> = OPS.iter().map(|(name, _)| *name).collect();
        let Some(op) = fields.optional::<String>("op")? else {
            return Err(format!("it has no op: expected one of {}", known.join(", ")));
        };
        // An operation that there is not takes no fields; reading it says so.
        if let Some((_, own)) = OPS.iter().find(|(name, _)| *name == op) {
            let accepted = || COMMON.iter().chain(own.iter());
            if let Some(unknown) = fields.0.keys().find(|key| accepted().all(|known| known != key))
            {
                let accepted: Vec<&str> = accepted().copied().collect();
                let short: String = unknown.chars().take(LONGEST_NAME).collect();
                let (found, accepted) = (util::visible(&short), accepted.join(", "));
                return Err(format!("unknown field '{found}'; {op} takes {accepted}"));
            }
        }
        let op = op::read(&op, fields)?;
        let name = fields.optional::<String>("name")?;
        if let Some(name) = &name {
            check_name(name)?;
        }
        let tensors = fields.optional("tensors")?;
        Ok(Self { op, name, inputs: fields.optional("inputs")?, tensors })
    }

    pub(super) fn write(&self) -> Map<String, Value> {
        let mut fields = Fields(Map::new());
        // A graph has its input first, and that is no layer.
        if let Some(op) = op::write(&self.op, &mut fields) {
            fields.put("op", &op.to_owned());
        }
        fields.put_some("name", self.name.as_ref());
        fields.put_some("inputs", self.inputs.as_ref());
        fields.put_some("tensors", self.tensors.as_ref());
        fields.0
    }
}

/// Whether a name can stand in tables, in messages and in a file of weights.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME {
        return Err(format!("expected 1 to {LONGEST_NAME} characters in a name, found {length}"));
    }
    if util::visible(name) != name {
        return Err(format!("'{}' has characters that no name may have", util::visible(name)));
    }
    Ok(())
}
