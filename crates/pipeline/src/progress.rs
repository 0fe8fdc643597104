//! What a caller sees of a command while it runs.

use images::SplitScan;
use train::{EpochStats, Fitted};

use crate::error::BoxError;
use crate::fit::evaluate::{Calibrated, Evaluated};
use crate::fit::features::Features;

/// Something happened.
#[non_exhaustive]
pub enum Event<'a> {
    /// A split's folder was listed.
    Scanned {
        /// The split.
        split: &'a str,
        /// What is in it.
        scan: &'a SplitScan,
    },
    /// Images of a split are computed from here on.
    Computing {
        /// The split.
        split: &'a str,
        /// Images of the whole split, or of its shard.
        total: usize,
        /// Those that are done already.
        reused: usize,
        /// Those that are to do.
        pending: usize,
    },
    /// One image more is done, or was skipped.
    Image,
    /// No more images of the split come; it may still be written.
    Computed {
        /// Files that gave no row: `split/name: reason`.
        skipped: &'a [String],
    },
    /// An epoch of the first training is over.
    Epoch(&'a EpochStats),
    /// A training goes on from a checkpoint, after these epochs.
    Resumed(&'a [EpochStats]),
    /// The first training is over.
    Trained {
        /// What it gave.
        fitted: &'a Fitted,
        /// How long it took.
        seconds: f64,
    },
    /// The head was evaluated on every split.
    Evaluated(&'a [(&'a Features, Evaluated)]),
    /// The validation split chose a temperature and a threshold, and every split but train was judged with them.
    Calibrated(&'a Calibrated),
    /// A training with a further seed is over.
    Seed {
        /// The seed.
        seed: u64,
        /// What is compared between seeds: key, label, value.
        values: &'a [(&'static str, &'static str, f64)],
    },
}

/// Follows a command. The methods may be called from any thread, one at a time.
pub trait Progress: Sync {
    /// Whether the command should stop at the next point at which nothing is lost.
    fn stop(&self) -> bool {
        false
    }

    /// Takes note of an event.
    ///
    /// # Errors
    /// What should end the command.
    fn event(&self, event: Event<'_>) -> Result<(), BoxError> {
        let _ = event;
        Ok(())
    }
}

/// Nobody follows.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {}
