//! Writing a split.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use half::f16;

use crate::disk::Disk;
use crate::disk::lock::{self, Lock};
use crate::error::CacheError;
use crate::format::digest::{Hex, row_hash};
use crate::format::index::IndexEntry;
use crate::format::journal::{Entry, Journal, Record, RowFact, SkipFact};
use crate::format::manifest::{Manifest, Provenance, RunStats};
use crate::format::names::SplitFiles;
use crate::format::stamps::Stamp;
use crate::input::{Input, Judged, OnError, RowSource, Skip};
use crate::run::finish::{Job, check_in_place, now_unix};
use crate::run::limits::{MAX_EXTRA, MAX_NAME, MAX_REASON};
use crate::run::part::Part;
use crate::run::setup::Ready;
use crate::run::target::Target;
use crate::settings::Dtype;

/// Rows are put on disk at least this often while they come: what a power cut can cost, well below 5 seconds.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// A split that is being written. Rows may come in any order and from any thread; the files get their names in
/// [`SplitWriter::finish`]. Dropping it loses nothing either: what is finished is kept, and the next
/// [`crate::open`] goes on.
#[derive(Debug)]
pub struct SplitWriter {
    disk: Arc<dyn Disk>,
    files: SplitFiles,
    target: Target,
    stamps: Vec<Option<Stamp>>,
    part: Part,
    state: Mutex<State>,
    pending: Vec<usize>,
    rows_reused: usize,
    sessions: u64,
    started_unix: u64,
    on_error: OnError,
    /// [`SYNC_EVERY`], but for tests.
    pub(crate) sync_every: Duration,
    // Last, so that it is let go after all files are closed.
    lock: Lock,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    entries: Vec<Entry>,
    synced: Instant,
    dirty: bool,
    /// A sync failed: nothing more is taken.
    broken: bool,
}

