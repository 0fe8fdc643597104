//! A finished cache on disk: reading its manifest with mistrust, and the cheap checks that its files belong together.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use util::regular;

use crate::disk::{self, Disk};
use crate::error::CacheError;
use crate::finished::staging::stage;
use crate::format::digest::{Hex, sha256};
use crate::format::features::{MAX_BLOCK, features_header, features_size};
use crate::format::index::{self, IndexEntry};
use crate::format::manifest::{FORMAT_VERSION, FileRecord, Manifest, Shard};
use crate::format::names::{SplitFiles, file_name, part};
use crate::format::npy;
use crate::format::stamps::{self, Stamp};

/// Largest accepted manifest, in bytes.
pub(crate) const MAX_MANIFEST: u64 = 64 << 20;
/// What `format` says.
pub(crate) const FORMAT: &str = "feature-cache";

/// A finished cache, as far as a new run needs it.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) manifest: Manifest,
    pub(crate) entries: Vec<IndexEntry>,
    pub(crate) stamps: Vec<Option<Stamp>>,
}

impl Complete {
    /// `None` when there is no manifest.
    pub(crate) fn load(
        files: &SplitFiles,
        split: &str,
        shard: Option<Shard>,
    ) -> Result<Option<Self>, CacheError> {
        let Some(manifest) = load_manifest(files, split, shard)? else { return Ok(None) };
        let entries = index::read(&files.index, &manifest)?;
        let sha = manifest.files.index.sha256.as_deref().unwrap_or_default();
        let stamps = stamps::read(&files.stamps, sha, entries.len());
        Ok(Some(Self { manifest, entries, stamps }))
    }

    /// The stamps of the inputs whose content is known.
    pub(crate) fn known_stamps(&self, now: &[Option<Stamp>]) -> Vec<Option<Stamp>> {
        let both = now.iter().zip(&self.entries);
        both.map(|(stamp, entry)| stamp.filter(|_| entry.sha256.is_some())).collect()
    }

    /// Writes the stamps again.
    pub(crate) fn renew_stamps(
        &self,
        disk: &dyn Disk,
        files: &SplitFiles,
        now: &[Option<Stamp>],
    ) -> Result<(), CacheError> {
        let sha = self
            .manifest
            .files
            .index
            .sha256
            .as_deref()
            .and_then(Hex::parse)
            .map_or([0; 32], |h| h.0);
        stage(disk, &files.stamps, |out| stamps::write(&sha, now, out))?;
        let staged = part(&files.stamps);
        disk::replace(disk, &staged, &files.stamps).map_err(CacheError::io("rename", &staged))
    }
}

/// The bytes of a manifest; `None` when there is none.
pub(crate) fn manifest_bytes(path: &Path) -> Result<Option<Vec<u8>>, CacheError> {
    if !disk::exists(path) {
        return Ok(None);
    }
    match regular::read(path, MAX_MANIFEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::FileTooLarge => {
            Err(CacheError::damaged(path, e.to_string()))
        }
        Err(e) => Err(CacheError::io("read", path)(e)),
    }
}

/// Reads and checks a manifest; `None` when there is none.
pub(crate) fn load_manifest(
    files: &SplitFiles,
    split: &str,
    shard: Option<Shard>,
) -> Result<Option<Manifest>, CacheError> {
    let Some(bytes) = manifest_bytes(&files.manifest)? else { return Ok(None) };
    parse_manifest(&bytes, files, split, shard).map(Some)
}

/// Parses a manifest and checks that it agrees with itself and with the names of its files.
pub(crate) fn parse_manifest(
    bytes: &[u8],
    files: &SplitFiles,
    split: &str,
    shard: Option<Shard>,
) -> Result<Manifest, CacheError> {
    let damaged = |why: String| CacheError::damaged(&files.manifest, why);
    /// What every version has: looked at first, for a clear word on newer ones.
    #[derive(serde::Deserialize)]
    struct Version {
        format: String,
        format_version: u32,
    }
    let version: Version =
        serde_json::from_slice(bytes).map_err(|e| damaged(format!("not a manifest: {e}")))?;
    if version.format != FORMAT || version.format_version == 0 {
        return Err(damaged(format!("expected format {FORMAT:?}, found {:?}", version.format)));
    }
    if version.format_version > FORMAT_VERSION {
        let found = version.format_version;
        return Err(CacheError::Usage(format!(
            "{} has format version {found}, this program reads up to {FORMAT_VERSION}: use a newer one",
            files.manifest.display()
        )));
    }
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|e| damaged(format!("not a manifest: {e}")))?;
    check(&manifest, files, split, shard).map_err(damaged)?;
    Ok(manifest)
}

