//! Feature rows without their zeros.

/// Input columns a chunk. Fixed, since sums run within a chunk first and then over the chunks in order.
pub(crate) const CHUNK: usize = 1024;
/// Columns whose weights stay in the second-level cache from their update to their product.
pub(crate) const GROUP: usize = 32;

/// A value that is not zero, and where it is: its column in a row, its row in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Nonzero {
    pub(crate) place: u32,
    pub(crate) value: f32,
}

/// A row's values that are not zero, columns rising.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparseRow {
    /// Where each group of columns begins, and the end.
    groups: Vec<u32>,
    entries: Vec<Nonzero>,
}

/// A row's values in one chunk of columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowChunk<'a> {
    /// Where each group of columns begins, and the end, counted from the row's first value.
    pub(crate) groups: &'a [u32],
    pub(crate) entries: &'a [Nonzero],
}

impl SparseRow {
    /// Takes the values of `row`.
    pub(crate) fn set(&mut self, row: &[f32]) {
        self.groups.clear();
        // One more place: every value is written, and the next over it where it was zero, since a branch would be guessed wrong.
        self.entries.resize(row.len() + 1, Nonzero::default());
        let mut count = 0;
        for (columns, group) in (0_u32..).step_by(GROUP).zip(row.chunks(GROUP)) {
            self.groups.push(count as u32);
            for (place, &value) in (columns..).zip(group) {
                self.entries[count] = Nonzero { place, value };
                count += usize::from(value != 0.0);
            }
        }
        self.groups.push(count as u32);
        self.entries.truncate(count);
    }

    /// A copy that takes no more memory than it needs.
    pub(crate) fn kept(&self) -> Self {
        Self { groups: self.groups.as_slice().to_vec(), entries: self.entries.as_slice().to_vec() }
    }

    /// Memory taken.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.groups[..]) + size_of_val(&self.entries[..]) + size_of::<Self>()
    }

    /// The values, columns rising.
    pub(crate) fn entries(&self) -> &[Nonzero] {
        &self.entries
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those of one chunk of columns.
    pub(crate) fn chunk(&self, chunk: usize) -> RowChunk<'_> {
        let first = chunk * (CHUNK / GROUP);
        let end = (first + CHUNK / GROUP).min(self.groups.len() - 1);
        let groups = &self.groups[first..=end];
        let (from, to) = (self.groups[first] as usize, self.groups[end] as usize);
        RowChunk { groups, entries: &self.entries[from..to] }
    }
}
