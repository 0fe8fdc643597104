//! Reading a journal: what the runs before had decided.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use util::regular;

use super::record::{JournalHeader, MAX_LINE, Record, RowFact, SkipFact, VERSION, parse_line};
use crate::disk;
use crate::error::CacheError;

/// How often rows may move in one journal. It takes a power cut and a file that turns bad to make it more than once, and each
/// time costs work for every input. What comes after does not count: rows are known by their hash, wherever they are.
const MAX_MOVES: u32 = 16;

/// What is known of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Pending,
    /// A thread writes the row at this moment.
    Busy,
    Row(Box<RowFact>),
    Skipped(Box<SkipFact>),
}

/// Where in the part file each input's row is.
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

    /// Whether every row of `entries` is at the same place in both.
    pub(crate) fn same(&self, other: &Self, entries: &[Entry]) -> bool {
        let rows = entries.iter().enumerate().filter(|(_, e)| matches!(e, Entry::Row(_)));
        rows.into_iter().all(|(i, _)| self.slot(i) == other.slot(i))
    }
}

/// Everything that a journal says.
#[derive(Debug, PartialEq)]
pub(crate) struct Replay {
    pub(crate) head: JournalHeader,
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

    /// Whether the record made sense at its place.
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
