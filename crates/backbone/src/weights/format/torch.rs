//! PyTorch's `.pth` and `.pt` since 1.6: a zip file with a pickle (`data.pkl`) and one entry for each storage.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::pickle::{Library, Stream, load};
use super::torch_tensor::StateDict;
use super::{
    Container, Entry, FormatError, Input, MAX_HEADER, read_error, read_exactly, zip_error,
};

/// An open `.pth` file.
pub(super) struct TorchZip {
    archive: ZipArchive<Input>,
    folder: String,
    dict: StateDict,
}

impl TorchZip {
    pub(super) fn open(mut archive: ZipArchive<Input>, program: &str) -> Result<Self, FormatError> {
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
        let mut pickle = Vec::new();
        member.take(MAX_HEADER).read_to_end(&mut pickle).map_err(read_error("data.pkl"))?;
        let (arena, root) = load(&mut Stream::new(Box::new(Cursor::new(pickle)))?, Library::Torch)?;
        Ok(Self { dict: StateDict::new(arena, root)?, archive, folder })
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
        // The key only ever selects an entry of the archive; it is not a path.
        let mut member = self
            .archive
            .by_name(&format!("{}data/{}", self.folder, span.storage.key))
            .map_err(zip_error)?;
        let declared = span.storage.elements.checked_mul(span.dtype.size() as u64);
        if declared != Some(member.size()) {
            let (found, elements) = (member.size(), span.storage.elements);
            return Err(FormatError::damaged(format!(
                "{name}: a storage of {elements} elements in {found} bytes"
            )));
        }
        std::io::copy(&mut member.by_ref().take(span.start), &mut std::io::sink())
            .map_err(read_error(name))?;
        let bytes = read_exactly(&mut member, span.len, name)?;
        Ok(span.decode(&bytes))
    }
}
