//! One line of the journal: a fact, and the checksum before it.

use serde::{Deserialize, Serialize};

use crate::format::digest::{Hex, RowHash, sha256};
use crate::format::manifest::Shard;
use crate::format::stamps::Stamp;
use crate::input::{Existing, RowSource};
use crate::settings::Settings;

/// Longest accepted line, in bytes.
pub(crate) const MAX_LINE: usize = 4 << 20;
/// Version of the journal's format.
pub(super) const VERSION: u32 = 1;

/// What the run is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JournalHeader {
    pub(crate) version: u32,
    pub(crate) split: String,
    pub(crate) shard: Option<Shard>,
    pub(crate) settings: Settings,
    /// Inputs of the whole split, and the digest of their list.
    pub(crate) inputs_total: u64,
    pub(crate) inputs_sha256: Hex<32>,
    /// How the run was allowed to treat an older cache.
    pub(crate) begun_by: Existing,
}

impl JournalHeader {
    pub(crate) fn new(
        split: &str,
        shard: Option<Shard>,
        settings: Settings,
        list: (u64, [u8; 32]),
        begun_by: Existing,
    ) -> Self {
        let (inputs_total, inputs_sha256) = (list.0, Hex(list.1));
        let split = split.to_owned();
        Self { version: VERSION, split, shard, settings, inputs_total, inputs_sha256, begun_by }
    }
}

/// A row that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowFact {
    /// What the stored bytes hash to.
    pub(crate) hash: RowHash,
    pub(crate) sha256: Hex<32>,
    pub(crate) bytes: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) phash: Option<Hex<8>>,
    pub(crate) stamp: Option<Stamp>,
}

impl RowFact {
    pub(crate) fn new(hash: RowHash, source: &RowSource, stamp: Option<Stamp>) -> Self {
        let RowSource { sha256, bytes, width, height, phash } = *source;
        let phash = phash.map(|p| Hex(p.to_be_bytes()));
        Self { hash, sha256: Hex(sha256), bytes, width, height, phash, stamp }
    }
}

/// A file that gives no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SkipFact {
    pub(crate) reason: String,
    /// As the file was when the run began; `None` where it could not be judged.
    pub(crate) stamp: Option<Stamp>,
    /// Of the bytes that were judged; `None` where the failure may pass.
    pub(crate) sha256: Option<Hex<32>>,
    /// How many bytes those were. Journals of earlier versions have them in the stamp alone.
    #[serde(default)]
    pub(crate) bytes: Option<u64>,
}

impl SkipFact {
    /// A size only together with the content's digest: of a file that was not judged nothing is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.sha256.and(self.bytes.or(self.stamp.map(|s| s.size)))
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Record {
    /// The first line.
    Head(Box<JournalHeader>),
    /// One for each input, in order, right after the head: name and class.
    Input(String, usize),
    /// A run begins to work on it.
    Session { started_unix: u64 },
    /// Row of an input (by its position among the journal's inputs). A later fact on the same input replaces it.
    Row(usize, RowFact),
    /// The input gives no row.
    Skip(usize, SkipFact),
    /// Rows begin to move down over the places of the skipped.
    Compact,
    /// They have moved.
    Compacted,
    /// The four files are complete; what is left is to give them their names.
    Commit,
}

pub(crate) fn parse_line(line: &[u8]) -> Option<Record> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, json) = (line.get(..16)?, line.get(17..)?);
    (line[16] == b' ' && sum == checksum(json).as_bytes()).then_some(())?;
    serde_json::from_slice(json).ok()
}

pub(crate) fn checksum(json: &[u8]) -> String {
    let mut eight = [0; 8];
    eight.copy_from_slice(&sha256(json)[..8]);
    Hex(eight).to_string()
}

pub(crate) fn push_line(buffer: &mut Vec<u8>, record: &Record) -> std::io::Result<()> {
    let json = serde_json::to_vec(record)?;
    buffer.extend_from_slice(checksum(&json).as_bytes());
    buffer.push(b' ');
    buffer.extend_from_slice(&json);
    buffer.push(b'\n');
    Ok(())
}
