//! Joining shards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::disk::{Disk, RealDisk};
use crate::error::CacheError;
use crate::finished::reader::SplitReader;
use crate::finished::splits::stems;
use crate::format::manifest::{Manifest, RunStats, Shard};
use crate::format::names;
use crate::input::{Existing, Input, OnError};
use crate::recipe::Rules;
use crate::run::open::{Opened, open_on};
use crate::run::setup::source;
use crate::run::target::{Content, Contents, Target, shard_range};

/// Joins all shards of a split into bitwise the files that one run would have made (but for times in the manifest).
/// The shards stay. An interrupted merge goes on where it was.
///
/// A joined split or an unfinished one that is there already is compared with the shards by the sha256 of each input's
/// file, as the indices have it: rows of files that changed are not kept. [`Existing::Update`] takes them from the shards.
///
/// # Errors
/// [`CacheError::Shards`] for shards that don't make a whole, [`CacheError::Changed`] for a joined split of other content
/// under [`Existing::Refuse`], [`CacheError::Damaged`] for a shard that isn't what its manifest says, and what the disk
/// says.
pub fn merge(
    dir: &Path,
    split: &str,
    existing: Existing,
    rules: Rules,
) -> Result<Manifest, CacheError> {
    merge_on(Arc::new(RealDisk), dir, split, existing, rules)
}

pub(crate) fn merge_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    split: &str,
    existing: Existing,
    rules: Rules,
) -> Result<Manifest, CacheError> {
    let begun = Instant::now();
    names::check_split(split)?;
    let refuse =
        |why: String| CacheError::Shards { path: dir.to_owned(), split: split.to_owned(), why };
    let shards = read_shards(dir, split)?;
    let first = shards.first().ok_or_else(|| refuse("there are none".to_owned()))?.manifest();
    let (mut inputs, mut contents) = (Vec::new(), Vec::new());
    for reader in &shards {
        let m = reader.manifest();
        let name = names::stem(split, m.shard);
        if let Some(d) = first.settings.unmergeable(&m.settings, rules).first() {
            return Err(refuse(format!(
                "{name} has another {} than shard 1: {} and {}",
                d.field, d.second, d.first
            )));
        }
        if (m.inputs_total, &m.inputs_sha256) != (first.inputs_total, &first.inputs_sha256) {
            return Err(refuse(format!("{name} was made from another list of files than shard 1")));
        }
        let total = usize::try_from(m.inputs_total)
            .map_err(|_| refuse("the list is too long".to_owned()))?;
        let (start, end) = shard_range(total, m.shard);
        if inputs.len() != start || m.inputs != (end - start) as u64 {
            return Err(refuse(format!(
                "{name} should have {} inputs, it has {}",
                end - start,
                m.inputs
            )));
        }
        for entry in reader.index()? {
            contents.push(Content::of(&entry));
            inputs.push(Input { name: entry.file, path: PathBuf::new(), class: entry.label });
        }
    }
    let contents = Contents::Known(contents);
    let target = Target::new(split, None, (first.settings.clone(), rules), inputs, contents)?;
    if crate::format::digest::Hex(target.list.1).to_string() != first.inputs_sha256 {
        return Err(refuse(
            "the names in the shards' indices are not those of the list they were made from"
                .to_owned(),
        ));
    }
    match open_on(disk, dir, target, existing, OnError::Skip)? {
        Opened::UpToDate(manifest) => Ok(*manifest),
        Opened::Writer(writer) => {
            let mut start = 0;
            for reader in &shards {
                reader.verify_full(|_| ())?;
                let pending = writer.pending();
                for (i, entry) in reader.index()?.iter().enumerate() {
                    let position = start + i;
                    if pending.binary_search(&position).is_err() {
                        continue;
                    }
                    match (entry.row, source(entry)) {
                        (Some(row), Some(source)) => {
                            let row = usize::try_from(row).unwrap_or(usize::MAX);
                            writer.write_row_bytes(position, reader.row_bytes(row)?, source)?;
                        }
                        _ => writer.skip_by_index(position, entry)?,
                    }
                }
                start += reader.manifest().inputs as usize;
            }
            let mut stats = RunStats {
                tool_version: first.run.tool_version.clone(),
                seconds: begun.elapsed().as_secs_f64(),
                ..RunStats::default()
            };
            let seconds: f64 = shards.iter().map(|s| s.manifest().run.seconds).sum();
            stats.extra.insert("merged_shards".to_owned(), shards.len().into());
            stats.extra.insert("shard_seconds".to_owned(), seconds.into());
            writer.finish(stats)
        }
    }
}

/// Opens shards 1 to N; an error names what is missing, double or of another count.
fn read_shards(dir: &Path, split: &str) -> Result<Vec<SplitReader>, CacheError> {
    let refuse =
        |why: String| CacheError::Shards { path: dir.to_owned(), split: split.to_owned(), why };
    let found: Vec<Shard> = stems(dir)?
        .into_iter()
        .filter(|(s, _)| s == split)
        .filter_map(|(_, shard)| shard)
        .collect();
    let Some(&Shard { count, .. }) = found.first() else { return Ok(Vec::new()) };
    if let Some(other) = found.iter().find(|s| s.count != count) {
        let (a, b) = (names::stem(split, Some(found[0])), names::stem(split, Some(*other)));
        return Err(refuse(format!("they are of different counts: {a} and {b}")));
    }
    let mut shards = Vec::new();
    let mut absent = Vec::new();
    for index in 1..=count {
        match SplitReader::open_shard(dir, split, Some(Shard { index, count })) {
            Ok(reader) => shards.push(reader),
            Err(CacheError::Missing { why, .. }) => absent.push(format!("{index}/{count} ({why})")),
            Err(e) => return Err(e),
        }
        if absent.len() > 10 {
            absent.push("…".to_owned());
            break;
        }
    }
    if absent.is_empty() {
        Ok(shards)
    } else {
        Err(refuse(format!("missing: {}", absent.join(", "))))
    }
}
