//! Where the values of an image are: planes of 32 channels, each of lines of 32 bf16, one a pixel.

/// Channels of a block: bf16 in a cache line, and products of one step of a matrix tile.
pub(crate) const BLOCK: usize = 32;
/// Lines beyond the image that a register tile at its end may read: it has 16 rows, however few count.
const TAIL: usize = 16;

/// Images as blocks of 32 channels. A block is one plane of bf16, or two where a value is the sum of two: then the lower parts
/// follow the upper ones. A plane's lines are pixels, row by row. Between two rows is one line of zeros, above and below the image a
/// row of them, and so a convolution's taps are the same lines some way off, and sixteen neighbours of a tap are one kilobyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    height: usize,
    width: usize,
    blocks: usize,
    parts: usize,
}

impl Layout {
    /// For images of height, width and channels. Channels are filled up to whole blocks.
    pub(crate) fn new([height, width, channels]: [usize; 3], is_split: bool) -> Self {
        let parts = if is_split { 2 } else { 1 };
        Self { height, width, blocks: channels.div_ceil(BLOCK), parts }
    }

    /// Rows of pixels.
    pub(super) fn height(self) -> usize {
        self.height
    }

    /// Pixels of a row.
    pub(super) fn width(self) -> usize {
        self.width
    }

    /// Blocks of channels.
    pub(super) fn blocks(self) -> usize {
        self.blocks
    }

    /// Lines from row to row.
    pub(super) fn pitch(self) -> usize {
        self.width + 1
    }

    /// The line of a pixel in its plane. One line is before the row above the image: the left neighbour of its first pixel.
    pub(super) fn line(self, row: usize, column: usize) -> usize {
        1 + (row + 1) * self.pitch() + column
    }

    /// Lines of a plane; odd, so that the same line of all planes does not fall into one set of the cache.
    pub(super) fn lines(self) -> usize {
        (1 + (self.height + 2) * self.pitch() + TAIL) | 1
    }

    /// bf16 from a value to its lower part; 0 where it has none.
    pub(super) fn low_offset(self) -> usize {
        (self.parts - 1) * self.lines() * BLOCK
    }

    /// bf16 from block to block.
    pub(super) fn block_stride(self) -> usize {
        self.parts * self.lines() * BLOCK
    }

    /// bf16 of an image.
    pub(super) fn image_len(self) -> usize {
        self.blocks * self.block_stride()
    }

    /// f32 that an image takes the place of: whole cache lines.
    pub(crate) fn len(self) -> usize {
        self.image_len() / 2
    }

    /// Writes the zeros above the image (`above`) and below it into a block.
    ///
    /// # Safety
    /// `block` is the first value of a block, and nobody else uses those lines meanwhile.
    pub(super) unsafe fn clear_border(self, block: *mut u16, above: bool, below: bool) {
        let top = 0..self.line(0, 0);
        let bottom = self.line(self.height, 0)..self.lines();
        for part in 0..self.parts {
            for (lines, wanted) in [(&top, above), (&bottom, below)] {
                if wanted {
                    // SAFETY: the lines are in the plane; the caller's promise.
                    unsafe {
                        let first = block.add((part * self.lines() + lines.start) * BLOCK);
                        first.write_bytes(0, lines.len() * BLOCK);
                    }
                }
            }
        }
    }
}
