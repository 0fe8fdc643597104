//! Weight files, through the readers that `extract --weights` uses.

use std::io::Cursor;

use weights::format::{self, Container, FormatError, Input};

/// As the architecture's shapes do in the tool: what is larger is never asked for.
const MOST_VALUES: usize = 1 << 20;
/// Entries that are read of one file.
const MOST_ENTRIES: usize = 16;

type Open = fn(Input) -> Result<Box<dyn Container>, FormatError>;

/// Opens, lists and reads; each entry must have as many values as its shape says.
fn read(open: Open, data: &[u8]) -> bool {
    let Ok(mut container) = open(Box::new(Cursor::new(data.to_vec()))) else { return false };
    let shapes: Vec<Vec<usize>> = container.entries().iter().map(|e| e.shape.clone()).collect();
    let mut read = 0;
    for (index, shape) in shapes.iter().enumerate() {
        let values = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        let Some(values) = values.filter(|&n| n <= MOST_VALUES) else { continue };
        if let Ok(found) = container.read(index) {
            assert_eq!(found.len(), values, "entry {index} of shape {shape:?}");
            read += 1;
        }
        if read == MOST_ENTRIES {
            break;
        }
    }
    read > 0
}

/// Also by its first bytes, as the tool does where it does not know the kind.
fn known_kind(open: Open, data: &[u8]) -> bool {
    let read_as = read(open, data);
    read(format::open, data) || read_as
}

/// `.safetensors`.
pub fn safetensors(data: &[u8]) -> bool {
    known_kind(format::open_safetensors, data)
}

/// PyTorch's `.pth` since 1.6.
pub fn torch_zip(data: &[u8]) -> bool {
    read(format::open_zip, data)
}

/// PyTorch's `.pth` before 1.6.
pub fn torch_legacy(data: &[u8]) -> bool {
    read(format::open_torch_legacy, data)
}

/// `.ckpt`: a pickle of NumPy arrays.
pub fn numpy_pickle(data: &[u8]) -> bool {
    read(format::open_numpy_pickle, data)
}

/// `.h5` and `.weights.h5`.
pub fn hdf5(data: &[u8]) -> bool {
    read(format::open_hdf5, data)
}

/// `.npz`.
pub fn npz(data: &[u8]) -> bool {
    read(format::open_zip, data)
}
