//! Cached rows as a network's inputs.

use super::Inputs;
use crate::views::Schedule;
use crate::{FeatureRows, Seeded};
use std::error::Error;

/// Rows that are read one by one. Of rows that have several views, training takes another each epoch, as [`crate::Trainer`]
/// does; evaluation takes view 0.
pub struct RowInputs<'a> {
    rows: &'a dyn FeatureRows,
    schedule: Schedule,
}

impl<'a> RowInputs<'a> {
    /// Of these rows; `seed` is that of the training.
    pub fn new(rows: &'a dyn FeatureRows, seed: u64) -> Self {
        let schedule = Schedule::new(rows.len(), rows.views(), &mut Seeded::new(seed));
        Self { rows, schedule }
    }
}

impl Inputs for RowInputs<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn width(&self) -> usize {
        self.rows.width()
    }

    fn read(
        &self,
        epoch: Option<usize>,
        rows: &[u32],
        out: &mut [f32],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut items = rows.to_vec();
        if let Some(epoch) = epoch {
            self.schedule.items(epoch - 1, &mut items);
        }
        let views = self.rows.views();
        for ((row, item), out) in rows.iter().zip(items).zip(out.chunks_exact_mut(self.width())) {
            let (row, item) = (*row as usize, item as usize);
            match epoch {
                Some(_) => self.rows.read_view(row, item % views, out),
                None => self.rows.read_row(row, out),
            }
            if let Some(column) = out.iter().position(|x| !x.is_finite()) {
                let (split, value) = ("given".to_owned(), out[column]);
                return Err(Box::new(crate::HeadError::NotFinite { split, row, column, value }));
            }
        }
        Ok(())
    }
}
