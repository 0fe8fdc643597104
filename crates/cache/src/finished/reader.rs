//! Reading a finished split, memory-mapped.

use std::borrow::Cow;
use std::path::Path;

use half::f16;
use memmap2::Mmap;
use ndarray::{ArrayViewD, IxDyn};

use crate::disk;
use crate::disk::mmap;
use crate::error::CacheError;
use crate::finished::complete::{load_manifest, open_features, read_labels};
use crate::finished::row_entries::RowEntries;
use crate::format::digest::{Hex, sha256, sha256_file};
use crate::format::index::{self, IndexEntry};
use crate::format::manifest::{Manifest, Shard};
use crate::format::names::{self, SplitFiles};
use crate::settings::Dtype;

/// A finished split, its features mapped into memory: opening costs no memory, rows are read as they are used.
///
/// It keeps the files it opened, also when a new cache takes their names meanwhile.
#[derive(Debug)]
pub struct SplitReader {
    files: SplitFiles,
    manifest: Manifest,
    labels: Vec<i64>,
    map: Mmap,
    row_elements: usize,
}

impl SplitReader {
    /// Opens `<dir>/<split>_*` and checks cheaply that the files belong together: sizes, headers, labels.
    ///
    /// # Errors
    /// [`CacheError::Missing`] where there is no finished cache, [`CacheError::Damaged`] for files that are not what the manifest
    /// says, [`CacheError::Usage`] for a name that no split can have, [`CacheError::Io`].
    pub fn open(dir: &Path, split: &str) -> Result<Self, CacheError> {
        Self::open_shard(dir, split, None)
    }

