//! What is written can be read: the limits of the readers, held before the first row is computed.
//!
//! The bounds here are of what a run could write in the worst case: every name quoted, every input bad with the longest
//! reason, every block hash.

use crate::error::CacheError;
use crate::finished::complete::MAX_MANIFEST;
use crate::format::features::{MAX_BLOCK, block_rows};
use crate::format::index::{COLUMNS, MAX_FIELD, MAX_INDEX};
use crate::format::journal::{MAX_LINE, Record, parse_line, push_line};
use crate::input::Input;
use crate::settings::Settings;

/// Longest reason that is kept of a bad file, in characters.
pub(crate) const MAX_REASON: usize = 1000;
/// Longest name of a tool's version or a host that is kept, in characters.
pub(crate) const MAX_NAME: usize = 255;
/// Largest `run.extra` of a manifest as JSON, in bytes.
pub(crate) const MAX_EXTRA: u64 = 1 << 20;

/// Everything about the files of a whole split that a reader limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes of the index at most.
    pub(crate) index: u64,
    /// Bytes of the manifest at most.
    pub(crate) manifest: u64,
    /// Bytes of a block of the features.
    pub(crate) block: u64,
}

impl Sizes {
    /// Of `inputs` files whose names have `names` bytes in the index, together.
    pub(crate) fn new(settings: &Settings, inputs: u64, names: u64) -> Result<Self, CacheError> {
        let row_bytes = settings.row_bytes()?;
        let classes = settings.classes.iter().map(|class| quoted(class)).max().unwrap_or(0);
        // Row, label and size as numbers of 64 bits, width and height of 32; status, two hashes, commas and line feed.
        let numbers = 3 * 20 + 2 * 10 + 3 + 64 + 16 + COLUMNS.len() as u64;
        // No character takes more bytes than 4, and only one of 1 byte, the quote, is doubled.
        let reason = 4 * MAX_REASON as u64 + 2;
        let lines = inputs.saturating_mul(numbers + classes + reason);
        let index = lines.saturating_add(names).saturating_add(COLUMNS.join(",").len() as u64 + 1);
        let block_rows = block_rows(row_bytes, inputs);
        let hash = 64 + "    \"\",\n".len() as u64;
        let counts = settings.classes.len() as u64 * (20 + "    ,\n".len() as u64);
        let text = serde_json::to_vec_pretty(settings)
            .map_err(|e| CacheError::Usage(format!("settings that are no JSON: {e}")))?;
        // Inside the manifest they are indented further.
        let indent = 2 * text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        // The other fields are numbers, hashes, and names of a limited length.
        let rest = 1 << 14;
        let manifest = inputs.div_ceil(block_rows).saturating_mul(hash)
            + counts
            + text.len() as u64
            + indent
            + MAX_EXTRA
            + rest;
        Ok(Self { index, manifest, block: block_rows.saturating_mul(row_bytes as u64) })
    }

    fn check(&self, row_bytes: u64) -> Result<(), CacheError> {
        let too_large = |what: &str, bytes: u64, most: u64| {
            Err(CacheError::Usage(format!(
                "the {what} could have {bytes} bytes, more than can be read again ({most}): take fewer inputs or classes, or \
                 shorter names"
            )))
        };
        if self.index > MAX_INDEX {
            return too_large("index", self.index, MAX_INDEX);
        }
        if self.manifest > MAX_MANIFEST {
            return too_large("manifest", self.manifest, MAX_MANIFEST);
        }
        let most = MAX_BLOCK.max(row_bytes);
        if self.block > most {
            return too_large("block of features", self.block, most);
        }
        Ok(())
    }
}

/// Bytes of a field of the index at most.
fn quoted(text: &str) -> u64 {
    (text.len() + 2 + text.bytes().filter(|&byte| byte == b'"').count()) as u64
}

