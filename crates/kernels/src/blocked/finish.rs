//! From sums to activations: bias, pool, residual and activation in f32, then lines of bf16 or pixels.

use std::arch::x86_64::*;

use super::layout::{BLOCK, Layout};
use super::tile::SUMS;
use crate::Activation;
use crate::place::Place;
use crate::simd::{Avx512, Element, Form, Simd};

/// Where a panel's activations go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sink<'a> {
    /// A block of 32 channels, from its first value.
    Block(*mut u16, Layout),
    /// Pixels of one image whose first pixel is `first`: `columns` channels from `channel` on. What is added first has `channels` a pixel.
    Pixels {
        place: Place,
        first: usize,
        channel: usize,
        columns: usize,
        /// f32, or in their place what the output is.
        residual: Option<&'a [f32]>,
        channels: usize,
    },
}

/// Sums of a panel and what becomes of them.
///
/// The caller promises: `sums` holds a row of [`SUMS`] for each line of `lines`; the sink has room for all pixels of the rows that
/// those lines are in, and nobody else writes the panel's channels of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish<'a> {
    pub(super) sums: *const f32,
    /// The image's first row and the line in it, counted from the row's first pixel, that the sums begin with, and how many lines
    /// there are. Each row has one more than pixels.
    pub(super) row: usize,
    pub(super) first: usize,
    pub(super) count: usize,
    /// Pixels of a row.
    pub(super) width: usize,
    /// Whether each 2×2 pixels become one. Then all lines of an even number of rows are there.
    pub(super) pool: bool,
    /// One a column of the panel.
    pub(super) bias: *const f32,
    pub(super) activation: Activation,
    pub(super) sink: Sink<'a>,
}

/// How f32 are rounded to bf16: the nearest, ties to even.
trait Round {
    /// 16 and 16 values as 32 bf16.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn round(values: [__m512; 2]) -> __m512i;
}

/// By one instruction of the processors that have matrix tiles. Denormal values become 0.
struct Native;

/// By those that every AVX-512 has, for the emulator.
struct Software;

impl Round for Native {
    #[inline(always)]
    unsafe fn round([first, second]: [__m512; 2]) -> __m512i {
        // SAFETY: the trait's contract. Both types are 64 bytes of which each pattern is valid.
        unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(second, first)) }
    }
}

impl Round for Software {
    #[inline(always)]
    unsafe fn round(values: [__m512; 2]) -> __m512i {
        // SAFETY: the trait's contract.
        unsafe {
            let [first, second] = [upper(values[0]), upper(values[1])];
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
        }
    }
}

/// The values as bf16, by arithmetic.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn upper(v: __m512) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        let bits = _mm512_castps_si512(Avx512::round(v));
        _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(bits))
    }
}

/// A panel's values of a pixel. What is done with them is written out for both vectors: closures, as `map` wants them, are not
/// compiled for AVX-512, and each of their instructions is a call then.
type Pair = [__m512; 2];

/// # Safety
/// 32 values are at `from`; the processor has AVX-512.
#[inline(always)]
unsafe fn load(from: *const f32) -> Pair {
    // SAFETY: the caller's promise.
    unsafe { [Avx512::load(from), Avx512::load(from.add(Avx512::LANES))] }
}

/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn add(a: Pair, b: Pair) -> Pair {
    // SAFETY: the caller's promise.
    unsafe { [Avx512::add(a[0], b[0]), Avx512::add(a[1], b[1])] }
}

/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn max(a: Pair, b: Pair) -> Pair {
    // SAFETY: the caller's promise.
    unsafe { [Avx512::max(a[0], b[0]), Avx512::max(a[1], b[1])] }
}

/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn activate(v: Pair, activation: Activation) -> Pair {
    // SAFETY: the caller's promise.
    unsafe { [Avx512::activate(v[0], activation), Avx512::activate(v[1], activation)] }
}

/// 32 bf16 as f32.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn widen(block: __m512i) -> Pair {
    // SAFETY: the caller's promise.
    unsafe {
        let first = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(block));
        let second = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(block));
        [
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(first)),
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(second)),
        ]
    }
}

