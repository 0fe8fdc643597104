//! Matrix products of bf16 operands with f32 sums, on processors that have units for them.
//!
//! bf16 is the upper half of an f32: 8 bits of precision. `medium` rounds both operands to it. `high` takes each f32 as
//! the sum of two bf16, `x ≈ h + l`, and forms three of the four products, `h·h + h·l + l·h`: what is left out is of
//! the size of 2⁻¹⁶.
//!
//! Operands are in pairs of depth, as the instructions want them: rows of the left one are plain lines of bf16, the
//! right one is packed pair by pair ([`Panels16`]).
// Without a unit, [`Unit`] has no values and nothing below is reached.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_unsafe, unused_variables))]

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "emulate-amx"))]
mod emulator;
mod operand;
mod panels;

#[cfg(target_arch = "x86_64")]
pub(crate) use operand::word;
pub(crate) use operand::{Bf16, Bf16Pair, F32, Operand, round, upper};
pub(crate) use panels::{Panel16, Panels16};

use crate::{Isa, Precision};

/// Columns of every unit's register tile.
pub(crate) const NR: usize = 32;

/// One call of a unit's register tile: all its rows by [`NR`] columns.
///
/// The caller promises: `rows` holds the unit's rows, `stride` (of the unit's [`Blocks`]) bf16 apart, each valid for
/// `depth`, a multiple of the unit's step and not 0; `weights` is valid for `depth · NR` bf16; where operands are split the same holds `low_rows` and
/// `low_weights` bf16 further on; `out` has room for all rows by NR, `out_stride` f32 apart, that nobody else writes
/// meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairArgs {
    pub(crate) rows: *const u16,
    pub(crate) stride: usize,
    pub(crate) low_rows: usize,
    pub(crate) depth: usize,
    pub(crate) weights: *const u16,
    pub(crate) low_weights: usize,
    /// Whether the sums go on from what is in `out`.
    pub(crate) add: bool,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
}

/// How operands of bf16 are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bf16Product {
    pub(crate) unit: Unit,
    /// Whether each operand is the sum of two bf16, and three products are formed.
    pub(crate) is_split: bool,
}

impl Bf16Product {
    /// The products that this instruction set has for this precision, where they are faster than f32.
    pub(crate) fn of(isa: Isa, precision: Precision) -> Option<Self> {
        Unit::of(isa, precision).map(|unit| Self { unit, is_split: precision == Precision::High })
    }
}

/// What multiplies bf16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Dot products of pairs in vector registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Matrix tiles.
    #[cfg(target_arch = "x86_64")]
    Amx,
}

/// How the rows of the left operand are laid out: in blocks of `depth` channels (the last may be narrower), row after row within
/// a block, `stride` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) depth: usize,
    pub(crate) stride: usize,
}

impl Blocks {
    /// Where channel `channel` of row `row` is, in a matrix of `rows` rows.
    #[inline(always)]
    pub(crate) fn at(self, rows: usize, row: usize, channel: usize) -> usize {
        let block = channel / self.depth;
        (block * rows + row) * self.stride + channel % self.depth
    }

    /// Elements of a matrix.
    pub(crate) fn len(self, rows: usize, channels: usize) -> usize {
        channels.div_ceil(self.depth) * rows * self.stride
    }
}

