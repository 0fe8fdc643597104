//! Zero padding around a feature map, resolved for its size.

/// A sliding window: its extent, step and dilation, each (vertical, horizontal), in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width.
    pub size: [usize; 2],
    /// Step between neighbouring outputs.
    pub stride: [usize; 2],
    /// Distance between neighbouring taps; 1 is an ordinary window.
    pub dilation: [usize; 2],
}

impl Window {
    /// A window without dilation.
    pub fn new(size: [usize; 2], stride: [usize; 2]) -> Self {
        Self { size, stride, dilation: [1, 1] }
    }

    /// Pixels from the first tap to the last along `axis`: `(size - 1) * dilation + 1`.
    fn extent(&self, axis: usize) -> usize {
        self.size[axis].saturating_sub(1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }
}

/// How a feature map is padded before a window slides over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// TensorFlow's "SAME": as many outputs as `ceil(input / stride)`. An odd pixel of padding goes below and to the right.
    Same,
    /// None: windows are wholly inside the map.
    Valid,
    /// Pixels of padding at the (top, left, bottom, right).
    Explicit([usize; 4]),
}

impl Padding {
    /// The same padding of `n` pixels on all four sides, as PyTorch's `padding=n`.
    pub fn symmetric(n: usize) -> Self {
        Self::Explicit([n; 4])
    }

    /// The padding for a map of `[height, width]`, as pixels at the `[top, left, bottom, right]`.
    ///
    /// Same padding along an axis is `max((ceil(n / s) - 1) * s + k - n, 0)` pixels for extent n, stride s and (dilated)
    /// window k, the smaller half before (TensorFlow, "Notes on padding" of `tf.nn`).
    pub fn resolve(self, input: [usize; 2], window: &Window) -> [usize; 4] {
        match self {
            Self::Valid => [0; 4],
            Self::Explicit(sides) => sides,
            Self::Same => {
                let [vertical, horizontal] = [0, 1].map(|axis| {
                    let stride = window.stride[axis].max(1);
                    // Nothing is padded around an empty map.
                    let steps = input[axis].div_ceil(stride).checked_sub(1);
                    let covered =
                        steps.map_or(0, |n| (n * stride).saturating_add(window.extent(axis)));
                    covered.saturating_sub(input[axis])
                });
                [vertical / 2, horizontal / 2, vertical - vertical / 2, horizontal - horizontal / 2]
            }
        }
    }

    /// Number of window positions, `[vertical, horizontal]`, on a map of `[height, width]`; `None` where no window fits or
    /// a window or stride is 0.
    pub fn outputs(self, input: [usize; 2], window: &Window) -> Option<[usize; 2]> {
        let [top, left, bottom, right] = self.resolve(input, window);
        let sides = [[top, bottom], [left, right]];
        let mut outputs = [0; 2];
        for axis in 0..2 {
            if window.size[axis] == 0 || window.stride[axis] == 0 || window.dilation[axis] == 0 {
                return None;
            }
            let padded = input[axis].checked_add(sides[axis][0])?.checked_add(sides[axis][1])?;
            let free = padded.checked_sub(window.extent(axis))?;
            outputs[axis] = free / window.stride[axis] + 1;
        }
        Some(outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(size: usize, stride: usize, dilation: usize) -> Window {
        Window { size: [size; 2], stride: [stride; 2], dilation: [dilation; 2] }
    }

    #[test]
    fn stride_two_pads_even_maps_on_one_side_only() {
        let stem = window(3, 2, 1);
        assert_eq!(Padding::Same.resolve([224, 225], &stem), [0, 1, 1, 1]);
        assert_eq!(Padding::Same.outputs([224, 225], &stem), Some([112, 113]));
        assert_eq!(Padding::symmetric(1).outputs([224, 225], &stem), Some([112, 113]));
        assert_eq!(Padding::Valid.outputs([224, 225], &stem), Some([111, 112]));
        // A window smaller than its stride leaves pixels out and pads none.
        assert_eq!(Padding::Same.resolve([14, 15], &window(1, 2, 1)), [0; 4]);
        assert_eq!(Padding::Same.outputs([14, 15], &window(1, 2, 1)), Some([7, 8]));
    }

    #[test]
    fn sides_come_as_top_left_bottom_right() {
        let wide = Window::new([1, 7], [1, 1]);
        assert_eq!(Padding::Same.resolve([9, 9], &wide), [0, 3, 0, 3]);
        let sides = Padding::Explicit([1, 2, 3, 4]);
        assert_eq!(sides.outputs([10, 10], &window(3, 1, 1)), Some([12, 14]));
    }

    #[test]
    fn windows_that_fit_nowhere_have_no_outputs() {
        assert_eq!(Padding::Valid.outputs([2, 9], &window(3, 1, 1)), None);
        assert_eq!(Padding::Valid.outputs([9, 9], &window(3, 0, 1)), None);
        assert_eq!(Padding::Valid.outputs([9, 9], &window(0, 1, 1)), None);
        assert_eq!(Padding::Explicit([usize::MAX; 4]).outputs([9, 9], &window(1, 1, 1)), None);
        assert_eq!(Padding::Valid.outputs([4, 4], &window(3, 1, 2)), None);
        assert_eq!(Padding::Same.outputs([0, 4], &window(1, 1, 1)), None);
    }

    /// Where windows must start so that outputs are `ceil(n / s)` and the padding is least, the odd pixel after: tried out.
    fn naive_same(n: usize, k: usize, s: usize) -> (usize, usize) {
        let outputs = (0..n).step_by(s).count();
        let mut total = 0;
        while (0..n + total).step_by(s).take_while(|start| start + k <= n + total).count() < outputs
        {
            total += 1;
        }
        (total / 2, total.div_ceil(2))
    }

    proptest! {
        #[test]
        fn same_is_the_least_padding_that_gives_every_stride_an_output(
            height in 1usize..60, width in 1usize..60,
            size in 1usize..8, stride in 1usize..5, dilation in 1usize..4,
        ) {
            let window = window(size, stride, dilation);
            let taps = (size - 1) * dilation + 1;
            let (top, bottom) = naive_same(height, taps, stride);
            let (left, right) = naive_same(width, taps, stride);
            prop_assert_eq!(
                Padding::Same.resolve([height, width], &window),
                [top, left, bottom, right]
            );
            prop_assert_eq!(
                Padding::Same.outputs([height, width], &window),
                Some([height.div_ceil(stride), width.div_ceil(stride)])
            );
        }

        #[test]
        fn outputs_are_the_windows_that_fit(
            height in 0usize..40, width in 0usize..40,
            size in 1usize..8, stride in 1usize..5, dilation in 1usize..4, sides in any::<[u8; 4]>(),
        ) {
            let sides = sides.map(|side| usize::from(side % 5));
            let count = |n: usize| {
                let taps = (size - 1) * dilation + 1;
                (0..n).step_by(stride).filter(|start| start + taps <= n).count()
            };
            let expected = [count(height + sides[0] + sides[2]), count(width + sides[1] + sides[3])];
            let found = Padding::Explicit(sides).outputs([height, width], &window(size, stride, dilation));
            prop_assert_eq!(found, Some(expected).filter(|e| !e.contains(&0)));
        }
    }
}
