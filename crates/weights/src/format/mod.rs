//! Readers of weight files. Each lists what a file declares without reading it, then reads single tensors when asked.
//!
//! The limits against hostile files: nothing is unpacked to disk, so no name inside an archive is ever a path; a declared
//! size is believed only up to the constants below or the size of the file; and whoever asks for a tensor has compared its
//! declared shape with the one that the architecture needs, so that a file cannot choose how much is allocated.

mod dtype;
mod hdf5;
mod npy;
mod npz;
mod numpy_pickle;
mod pickle;
mod safetensors;
mod torch;
mod torch_legacy;
mod torch_tensor;

pub(super) use self::safetensors::Header as SafetensorsHeader;

use std::io::{Read, Seek, SeekFrom};

/// Largest header (safetensors) or pickle program (.pth) that is read.
const MAX_HEADER: u64 = 16 << 20;
/// Most entries that are listed; the largest networks in use have about 5,000 tensors.
const MAX_ENTRIES: usize = 20_000;
/// Most bytes that one tensor may take as it is stored; VGG16's largest kernel takes 9.4 MB, its largest dense layer 411 MB.
const MAX_TENSOR_BYTES: u64 = 512 << 20;

/// Why a weight file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The operating system's reason.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes contradict the format.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A sound file, of a kind that is not read.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// Something that no weight file needs and that may be an attack.
    #[error("refused: {0}")]
    Refused(String),
    /// A sound file of other tensors than the architecture's.
    #[error("{0}")]
    Architecture(String),
}

impl FormatError {
    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    fn refused(what: impl Into<String>) -> Self {
        Self::Refused(what.into())
    }
}

/// A tensor as a file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; folders, groups and keys of nested dictionaries are joined by `/`.
    pub name: String,
    /// Its shape, as declared.
    pub shape: Vec<usize>,
}

/// An open weight file.
pub trait Container {
    /// What kind of file it is, for messages.
    fn kind(&self) -> &'static str;
    /// What it holds, as declared.
    fn entries(&self) -> &[Entry];
    /// Positions of the tensors in the order of a model's layers; empty where the file does not tell it.
    fn order(&self) -> &[usize] {
        &[]
    }
    /// The preprocessing that the file itself names, where it does.
    fn preprocess(&self) -> Option<&str> {
        None
    }
    /// Reads one entry, as f32 in C order.
    ///
    /// # Errors
    /// Where the file is damaged, or its element type is not a floating-point one.
    fn read(&mut self, index: usize) -> Result<Vec<f32>, FormatError>;
}

/// What a file says of its tensors.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// What kind of file it is.
    pub kind: &'a str,
    /// The tensors, as declared.
    pub entries: &'a [Entry],
    /// Positions of the tensors in the order of a model's layers; empty where the file does not tell it.
    pub order: &'a [usize],
    /// The preprocessing that the file itself names, where it does.
    pub preprocess: Option<&'a str>,
}

impl<'a> Listing<'a> {
    /// That of an open file.
    pub fn of(container: &'a dyn Container) -> Self {
        Self {
            kind: container.kind(),
            entries: container.entries(),
            order: container.order(),
            preprocess: container.preprocess(),
        }
    }
}

/// Bytes that a format reader works on: a file, or a slice held in memory.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// A boxed [`ReadSeek`].
pub type Input = Box<dyn ReadSeek>;

/// Opens a weight file of any kind; the kind is seen by its first bytes, not by its name.
///
/// # Errors
/// [`FormatError`], for unknown kinds as well.
pub fn open(mut input: Input) -> Result<Box<dyn Container>, FormatError> {
    let mut magic = Vec::new();
    input.by_ref().take(16).read_to_end(&mut magic)?;
    input.seek(SeekFrom::Start(0))?;
    match magic.as_slice() {
        [] => Err(FormatError::damaged("the file is empty")),
        m if m.starts_with(b"\x89HDF\r\n\x1a\n") => open_hdf5(input),
        m if m.starts_with(b"PK\x03\x04") => open_zip(input),
        m if m.starts_with(torch_legacy::MAGIC) => open_torch_legacy(input),
        // A pickle names its protocol first; protocols 0 and 1 do not, and are not read.
        [0x80, 2..=5, ..] => open_numpy_pickle(input),
        m if m.starts_with(b"\x93NUMPY") => Err(FormatError::unsupported(
            "a single .npy array: weights need an .npz of named arrays",
        )),
        m if m.starts_with(b"\x1f\x8b") => {
            Err(FormatError::unsupported("a gzip file: unpack it first"))
        }
        m if m.starts_with(b"version https:") => Err(FormatError::unsupported(
            "a Git LFS pointer, not the weights themselves: fetch the file with 'git lfs pull'",
        )),
        m if m.len() > 8 && m[8] == b'{' => open_safetensors(input),
        _ => Err(FormatError::unsupported(
            "not a weight file of a known kind (safetensors, PyTorch .pth, .npz, Keras .h5 and .keras, pickled NumPy .ckpt)",
        )),
    }
}

/// Opens `.safetensors`.
///
/// # Errors
/// [`FormatError`]
pub fn open_safetensors(input: Input) -> Result<Box<dyn Container>, FormatError> {
    Ok(Box::new(self::safetensors::Safetensors::open(input)?))
}

/// Opens Keras `.h5` and `.weights.h5`.
///
/// # Errors
/// [`FormatError`]
pub fn open_hdf5(input: Input) -> Result<Box<dyn Container>, FormatError> {
    Ok(Box::new(hdf5::Hdf5::open(input)?))
}

