//! Rows of several views: which one an epoch takes.

use crate::{FeatureRows, HeadError, Randomness};

/// The first views of every row, each as a row of its own: view v of row i is item `i * views + v`.
#[derive(Clone, Copy)]
pub(crate) struct Unrolled<'a> {
    rows: &'a dyn FeatureRows,
    views: usize,
}

impl FeatureRows for Unrolled<'_> {
    fn len(&self) -> usize {
        self.rows.len() * self.views
    }
    fn width(&self) -> usize {
        self.rows.width()
    }
    fn read_row(&self, item: usize, out: &mut [f32]) {
        match self.views {
            1 => self.rows.read_row(item, out),
            views => self.rows.read_view(item / views, item % views, out),
        }
    }
}

impl<'a> Unrolled<'a> {
    /// All views.
    pub(crate) fn all(rows: &'a dyn FeatureRows) -> Self {
        Self { rows, views: rows.views() }
    }

    /// View 0 alone.
    pub(crate) fn first(rows: &'a dyn FeatureRows) -> Self {
        Self { rows, views: 1 }
    }

    /// An error of an item as one of its row. The column counts through the views, as in the stored row.
    pub(crate) fn error_of_row(&self, error: HeadError) -> HeadError {
        match error {
            HeadError::NotFinite { split, row: item, column, value } => {
                let column = item % self.views * self.rows.width() + column;
                HeadError::NotFinite { split, row: item / self.views, column, value }
            }
            other => other,
        }
    }
}

/// The view that each row takes in each epoch: row i begins with a view that is drawn, and takes the next in each epoch, the
/// first after the last. So no two epochs in a row take the same, and in `views` epochs every view is taken once.
pub(crate) struct Schedule {
    views: u32,
    /// Of each row; empty where there is one view.
    first: Vec<u32>,
}

impl Schedule {
    pub(crate) fn new(rows: usize, views: usize, random: &mut dyn Randomness) -> Self {
        let views = views as u32;
        let mut first = vec![0; if views > 1 { rows } else { 0 }];
        if views > 1 {
            random.views(views, &mut first);
        }
        Self { views, first }
    }

    /// Makes items of rows, in epoch `epoch` (from 0).
    pub(crate) fn items(&self, epoch: usize, rows: &mut [u32]) {
        if self.views > 1 {
            let passed = (epoch % self.views as usize) as u32;
            for row in rows {
                *row = *row * self.views + (self.first[*row as usize] + passed) % self.views;
            }
        }
    }

    /// The row of an item.
    pub(crate) fn row(&self, item: u32) -> usize {
        (item / self.views) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seeded;

    #[test]
    fn each_view_comes_once_in_as_many_epochs_as_there_are_views() {
        let (rows, views) = (50u32, 5);
        let schedule = Schedule::new(rows as usize, views, &mut Seeded::new(1));
        let taken = |epoch| {
            let mut items: Vec<u32> = (0..rows).rev().collect();
            schedule.items(epoch, &mut items);
            for (row, item) in (0..rows).rev().zip(&items) {
                assert_eq!(schedule.row(*item), row as usize);
            }
            items.reverse();
            items.iter().map(|item| item % 5).collect::<Vec<_>>()
        };
        let epochs: Vec<Vec<u32>> = (0..6).map(taken).collect();
        for row in 0..rows as usize {
            let mut seen: Vec<u32> = epochs[..5].iter().map(|epoch| epoch[row]).collect();
            assert_eq!(epochs[5][row], seen[0]);
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
        // Rows do not move in step.
        assert!((0..5).all(|view| epochs[0].contains(&view)), "{:?}", epochs[0]);
        let other = Schedule::new(rows as usize, views, &mut Seeded::new(2));
        assert_ne!(schedule.first, other.first);
    }

    #[test]
    fn rows_of_one_view_are_their_items() {
        struct Forbidden;
        impl Randomness for Forbidden {
            fn kernel(&mut self, _: usize, _: usize, _: usize, _: &mut [f32]) {
                unreachable!()
            }
            fn order(&mut self, _: usize, _: &mut [u32]) {
                unreachable!()
            }
            fn mask(&mut self, _: usize, _: usize, _: usize, _: f32, _: &mut [f32]) {
                unreachable!()
            }
            fn views(&mut self, _: u32, _: &mut [u32]) {
                unreachable!()
            }
        }
        let schedule = Schedule::new(3, 1, &mut Forbidden);
        let mut rows = [2, 0, 1];
        schedule.items(7, &mut rows);
        assert_eq!(rows, [2, 0, 1]);
        assert_eq!(schedule.row(2), 2);
    }
}
