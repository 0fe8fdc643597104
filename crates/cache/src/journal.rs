//! The journal of an unfinished run, `<split>.journal`: a line a fact, each with its own checksum.
//!
//! A line is 16 hex digits (the first of the sha256 of the rest), a space, JSON, a line feed. What follows the first line
//! that does not match its checksum does not count: it was being written when the run was cut off.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use util::regular;

use crate::digest::{Hex, RowHash, sha256};
use crate::disk::{self, DiskFile, write_all_at};
use crate::error::CacheError;
use crate::input::{Existing, Input, RowSource};
use crate::manifest::Shard;
use crate::settings::Settings;
use crate::stamps::Stamp;

/// Longest accepted line, in bytes.
pub(crate) const MAX_LINE: usize = 4 << 20;
/// How often rows may move in one journal. It takes a power cut and a file that turns bad to make it more than once, and each
/// time costs work for every input. What comes after does not count: rows are known by their hash, wherever they are.
const MAX_MOVES: u32 = 16;
const VERSION: u32 = 1;

/// What the run is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
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

impl Head {
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
    Head(Box<Head>),
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

/// What is known of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Pending,
    /// A thread writes the row at this moment.
    Busy,
    Row(Box<RowFact>),
    Skipped(Box<SkipFact>),
}

/// Where in the part file each input's row lies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    /// `None`: at the input's own position.
    slots: Option<Vec<u64>>,
}

impl Layout {
    pub(crate) fn slot(&self, at: usize) -> u64 {
        match &self.slots {
            None => at as u64,
            Some(slots) => slots.get(at).copied().unwrap_or(at as u64),
        }
    }

    /// Whether rows have moved down already: the skipped have no place any more.
    pub(crate) fn is_compact(&self) -> bool {
        self.slots.is_some()
    }

    /// The final layout: each row at its number among the rows.
    pub(crate) fn compact(entries: &[Entry]) -> Self {
        let mut next = 0;
        let slot = |entry: &Entry| {
            let here = next;
            next += u64::from(matches!(entry, Entry::Row(_)));
            here
        };
        Self { slots: Some(entries.iter().map(slot).collect()) }
    }

    /// Whether every row of `entries` lies at the same place in both.
    pub(crate) fn same(&self, other: &Self, entries: &[Entry]) -> bool {
        let rows = entries.iter().enumerate().filter(|(_, e)| matches!(e, Entry::Row(_)));
        rows.into_iter().all(|(i, _)| self.slot(i) == other.slot(i))
    }
}

/// Everything that a journal says.
#[derive(Debug, PartialEq)]
pub(crate) struct Replay {
    pub(crate) head: Head,
    /// Names and classes of the inputs.
    pub(crate) inputs: Vec<(String, usize)>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) layout: Layout,
    /// Where rows were moving to when the run was cut off.
    pub(crate) moving_to: Option<Layout>,
    pub(crate) committed: bool,
    pub(crate) sessions: u64,
    /// Bytes of the valid lines.
    pub(crate) valid_len: u64,
    /// How often rows moved.
    pub(crate) moves: u32,
}

impl Replay {
    /// Reads a journal; `None` when there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, CacheError> {
        if !disk::exists(path) {
            return Ok(None);
        }
        let file = regular::open(path).map_err(CacheError::io("open", path))?;
        Self::parse(BufReader::with_capacity(1 << 17, file), path).map(Some)
    }

    /// Reads the lines of a journal; `path` is for messages.
    pub(crate) fn parse(from: impl BufRead, path: &Path) -> Result<Self, CacheError> {
        let mut lines = Lines { from, valid_len: 0 };
        let first = lines.next_record().map_err(CacheError::io("read", path))?;
        let Some(Record::Head(head)) = first else {
            let why = "expected the head of a journal in its first line";
            return Err(CacheError::damaged(path, why));
        };
        if head.version != VERSION {
            let why = format!("expected journal version {VERSION}, found {}", head.version);
            return Err(CacheError::damaged(path, why));
        }
        head.settings.row_bytes().map_err(|e| CacheError::damaged(path, e.to_string()))?;
        let mut replay = Self {
            head: *head,
            inputs: Vec::new(),
            entries: Vec::new(),
            layout: Layout::default(),
            moving_to: None,
            committed: false,
            sessions: 0,
            valid_len: lines.valid_len,
            moves: 0,
        };
        while let Some(record) = lines.next_record().map_err(CacheError::io("read", path))? {
            if !replay.apply(record) {
                break;
            }
            replay.valid_len = lines.valid_len;
        }
        Ok(replay)
    }

    /// Whether the record made sense where it stands.
    fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::Head(_) => return false,
            Record::Input(name, class) => {
                if self.sessions > 0 {
                    return false;
                }
                self.inputs.push((name, class));
                self.entries.push(Entry::Pending);
            }
            Record::Session { .. } => self.sessions += 1,
            Record::Row(at, fact) => match self.entries.get_mut(at) {
                Some(entry) => *entry = Entry::Row(Box::new(fact)),
                None => return false,
            },
            Record::Skip(at, fact) => match self.entries.get_mut(at) {
                Some(entry) => *entry = Entry::Skipped(Box::new(fact)),
                None => return false,
            },
            Record::Compact if self.moves == MAX_MOVES => return false,
            Record::Compact => {
                self.moves += 1;
                self.moving_to = Some(Layout::compact(&self.entries));
            }
            Record::Compacted => match self.moving_to.take() {
                Some(layout) => self.layout = layout,
                None => return false,
            },
            Record::Commit => self.committed = true,
        }
        true
    }
}

