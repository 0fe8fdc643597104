//! The weights inside a source archive, read in memory. Nothing is unpacked to disk, and no name in the archive is ever a path.

use std::io::Read;

use crate::error::Failure;
use crate::pins::Mirror;
use crate::{ErrorKind, canonical};

/// Largest file that is read from an archive; the real one has 59 MB.
const MAX_MEMBER: u64 = 256 << 20;
/// Most bytes that an archive may unpack to before the file is found.
const MAX_UNPACKED: u64 = 1 << 30;

/// The weights of a checked archive, themselves checked.
pub(crate) fn weights(mirror: &Mirror<'_>, archive: &[u8]) -> Result<Vec<u8>, Failure> {
    let damaged =
        |e: std::io::Error| Failure::new(ErrorKind::Format, format!("the archive is damaged: {e}"));
    let bytes = tar_gz_member(archive, mirror.member).map_err(damaged)?;
    let bytes = bytes.ok_or_else(|| {
        Failure::new(ErrorKind::Format, format!("the archive holds no {}", mirror.member))
    })?;
    let found = canonical::sha256_of(&mut bytes.as_slice()).map_err(damaged)?;
    if found != mirror.member_sha256 {
        let reason = format!(
            "sha256 of {}: expected {}, found {found}",
            mirror.member, mirror.member_sha256
        );
        return Err(Failure::new(ErrorKind::Checksum, reason));
    }
    Ok(bytes)
}

/// The first file of a `.tar.gz` whose path ends in `member`; the path is only compared, never used.
///
/// # Errors
/// Damage, and a file or an archive above the limits.
pub(crate) fn tar_gz_member(input: impl Read, member: &str) -> std::io::Result<Option<Vec<u8>>> {
    let unpacked = flate2::read::GzDecoder::new(input).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() || !ends_with(&entry.path_bytes(), member) {
            continue;
        }
        let size = entry.size();
        if size > MAX_MEMBER {
            return Err(std::io::Error::other(format!(
                "{member} of {size} bytes, above the limit of {MAX_MEMBER}"
            )));
        }
        let mut bytes = Vec::new();
        entry.take(MAX_MEMBER).read_to_end(&mut bytes)?;
        return Ok(Some(bytes));
    }
    Ok(None)
}

fn ends_with(path: &[u8], member: &str) -> bool {
    path.strip_suffix(member.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
}
