//! Keras's `.h5` and `.weights.h5`: groups of datasets in HDF5, through the `hdf5-pure` crate.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hdf5_pure::{
    AttrValue, Dataset, Datatype, DatatypeByteOrder, File, FloatingPointLayout, Group,
    ReadSeekSource,
};

use super::dtype::DType;
use super::{Container, Entry, FormatError, Input, check_count, stored_bytes};

/// Groups nest this deep at most; Keras's own files stay below 8.
const MAX_DEPTH: usize = 16;
/// Most groups that are looked into: a file can link a group into itself.
const MAX_GROUPS: usize = 20_000;
/// Most chunks of one tensor. h5py's own choice gives VGG16's largest kernel about 1,200.
const MAX_CHUNKS: u64 = 1 << 16;
/// Bytes that a filter may add to a chunk, as the header of a compressed stream.
const MAX_FILTER_OVERHEAD: u64 = 4096;
/// What reading the index of chunks may take for each chunk, in bytes.
const CHUNK_RECORD: u64 = 256;

/// An input that counts what is read of it, and ends when that is more than a file of its size can need.
///
/// The trees in an HDF5 file are made of addresses, and many of them can lead to the same place: a small file can describe
/// a tree with more leaves than there are atoms. Whatever the library does, it has to read what it looks at.
struct Metered {
    input: Input,
    left: Arc<AtomicU64>,
}

/// Each read costs its bytes and this.
const COST_OF_A_READ: u64 = 64;

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let cost = buffer.len() as u64 + COST_OF_A_READ;
        let take = |left: u64| left.checked_sub(cost);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| {
            io::Error::other("its parts refer to one another more often than a sound file needs")
        })?;
        self.input.read(buffer)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

/// An open HDF5 file.
pub(super) struct Hdf5 {
    file: File,
    entries: Vec<Entry>,
    order: Vec<usize>,
    /// Bytes of the file.
    len: u64,
    /// What may still be read.
    left: Arc<AtomicU64>,
}

impl Hdf5 {
    pub(super) fn open(mut input: Input) -> Result<Self, FormatError> {
        let len = input.seek(SeekFrom::End(0))?;
        let left = Arc::new(AtomicU64::new(len.saturating_mul(8).saturating_add(32 << 20)));
        let source = Metered { input, left: Arc::clone(&left) };
        let source = ReadSeekSource::new(source).map_err(damaged)?;
        let file = File::from_source(source).map_err(|e| error(&e))?;
        let mut walk = Walk { entries: Vec::new(), groups: 0 };
        walk.group(&file.root(), "", 0)?;
        let order = order(&file, &walk.entries)?;
        Ok(Self { file, entries: walk.entries, order, len, left })
    }
}

/// Positions of a model's tensors in the order of its layers, as Keras 1 and 2 write it: the names of the layers and of each
/// layer's tensors are attributes. Empty where there are none, or where they name what is not there.
fn order(file: &File, entries: &[Entry]) -> Result<Vec<usize>, FormatError> {
    let index: HashMap<&str, usize> =
        entries.iter().enumerate().map(|(i, entry)| (entry.name.as_str(), i)).collect();
    // A file of weights, or a whole model.
    for prefix in ["", "model_weights/"] {
        let group = match prefix {
            "" => file.root(),
            _ if !entries.iter().any(|entry| entry.name.starts_with(prefix)) => continue,
            _ => file.group("model_weights").map_err(|e| error(&e))?,
        };
        let layers = names(&group, "layer_names")?;
        check_count(layers.len())?;
        let mut order = Vec::new();
        for layer in &layers {
            // A layer without weights has an empty group, or none.
            let Ok(group) = group.group(layer) else { continue };
            for tensor in names(&group, "weight_names")? {
                let Some(&entry) = index.get(format!("{prefix}{layer}/{tensor}").as_str()) else {
                    return Ok(Vec::new());
                };
                order.push(entry);
                check_count(order.len())?;
            }
        }
        if !order.is_empty() {
            return Ok(order);
        }
    }
    Ok(Vec::new())
}

/// An attribute that is a list of names. A long list is in parts: `layer_names0`, `layer_names1`, and so on.
fn names(group: &Group, attribute: &str) -> Result<Vec<String>, FormatError> {
    let attributes = group.attrs().map_err(|e| error(&e))?;
    let strings = |name: &str| attributes.get(name).and_then(AttrValue::as_strings);
    if let Some(names) = strings(attribute) {
        return Ok(names.to_vec());
    }
    let parts = (0..).map_while(|part| strings(&format!("{attribute}{part}")));
    Ok(parts.flatten().cloned().collect())
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
            check_count(self.entries.len() + 1)?;
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

    fn order(&self) -> &[usize] {
        &self.order
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
            let chunk_len =
                stored_bytes(&format!("a chunk of {}", entry.name), &chunk, dtype.size())?;
            self.check_chunks(&dataset, entry, &chunk, chunk_len, len)?;
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

impl Hdf5 {
    /// An error where unpacking the chunks would be more work than the tensor is worth: chunks far larger than it, or more
    /// of them than fit into it.
    fn check_chunks(
        &self,
        dataset: &Dataset,
        entry: &Entry,
        chunk: &[usize],
        chunk_len: usize,
        len: usize,
    ) -> Result<(), FormatError> {
        let name = &entry.name;
        if chunk.len() != entry.shape.len() {
            return Err(FormatError::damaged(format!("{name}: chunks of another rank")));
        }
        let along = entry.shape.iter().zip(chunk).map(|(&d, &c)| d.div_ceil(c) as u64);
        let most = along.fold(1u64, u64::saturating_mul);
        let unpacked = most.saturating_mul(chunk_len as u64);
        if most > MAX_CHUNKS || unpacked > 4 * len as u64 + (1 << 20) {
            return Err(FormatError::refused(format!(
                "{name}: {most} chunks of {chunk_len} bytes for {len} bytes"
            )));
        }
        let before = self.left.load(Ordering::Relaxed);
        let allowed = before.min(most * CHUNK_RECORD + (1 << 20));
        self.left.store(allowed, Ordering::Relaxed);
        let found = dataset.chunks().map_err(|e| error(&e));
        let used = allowed - self.left.load(Ordering::Relaxed);
        self.left.store(before - used, Ordering::Relaxed);
        let found = found?;
        if found.len() as u64 > most {
            let found = found.len();
            return Err(FormatError::damaged(format!(
                "{name}: expected at most {most} chunks, found {found}"
            )));
        }
        // The library sets aside what a chunk claims to take in the file before it reads it. A filter makes bytes larger by
        // a few at most, and no chunk is larger than the file.
        let stored = found.iter().map(|chunk| chunk.storage_size).max().unwrap_or(0);
        if stored > self.len.min(2 * chunk_len as u64 + MAX_FILTER_OVERHEAD) {
            return Err(FormatError::damaged(format!(
                "{name}: a chunk of {chunk_len} bytes claims to take {stored} in the file"
            )));
        }
        Ok(())
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
