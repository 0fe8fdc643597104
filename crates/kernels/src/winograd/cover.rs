//! Which tiles cover an image.

use super::{Extent, Tile};
use std::array;
use std::ops::Range;

/// Tiles down, or across: first those of the scheme, then those that fill up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Side {
    whole: usize,
    filling: usize,
}

impl Side {
    /// As few products as cover so many outputs.
    fn of(tile: Extent, outputs: usize) -> Self {
        let Some([filler, _]) = tile.filler else {
            return Self { whole: outputs.div_ceil(tile.outputs), filling: 0 };
        };
        // Three that fill up take more products than two whole ones.
        (0..3)
            .map(|filling| {
                let rest = outputs.saturating_sub(filling * filler);
                Self { whole: rest.div_ceil(tile.outputs), filling }
            })
            .min_by_key(|side| side.inputs(tile))
            .unwrap_or(Self { whole: 0, filling: 0 })
    }

    /// Products of one line of channels.
    fn inputs(self, tile: Extent) -> usize {
        self.whole * tile.inputs + self.filling * tile.filler.map_or(0, |[_, inputs]| inputs)
    }

    fn tiles(self) -> usize {
        self.whole + self.filling
    }

    /// Tiles of each kind that come before this one.
    fn before(self, index: usize) -> [usize; 2] {
        [index.min(self.whole), index.saturating_sub(self.whole)]
    }
}

/// The tiles of an image, which are counted image by image, row by row.
///
/// There are four classes, by what kind they are down and across: whole and whole, whole and filling, filling and whole,
/// filling and filling. Only the first has tiles where the scheme has no filler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover {
    sides: [Side; 2],
    grids: [Grid; CLASSES],
}

/// Classes of tiles.
pub(super) const CLASSES: usize = 4;

/// The tiles of one class in an image: a rectangle of equal tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Row and column of the first output.
    origin: [usize; 2],
    /// Tiles down and across.
    tiles: [usize; 2],
    /// Outputs of a tile.
    outputs: [usize; 2],
}

/// Tiles of one class, and where they are among a group's rows.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// As the class counts them.
    pub(super) tiles: Range<usize>,
    /// The row of the first.
    pub(super) row: usize,
}

impl Grid {
    /// Tiles of one size alone, that cover so many outputs.
    pub(super) fn uniform(outputs: [usize; 2], tile: Tile) -> Self {
        let [down, across] = tile.extents().map(|extent| extent.outputs);
        let tiles = [outputs[0].div_ceil(down), outputs[1].div_ceil(across)];
        Self { origin: [0; 2], tiles, outputs: [down, across] }
    }

    /// Tiles in an image.
    pub(super) fn count(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Image of a tile, row and column of its first output.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> (usize, usize, usize) {
        let [down, across] = self.tiles;
        let (y, x) = (tile / across % down, tile % across);
        let [top, left] = self.origin;
        (tile / (down * across), top + y * self.outputs[0], left + x * self.outputs[1])
    }
}

impl Cover {
    /// Of so many outputs down and across.
    pub(super) fn new(tile: Tile, outputs: [usize; 2]) -> Self {
        let extents = tile.extents();
        let sides = array::from_fn(|axis| Side::of(extents[axis], outputs[axis]));
        let kinds = |side: Side, tile: Extent| {
            let filling = tile.filler.map_or(1, |[outputs, _]| outputs);
            [(0, side.whole, tile.outputs), (side.whole * tile.outputs, side.filling, filling)]
        };
        let [down, across]: [_; 2] = array::from_fn(|axis| kinds(sides[axis], extents[axis]));
        let grids = array::from_fn(|class| {
            let (y, x) = (down[class / 2], across[class % 2]);
            Grid { origin: [y.0, x.0], tiles: [y.1, x.1], outputs: [y.2, x.2] }
        });
        Self { sides, grids }
    }

    /// Tiles in an image.
    pub(super) fn count(&self) -> usize {
        self.sides[0].tiles() * self.sides[1].tiles()
    }

