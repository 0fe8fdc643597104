use util::Hint;

use crate::{Isa, Precision};

/// Why a [`Network`](crate::Network) could not be built or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The instruction set was asked for by name, and this machine or this build lacks it.
    #[error("instruction set {wanted} is not available here: expected one of {}, found {wanted}", names(.available))]
    IsaUnavailable {
        /// What was asked for.
        wanted: Isa,
        /// What could be had.
        available: Vec<Isa>,
    },
    /// The CPU kernels have no such precision.
    #[error("precision {0}: the CPU kernels have no such precision")]
    PrecisionUnavailable(Precision),
    /// A layer's description does not hold together or does not fit its input.
    #[error("layer {layer} of the network: {what}: expected {expected}, found {found}")]
    BadLayer {
        /// Index of the layer in the slice given to `Network::new`.
        layer: usize,
        /// Which property is wrong.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// `Network::run` was given a slice of the wrong length.
    #[error("{which} of the network: expected {expected} f32 values, found {found}")]
    BadLength {
        /// "input" or "output".
        which: &'static str,
        /// Length for this batch size.
        expected: usize,
        /// Length of the slice.
        found: usize,
    },
    /// Sizes multiply beyond what this machine can address.
    #[error(
        "size of the network's {what}: expected less than the address space, found an overflow"
    )]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
}

/// Refuses a slice of another length than `expected`.
pub(crate) fn check_length(
    which: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), KernelError> {
    if expected == found { Ok(()) } else { Err(KernelError::BadLength { which, expected, found }) }
}

impl Hint for KernelError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::IsaUnavailable { available, .. } => {
                Some(format!("name none to take the fastest, or one of {}", names(available)))
            }
            _ => None,
        }
    }
}

fn names(isas: &[Isa]) -> String {
    isas.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
}
