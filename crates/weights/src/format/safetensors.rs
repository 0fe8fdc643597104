//! `.safetensors`: eight bytes of header length, a JSON header, the raw tensors.

use std::io::SeekFrom;
use std::ops::Range;

use ::safetensors::Dtype;
use ::safetensors::tensor::Metadata;

use super::dtype::DType;
use super::{
    Container, Entry, FormatError, Input, MAX_HEADER, check_count, read_error, read_exactly,
};

/// The checked header of a safetensors file, wherever the data is.
pub(in super::super) struct Header {
    /// What the file holds, by name.
    pub(in super::super) entries: Vec<Entry>,
    /// The free text of the file (`__metadata__`), such as which preprocessing is right.
    pub(in super::super) preprocess: Option<String>,
    parts: Vec<(Dtype, Range<u64>)>,
}

impl Header {
    /// Length of the JSON header, from the first eight bytes of a file of `file_len` bytes (where that is known).
    pub(in super::super) fn json_len(
        first: [u8; 8],
        file_len: Option<u64>,
    ) -> Result<usize, FormatError> {
        let declared = u64::from_le_bytes(first);
        if declared > MAX_HEADER {
            return Err(FormatError::refused(format!(
                "a safetensors header of {declared} bytes, above the limit of {MAX_HEADER}"
            )));
        }
        if let Some(file_len) = file_len.filter(|&len| declared.saturating_add(8) > len) {
            return Err(FormatError::damaged(format!(
                "a safetensors header of {declared} bytes in a file of {file_len}"
            )));
        }
        Ok(declared as usize)
    }

    /// Parses the JSON header of a file of `file_len` bytes.
    pub(in super::super) fn parse(json: &[u8], file_len: Option<u64>) -> Result<Self, FormatError> {
        // The library checks that the parts follow one another without gaps and are as long as shape and type say.
        let metadata: Metadata = serde_json::from_slice(json)
            .map_err(|e| FormatError::damaged(format!("safetensors header: {e}")))?;
        let base = 8 + json.len() as u64;
        let expected = base.saturating_add(metadata.data_len() as u64);
        if let Some(file_len) = file_len.filter(|&len| len != expected) {
            return Err(FormatError::damaged(format!(
                "the safetensors header declares {expected} bytes, the file has {file_len}"
            )));
        }
        let mut named: Vec<_> = metadata.tensors().into_iter().collect();
        check_count(named.len())?;
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let preprocess = metadata.metadata().as_ref().and_then(|m| m.get("preprocess").cloned());
        let part =
            |o: (usize, usize)| base.saturating_add(o.0 as u64)..base.saturating_add(o.1 as u64);
        let parts = named.iter().map(|(_, info)| (info.dtype, part(info.data_offsets))).collect();
        let entries = named
            .into_iter()
            .map(|(name, info)| Entry { name, shape: info.shape.clone() })
            .collect();
        Ok(Self { entries, preprocess, parts })
    }

    /// Where in the file an entry is.
    pub(in super::super) fn range(&self, index: usize) -> Range<u64> {
        self.parts[index].1.clone()
    }

    /// Converts the bytes of an entry.
    pub(in super::super) fn decode(
        &self,
        index: usize,
        bytes: &[u8],
    ) -> Result<Vec<f32>, FormatError> {
        let dtype = match self.parts[index].0 {
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            other => {
                let name = &self.entries[index].name;
                return Err(FormatError::unsupported(format!(
                    "{name} of type {other:?}: expected F16, BF16, F32 or F64"
                )));
            }
        };
        Ok(dtype.to_f32(bytes, false))
    }
}

/// An open `.safetensors` file.
pub(super) struct Safetensors {
    input: Input,
    header: Header,
}

impl Safetensors {
    pub(super) fn open(mut input: Input) -> Result<Self, FormatError> {
        let file_len = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        let first = read_exactly(&mut input, 8, "the safetensors header")?;
        let first = first.try_into().map_err(|_| FormatError::damaged("no safetensors header"))?;
        let len = Header::json_len(first, Some(file_len))?;
        let json = read_exactly(&mut input, len, "the safetensors header")?;
        Ok(Self { header: Header::parse(&json, Some(file_len))?, input })
    }
}

impl Container for Safetensors {
    fn kind(&self) -> &'static str {
        "safetensors"
    }

    fn entries(&self) -> &[Entry] {
        &self.header.entries
    }

    fn preprocess(&self) -> Option<&str> {
        self.header.preprocess.as_deref()
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>, FormatError> {
        let range = self.header.range(index);
        let name = self.header.entries[index].name.clone();
        super::stored_bytes(&name, &[(range.end - range.start) as usize], 1)?;
        self.input.seek(SeekFrom::Start(range.start))?;
        if cfg!(target_endian = "little") && self.header.parts[index].0 == Dtype::F32 {
            // As they are stored. The header's lengths are those of the file.
            let mut values = vec![0.0f32; (range.end - range.start) as usize / size_of::<f32>()];
            let bytes = bytemuck::cast_slice_mut(&mut values);
            self.input.read_exact(bytes).map_err(read_error(&name))?;
            return Ok(values);
        }
        let bytes = read_exactly(&mut self.input, (range.end - range.start) as usize, &name)?;
        self.header.decode(index, &bytes)
    }
}
