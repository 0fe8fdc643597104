//! Pillow's convolution resampling (`BILINEAR`, `BICUBIC`, `LANCZOS`) for 8-bit images.
//!
//! Formulas of Pillow's documentation and of its published algorithm: a filter that widens with the scale when
//! shrinking, weights normalised in f64 and then rounded to 22-bit fixed point, and two passes, horizontal and
//! vertical, each rounded and clipped to 8 bits.

use super::CHANNELS;
use super::passes::{LINE_BYTES, horizontal, vertical};
use super::taps::{Filter, Taps};
use crate::{ImageSize, Rgb8Image};

pub(super) fn resize(image: &Rgb8Image, size: ImageSize, filter: Filter) -> Vec<u8> {
    // Integers give the same result on every machine; wider vectors only give it sooner.
    pulp::Arch::new().dispatch(Passes { image, size, filter })
}

/// Both passes. A closure in its place would not become a part of the function that has the wider vectors.
struct Passes<'a> {
    image: &'a Rgb8Image,
    size: ImageSize,
    filter: Filter,
}

impl pulp::NullaryFnOnce for Passes<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        passes(self.image, self.size, self.filter)
    }
}

/// Bytes of the weights, of the lines in hand, and of what is between the passes.
pub(super) fn working_bytes(from: ImageSize, to: ImageSize, filter: Filter) -> u64 {
    let taps = |from: u32, to: u32| {
        let support = filter.support() * (f64::from(from) / f64::from(to)).max(1.0);
        let longest = support.ceil() as u64 * 2 + 1;
        // Weights, spans, and one pixel's weights in f64.
        longest * u64::from(to) * 4 + u64::from(to) * 16 + longest * 8
    };
    let between = match vertical_first(from, to) {
        true => u64::from(from.width) * u64::from(to.height),
        false => u64::from(to.width) * u64::from(from.height),
    };
    let lines = (u64::from(from.width) + u64::from(to.width)) * LINE_BYTES as u64;
    taps(from.width, to.width) + taps(from.height, to.height) + lines + between * 3
}

#[inline(always)]
fn passes(image: &Rgb8Image, size: ImageSize, filter: Filter) -> Vec<u8> {
    let mut data = std::borrow::Cow::Borrowed(image.data.as_slice());
    let mut width = image.width;
    let vertical_first =
        vertical_first(ImageSize { width: image.width, height: image.height }, size);
    for is_vertical in [vertical_first, !vertical_first] {
        if is_vertical && image.height != size.height {
            let taps = Taps::new(image.height, size.height, filter);
            data = vertical(&data, width as usize * CHANNELS, &taps).into();
        } else if !is_vertical && image.width != size.width {
            let taps = Taps::new(image.width, size.width, filter);
            data = horizontal(&data, width, &taps).into();
            width = size.width;
        }
    }
    data.into_owned()
}

/// Pillow 13 does the vertical pass first where it takes away more than twice as many rows as the horizontal pass takes
/// away columns, so that the latter has less to do. As each pass rounds, the order shows in some values by one level.
fn vertical_first(from: ImageSize, to: ImageSize) -> bool {
    let fewer_rows = i64::from(from.height) - i64::from(to.height);
    let fewer_columns = i64::from(from.width) - i64::from(to.width);
    fewer_rows > 0 && fewer_rows > 2 * fewer_columns
}
