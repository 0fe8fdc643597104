//! PyTorch's `.pth` and `.pt` since 1.6: a zip file with a pickle (`data.pkl`) and one entry for each storage.

use std::io::{Cursor, Read, Seek, SeekFrom};

use zip::CompressionMethod;

use super::pickle::{Library, Stream, load};
use super::torch_tensor::StateDict;
use super::{
    Allowance, Archive, Container, Entry, FormatError, MAX_HEADER, MAX_TENSOR_BYTES, read_error,
    read_exactly, zip_error,
};

/// An open `.pth` file.
pub(super) struct TorchZip {
    archive: Archive,
    allowance: Allowance,
    folder: String,
    dict: StateDict,
    /// The compressed storage that was unpacked last, by its place in the archive: many tensors can be views of one.
    unpacked: Option<(usize, Vec<u8>)>,
}

impl TorchZip {
    pub(super) fn open(
        mut archive: Archive,
        program: &str,
        mut allowance: Allowance,
    ) -> Result<Self, FormatError> {
        let folder = program.strip_suffix("data.pkl").unwrap_or_default().to_owned();
        if archive.index_for_name(&format!("{folder}constants.pkl")).is_some() {
            return Err(FormatError::unsupported(
                "a TorchScript program: save its state_dict() instead",
            ));
        }
        if let Ok(order) = archive.by_name(&format!("{folder}byteorder")) {
            let mut text = String::new();
            order.take(16).read_to_string(&mut text).map_err(read_error("the byte order"))?;
            if text.trim() != "little" {
                return Err(FormatError::unsupported(format!(
                    "PyTorch tensors in byte order '{}'",
                    text.trim()
                )));
            }
        }
        let member = archive.by_name(program).map_err(zip_error)?;
        if member.size() > MAX_HEADER {
            return Err(FormatError::refused(format!(
                "a data.pkl of {} bytes, above the limit of {MAX_HEADER}",
                member.size()
            )));
        }
        allowance.take(member.size())?;
        let mut pickle = Vec::new();
        member.take(MAX_HEADER).read_to_end(&mut pickle).map_err(read_error("data.pkl"))?;
        let (arena, root) = load(&mut Stream::new(Box::new(Cursor::new(pickle)))?, Library::Torch)?;
        Ok(Self { dict: StateDict::new(arena, root)?, archive, allowance, folder, unpacked: None })
    }
}

impl Container for TorchZip {
    fn kind(&self) -> &'static str {
        "PyTorch"
    }

    fn entries(&self) -> &[Entry] {
        &self.dict.entries
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>, FormatError> {
        let name = &self.dict.entries[index].name;
        let span = self.dict.span(index)?;
        let missing = || FormatError::damaged(format!("{name}: its storage is not in the file"));
        // The key only ever selects an entry of the archive; it is not a path.
        let key = self.dict.arena.str(span.storage.key).ok_or_else(missing)?;
        let member = self.archive.index_for_name(&format!("{}data/{key}", self.folder));
        let member = member.ok_or_else(missing)?;
        let entry = self.archive.by_index_data(member).map_err(zip_error)?;
        let (size, method) = (entry.size(), entry.compression());
        let declared = span.storage.elements.checked_mul(span.dtype.size() as u64);
        if declared != Some(size) {
            let elements = span.storage.elements;
            return Err(FormatError::damaged(format!(
                "{name}: a storage of {elements} elements in {size} bytes"
            )));
        }
        if method == CompressionMethod::Stored {
            let bytes = read_stored(&mut self.archive, member, span.start, span.len, size, name)?;
            return Ok(span.decode(&bytes));
        }
        if self.unpacked.as_ref().is_none_or(|(at, _)| *at != member) {
            self.unpacked = None;
            if size > MAX_TENSOR_BYTES {
                return Err(FormatError::refused(format!(
                    "{name}: a compressed storage of {size} bytes, above the limit of {MAX_TENSOR_BYTES}"
                )));
            }
            self.allowance.take(size)?;
            let mut packed = self.archive.by_index(member).map_err(zip_error)?;
            let bytes = read_exactly(&mut packed, size as usize, name)?;
            packed.read(&mut [0]).map_err(read_error(name))?;
            self.unpacked = Some((member, bytes));
        }
        let bytes = self.unpacked.as_ref().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let bytes = start.checked_add(span.len).and_then(|end| bytes.get(start..end));
        let bytes = bytes.ok_or_else(|| FormatError::damaged(format!("{name} ends too early")))?;
        Ok(span.decode(bytes))
    }
}

/// A part of a member that is not compressed; what is before it is not read. A member that is wanted whole is also
/// checked by its sum.
fn read_stored(
    archive: &mut Archive,
    member: usize,
    start: u64,
    len: usize,
    size: u64,
    name: &str,
) -> Result<Vec<u8>, FormatError> {
    if start == 0 && len as u64 == size {
        let mut whole = archive.by_index(member).map_err(zip_error)?;
        let bytes = read_exactly(&mut whole, len, name)?;
        whole.read(&mut [0]).map_err(read_error(name))?;
        return Ok(bytes);
    }
    let mut part = archive.by_index_seek(member).map_err(zip_error)?;
    part.seek(SeekFrom::Start(start)).map_err(read_error(name))?;
    read_exactly(&mut part, len, name)
}
