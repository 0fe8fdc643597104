//! A split as `embedding-reader` takes it: a folder of 2-D `.npy` parts, and one of tables that go with them, in the same order.

use cache::SplitReader;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

use crate::error::TableError;
use crate::features_table::{INDEX_COLUMNS, index_columns};
use crate::metadata;
use crate::parquet_file::ParquetFile;
use crate::rows::{Blocks, block_rows};

/// Folder of the arrays.
const EMBEDDINGS: &str = "embeddings";
/// Folder of the tables.
const METADATA: &str = "metadata";
/// Blocks of rows in a part: 256 MiB as f32.
const PART_BLOCKS: usize = 16;

/// Writes the folder. It gets its name when all is in it; one that an earlier export wrote is replaced.
pub(crate) fn write(
    split: &SplitReader,
    path: &Path,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), TableError> {
    check_own(path)?;
    let beside = util::atomic::folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(util::atomic::TEMPORARY_PREFIX);
    // Temporary folders are private by default; this one becomes an ordinary folder.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let staging = builder.tempdir_in(beside).map_err(TableError::io("write into", beside))?;
    // Inside of a folder that goes as a whole.
    let whole = staging.path().join("whole");
    parts(split, &whole, progress)?;
    if path.exists() {
        let old = staging.path().join("old");
        fs::rename(path, &old).map_err(TableError::io("replace", path))?;
    }
    fs::rename(&whole, path).map_err(TableError::io("write", path))?;
    util::atomic::sync_folder(beside).map_err(TableError::io("write into", beside))
}

/// An error where something else is at the place than what an export wrote.
fn check_own(path: &Path) -> Result<(), TableError> {
    if !path.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(TableError::io("replace", path))? {
        let name = entry.map_err(TableError::io("replace", path))?.file_name();
        if name != EMBEDDINGS && name != METADATA {
            let found = name.to_string_lossy().into_owned();
            return Err(TableError::ForeignFolder { path: path.to_owned(), found });
        }
    }
    Ok(())
}

fn parts(
    split: &SplitReader,
    folder: &Path,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), TableError> {
    for name in [EMBEDDINGS, METADATA] {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(TableError::io("make", &path))?;
    }
    let rows = block_rows(split);
    let mut blocks = Blocks::new(split, rows, progress)?;
    let count = split.len().div_ceil(PART_BLOCKS * rows).max(1);
    // Readers sort the names as text.
    let digits = (count - 1).to_string().len().max(5);
    for number in 0..count {
        let first = number * PART_BLOCKS * rows;
        let left = (split.len() - first).min(PART_BLOCKS * rows);
        let name = format!("{number:0digits$}");
        part(split, folder, &name, left, &mut blocks)?;
    }
    // The end of the index, where its hash is compared.
    while blocks.next()?.is_some() {}
    for name in [EMBEDDINGS, METADATA, ""] {
        let path = folder.join(name);
        util::atomic::sync_folder(&path).map_err(TableError::io("write into", &path))?;
    }
    Ok(())
}

/// The next `rows` rows.
fn part(
    split: &SplitReader,
    folder: &Path,
    name: &str,
    rows: usize,
    blocks: &mut Blocks<'_>,
) -> Result<(), TableError> {
    let array = folder.join(EMBEDDINGS).join(format!("{name}.npy"));
    let table = folder.join(METADATA).join(format!("{name}.parquet"));
    let create = |path: &Path| {
        File::create_new(path).map(BufWriter::new).map_err(TableError::io("write", path))
    };
    let (mut array_out, mut table_out) = (create(&array)?, create(&table)?);
    let manifest = split.manifest();
    let shape = [(rows * split.views()) as u64, split.view_elements() as u64];
    let header = cache::npy_header(manifest.settings.dtype.descr(), &shape);
    array_out.write_all(&header).map_err(TableError::io("write", &array))?;
    let schema = format!("message metadata {{ {INDEX_COLUMNS} }}");
    let mut file = ParquetFile::new(&schema, &metadata::of(manifest)?, None)?;
    let mut done = 0;
    while done < rows {
        let Some((first, entries)) = blocks.next()? else { break };
        for row in first..first + entries.len() {
            let bytes = split.row_bytes(row)?;
            array_out.write_all(bytes).map_err(TableError::io("write", &array))?;
        }
        file.group(|group| index_columns(group, &manifest.split, split.views(), first, &entries))?;
        file.drain(&mut table_out).map_err(at(&table))?;
        done += entries.len();
    }
    let end = file.finish()?;
    table_out.write_all(&end).map_err(TableError::io("write", &table))?;
    for (out, path) in [(array_out, &array), (table_out, &table)] {
        let ended = out.into_inner().map_err(|e| e.into_error()).and_then(|file| file.sync_all());
        ended.map_err(TableError::io("write", path))?;
    }
    Ok(())
}

/// A refusal of the system, with the path.
fn at(path: &Path) -> impl FnOnce(TableError) -> TableError {
    move |error| match error {
        TableError::Write(source) => TableError::io("write", path)(source),
        other => other,
    }
}
