use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Isa;

/// How exactly products are formed, in PyTorch's words for matmul precision.
///
/// The bounds are on the largest difference from a float64 reference over the whole VGG16 base, as a part of the
/// largest feature. Other bases keep them in the tests too. Within its bound each instruction set may run any scheme;
/// [`Network::describe`](crate::Network::describe) says which it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// f32 operands and sums: within 5e-6.
    Highest,
    /// On AMX each f32 is a sum of two bf16 and three products are formed: within 5e-5.
    High,
    /// On bf16 units bf16 operands and f32 sums: within 2e-2.
    Medium,
}

impl Precision {
    /// All of them, most exact first.
    pub const ALL: &'static [Self] = &[Self::Highest, Self::High, Self::Medium];

    /// The name in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Highest => "highest",
            Self::High => "high",
            Self::Medium => "medium",
        }
    }
}

/// `High` where the machine has units that do it fast, else `Highest`.
pub fn default_precision(isa: Isa) -> Precision {
    match isa {
        Isa::Amx => Precision::High,
        Isa::Avx512Bf16 | Isa::Avx512 | Isa::Avx2 | Isa::Neon | Isa::Portable => Precision::Highest,
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no precision's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("precision: expected highest, high or medium, found {0:?}")]
pub struct UnknownPrecision(pub String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        Self::ALL
            .iter()
            .copied()
            .find(|p| p.name() == text)
            .ok_or_else(|| UnknownPrecision(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse::<Precision>(), Ok(*precision));
            assert_eq!(precision.to_string(), precision.name());
        }
        assert!("tf32".parse::<Precision>().is_err());
    }
}