    /// Products of one channel by one.
    pub(super) fn products(&self, tile: Tile) -> usize {
        let [down, across] = tile.extents();
        self.sides[0].inputs(down) * self.sides[1].inputs(across)
    }

    /// The tiles of each class.
    pub(super) fn grids(&self) -> &[Grid; CLASSES] {
        &self.grids
    }

    /// Tiles of each class that come before this one.
    fn before(&self, tile: usize) -> [usize; CLASSES] {
        let [down, across] = self.sides;
        let (image, y, x) = (
            tile / self.count().max(1),
            tile / across.tiles().max(1) % down.tiles().max(1),
            tile % across.tiles().max(1),
        );
        let (rows, columns) = (down.before(y), across.before(x));
        let kind = usize::from(y >= down.whole);
        array::from_fn(|class| {
            let grid = &self.grids[class];
            let in_this_row = if class / 2 == kind { columns[class % 2] } else { 0 };
            image * grid.count() + rows[class / 2] * grid.tiles[1] + in_this_row
        })
    }

    /// Some of a group's tiles, class by class; rows of a group are in the order of classes.
    pub(super) fn parts(&self, group: Range<usize>, tiles: Range<usize>) -> [Part; CLASSES] {
        let [start, end] = [group.start, group.end].map(|tile| self.before(tile));
        let [first, last] = [tiles.start, tiles.end].map(|tile| self.before(tile));
        let mut row = 0;
        array::from_fn(|class| {
            let part =
                Part { tiles: first[class]..last[class], row: row + first[class] - start[class] };
            row += end[class] - start[class];
            part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_products_cover_a_side() {
        // Sides of VGG16 and ResNet50: whole tiles and such that fill up.
        for (outputs, whole, filling) in [
            (150, 25, 0),
            (75, 12, 1),
            (37, 5, 2),
            (36, 6, 0),
            (18, 3, 0),
            (9, 1, 1),
            (14, 1, 2),
            (7, 0, 2),
        ] {
            assert_eq!(
                Side::of(Tile::Six.extents()[0], outputs),
                Side { whole, filling },
                "{outputs}"
            );
        }
        assert_eq!(Side::of(Tile::Four.extents()[1], 37), Side { whole: 10, filling: 0 });
    }

    proptest! {
        #[test]
        fn every_tile_has_a_row_of_its_own(
            tile in prop::sample::select(&Tile::ALL),
            outputs in [1usize..40, 1usize..40],
            images in 1usize..3,
            cut in [0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0],
        ) {
            let cover = Cover::new(tile, outputs);
            // Every output is in one tile.
            let mut seen = vec![0; images * outputs[0] * outputs[1]];
            for grid in cover.grids() {
                for tile in 0..images * grid.count() {
                    let (image, y, x) = grid.place(tile);
                    prop_assert!(y < outputs[0] && x < outputs[1]);
                    for y in y..(y + grid.outputs[0]).min(outputs[0]) {
                        for x in x..(x + grid.outputs[1]).min(outputs[1]) {
                            seen[(image * outputs[0] + y) * outputs[1] + x] += 1;
                        }
                    }
                }
            }
            prop_assert!(seen.iter().all(|n| *n == 1));
            // A group's chunks have each of its rows once, and each tile of it.
            let total = images * cover.count();
            let mut cuts = cut.map(|part| (part * (total + 1) as f64) as usize);
            cuts.sort_unstable();
            let [start, one, two, end] = cuts;
            let whole = cover.parts(start..end, start..end);
            let mut rows = vec![0; end - start];
            for chunk in [start..one, one..two, two..end] {
                for (part, whole) in cover.parts(start..end, chunk).iter().zip(&whole) {
                    prop_assert!(part.tiles.is_empty() || whole.tiles.contains(&part.tiles.start));
                    for (index, _) in part.tiles.clone().enumerate() {
                        rows[part.row + index] += 1;
                    }
                }
            }
            prop_assert!(rows.iter().all(|n| *n == 1));
        }
    }
}
