use crate::Padding;
use crate::elementwise::load;
use crate::simd::{Job, Simd};

/// What becomes of the values in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolKind {
    Max,
    /// The sum over the number of places, those in the border included or not.
    Avg {
        count_padding: bool,
    },
}

/// One row of pooled output, with windows that may reach into a border.
///
/// The caller promises: `to` has room for `columns` pixels, `stride` apart, and nobody else writes their channels meanwhile;
/// every window has a pixel of the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows<'a> {
    pub(crate) kind: PoolKind,
    /// One image, `input` being its height, width and channels.
    pub(crate) image: &'a [f32],
    pub(crate) input: [usize; 3],
    pub(crate) size: [usize; 2],
    pub(crate) step: [usize; 2],
    pub(crate) padding: Padding,
    /// Row of the output.
    pub(crate) y: usize,
    pub(crate) columns: usize,
    pub(crate) to: *mut f32,
    pub(crate) stride: usize,
}

/// The part of a window that is in the image: from, to; and how many places it has in the padded image.
fn clip(place: usize, step: usize, size: usize, before: usize, length: usize) -> [usize; 2] {
    let start = place * step;
    [start.saturating_sub(before), (start + size).saturating_sub(before).min(length)]
}

impl Job for Windows<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [h, w, channels] = self.input;
        let [top, bottom] = clip(self.y, self.step[0], self.size[0], self.padding.top, h);
        for x in 0..self.columns {
            let [left, right] = clip(x, self.step[1], self.size[1], self.padding.left, w);
            let count = match self.kind {
                PoolKind::Avg { count_padding: false } => (bottom - top) * (right - left),
                _ => self.size[0] * self.size[1],
            };
            let pixels = (top..bottom).flat_map(|y| (left..right).map(move |x| y * w + x));
            let mut c = 0;
            while c < channels {
                let lanes = S::LANES.min(channels - c);
                // SAFETY: a pixel's last channels are copied to and from local arrays where they do not fill a vector.
                unsafe {
                    let mut result: Option<S::V> = None;
                    for pixel in pixels.clone() {
                        let values = &self.image[pixel * channels + c..][..lanes];
                        let value = load::<S>(values);
                        result = Some(match (result, self.kind) {
                            (None, _) => value,
                            (Some(best), PoolKind::Max) => S::max(best, value),
                            (Some(sum), PoolKind::Avg { .. }) => S::add(sum, value),
                        });
                    }
                    let mut result = result.unwrap_or(S::splat(0.0));
                    if self.kind != PoolKind::Max {
                        result = S::mul(result, S::splat(1.0 / count as f32));
                    }
                    let to = self.to.add(x * self.stride + c);
                    if lanes == S::LANES {
                        S::store(to, result);
                    } else {
                        let mut part = [0.0f32; 16];
                        S::store(part.as_mut_ptr(), result);
                        std::ptr::copy_nonoverlapping(part.as_ptr(), to, lanes);
                    }
                }
                c += S::LANES;
            }
        }
    }
}