/// An error unless the files of a split of these inputs can be read again, whatever becomes of each input.
pub(crate) fn check(settings: &Settings, inputs: &[Input]) -> Result<(), CacheError> {
    if let Some(class) = settings.classes.iter().find(|class| class.len() > MAX_FIELD) {
        return Err(CacheError::Usage(format!(
            "a class name has {} bytes, at most {MAX_FIELD} can be read again",
            class.len()
        )));
    }
    let names = inputs.iter().map(|input| quoted(&input.name)).sum();
    let row_bytes = settings.row_bytes()? as u64;
    Sizes::new(settings, inputs.len() as u64, names)?.check(row_bytes)
}

/// An error unless the journal's first line, which holds the settings, can be read again.
pub(crate) fn check_head(head: &Record) -> Result<(), CacheError> {
    let mut line = Vec::new();
    push_line(&mut line, head)
        .map_err(|e| CacheError::Usage(format!("settings that are no JSON: {e}")))?;
    if line.len() > MAX_LINE {
        return Err(CacheError::Usage(format!(
            "the settings have {} bytes as JSON, at most {MAX_LINE} can be read again: take fewer classes, or shorter names",
            line.len()
        )));
    }
    if parse_line(&line).as_ref() == Some(head) {
        return Ok(());
    }
    Err(CacheError::Usage("the settings do not come back from JSON as they were".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::finished::complete::{FORMAT, parse_manifest};
    use crate::format::features::{features_header, features_size};
    use crate::format::index::{IndexEntry, parse_lines, write_csv};
    use crate::format::manifest::{FORMAT_VERSION, FileRecord, Files, Manifest, Provenance};
    use crate::format::names::SplitFiles;
    use crate::format::npy;
    use crate::recipe::OpaqueRecipe;
    use crate::run::crash_tests::settings;

    /// The manifest of a finished cache of so many rows, as JSON.
    fn manifest(settings: &Settings, rows: u64) -> (Vec<u8>, SplitFiles) {
        let files = SplitFiles::new(Path::new(""), "train", None);
        let hash = || "0123456789abcdef".repeat(4);
        let row_bytes = settings.row_bytes().unwrap();
        let record =
            |name: &str, bytes, sha256| FileRecord { name: name.to_owned(), bytes, sha256 };
        let block_rows = block_rows(row_bytes, rows);
        let mut class_counts = vec![0; settings.classes.len()];
        class_counts[0] = rows;
        let shape = settings.array_shape(rows).into_iter().map(|d| d as usize).collect();
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            split: "train".to_owned(),
            settings: settings.clone(),
            shape,
            rows,
            skipped: 0,
            class_counts,
            inputs: rows,
            inputs_total: rows,
            inputs_sha256: hash(),
            shard: None,
            files: Files {
                features: record(
                    "train_features.npy",
                    features_size(settings, rows).unwrap(),
                    None,
                ),
                labels: record(
                    "train_labels.npy",
                    rows * 8 + npy::header("<i8", &[rows]).len() as u64,
                    Some(hash()),
                ),
                index: record("train_index.csv", u64::MAX, Some(hash())),
            },
            data_offset: features_header(settings, rows).len() as u64,
            block_rows,
            block_sha256: (0..rows.div_ceil(block_rows)).map(|_| hash()).collect(),
            run: Provenance::default(),
        };
        (serde_json::to_vec_pretty(&manifest).unwrap(), files)
    }

    /// Sizes of a data set of so many files with names of 40 bytes.
    fn sizes(row_shape: &[usize], rows: u64) -> (Settings, Sizes) {
        let settings = Settings { row_shape: row_shape.to_vec(), ..settings(1) };
        let sizes = Sizes::new(&settings, rows, rows * 42).unwrap();
        (settings, sizes)
    }

    #[test]
    fn thirty_million_rows_can_be_read_again() {
        const ROWS: u64 = 30_000_000;
        // Pooled, whole, and rows so large that blocks of the usual size would be too many.
        for (shape, rows) in [(&[512][..], ROWS), (&[4, 4, 512], ROWS), (&[1 << 18], ROWS)] {
            let (settings, sizes) = sizes(shape, rows);
            sizes.check(settings.row_bytes().unwrap() as u64).unwrap();
            let (json, files) = manifest(&settings, rows);
            assert!(
                json.len() as u64 + MAX_EXTRA <= sizes.manifest && sizes.manifest <= MAX_MANIFEST
            );
            let read = parse_manifest(&json, &files, "train", None).unwrap();
            assert_eq!(read.rows, rows);
        }
        // A line of such an index is below the bound, and the whole of it below the limit.
        let (settings, sizes) = sizes(&[512], ROWS);
        let entry = |row| IndexEntry {
            row: Some(row),
            file: format!("cats/{row:035}"),
            class: settings.classes[0].clone(),
            label: 0,
            reason: String::new(),
            width: Some(u32::MAX),
            height: Some(u32::MAX),
            bytes: Some(u64::MAX),
            sha256: Some([255; 32]),
            phash: Some(u64::MAX),
        };
        let mut csv = Vec::new();
        write_csv((0..1000).map(entry), &mut csv).unwrap();
        assert!(csv.len() as u64 / 1000 * ROWS < sizes.index && sizes.index < MAX_INDEX);
        assert_eq!(parse_lines(csv.as_slice(), &settings.classes, 1000).unwrap().1, 1000);
    }

    #[test]
    fn the_bound_of_an_index_holds_for_the_worst_lines() {
        let quotes = "\"".repeat(500);
        let settings = Settings { classes: vec![quotes.clone(), "ü".to_owned()], ..settings(1) };
        let entry = |i: usize| IndexEntry {
            row: None,
            file: quotes.clone(),
            class: settings.classes[i % 2].clone(),
            label: i % 2,
            reason: if i < 50 { "\"" } else { "\u{1f600}" }.repeat(MAX_REASON),
            width: None,
            height: None,
            bytes: Some(u64::MAX),
            sha256: Some([255; 32]),
            phash: None,
        };
        let mut csv = Vec::new();
        write_csv((0..100).map(entry), &mut csv).unwrap();
        let bound = Sizes::new(&settings, 100, 100 * quoted(&quotes)).unwrap().index;
        assert!((csv.len() as u64) < bound, "{} {bound}", csv.len());
        assert_eq!(parse_lines(csv.as_slice(), &settings.classes, 100).unwrap().0.len(), 100);
    }

    #[test]
    fn what_could_not_be_read_again_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |settings: Settings, inputs: Vec<Input>| {
            let options = crate::OpenOptions::default();
            let error = crate::open(dir.path(), "train", settings, inputs, options)
                .unwrap_err()
                .to_string();
            assert!(error.contains("read again") || error.contains("come back"), "{error}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        };
        let classes = |n: usize, bytes: usize| Settings {
            classes: (0..n).map(|i| format!("{i:04}") + &"x".repeat(bytes - 4)).collect(),
            ..settings(1)
        };
        refused(classes(1, MAX_FIELD + 1), Vec::new());
        refused(classes(1000, 5000), Vec::new());
        // Nested deeper than a reader goes.
        let mut deep = serde_json::Value::Null;
        for _ in 0..200 {
            deep = serde_json::Value::Array(vec![deep]);
        }
        let fields = [("deep".to_owned(), deep)].into_iter().collect();
        refused(Settings { recipe: OpaqueRecipe::new(fields), ..settings(1) }, Vec::new());
        // Two fields of one name.
        let fields = [("dtype".to_owned(), "f32".into())].into_iter().collect();
        refused(Settings { recipe: OpaqueRecipe::new(fields), ..settings(1) }, Vec::new());
        // A quadrillion rows: the sizes alone.
        let (settings, sizes) = sizes(&[512], 1 << 50);
        assert!(sizes.check(settings.row_bytes().unwrap() as u64).is_err());
        let many = Sizes { index: 1, ..sizes };
        assert!(many.check(2048).unwrap_err().to_string().contains("block"), "{many:?}");
    }
}
