//! What differs between an existing cache and what is asked for now.

use std::fmt;

use serde::Serialize;

/// How many names a message shows of each kind.
pub(crate) const SHOWN: usize = 3;

/// One field that differs between two settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Name of the field, dotted for inner ones: `size.width`.
    pub field: String,
    /// The value of the first, as JSON text (long ones are cut).
    pub first: String,
    /// The value of the second.
    pub second: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ≠ {}", self.field, self.first, self.second)
    }
}

/// Names of inputs: how many, and the first few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// How many.
    pub count: usize,
    /// The first few of them.
    pub first: Vec<String>,
}

impl Names {
    pub(crate) fn push(&mut self, name: &str) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(name.to_owned());
        }
    }
}

/// What changed between the run that made a cache and the one that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Settings that differ: first the old value, then the new.
    pub settings: Vec<Difference>,
    /// Inputs that the old run did not have.
    pub added: Names,
    /// Inputs that only the old run had.
    pub removed: Names,
    /// Inputs whose bytes differ.
    pub modified: Names,
    /// Inputs of the same name in another class or at another place of the list.
    pub moved: Names,
    /// Inputs that the old run could not read, and that can be read now.
    pub unread: Names,
    /// For a shard: its own inputs are the same, those of the other shards are not.
    pub other_shards: bool,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing changed but that some inputs can be read now.
    pub(crate) fn only_unread(&self) -> bool {
        let unread = Names::default();
        self.unread.count > 0 && (Self { unread, ..self.clone() }).is_empty()
    }

    /// Whether the inputs are the same, whatever the settings and whatever can be read now.
    pub(crate) fn same_inputs(&self) -> bool {
        [&self.added, &self.removed, &self.modified, &self.moved].iter().all(|n| n.count == 0)
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for d in &self.settings {
            parts.push(format!("{} was {}, is now {}", d.field, d.first, d.second));
        }
        let kinds = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.modified),
            ("moved", &self.moved),
            ("readable now", &self.unread),
        ];
        for (what, names) in kinds {
            if names.count > 0 {
                let files = if names.count == 1 { "file" } else { "files" };
                let more = if names.count > names.first.len() { ", …" } else { "" };
                parts.push(format!(
                    "{} {files} {what} ({}{more})",
                    names.count,
                    names.first.join(", ")
                ));
            }
        }
        if self.other_shards {
            parts.push("the inputs of other shards changed".to_owned());
        }
        if parts.is_empty() {
            parts.push("nothing".to_owned());
        }
        f.write_str(&parts.join("; "))
    }
}
