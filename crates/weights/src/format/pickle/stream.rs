//! Buffered reading that knows where it is, and skips what it need not read.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::super::{FormatError, Input, read_exactly};
use super::Blob;

/// A file read from front to back, with skips.
pub(in super::super) struct Stream {
    input: BufReader<Input>,
    at: u64,
    len: u64,
}

impl Stream {
    pub(in super::super) fn new(mut input: Input) -> Result<Self, FormatError> {
        let len = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        Ok(Self { input: BufReader::new(input), at: 0, len })
    }

    /// Bytes from the start of the file.
    pub(in super::super) fn position(&self) -> u64 {
        self.at
    }

    pub(in super::super) fn byte(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    pub(in super::super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut out = [0; N];
        self.input.read_exact(&mut out).map_err(super::super::read_error("the pickle"))?;
        self.at += N as u64;
        Ok(out)
    }

    pub(in super::super) fn bytes(&mut self, len: usize) -> Result<Vec<u8>, FormatError> {
        let out = read_exactly(&mut self.input, len, "the pickle")?;
        self.at += len as u64;
        Ok(out)
    }

    /// A line of text without its end, as the `GLOBAL` opcode has it.
    pub(in super::super) fn line(&mut self) -> Result<String, FormatError> {
        const MAX_LINE: usize = 256;
        let mut out = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                _ if out.len() >= MAX_LINE => {
                    return Err(FormatError::refused(
                        "a name of more than 256 bytes in the pickle",
                    ));
                }
                b => out.push(b),
            }
        }
        String::from_utf8(out).map_err(|_| FormatError::damaged("a name in the pickle is not text"))
    }

    /// Skips `len` bytes; they must be there.
    pub(in super::super) fn skip(&mut self, len: u64) -> Result<(), FormatError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.len);
        let (Some(end), Ok(step)) = (end, i64::try_from(len)) else {
            let left = self.len.saturating_sub(self.at);
            return Err(FormatError::damaged(format!(
                "the pickle declares {len} bytes where {left} are left"
            )));
        };
        self.input.seek_relative(step)?;
        self.at = end;
        Ok(())
    }

    /// Notes where the next `len` bytes are, and skips them.
    pub(in super::super) fn blob(&mut self, len: u64, latin1: bool) -> Result<Blob, FormatError> {
        let start = self.at;
        self.skip(len)?;
        Ok(Blob { start, len, latin1 })
    }

    /// Reads any part of the file; the position moves there.
    pub(in super::super) fn read_at(
        &mut self,
        start: u64,
        len: u64,
        what: &str,
    ) -> Result<Vec<u8>, FormatError> {
        if start.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(FormatError::damaged(format!("{what} ends too early")));
        }
        self.input.seek(SeekFrom::Start(start))?;
        self.at = start;
        let len = usize::try_from(len)
            .map_err(|_| FormatError::refused(format!("{what} of {len} bytes")))?;
        self.bytes(len)
    }
}