impl SplitWriter {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        files: SplitFiles,
        lock: Lock,
        target: Target,
        stamps: Vec<Option<Stamp>>,
        ready: Ready,
        on_error: OnError,
    ) -> Self {
        let Ready { part, journal, entries, sessions } = ready;
        let todo = entries.iter().enumerate().filter(|(_, e)| **e == Entry::Pending);
        let pending = todo.map(|(at, _)| target.base + at).collect();
        let rows_reused = entries.iter().filter(|e| matches!(e, Entry::Row(_))).count();
        let state = State { journal, entries, synced: Instant::now(), dirty: true, broken: false };
        Self {
            disk,
            files,
            target,
            stamps,
            part,
            state: Mutex::new(state),
            pending,
            rows_reused,
            sessions,
            started_unix: now_unix(),
            on_error,
            sync_every: SYNC_EVERY,
            lock,
        }
    }

    /// Positions (in the list given to [`crate::open`]) of the inputs that were still to do when the split was opened,
    /// ascending.
    pub fn pending(&self) -> &[usize] {
        &self.pending
    }

    /// The input at a position of the list given to [`crate::open`]; `None` outside of this shard.
    pub fn input(&self, position: usize) -> Option<&Input> {
        self.target.inputs.get(position.checked_sub(self.target.base)?)
    }

    /// How many inputs had their row already: from an interrupted run or an older cache.
    pub fn reused(&self) -> usize {
        self.rows_reused
    }

    /// How many inputs this writer is about: those of its shard.
    pub fn total(&self) -> usize {
        self.target.inputs.len()
    }

    /// Stores one row, `values` of the settings' row shape in C order. It is safe against a kill of this process when
    /// this returns, and against a power cut some 2 seconds later.
    ///
    /// `source` tells of exactly the bytes that were decoded, so that a file that changes meanwhile is noticed later.
    ///
    /// # Errors
    /// [`CacheError::Usage`] for a position that is not to do or a row of another length, [`CacheError::TooLargeForF16`], and what
    /// the disk says.
    pub fn write_row(
        &self,
        position: usize,
        values: &[f32],
        source: RowSource,
    ) -> Result<(), CacheError> {
        let expected = self.part.row_bytes / self.target.settings.dtype.bytes();
        if values.len() != expected {
            let name = self.input(position).map_or("?", |i| &i.name);
            let found = values.len();
            return Err(CacheError::Usage(format!(
                "the row of {name} must have {expected} values, found {found}"
            )));
        }
        let bytes = match self.target.settings.dtype {
            Dtype::F32 => f32_bytes(values),
            Dtype::F16 => self.f16_bytes(position, values)?.into(),
        };
        self.write_row_bytes(position, &bytes, source)
    }

    /// Stores a row that is in the stored form already.
    pub(crate) fn write_row_bytes(
        &self,
        position: usize,
        row: &[u8],
        source: RowSource,
    ) -> Result<(), CacheError> {
        let at = self.claim(position)?;
        let written = self.part.write(at, row);
        let mut state = self.state();
        let fact = RowFact::new(row_hash(row), &source, self.stamps[at]);
        let record = Record::Row(at, fact.clone());
        if let Err(e) = written.and_then(|()| state.journal.append(&record)) {
            state.entries[at] = Entry::Pending;
            return Err(self.vanished(&state).unwrap_or(e));
        }
        state.entries[at] = Entry::Row(Box::new(fact));
        self.sync_if_due(&mut state)
    }

    /// Notes that an input gives no row, and why. Under [`OnError::Fail`] it notes nothing and gives the error to stop
    /// with.
    ///
    /// # Errors
    /// [`CacheError::BadInput`] under [`OnError::Fail`]; [`CacheError::Usage`] for an input that is not pending; what the
    /// disk says.
    pub fn skip(&self, position: usize, skip: &Skip) -> Result<(), CacheError> {
        let reason = clean(&skip.reason);
        if self.on_error == OnError::Fail {
            let file =
                self.input(position).map_or_else(|| position.to_string(), |i| i.name.clone());
            return Err(CacheError::BadInput { file, reason });
        }
        let at = self.claim(position)?;
        let fact = match skip.judged {
            Some(Judged { bytes, sha256 }) => SkipFact {
                reason,
                stamp: self.stamps[at],
                sha256: Some(Hex(sha256)),
                bytes: Some(bytes),
            },
            None => SkipFact { reason, stamp: None, sha256: None, bytes: None },
        };
        self.note_skipped(at, fact)
    }

    /// As [`Self::skip`] for a file that is not at hand: what its index line says is known.
    pub(crate) fn skip_by_index(
        &self,
        position: usize,
        entry: &IndexEntry,
    ) -> Result<(), CacheError> {
        let at = self.claim(position)?;
        let (reason, sha256) = (clean(&entry.reason), entry.sha256.map(Hex));
        self.note_skipped(at, SkipFact { reason, stamp: None, sha256, bytes: entry.bytes })
    }

    fn note_skipped(&self, at: usize, fact: SkipFact) -> Result<(), CacheError> {
        let mut state = self.state();
        if let Err(e) = state.journal.append(&Record::Skip(at, fact.clone())) {
            state.entries[at] = Entry::Pending;
            return Err(self.vanished(&state).unwrap_or(e));
        }
        state.entries[at] = Entry::Skipped(Box::new(fact));
        self.sync_if_due(&mut state)
    }

    /// Puts everything on disk now.
    ///
    /// # Errors
    /// What the disk says: [`CacheError::Io`], [`CacheError::OutputVanished`].
    pub fn checkpoint(&self) -> Result<(), CacheError> {
        let mut state = self.state();
        self.sync(&mut state)
    }

    /// Completes the split: every input must have a row or a reason. The files appear under their final names.
    /// After an error nothing that was finished is lost, and the next [`crate::open`] goes on.
    ///
    /// # Errors
    /// [`CacheError::Incomplete`] where an input has neither, [`CacheError::Usage`] for statistics that are too long to be read
    /// again, and what the disk says.
    pub fn finish(mut self, stats: RunStats) -> Result<Manifest, CacheError> {
        let extra = serde_json::to_vec(&stats.extra).map_or(u64::MAX, |json| json.len() as u64);
        // Indented it may be twice as long, or more where it is nested.
        if extra > MAX_EXTRA / 16 {
            return Err(CacheError::Usage(format!(
                "what is to be kept of the run has {extra} bytes as JSON, at most {} can be read again",
                MAX_EXTRA / 16
            )));
        }
        let mut state = self.state();
        // What is on disk now is safe from a failure of what follows.
        self.sync(&mut state)?;
        let missing: Vec<usize> = (0..state.entries.len())
            .filter(|&at| matches!(state.entries[at], Entry::Pending | Entry::Busy))
            .collect();
        if let Some(&first) = missing.first() {
            let (missing, total) = (missing.len(), state.entries.len());
            return Err(CacheError::Incomplete {
                missing,
                total,
                first: self.target.inputs[first].name.clone(),
            });
        }
        let run = self.run(stats, &state.entries);
        drop(state);
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let job = Job {
            disk: &*self.disk,
            files: &self.files,
            target: &self.target,
            stamps: &self.stamps,
            part: &mut self.part,
            journal: &mut state.journal,
            entries: &mut state.entries,
            lock: &self.lock,
            run,
        };
        job.finish()
    }

    /// Stops here (Ctrl-C): puts everything on disk; the next [`crate::open`] goes on.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub fn abandon(self) -> Result<(), CacheError> {
        self.checkpoint()
    }

    fn run(&self, stats: RunStats, entries: &[Entry]) -> Provenance {
        let rows = entries.iter().filter(|e| matches!(e, Entry::Row(_))).count();
        let rows_computed = rows.saturating_sub(self.rows_reused) as u64;
        let seconds = if stats.seconds.is_finite() { stats.seconds.max(0.0) } else { 0.0 };
        let short = |text: &str| text.chars().take(MAX_NAME).collect();
        Provenance {
            tool_version: short(&stats.tool_version),
            host: short(&lock::host()),
            started_unix: self.started_unix,
            finished_unix: 0,
            seconds,
            rows_computed,
            rows_reused: self.rows_reused as u64,
            rows_per_second: if seconds > 0.0 { rows_computed as f64 / seconds } else { 0.0 },
            sessions: self.sessions,
            extra: stats.extra,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an input for the calling thread; an error when it is not to do.
    fn claim(&self, position: usize) -> Result<usize, CacheError> {
        let at = position.checked_sub(self.target.base);
        let mut state = self.state();
        match at.and_then(|at| state.entries.get_mut(at).map(|e| (at, e))) {
            None => {
                Err(CacheError::Usage(format!("the position {position} is not among the inputs")))
            }
            Some((at, entry)) if *entry == Entry::Pending => {
                *entry = Entry::Busy;
                Ok(at)
            }
            Some((at, _)) => {
                let name = &self.target.inputs[at].name;
                Err(CacheError::Usage(format!("{name} is done already (position {position})")))
            }
        }
    }

    fn sync_if_due(&self, state: &mut State) -> Result<(), CacheError> {
        state.dirty = true;
        if state.synced.elapsed() < self.sync_every {
            return Ok(());
        }
        self.sync(state)
    }

    /// Rows first, then the journal that speaks of them.
    fn sync(&self, state: &mut State) -> Result<(), CacheError> {
        if let Some(e) = self.vanished(state) {
            return Err(e);
        }
        if state.broken {
            // Rows that are counted as done here may be lost.
            let why = "it could not be put on disk before; what is safe is kept for the next run";
            return Err(CacheError::io("go on with", &self.part.path)(std::io::Error::other(why)));
        }
        if state.dirty {
            let synced = self.part.sync().inspect_err(|_| state.journal.take_back());
            if let Err(e) = synced.and_then(|()| state.journal.sync()) {
                state.broken = true;
                return Err(e);
            }
            state.dirty = false;
        }
        state.synced = Instant::now();
        Ok(())
    }

    /// Writes to a file that was removed or replaced succeed; so look whether it is still there.
    fn vanished(&self, state: &State) -> Option<CacheError> {
        check_in_place(&self.lock, &self.part, &state.journal).err()
    }

    fn f16_bytes(&self, position: usize, values: &[f32]) -> Result<Vec<u8>, CacheError> {
        let mut bytes = Vec::with_capacity(values.len() * 2);
        for (i, &value) in values.iter().enumerate() {
            let half = f16::from_f32(value);
            if half.is_infinite() && value.is_finite() {
                let file =
                    self.input(position).map_or_else(|| position.to_string(), |i| i.name.clone());
                return Err(CacheError::TooLargeForF16 { file, position: i, value });
            }
            bytes.extend_from_slice(&half.to_le_bytes());
        }
        Ok(bytes)
    }
}

/// A reason as the index has it.
fn clean(reason: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    reason.chars().map(visible).take(MAX_REASON).collect()
}

/// Little-endian bytes, without a copy where the machine stores them so.
fn f32_bytes(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()
    }
}
