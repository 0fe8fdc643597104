//! Convolution of each channel by itself: vectors run over channels, no matrix product.

use std::ops::Range;

use crate::layer::{Activation, Conv2d, Padding};
use crate::memory::Buffer;
use crate::parallel::Workers;
use crate::place::Place;
use crate::simd::{Element, Form, Job, Simd};
use crate::{Isa, simd};

/// A depthwise convolution packed for one instruction set.
#[derive(Debug)]
pub(crate) struct Depthwise {
    isa: Isa,
    /// What it reads and makes.
    form: Form,
    input: [usize; 3],
    output: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    activation: Activation,
    /// Tap, channel; channels filled up to whole vectors.
    weights: Buffer,
    bias: Buffer,
    bias_last: bool,
    /// Channels filled up to whole vectors.
    width: usize,
}

impl Depthwise {
    /// Packs a checked layer whose groups are its input and output channels.
    pub(crate) fn new(
        conv: &Conv2d,
        input: [usize; 3],
        output: [usize; 3],
        form: Form,
        isa: Isa,
    ) -> Self {
        let width = input[2].next_multiple_of(simd::shape(isa).lanes);
        let taps = conv.kernel[0] * conv.kernel[1];
        let mut weights = Buffer::zeroed(taps * width);
        for (channel, values) in conv.weight.chunks_exact(taps).enumerate() {
            for (tap, value) in values.iter().enumerate() {
                weights.as_mut_slice()[tap * width + channel] = *value;
            }
        }
        let mut bias = Buffer::zeroed(width);
        bias.as_mut_slice()[..conv.bias.len()].copy_from_slice(&conv.bias);
        let Conv2d { kernel, stride, padding, activation, bias_last, .. } = *conv;
        Self {
            isa,
            form,
            input,
            output,
            kernel,
            stride,
            padding,
            activation,
            weights,
            bias,
            bias_last,
            width,
        }
    }

    /// Bytes of packed weights.
    pub(crate) fn packed_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Height, width and channels of what it reads.
    pub(crate) fn input(&self) -> [usize; 3] {
        self.input
    }

    /// The same of what it makes.
    pub(crate) fn output(&self) -> [usize; 3] {
        self.output
    }

    /// Rows that so many rows of output read, at most.
    pub(crate) fn rows_read(&self, rows: usize) -> usize {
        (rows.max(1) - 1) * self.stride[0] + self.kernel[0]
    }

    /// The rows of the image that these rows of output read.
    pub(crate) fn rows_of(&self, rows: &Range<usize>) -> Range<usize> {
        let start = (rows.start * self.stride[0]).saturating_sub(self.padding.top);
        let end = rows.start * self.stride[0] + self.rows_read(rows.len());
        let end = end.saturating_sub(self.padding.top).min(self.input[0]);
        start.min(end)..end
    }

    /// What it reads and makes.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Convolves `images` images; lengths were checked by the network.
    pub(crate) fn run(&self, images: usize, input: &[f32], output: Place, workers: Workers) {
        match self.form {
            Form::F32 => self.run_as::<f32>(images, input, output, workers),
            Form::Bf16 => self.run_as::<u16>(images, u16::of(input), output, workers),
        }
    }

    fn run_as<E: Element>(&self, images: usize, input: &[E], output: Place, workers: Workers) {
        let image_in: usize = self.input.iter().product();
        let [oh, ow, _] = self.output;
        workers.each(images * oh, |index| {
            let image = &input[index / oh * image_in..][..image_in];
            // SAFETY: row `index` of all images' rows is inside `output`, which the planner made of such elements, and only this task
            // writes it.
            unsafe {
                let (to, stride) = (output.pixel::<E>(index * ow), output.stride);
                let task = RowTask { plan: self, image, above: 0, y: index % oh, to, stride };
                E::dispatch(self.isa, task);
            }
        });
    }

    /// Row `y` of the output alone, on this thread. `image` begins with row `above` of the image and has all rows that are read.
    pub(crate) fn run_row(&self, (image, above): (&[f32], usize), y: usize, row: &mut [f32]) {
        match self.form {
            Form::F32 => self.run_row_as(image, above, y, row),
            Form::Bf16 => self.run_row_as(u16::of(image), above, y, u16::of_mut(row)),
        }
    }

    fn run_row_as<E: Element>(&self, image: &[E], above: usize, y: usize, row: &mut [E]) {
        let [_, w, channels] = self.input;
        let needed = self.rows_of(&(y..y + 1));
        assert!(needed.is_empty() || above <= needed.start);
        assert!(image.len() >= needed.end.saturating_sub(above) * w * channels);
        assert!(row.len() == self.output[1] * channels);
        let (to, stride) = (row.as_mut_ptr(), channels);
        // SAFETY: the rows that are read are in `image`, and `row` has room for the row, as was just checked; `isa` was detected
        // before the plan was made.
        unsafe { E::dispatch(self.isa, RowTask { plan: self, image, above, y, to, stride }) }
    }
}

/// One row of output, at `to`.
#[derive(Debug)]
struct RowTask<'a, E> {
    plan: &'a Depthwise,
    image: &'a [E],
    /// Rows of the image that are missing in `image`, before those that are read.
    above: usize,
    y: usize,
    to: *mut E,
    /// Elements from one pixel of the output to the next.
    stride: usize,
}