/// Opens a pickle of nested dictionaries of NumPy arrays (`.ckpt` of the Flax kind).
///
/// # Errors
/// [`FormatError`]
pub fn open_numpy_pickle(input: Input) -> Result<Box<dyn Container>, FormatError> {
    Ok(Box::new(numpy_pickle::NumpyPickle::open(input)?))
}

/// Opens PyTorch's format before 1.6, a row of pickles followed by the raw storages.
///
/// # Errors
/// [`FormatError`]
pub fn open_torch_legacy(input: Input) -> Result<Box<dyn Container>, FormatError> {
    Ok(Box::new(torch_legacy::TorchLegacy::open(input)?))
}

/// Opens a zip file: PyTorch's format since 1.6 if it holds a `data.pkl`, Keras's `.keras` if it holds weights in HDF5, else
/// `.npz`.
///
/// # Errors
/// [`FormatError`]
pub fn open_zip(mut input: Input) -> Result<Box<dyn Container>, FormatError> {
    let allowance = Allowance::new(input.seek(SeekFrom::End(0))?);
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(input)).map_err(zip_error)?;
    check_count(archive.len())?;
    if let Ok(member) = archive.by_name(KERAS_WEIGHTS) {
        return keras(member, allowance);
    }
    let program = archive
        .file_names()
        .filter_map(Result::ok)
        .find(|n| n.ends_with("/data.pkl"))
        .map(|n| n.into_owned());
    match program {
        Some(program) => Ok(Box::new(torch::TorchZip::open(archive, &program, allowance)?)),
        None => Ok(Box::new(npz::Npz::open(archive, allowance)?)),
    }
}

/// The member of a `.keras` file that is an HDF5 file of weights.
const KERAS_WEIGHTS: &str = "model.weights.h5";

/// Opens the weights in a `.keras` file. HDF5 is read at any place, so the member is held in memory.
fn keras(
    member: zip::read::ZipFile<'_, impl Read>,
    mut allowance: Allowance,
) -> Result<Box<dyn Container>, FormatError> {
    let len = member.size();
    allowance.take(len)?;
    let len = usize::try_from(len)
        .map_err(|_| FormatError::refused(format!("{KERAS_WEIGHTS} of {len} bytes")))?;
    let mut member = member;
    let bytes = read_exactly(&mut member, len, KERAS_WEIGHTS)?;
    open_hdf5(Box::new(std::io::Cursor::new(bytes)))
}

/// An open zip file.
type Archive = zip::ZipArchive<std::io::BufReader<Input>>;

/// How many bytes the members of one zip file may unpack to in all, by the size of the file. A member can unpack to a
/// thousand times its size, and many can share their bytes.
struct Allowance(u64);

impl Allowance {
    /// Weights hardly compress: 16 times the file is beyond any that is meant to be read.
    fn new(file_len: u64) -> Self {
        Self(file_len.saturating_mul(16).saturating_add(64 << 20))
    }

    /// Takes what is about to be unpacked.
    fn take(&mut self, bytes: u64) -> Result<(), FormatError> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            FormatError::refused("a zip file that unpacks to far more than its own size")
        })?;
        Ok(())
    }
}

/// An error for more entries than are listed.
fn check_count(entries: usize) -> Result<(), FormatError> {
    if entries > MAX_ENTRIES {
        return Err(FormatError::refused(format!(
            "a file of {entries} entries or more: at most {MAX_ENTRIES} are read"
        )));
    }
    Ok(())
}

/// A shape in messages; a file can declare one of a million axes.
pub(super) fn shape_text(shape: &[usize]) -> String {
    match shape.get(..8) {
        Some(first) if shape.len() > 8 => format!("{first:?}… of {} axes", shape.len()),
        _ => format!("{shape:?}"),
    }
}

fn zip_error(e: zip::result::ZipError) -> FormatError {
    match e {
        zip::result::ZipError::Io(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => {
            FormatError::Io(e)
        }
        zip::result::ZipError::UnsupportedArchive(what) => {
            FormatError::unsupported(format!("zip: {what}"))
        }
        other => FormatError::damaged(format!("zip: {other}")),
    }
}

/// An end of file within declared bounds is damage of the file, not a failure of the system.
fn read_error(what: &str) -> impl Fn(std::io::Error) -> FormatError {
    move |e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => FormatError::Damaged(format!("{what} ends too early")),
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => {
            FormatError::Damaged(format!("{what}: {e}"))
        }
        _ => FormatError::Io(e),
    }
}

/// Number of elements of a declared shape.
fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// Bytes of a tensor as stored, if within the limit.
fn stored_bytes(what: &str, shape: &[usize], item: usize) -> Result<usize, FormatError> {
    element_count(shape)
        .and_then(|n| n.checked_mul(item))
        .filter(|&n| n as u64 <= MAX_TENSOR_BYTES)
        .ok_or_else(|| {
            FormatError::refused(format!(
                "{what:.100} of shape {}, above the limit of {} MiB",
                shape_text(shape),
                MAX_TENSOR_BYTES >> 20
            ))
        })
}

/// Reads exactly `len` bytes; allocates only as they arrive, so that a false length costs nothing.
fn read_exactly(input: &mut dyn Read, len: usize, what: &str) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::with_capacity(len.min(1 << 20));
    input.take(len as u64).read_to_end(&mut bytes).map_err(read_error(what))?;
    if bytes.len() != len {
        return Err(FormatError::damaged(format!(
            "{what} ends too early: expected {len} bytes, found {}",
            bytes.len()
        )));
    }
    Ok(bytes)
}