struct Lines<R> {
    from: R,
    valid_len: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next valid line; `None` at the end or at the first that is not.
    fn next_record(&mut self) -> std::io::Result<Option<Record>> {
        let mut line = Vec::new();
        (&mut self.from).take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        let record = parse_line(&line);
        if record.is_some() {
            self.valid_len += line.len() as u64;
        }
        Ok(record)
    }
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

/// Appends to a journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Bytes of whole lines. A write that failed half-way is overwritten by the next.
    len: u64,
    /// How many of them are on disk for sure, with what they speak of.
    synced: u64,
}

impl Journal {
    /// Goes on after the first `len` bytes.
    pub(crate) fn resume(
        path: &Path,
        file: Box<dyn DiskFile>,
        len: u64,
    ) -> Result<Self, CacheError> {
        file.set_len(len).map_err(CacheError::io("cut", path))?;
        Ok(Self { path: path.to_owned(), file, len, synced: len })
    }

    /// Writes head and inputs into an empty file.
    pub(crate) fn begin(
        path: &Path,
        file: Box<dyn DiskFile>,
        head: Head,
        inputs: &[Input],
    ) -> Result<Self, CacheError> {
        let mut journal = Self { path: path.to_owned(), file, len: 0, synced: 0 };
        journal.append(&Record::Head(Box::new(head)))?;
        let records = inputs.iter().map(|i| Record::Input(i.name.clone(), i.class));
        journal.append_all(records)?;
        Ok(journal)
    }

    pub(crate) fn append(&mut self, record: &Record) -> Result<(), CacheError> {
        let mut buffer = Vec::with_capacity(512);
        push_line(&mut buffer, record).map_err(CacheError::io("write", &self.path))?;
        self.write(&buffer)
    }

    /// Many lines with few writes.
    pub(crate) fn append_all(
        &mut self,
        records: impl Iterator<Item = Record>,
    ) -> Result<(), CacheError> {
        const CHUNK: usize = 1 << 18;
        let mut buffer = Vec::new();
        for record in records {
            push_line(&mut buffer, &record).map_err(CacheError::io("write", &self.path))?;
            if buffer.len() >= CHUNK {
                self.write(&buffer)?;
                buffer.clear();
            }
        }
        self.write(&buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        write_all_at(&*self.file, bytes, self.len).map_err(CacheError::io("write", &self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Puts the lines on disk. What they speak of is there already.
    ///
    /// # Errors
    /// Those of the device: then the lines since the last success are taken back, see [`Self::take_back`].
    pub(crate) fn sync(&mut self) -> Result<(), CacheError> {
        if let Err(e) = self.file.sync() {
            self.take_back();
            return Err(CacheError::io("put on disk", &self.path)(e));
        }
        self.synced = self.len;
        Ok(())
    }

    /// Forgets the lines since the last successful sync. After a failed one they, or the rows they speak of, may be read
    /// back for a while although the device doesn't have them: the next run must not build on them.
    pub(crate) fn take_back(&mut self) {
        // Where even this fails, the error that came before says that the device is broken.
        let _ = self.file.set_len(self.synced);
        self.len = self.synced;
    }

    /// Whether its path still names this file.
    pub(crate) fn is_in_place(&self) -> bool {
        self.file.is_at(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file goes on under its lasting name.
    pub(crate) fn renamed(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_damage_ends_the_valid_part() {
        let mut good = Vec::new();
        push_line(&mut good, &Record::Input("a \"ü\"\n.jpg".to_owned(), 3)).unwrap();
        assert!(matches!(parse_line(&good), Some(Record::Input(n, 3)) if n == "a \"ü\"\n.jpg"));
        for i in 0..good.len() {
            assert!(parse_line(&good[..i]).is_none(), "cut at {i}");
            let mut bad = good.clone();
            bad[i] ^= 1;
            assert!(parse_line(&bad).is_none(), "flip at {i}");
        }
    }

    #[test]
    fn hostile_lines_are_refused() {
        for json in [
            r#"{"row":[18446744073709551615]}"#,
            r#"{"session":{}}"#,
            "[[[[",
            r#"{"head":{}}"#,
            "0",
        ] {
            let line = format!("{} {json}\n", checksum(json.as_bytes()));
            assert!(parse_line(line.as_bytes()).is_none(), "{json}");
        }
    }

    #[test]
    fn rows_move_down_over_the_skipped() {
        let source = RowSource { sha256: [0; 32], bytes: 1, width: 1, height: 1, phash: None };
        let fact = RowFact::new(Hex([0; 16]), &source, None);
        let row = || Entry::Row(Box::new(fact.clone()));
        let reason = "bad".to_owned();
        let bad = SkipFact { reason, stamp: None, sha256: None, bytes: None };
        let skip = || Entry::Skipped(Box::new(bad.clone()));
        let entries = [row(), skip(), row(), skip(), row()];
        let layout = Layout::compact(&entries);
        assert_eq!([0, 2, 4].map(|i| layout.slot(i)), [0, 1, 2]);
        assert!(!Layout::default().same(&layout, &entries));
        assert!(Layout::default().same(&Layout::compact(&entries[..2]), &entries[..2]));
    }
}