fn check(
    m: &Manifest,
    files: &SplitFiles,
    split: &str,
    shard: Option<Shard>,
) -> Result<(), String> {
    if m.split != split || m.shard != shard {
        return Err(format!(
            "expected the split {split:?} (shard {shard:?}), found {:?} ({:?})",
            m.split, m.shard
        ));
    }
    let row_bytes = m.settings.row_bytes().map_err(|e| e.to_string())? as u64;
    let shape: Vec<u64> = m.shape.iter().map(|&d| d as u64).collect();
    let expected = m.settings.array_shape(m.rows);
    if shape != expected {
        let found = shape.get(..16).unwrap_or(&shape);
        return Err(format!(
            "expected the shape {expected:?}, found {} axes, {found:?}",
            shape.len()
        ));
    }
    let size = features_size(&m.settings, m.rows).map_err(|e| e.to_string())?;
    let header = features_header(&m.settings, m.rows).len() as u64;
    if m.files.features.bytes != size || m.data_offset != header {
        return Err(format!("expected {size} bytes of features, found {}", m.files.features.bytes));
    }
    let sum = m.rows.checked_add(m.skipped);
    if sum != Some(m.inputs)
        || m.inputs > m.inputs_total
        || (shard.is_none() && m.inputs != m.inputs_total)
    {
        return Err("rows, skipped and inputs do not add up".to_owned());
    }
    let counted = m.class_counts.iter().try_fold(0u64, |n, &c| n.checked_add(c));
    if counted != Some(m.rows) || m.class_counts.len() != m.settings.classes.len() {
        return Err("the classes' counts do not add up to the rows".to_owned());
    }
    if m.block_rows == 0
        || m.block_rows.checked_mul(row_bytes).is_none_or(|b| b > MAX_BLOCK.max(row_bytes))
    {
        return Err(format!("{} rows a block are out of range", m.block_rows));
    }
    if m.block_sha256.len() as u64 != m.rows.div_ceil(m.block_rows) {
        return Err("the number of block hashes does not fit the rows".to_owned());
    }
    let hashes = m.block_sha256.iter().chain(&m.files.labels.sha256).chain(&m.files.index.sha256);
    if hashes.chain([&m.inputs_sha256]).any(|h| Hex::<32>::parse(h).is_none()) {
        return Err("a hash is not sha256 in hex".to_owned());
    }
    let records: [(&FileRecord, &Path); 3] = [
        (&m.files.features, &files.features),
        (&m.files.labels, &files.labels),
        (&m.files.index, &files.index),
    ];
    for (record, path) in records {
        if record.name != file_name(path) {
            return Err(format!(
                "expected the file name {:?}, found {:?}",
                file_name(path),
                record.name
            ));
        }
    }
    if m.files.labels.sha256.is_none() || m.files.index.sha256.is_none() {
        return Err("the hash of labels or index is missing".to_owned());
    }
    Ok(())
}

/// Opens the features file and checks size and header.
pub(crate) fn open_features(path: &Path, m: &Manifest) -> Result<File, CacheError> {
    let file = open_sized(path, m.files.features.bytes)?;
    let mut start = Vec::new();
    (&file)
        .take(npy::MAX_HEADER as u64)
        .read_to_end(&mut start)
        .map_err(CacheError::io("read", path))?;
    let npy::Header { declared: header, data_offset } =
        npy::parse(&start).map_err(|why| CacheError::damaged(path, why))?;
    let shape: Vec<u64> = m.shape.iter().map(|&d| d as u64).collect();
    let descr = m.settings.dtype.descr();
    if header.descr != descr || header.fortran_order || header.shape != shape {
        let found = (&header.descr, &header.shape);
        return Err(CacheError::damaged(
            path,
            format!("expected {descr} {shape:?} in C order, found {found:?}"),
        ));
    }
    if data_offset as u64 != m.data_offset {
        let (a, b) = (m.data_offset, data_offset);
        return Err(CacheError::damaged(path, format!("expected data from byte {a}, found {b}")));
    }
    Ok(file)
}

/// Reads the labels and checks size, header, sha256 and range.
pub(crate) fn read_labels(path: &Path, m: &Manifest) -> Result<Vec<i64>, CacheError> {
    let damaged = |why: String| CacheError::damaged(path, why);
    let header = npy::header("<i8", &[m.rows]);
    let expected = m.rows.saturating_mul(8).saturating_add(header.len() as u64);
    let mut file = open_sized(path, expected)?;
    let mut bytes = Vec::new();
    (&mut file).take(expected).read_to_end(&mut bytes).map_err(CacheError::io("read", path))?;
    let sha = Hex(sha256(&bytes)).to_string();
    if Some(&sha) != m.files.labels.sha256.as_ref() {
        return Err(damaged(format!("expected sha256 {:?}, found {sha}", m.files.labels.sha256)));
    }
    let (labels, counts) =
        parse_labels(&bytes, m.rows, m.settings.classes.len()).map_err(damaged)?;
    if counts != m.class_counts {
        return Err(damaged(format!(
            "expected {:?} labels a class, found {counts:?}",
            m.class_counts
        )));
    }
    Ok(labels)
}

/// The labels of a file of `rows` rows, and how many there are of each class.
pub(crate) fn parse_labels(
    bytes: &[u8],
    rows: u64,
    classes: usize,
) -> Result<(Vec<i64>, Vec<u64>), String> {
    let data = bytes
        .strip_prefix(npy::header("<i8", &[rows]).as_slice())
        .ok_or("the header is not (N,) <i8")?;
    if rows.checked_mul(8) != Some(data.len() as u64) {
        return Err(format!("expected {rows} labels, found {} bytes", data.len()));
    }
    let (items, _) = data.as_chunks::<8>();
    let labels: Vec<i64> = items.iter().map(|item| i64::from_le_bytes(*item)).collect();
    let mut counts = vec![0u64; classes];
    for &label in &labels {
        let count = usize::try_from(label).ok().and_then(|l| counts.get_mut(l));
        *count.ok_or_else(|| format!("the label {label} is of no class"))? += 1;
    }
    Ok((labels, counts))
}

/// Opens a file that must have `expected` bytes.
pub(crate) fn open_sized(path: &Path, expected: u64) -> Result<File, CacheError> {
    let file = regular::open(path).map_err(CacheError::io("open", path))?;
    let found = file.metadata().map_err(CacheError::io("open", path))?.len();
    if found != expected {
        return Err(CacheError::damaged(path, format!("expected {expected} bytes, found {found}")));
    }
    Ok(file)
}