impl Finish<'_> {
    /// Does it; `native` says whether the processor has AVX-512's own rounding to bf16.
    ///
    /// # Safety
    /// The struct's promise; the processor has AVX-512 with 16-bit lanes, and bf16 if `native`.
    pub(super) unsafe fn run(&self, native: bool) {
        // SAFETY: the caller's promise.
        unsafe { if native { self.run_native() } else { self.run_software() } }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma")]
    unsafe fn run_native(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.all::<Native>() }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
    unsafe fn run_software(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.all::<Software>() }
    }

    #[inline(always)]
    unsafe fn all<R: Round>(&self) {
        // SAFETY: the struct's promise: the loops go over the lines that it says are there.
        unsafe { if self.pool { self.pooled::<R>() } else { self.plain::<R>() } }
    }

    /// The sums of a line.
    #[inline(always)]
    unsafe fn sums(&self, line: usize) -> Pair {
        // SAFETY: the struct's promise; a row of sums is two vectors.
        unsafe { load(self.sums.add(line * SUMS)) }
    }

    #[inline(always)]
    unsafe fn plain<R: Round>(&self) {
        let pitch = self.width + 1;
        let (mut row, mut column) = (self.row + self.first / pitch, self.first % pitch);
        for line in 0..self.count {
            // SAFETY: the struct's promise.
            unsafe {
                if column < self.width {
                    self.put::<R>(row, column, self.sums(line));
                } else {
                    self.end_row(row, self.width);
                }
            }
            column += 1;
            if column == pitch {
                (row, column) = (row + 1, 0);
            }
        }
    }

    #[inline(always)]
    unsafe fn pooled<R: Round>(&self) {
        let (pitch, width) = (self.width + 1, self.width / 2);
        for row in 0..self.count / pitch / 2 {
            for column in 0..width {
                // SAFETY: the struct's promise; the four lines are of two of the rows that are there.
                unsafe {
                    let at = 2 * row * pitch + 2 * column;
                    let above = max(self.sums(at), self.sums(at + 1));
                    let below = max(self.sums(at + pitch), self.sums(at + pitch + 1));
                    self.put::<R>(self.row / 2 + row, column, max(above, below));
                }
            }
            // SAFETY: the struct's promise.
            unsafe { self.end_row(self.row / 2 + row, width) }
        }
    }

    /// Zeros between two rows, where they are.
    #[inline(always)]
    unsafe fn end_row(&self, row: usize, width: usize) {
        if let Sink::Block(block, layout) = self.sink {
            // SAFETY: the line between two rows is in the plane, and so are those of lower parts.
            unsafe {
                let to = block.add(layout.line(row, width) * BLOCK);
                _mm512_storeu_si512(to.cast(), _mm512_setzero_si512());
                _mm512_storeu_si512(to.add(layout.low_offset()).cast(), _mm512_setzero_si512());
            }
        }
    }

    /// One pixel's channels of the panel.
    #[inline(always)]
    unsafe fn put<R: Round>(&self, row: usize, column: usize, sums: Pair) {
        // SAFETY: the struct's promise: the pixel is in the sink. Masks leave out channels beyond the last.
        unsafe {
            let mut values = add(sums, load(self.bias));
            match self.sink {
                Sink::Block(block, layout) => {
                    values = activate(values, self.activation);
                    let to = block.add(layout.line(row, column) * BLOCK);
                    let high = R::round(values);
                    _mm512_storeu_si512(to.cast(), high);
                    let low = layout.low_offset();
                    if low > 0 {
                        let there = widen(high);
                        let rest =
                            [Avx512::sub(values[0], there[0]), Avx512::sub(values[1], there[1])];
                        _mm512_storeu_si512(to.add(low).cast(), R::round(rest));
                    }
                }
                Sink::Pixels { place, first, channel, columns, residual, channels } => {
                    let width = if self.pool { self.width / 2 } else { self.width };
                    let pixel = row * width + column;
                    let lanes = ((1u64 << columns) - 1) as u32;
                    let halves = [lanes as __mmask16, (lanes >> Avx512::LANES) as __mmask16];
                    if let Some(residual) = residual {
                        let at = pixel * channels + channel;
                        let added = match place.form {
                            Form::F32 => {
                                let from = residual.as_ptr().wrapping_add(at);
                                let next = from.wrapping_add(Avx512::LANES);
                                [
                                    _mm512_maskz_loadu_ps(halves[0], from),
                                    _mm512_maskz_loadu_ps(halves[1], next),
                                ]
                            }
                            Form::Bf16 => {
                                let from = u16::of(residual).as_ptr().wrapping_add(at);
                                widen(_mm512_maskz_loadu_epi16(lanes, from.cast()))
                            }
                        };
                        values = add(values, added);
                    }
                    let [low, high] = activate(values, self.activation);
                    match place.form {
                        Form::F32 => {
                            let to = place.pixel::<f32>(first + pixel).add(channel);
                            _mm512_mask_storeu_ps(to, halves[0], low);
                            _mm512_mask_storeu_ps(to.wrapping_add(Avx512::LANES), halves[1], high);
                        }
                        Form::Bf16 => {
                            let to = place.pixel::<u16>(first + pixel).add(channel);
                            let block = R::round([low, high]);
                            if columns == BLOCK {
                                _mm512_storeu_si512(to.cast(), block);
                            } else {
                                _mm512_mask_storeu_epi16(to.cast(), lanes, block);
                            }
                        }
                    }
                }
            }
        }
    }
}
