//! Keras's `.h5` and `.weights.h5`: groups of datasets in HDF5, through the `hdf5-pure` crate.

use hdf5_pure::{
    Dataset, Datatype, DatatypeByteOrder, File, FloatingPointLayout, Group, ReadSeekSource,
};

use super::dtype::DType;
use super::{Container, Entry, FormatError, Input, MAX_ENTRIES, stored_bytes};

/// Groups nest this deep at most; Keras's own files stay below 8.
const MAX_DEPTH: usize = 16;
/// Most groups that are looked into: a file can link a group into itself.
const MAX_GROUPS: usize = 20_000;

/// An open HDF5 file.
pub(super) struct Hdf5 {
    file: File,
    entries: Vec<Entry>,
}

impl Hdf5 {
    pub(super) fn open(input: Input) -> Result<Self, FormatError> {
        let source = ReadSeekSource::new(input).map_err(damaged)?;
        let file = File::from_source(source).map_err(|e| error(&e))?;
        let mut walk = Walk { entries: Vec::new(), groups: 0 };
        walk.group(&file.root(), "", 0)?;
        Ok(Self { file, entries: walk.entries })
    }
}

struct Walk {
    entries: Vec<Entry>,
    groups: usize,
}

impl Walk {
    fn group(&mut self, group: &Group, path: &str, depth: usize) -> Result<(), FormatError> {
        self.groups += 1;
        if depth > MAX_DEPTH || self.groups > MAX_GROUPS {
            return Err(FormatError::refused("HDF5 groups nested or linked without end"));
        }
        let join =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        for (name, dataset) in group.iter_datasets().map_err(|e| error(&e))? {
            if self.entries.len() >= MAX_ENTRIES {
                return Err(FormatError::refused(format!(
                    "an HDF5 file of more than {MAX_ENTRIES} datasets"
                )));
            }
            let shape = dataset.shape().map_err(|e| error(&e))?;
            // A dimension that this machine cannot address matches no tensor that anyone needs.
            let shape =
                shape.into_iter().map(|d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
            self.entries.push(Entry { name: join(&name), shape });
        }
        for (name, child) in group.iter_groups().map_err(|e| error(&e))? {
            self.group(&child, &join(&name), depth + 1)?;
        }
        Ok(())
    }
}

impl Container for Hdf5 {
    fn kind(&self) -> &'static str {
        "HDF5"
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>, FormatError> {
        let entry = &self.entries[index];
        let dataset = self.file.dataset(&entry.name).map_err(|e| error(&e))?;
        let (dtype, big_endian) = element_type(&dataset, &entry.name)?;
        let len = stored_bytes(&entry.name, &entry.shape, dtype.size())?;
        if let Some(chunk) = dataset.chunk_shape().map_err(|e| error(&e))? {
            let chunk: Vec<usize> =
                chunk.into_iter().map(|d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
            if chunk.contains(&0) {
                return Err(FormatError::damaged(format!("{}: a chunk of no extent", entry.name)));
            }
            stored_bytes(&format!("a chunk of {}", entry.name), &chunk, dtype.size())?;
        }
        let bytes = dataset.read_raw().map_err(|e| error(&e))?;
        if bytes.len() != len {
            let found = bytes.len();
            return Err(FormatError::damaged(format!(
                "{}: expected {len} bytes, found {found}",
                entry.name
            )));
        }
        Ok(dtype.to_f32(&bytes, big_endian))
    }
}

/// The element type if it is one of IEEE's, and whether it is big-endian.
fn element_type(dataset: &Dataset, name: &str) -> Result<(DType, bool), FormatError> {
    let datatype = dataset.datatype().map_err(|e| error(&e))?;
    let unsupported = || {
        FormatError::unsupported(format!(
            "{name}: elements that are not IEEE floats of 2, 4 or 8 bytes"
        ))
    };
    let Datatype::FloatingPoint { size, byte_order, layout } = &datatype else {
        return Err(unsupported());
    };
    let ieee = |exponent: u8, mantissa: u8| {
        let FloatingPointLayout { exponent_size, mantissa_size, .. } = layout;
        (*exponent_size, *mantissa_size) == (exponent, mantissa)
    };
    let dtype = match size {
        2 if ieee(5, 10) => DType::F16,
        2 if ieee(8, 7) => DType::BF16,
        4 if ieee(8, 23) => DType::F32,
        8 if ieee(11, 52) => DType::F64,
        _ => return Err(unsupported()),
    };
    match byte_order {
        DatatypeByteOrder::LittleEndian => Ok((dtype, false)),
        DatatypeByteOrder::BigEndian => Ok((dtype, true)),
        _ => Err(unsupported()),
    }
}

fn error(e: &hdf5_pure::Error) -> FormatError {
    match e {
        hdf5_pure::Error::Io(e) => FormatError::Io(std::io::Error::new(e.kind(), e.to_string())),
        other => FormatError::damaged(format!("HDF5: {other}")),
    }
}

fn damaged(e: hdf5_pure::FormatError) -> FormatError {
    FormatError::damaged(format!("HDF5: {e}"))
}