impl Unit {
    /// The unit that this instruction set has for this precision, where it is faster than f32.
    pub(crate) fn of(isa: Isa, precision: Precision) -> Option<Self> {
        match (isa, precision) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Amx, Precision::High | Precision::Medium) => Some(Self::Amx),
            // Three products at twice the rate of f32 would be slower than f32.
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512Bf16, Precision::Medium) => Some(Self::Avx512),
            _ => None,
        }
    }

    /// Rows of the register tile.
    pub(crate) fn mr(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::MR,
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::MR,
        }
    }

    /// Whether it multiplies matrix tiles.
    pub(crate) fn has_tiles(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => false,
            #[cfg(target_arch = "x86_64")]
            Self::Amx => true,
        }
    }

    /// What channels must be a multiple of.
    pub(crate) fn step(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 2,
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::STEP,
        }
    }

    /// How the unit wants rows of so many channels.
    pub(crate) fn blocks(self, channels: usize) -> Blocks {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::blocks(channels),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::blocks(channels),
        }
    }

    /// Runs `tiles`, which may call [`tile`](Self::tile) as often as it likes, on this thread.
    ///
    /// # Safety
    /// The processor has the unit; `tiles` opens no session itself.
    #[inline(always)]
    pub(crate) unsafe fn session(self, tiles: impl FnOnce()) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => tiles(),
            // SAFETY: the caller's promise.
            #[cfg(target_arch = "x86_64")]
            Self::Amx => unsafe { amx::session(tiles) },
        }
    }

    /// The register tile.
    ///
    /// # Safety
    /// [`PairArgs`]; inside of [`session`](Self::session); the processor has the unit.
    #[inline(always)]
    pub(crate) unsafe fn tile(self, split: bool, args: &PairArgs) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => avx512::tile(args),
                #[cfg(target_arch = "x86_64")]
                Self::Amx => amx::tile(split, args),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of the largest sum of magnitudes: f32 additions of products that are exact.
    const ROUNDING: f64 = 2e-6;

    /// Values that bf16 holds exactly, and others.
    fn values(seed: u64, count: usize, exact: bool) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let unit = (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
            if exact { round(unit) } else { unit }
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    /// One register tile of a unit against the sum in f64, and what is around its room against what was there.
    fn check(unit: Unit, split: bool, steps: usize, add: bool, gap: usize, seed: u64) {
        let (mr, depth) = (unit.mr(), steps * unit.step());
        let Blocks { stride, .. } = unit.blocks(depth);
        let a = values(seed, mr * depth, !split);
        let b = values(seed ^ 1, depth * NR, !split);
        let weights = Panels16::pack(depth, NR, split, |row, column| b[row * NR + column]);
        let highs: Vec<f32> = a.iter().map(|x| round(*x)).collect();
        let lows: Vec<f32> = a.iter().zip(&highs).map(|(x, h)| round(x - h)).collect();
        let low_rows = mr * stride;
        let mut rows = vec![0u16; 2 * low_rows];
        for row in 0..mr {
            for (plane, part) in [(0, &highs), (low_rows, &lows)] {
                let line = &mut rows[plane + row * stride..][..depth];
                for (to, x) in line.iter_mut().zip(&part[row * depth..]) {
                    *to = upper(*x);
                }
            }
        }
        let out_stride = NR + gap;
        let before = values(seed ^ 2, mr * out_stride, false);
        let mut out = before.clone();
        let args = PairArgs {
            rows: rows.as_ptr(),
            stride,
            low_rows: if split { low_rows } else { 0 },
            depth,
            weights: weights.at(0, 0),
            low_weights: weights.low_offset(),
            add,
            out: out.as_mut_ptr(),
            out_stride,
        };
        // SAFETY: the buffers hold a whole tile, and the unit is available.
        unsafe { unit.session(|| unit.tile(split, &args)) };
        // What each product of split operands leaves out.
        let left_out = if split { 2f64.powi(-16) } else { 0.0 };
        for row in 0..mr {
            for column in 0..out_stride {
                let at = row * out_stride + column;
                if column >= NR {
                    assert_eq!(out[at].to_bits(), before[at].to_bits(), "outside of the tile");
                    continue;
                }
                let start = if add { f64::from(before[at]) } else { 0.0 };
                let product =
                    |k: usize| f64::from(a[row * depth + k]) * f64::from(b[k * NR + column]);
                let wanted: f64 = start + (0..depth).map(product).sum::<f64>();
                let size: f64 = start.abs() + (0..depth).map(|k| product(k).abs()).sum::<f64>();
                let off = (f64::from(out[at]) - wanted).abs();
                assert!(
                    off <= (ROUNDING + left_out) * size,
                    "{unit:?}, split {split}: row {row}, column {column} of {depth} products is {}, should be {wanted}",
                    out[at]
                );
            }
        }
    }

    /// Units that this processor (or the emulator) has, with the ways they are used.
    fn units() -> Vec<(Unit, bool)> {
        let mut found = Vec::new();
        for isa in Isa::available() {
            for precision in Precision::ON_CPU {
                let unit = Unit::of(isa, *precision);
                found.extend(unit.map(|unit| (unit, *precision == Precision::High)));
            }
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn tiles_against_the_sum(steps in 1usize..5, add: bool, gap in 0usize..40, seed: u64) {
            for (unit, split) in units() {
                check(unit, split, steps, add, gap, seed);
            }
        }
    }

    /// Else the tests with tiles in software would pass without any.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "emulate-amx"))]
    fn tiles_are_there_where_they_are_asked_for() {
        assert_eq!(Isa::Amx.is_available(), Isa::Avx512.is_available());
    }

    #[test]
    fn deep_tiles() {
        for (unit, split) in units() {
            for depth in [64, 128, 512] {
                let blocks = unit.blocks(depth);
                if blocks.depth >= depth {
                    check(unit, split, depth / unit.step(), false, 0, 7);
                }
            }
        }
    }
}