impl<E: Element> Job for RowTask<'_, E> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let plan = self.plan;
        let [kh, kw] = plan.kernel;
        let Padding { top, left, .. } = plan.padding;
        let (columns, step) = (plan.output[1], plan.stride[1]);
        let rows = inside(self.y * plan.stride[0], top, kh, plan.input[0]);
        // The columns whose windows have all of the kernel's columns inside the image.
        let last = (plan.input[1] + left).checked_sub(kw).map_or(0, |most| most / step + 1);
        let end = last.min(columns);
        let begin = left.div_ceil(step).min(end);
        let edge = |x: usize| inside(x * step, left, kw, plan.input[1]);
        // SAFETY: taps are those inside the image, of columns that are the output's; the rest is the caller's promise.
        unsafe {
            for x in 0..begin {
                self.columns::<S, 1, 4>(x, &rows, &edge(x));
            }
            let mut x = begin;
            while x + 8 <= end {
                self.columns::<S, 8, 1>(x, &rows, &(0..kw));
                x += 8;
            }
            if x + 4 <= end {
                self.columns::<S, 4, 2>(x, &rows, &(0..kw));
                x += 4;
            }
            if x + 2 <= end {
                self.columns::<S, 2, 4>(x, &rows, &(0..kw));
                x += 2;
            }
            if x < end {
                self.columns::<S, 1, 4>(x, &rows, &(0..kw));
            }
            for x in end..columns {
                self.columns::<S, 1, 4>(x, &rows, &edge(x));
            }
        }
    }
}

/// Which of a window's `size` rows or columns are inside an image of so many, where it begins at `start` of the image with `before`
/// rows or columns of padding.
fn inside(start: usize, before: usize, size: usize, length: usize) -> Range<usize> {
    before.saturating_sub(start).min(size)..(length + before).saturating_sub(start).min(size)
}

impl<E: Element> RowTask<'_, E> {
    /// `N` columns of output from `x` on, all their channels, in `N` × `V` registers at a time: so many sums are on their way
    /// that none waits for another, and a weight is loaded once for `N` of them.
    ///
    /// # Safety
    /// The kernel's `rows` and `taps` (columns) are inside the image for each of the columns, which are the output's; the processor has
    /// the instruction set.
    #[inline(always)]
    unsafe fn columns<S: Simd, const N: usize, const V: usize>(
        &self,
        x: usize,
        rows: &Range<usize>,
        taps: &Range<usize>,
    ) {
        let channels = self.plan.input[2];
        let mut c = 0;
        // SAFETY: no lane that counts is beyond the last channel.
        unsafe {
            while c + V * S::LANES <= channels {
                self.vectors::<S, N, V>(x, rows, taps, c, S::LANES);
                c += V * S::LANES;
            }
            while c + S::LANES <= channels {
                self.vectors::<S, N, 1>(x, rows, taps, c, S::LANES);
                c += S::LANES;
            }
            if channels < S::LANES {
                self.vectors::<S, N, 1>(x, rows, taps, 0, channels);
            } else if c < channels {
                // The last ones once more, with those before them.
                self.vectors::<S, N, 1>(x, rows, taps, channels - S::LANES, S::LANES);
            }
        }
    }

    /// `V` vectors of channels from `c` on, of which the first `lanes` lanes count.
    ///
    /// # Safety
    /// Those of [`columns`](Self::columns); there are so many channels; all lanes of a vector count, or there is one vector.
    #[inline(always)]
    unsafe fn vectors<S: Simd, const N: usize, const V: usize>(
        &self,
        x: usize,
        rows: &Range<usize>,
        taps: &Range<usize>,
        c: usize,
        lanes: usize,
    ) {
        let plan = self.plan;
        let ([_, w, channels], Padding { top, left, .. }) = (plan.input, plan.padding);
        let step = plan.stride[1] * channels;
        // SAFETY: the caller's promise: each pixel that is read is in the image, with the lanes that count from `c` on; weights
        // and biases are filled up to whole vectors.
        unsafe {
            let bias = plan.bias.as_slice().as_ptr().add(c);
            let mut sums = [[S::splat(0.0); V]; N];
            if !plan.bias_last {
                for v in 0..V {
                    let bias = S::load(bias.add(v * S::LANES));
                    for sum in &mut sums {
                        sum[v] = bias;
                    }
                }
            }
            for ky in rows.clone() {
                let y = self.y * plan.stride[0] + ky - top - self.above;
                let row = y * w + x * plan.stride[1];
                for kx in taps.clone() {
                    let pixel = self.image.as_ptr().add((row + kx - left) * channels + c);
                    let tap = ky * plan.kernel[1] + kx;
                    let weights = plan.weights.as_slice().as_ptr().add(tap * plan.width + c);
                    for v in 0..V {
                        let weight = S::load(weights.add(v * S::LANES));
                        for (n, sum) in sums.iter_mut().enumerate() {
                            let value = E::load::<S>(pixel.add(n * step + v * S::LANES), lanes);
                            sum[v] = S::mul_add(value, weight, sum[v]);
                        }
                    }
                }
            }
            for (n, sum) in sums.iter().enumerate() {
                for (v, sum) in sum.iter().enumerate() {
                    let sum = self.finish::<S>(*sum, bias.add(v * S::LANES));
                    let to = self.to.add((x + n) * self.stride + c + v * S::LANES);
                    E::store::<S>(to, sum, lanes);
                }
            }
        }
    }

    /// What becomes of a sum.
    ///
    /// # Safety
    /// A vector of biases is at `bias`; the processor has the instruction set.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, sum: S::V, bias: *const f32) -> S::V {
        // SAFETY: the caller's promise.
        unsafe {
            let sum = if self.plan.bias_last { S::add(sum, S::load(bias)) } else { sum };
            S::activate(sum, self.plan.activation)
        }
    }
}
