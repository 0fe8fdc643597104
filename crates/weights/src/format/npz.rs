//! `.npz`: a zip file of `.npy` arrays.

use std::io::Read;

use super::dtype::fortran_to_c;
use super::npy::{MAX_NPY_HEADER, NpyHeader};
use super::{
    Allowance, Archive, Container, Entry, FormatError, read_error, read_exactly, stored_bytes,
    zip_error,
};

/// An open `.npz` file.
pub(super) struct Npz {
    archive: Archive,
    allowance: Allowance,
    entries: Vec<Entry>,
    members: Vec<usize>,
}

impl Npz {
    pub(super) fn open(
        mut archive: Archive,
        mut allowance: Allowance,
    ) -> Result<Self, FormatError> {
        let (mut entries, mut members) = (Vec::new(), Vec::new());
        for i in 0..archive.len() {
            let member = archive.by_index(i).map_err(zip_error)?;
            let name = member.name().map_err(zip_error)?.into_owned();
            let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
            let size = member.size();
            let mut head = member.take(MAX_NPY_HEADER as u64);
            let header = NpyHeader::read(&mut head);
            allowance.take(size.min(MAX_NPY_HEADER as u64 - head.limit()))?;
            // Labels, counters and the like may be beside the weights; only what looks like weights is listed.
            match header {
                Ok(header) => {
                    entries.push(Entry { name, shape: header.shape });
                    members.push(i);
                }
                Err(FormatError::Unsupported(_) | FormatError::Refused(_)) => {}
                Err(e) => return Err(e),
            }
        }
        if entries.is_empty() {
            return Err(FormatError::unsupported(
                "a zip file with neither arrays of floats (.npz) nor a PyTorch data.pkl",
            ));
        }
        Ok(Self { archive, allowance, entries, members })
    }
}

impl Container for Npz {
    fn kind(&self) -> &'static str {
        "npz"
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>, FormatError> {
        let name = &self.entries[index].name;
        let mut member = self.archive.by_index(self.members[index]).map_err(zip_error)?;
        let header = NpyHeader::read(&mut member)?;
        let len = stored_bytes(name, &header.shape, header.dtype.size())?;
        self.allowance.take(len as u64)?;
        let bytes = read_exactly(&mut member, len, name)?;
        // Only a member that is read to its end is checked by its sum.
        member.read(&mut [0]).map_err(read_error(name))?;
        let data = header.dtype.to_f32(&bytes, header.big_endian);
        Ok(if header.fortran { fortran_to_c(&data, &header.shape) } else { data })
    }
}