    /// As [`Self::open`], for one shard of a split that is not merged.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_shard(dir: &Path, split: &str, shard: Option<Shard>) -> Result<Self, CacheError> {
        names::check_split(split)?;
        let files = SplitFiles::new(dir, split, shard);
        // A run that ends just now removes the manifest, renames the files, and puts the new manifest: with the same
        // manifest before and after, the files opened in between are those it speaks of.
        for _ in 0..10 {
            let Some(manifest) = load_manifest(&files, split, shard)? else {
                return Err(missing(&files));
            };
            let opened = Self::with(files.clone(), manifest);
            let after = load_manifest(&files, split, shard)?;
            match opened {
                Ok(reader) if after.as_ref() == Some(&reader.manifest) => return Ok(reader),
                Err(e) if after.is_some() => return Err(e),
                _ => {}
            }
        }
        Err(missing(&files))
    }

    fn with(files: SplitFiles, manifest: Manifest) -> Result<Self, CacheError> {
        let features = open_features(&files.features, &manifest)?;
        let labels = read_labels(&files.labels, &manifest)?;
        let map =
            mmap::map(&features).map_err(CacheError::io("map into memory", &files.features))?;
        // What is mapped is checked, not what was asked for a moment ago.
        if map.len() as u64 != manifest.files.features.bytes {
            let (a, b) = (manifest.files.features.bytes, map.len());
            return Err(CacheError::damaged(
                &files.features,
                format!("expected {a} bytes, found {b}"),
            ));
        }
        let row_elements = manifest.settings.row_elements()?;
        Ok(Self { files, manifest, labels, map, row_elements })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Elements of one row, with all its views.
    pub fn row_elements(&self) -> usize {
        self.row_elements
    }

    /// Views of each row.
    pub fn views(&self) -> usize {
        self.manifest.settings.views
    }

    /// Elements of one view of a row.
    pub fn view_elements(&self) -> usize {
        self.row_elements / self.views()
    }

    /// The class of each row, an index into the settings' classes.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The index: every input in order, the bad files (without a row) at their place among them. Read again at each call,
    /// and checked against its hash.
    ///
    /// # Errors
    /// [`CacheError::Damaged`] where it is not what the manifest says, [`CacheError::Io`].
    pub fn index(&self) -> Result<Vec<IndexEntry>, CacheError> {
        let path = &self.files.index;
        let entries = index::read(path, &self.manifest)?;
        let (_, sha) = sha256_file(path).map_err(CacheError::io("read", path))?;
        let (found, expected) = (Hex(sha).to_string(), self.manifest.files.index.sha256.as_deref());
        if Some(found.as_str()) != expected {
            return Err(CacheError::damaged(
                path,
                format!("expected sha256 {expected:?}, found {found}"),
            ));
        }
        Ok(entries)
    }

    /// What the index says of each row, in order, read as it is asked for: memory does not grow with the rows. Checked against labels,
    /// and at its end against the manifest: only what was read to the end without an error is whole.
    ///
    /// # Errors
    /// [`CacheError::Damaged`] where it is not what the manifest says, [`CacheError::Io`]; the iterator's are the same.
    pub fn row_entries(&self) -> Result<RowEntries<'_>, CacheError> {
        RowEntries::open(&self.files.index, &self.manifest, &self.labels)
    }

    /// The stored bytes of one row, with all its views: little-endian, of the settings' dtype.
    ///
    /// # Errors
    /// [`CacheError::Usage`] for a row that there is not.
    pub fn row_bytes(&self, row: usize) -> Result<&[u8], CacheError> {
        let size = self.row_elements * self.manifest.settings.dtype.bytes();
        let start =
            size.checked_mul(row).and_then(|n| n.checked_add(self.manifest.data_offset as usize));
        let bytes = start.and_then(|s| self.map.get(s..s.checked_add(size)?));
        bytes.ok_or_else(|| {
            CacheError::Usage(format!("row {row} is beyond the {} rows", self.len()))
        })
    }

    /// One row as f32: borrowed from the file where it is stored so, else converted.
    ///
    /// # Errors
    /// [`CacheError::Usage`] for a row that there is not.
    pub fn row(&self, row: usize) -> Result<Cow<'_, [f32]>, CacheError> {
        let bytes = self.row_bytes(row)?;
        if self.manifest.settings.dtype == Dtype::F32
            && cfg!(target_endian = "little")
            && let Ok(values) = bytemuck::try_cast_slice(bytes)
        {
            return Ok(Cow::Borrowed(values));
        }
        let mut values = vec![0.0; self.row_elements];
        self.read_row(row, &mut values)?;
        Ok(Cow::Owned(values))
    }

    /// One row as f32 into `out`, which must have [`Self::row_elements`] elements.
    ///
    /// # Errors
    /// [`CacheError::Usage`] for a row that there is not, or an `out` of another length.
    pub fn read_row(&self, row: usize, out: &mut [f32]) -> Result<(), CacheError> {
        self.convert(self.row_bytes(row)?, out)
    }

    /// One view of a row as f32 into `out`, which must have [`Self::view_elements`] elements.
    ///
    /// # Errors
    /// [`CacheError::Usage`] for a row or view that there is not, or an `out` of another length.
    pub fn read_view(&self, row: usize, view: usize, out: &mut [f32]) -> Result<(), CacheError> {
        let bytes = self.row_bytes(row)?;
        let mut views = bytes.chunks_exact(bytes.len() / self.views());
        let bytes = views.nth(view).ok_or_else(|| {
            CacheError::Usage(format!("view {view} is beyond the {} views", self.views()))
        })?;
        self.convert(bytes, out)
    }

    /// Stored values as f32.
    fn convert(&self, bytes: &[u8], out: &mut [f32]) -> Result<(), CacheError> {
        let dtype = self.manifest.settings.dtype;
        let (expected, found) = (bytes.len() / dtype.bytes(), out.len());
        if found != expected {
            return Err(CacheError::Usage(format!(
                "expected a buffer of {expected} elements, found {found}"
            )));
        }
        match dtype {
            Dtype::F32 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                    *o = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
            Dtype::F16 => {
                for (o, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    *o = f16::from_le_bytes([b[0], b[1]]).to_f32();
                }
            }
        }
        Ok(())
    }

    /// The whole array without a copy, of the manifest's shape; `None` when it is stored as f16 (or this machine is big-endian).
    pub fn features_f32(&self) -> Option<ArrayViewD<'_, f32>> {
        self.view(Dtype::F32)
    }

    /// The whole array without a copy; `None` when it is stored as f32 (or this machine is big-endian).
    pub fn features_f16(&self) -> Option<ArrayViewD<'_, f16>> {
        self.view(Dtype::F16)
    }

    fn view<T: bytemuck::Pod>(&self, dtype: Dtype) -> Option<ArrayViewD<'_, T>> {
        if self.manifest.settings.dtype != dtype || cfg!(target_endian = "big") {
            return None;
        }
        let data = self.map.get(usize::try_from(self.manifest.data_offset).ok()?..)?;
        ArrayViewD::from_shape(IxDyn(&self.manifest.shape), bytemuck::try_cast_slice(data).ok()?)
            .ok()
    }

    /// Reads every byte: block hashes, index and labels against the manifest and each other. `progress` is called with
    /// the rows that are done.
    ///
    /// # Errors
    /// [`CacheError::Damaged`] with the first block of rows, or the first label, that is not what the manifest says;
    /// [`CacheError::Io`].
    pub fn verify_full(&self, mut progress: impl FnMut(u64)) -> Result<(), CacheError> {
        let m = &self.manifest;
        let path = &self.files.features;
        let size = self.row_elements * m.settings.dtype.bytes();
        for (number, expected) in m.block_sha256.iter().enumerate() {
            let first = number as u64 * m.block_rows;
            let end = (first + m.block_rows).min(m.rows);
            let start = m.data_offset as usize + first as usize * size;
            let block = self.map.get(start..start + (end - first) as usize * size).unwrap_or(&[]);
            let found = Hex(sha256(block)).to_string();
            if found != *expected {
                let last = end - 1;
                let why =
                    format!("rows {first} to {last}: expected sha256 {expected}, found {found}");
                return Err(CacheError::damaged(path, why));
            }
            progress(end);
        }
        let labels = self.index()?.into_iter().filter(|e| e.row.is_some()).map(|e| e.label as i64);
        if let Some(row) = labels.zip(&self.labels).position(|(a, &b)| a != b) {
            let why = format!("the label of row {row} is not that of the labels file");
            return Err(CacheError::damaged(&self.files.index, why));
        }
        Ok(())
    }
}

fn missing(files: &SplitFiles) -> CacheError {
    let why = if disk::exists(&files.journal) {
        "extract was interrupted or is still at work there"
    } else if disk::exists(&files.features) {
        "there are features without a manifest"
    } else {
        "there is no finished cache of this split"
    };
    CacheError::Missing { path: files.manifest.clone(), why: why.to_owned() }
}
