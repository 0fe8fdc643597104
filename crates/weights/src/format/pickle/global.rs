//! The Python names that a pickle may mention.

use super::super::FormatError;
use super::super::dtype::DType;

/// Which family of names is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Library {
    /// NumPy arrays in dictionaries.
    Numpy,
    /// PyTorch tensors in dictionaries, and NumPy scalars that checkpoints carry along.
    Torch,
}

/// An allowed name. What calling it makes is written in `machine.rs`; nothing of Python runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Global {
    OrderedDict,
    FrozenDict,
    /// `_codecs.encode`, by which protocol 2 writes bytes.
    Encode,
    /// `bytes` (of nothing, in protocol 2).
    Bytes,
    NdArray,
    NumpyDtype,
    /// `numpy.core.multiarray._reconstruct`
    NumpyReconstruct,
    /// `numpy.core.numeric._frombuffer`, in protocol 5.
    NumpyFromBuffer,
    NumpyScalar,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    TorchSize,
    /// A typed storage with floats that can be read.
    FloatStorage(DType),
    /// A storage of other elements of so many bytes each, which can be mentioned (counters of batch normalisation), not read.
    OtherStorage(u8),
}

impl Global {
    pub(super) fn find(library: Library, module: &str, name: &str) -> Result<Self, FormatError> {
        let both = match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("_codecs", "encode") => Some(Self::Encode),
            ("builtins" | "__builtin__", "bytes") => Some(Self::Bytes),
            ("numpy", "dtype") => Some(Self::NumpyDtype),
            ("numpy", "ndarray") => Some(Self::NdArray),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Some(Self::NumpyReconstruct)
            }
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => {
                Some(Self::NumpyScalar)
            }
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => {
                Some(Self::NumpyFromBuffer)
            }
            _ => None,
        };
        let one = match library {
            Library::Numpy => match (module, name) {
                ("flax.core.frozen_dict", "FrozenDict") => Some(Self::FrozenDict),
                _ => None,
            },
            Library::Torch => match (module, name) {
                ("torch._utils", "_rebuild_tensor") => Some(Self::RebuildTensor),
                ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensorV2),
                ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
                ("torch", "Size") => Some(Self::TorchSize),
                ("torch", "FloatStorage") => Some(Self::FloatStorage(DType::F32)),
                ("torch", "HalfStorage") => Some(Self::FloatStorage(DType::F16)),
                ("torch", "BFloat16Storage") => Some(Self::FloatStorage(DType::BF16)),
                ("torch", "DoubleStorage") => Some(Self::FloatStorage(DType::F64)),
                ("torch", "LongStorage") => Some(Self::OtherStorage(8)),
                ("torch", "IntStorage") => Some(Self::OtherStorage(4)),
                ("torch", "ShortStorage") => Some(Self::OtherStorage(2)),
                ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => {
                    Some(Self::OtherStorage(1))
                }
                _ => None,
            },
        };
        both.or(one).ok_or_else(|| {
            FormatError::refused(format!("the pickle names {module:.100}.{name:.100}, which is not on the list of what weight files need"))
        })
    }
}
