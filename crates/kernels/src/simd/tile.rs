//! The matrix kernel under every convolution: a register tile of `MR` pixels by `NR` output channels, whose rows are
//! found through a table of pointers (so that no patch matrix is ever built), over packed weights.

use super::Simd;
use crate::Activation;

/// What a tile's accumulators begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Zero,
    /// `NR` biases, one a column.
    Bias(*const f32),
    /// Zero, and `NR` biases are added at the end.
    BiasLast(*const f32),
    /// Zero, and `out` holds an earlier pass's sum to which this one's is added at the end. (Shorter chains of
    /// additions round less than one long one.)
    Out,
}

/// Where the rows of a register tile are. All `S::MR` (`S::BLOCK_MR`) of them are read, however few count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// `taps` times `S::MR` pointers, to which `offset` is added.
    Table { table: *const *const f32, taps: usize, offset: usize },
    /// The first of `S::BLOCK_MR` rows that are [`BLOCK`] apart, one tap.
    Block(*const f32, Ahead),
    /// The same, half as far apart.
    HalfBlock(*const f32, Ahead),
    /// Rows that are neighbours at each step of depth, `stride` f32 from step to step: a left operand that is stored
    /// transposed.
    Depth { first: *const f32, stride: usize },
}

/// What is asked for into cache while a register tile is summed: a cache line each step of depth, `step` f32 on. All at once
/// they would fill the processor's queue of misses, and the sums would wait for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    pub(crate) from: *const f32,
    pub(crate) step: usize,
}

impl Ahead {
    /// The share of one of some register tiles, which follow each other, in a panel of `depth` steps of `columns` f32 that is used
    /// next. Few tiles leave something for the processor's own looking ahead.
    #[inline(always)]
    pub(crate) fn share(
        [turn, turns]: [usize; 2],
        panel: *const f32,
        [depth, columns]: [usize; 2],
    ) -> Self {
        let step = columns.div_ceil(turns).min(LINE);
        Self { from: panel.wrapping_add(turn * depth * step), step }
    }
}

/// f32 in a cache line.
const LINE: usize = 16;

/// f32 from row to row of a block. A constant, so that one register addresses all rows: twelve pointers would not fit
/// into the processor's sixteen, and loading them again costs AVX-512 a seventh of its speed.
pub(crate) const BLOCK: usize = 128;

/// Values that are added to a tile's sums: rows `stride` apart, each with as many columns as are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Residual {
    pub(crate) first: *const f32,
    pub(crate) stride: usize,
}

/// One call of the register tile.
///
/// The caller promises: `source` holds as many rows as it says, each valid for `depth` f32; `weights` is valid for
/// `taps · depth · NR` f32; row i of the result is at `out + i · out_stride`, `cols` f32, written by nobody else
/// meanwhile; `residual` has as many rows and columns; 1 ≤ `rows` ≤ the tile's, 1 ≤ `cols` ≤ NR.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TileArgs {
    pub(crate) source: Source,
    pub(crate) depth: usize,
    pub(crate) weights: *const f32,
    pub(crate) start: Start,
    /// What is added to the sums before the activation.
    pub(crate) residual: Option<Residual>,
    pub(crate) activation: Activation,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

/// Does something for each row below a number, of up to twelve, in lines of code of its own: an array with places that are only
/// known as a loop runs is kept in memory, and all sums with it.
macro_rules! each_row {
    ($i:ident < $count:expr, $do:expr) => {
        each_row!(@ $i, $count, $do, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $i:ident, $count:expr, $do:expr, $($row:literal)*) => {$(
        if $row < $count {
            const $i: usize = $row;
            $do;
        }
    )*};
}

/// Steps of a round: few enough rounds a tile that the processor foresees the last.
const UNROLL: usize = 8;

/// Σ over taps and depth of row · weights, for up to `ROWS` rows and the first `NV` vectors of the panel's columns. `ROWS` may be less
/// than `S::MR` where fewer rows are left, and `NV` vectors fewer than a panel has where fewer columns count; each element's sum runs
/// in the same order whichever is taken.
///
/// # Safety
/// [`TileArgs`]; the processor has the instruction set.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, const ROWS: usize, const NV: usize>(args: &TileArgs) {
    // SAFETY: by `TileArgs` the source has ROWS rows (no more than S::MR or S::BLOCK_MR) of `depth` values a tap, weights are
    // whole panels and biases have NR values, of which the first NV vectors are taken.
    unsafe {
        let mut acc = [[S::splat(0.0); NV]; ROWS];
        match args.start {
            Start::Zero | Start::BiasLast(_) | Start::Out => {}
            Start::Bias(bias) => {
                let bias = vectors::<S, NV>(bias);
                each_row!(I < ROWS, acc[I] = bias);
            }
        }

        match args.source {
            Source::Table { table, taps, offset } => {
                each_row!(I < ROWS.min(args.rows), {
                    for j in 0..NV {
                        let at = j * S::LANES;
                        S::fetch(args.out.wrapping_add(I * args.out_stride + at));
                        if let Some(Residual { first, stride }) = args.residual {
                            S::fetch(first.wrapping_add(I * stride + at));
                        }
                    }
                });
                let (mut rows, mut w) = ([args.weights; ROWS], args.weights);
                for tap in 0..taps {
                    for (i, row) in rows.iter_mut().enumerate() {
                        *row = (*table.add(tap * S::MR + i)).add(offset);
                    }
                    w = sum::<S, ROWS, NV>(&mut acc, &rows, args.depth, w);
                }
            }
            Source::Block(first, ahead) => {
                block::<S, ROWS, NV, BLOCK>(&mut acc, first, args, ahead);
            }
            Source::HalfBlock(first, ahead) => {
                block::<S, ROWS, NV, { BLOCK / 2 }>(&mut acc, first, args, ahead);
            }
            Source::Depth { first, stride } => {
                let mut at = first;
                let mut w = args.weights;
                for _ in 0..args.depth {
                    let rows = side_by_side::<ROWS, 1>(at);
                    step::<S, ROWS, NV>(&mut acc, &rows, 0, w);
                    (at, w) = (at.add(stride), w.add(S::NR));
                }
            }
        }

        if args.cols >= NV * S::LANES {
            finish::<S, ROWS, NV, false>(args, &mut acc);
        } else {
            finish::<S, ROWS, NV, true>(args, &mut acc);
        }
    }
}

/// `NV` vectors side by side.
///
/// # Safety
/// They are at `from`; the processor has the instruction set.
#[inline(always)]
unsafe fn vectors<S: Simd, const NV: usize>(from: *const f32) -> [S::V; NV] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut vectors = [S::splat(0.0); NV];
        for (j, v) in vectors.iter_mut().enumerate() {
            *v = S::load(from.add(j * S::LANES));
        }
        vectors
    }
}

/// Rows that are `STRIDE` apart.
///
/// # Safety
/// So many rows are there.
#[inline(always)]
unsafe fn side_by_side<const ROWS: usize, const STRIDE: usize>(
    first: *const f32,
) -> [*const f32; ROWS] {
    let mut rows = [first; ROWS];
    for (i, row) in rows.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *row = unsafe { first.add(i * STRIDE) };
    }
    rows
}

/// The sums to where they belong, added to what is there if so asked, with the activation. `PARTIAL`: the last columns don't count.
///
/// # Safety
/// [`TileArgs`]; the processor has the instruction set.
#[inline(always)]
unsafe fn finish<S: Simd, const ROWS: usize, const NV: usize, const PARTIAL: bool>(
    args: &TileArgs,
    acc: &mut [[S::V; NV]; ROWS],
) {
    // SAFETY: by `TileArgs` there are `args.rows` rows of `args.cols` columns to read and write, of which no more are touched; biases
    // have whole vectors.
    unsafe {
        match args.start {
            Start::Zero | Start::Bias(_) => {}
            Start::BiasLast(bias) => {
                let bias = vectors::<S, NV>(bias);
                each_row!(I < ROWS, {
                    for (v, bias) in acc[I].iter_mut().zip(bias) {
                        *v = S::add(*v, bias);
                    }
                });
            }
            Start::Out => {
                each_row!(I < ROWS.min(args.rows), {
                    for (j, v) in acc[I].iter_mut().enumerate() {
                        let before = load::<S, PARTIAL>(args, args.out.add(I * args.out_stride), j);
                        *v = S::add(before, *v);
                    }
                });
            }
        }
        if let Some(Residual { first, stride }) = args.residual {
            each_row!(I < ROWS.min(args.rows), {
                for (j, v) in acc[I].iter_mut().enumerate() {
                    *v = S::add(*v, load::<S, PARTIAL>(args, first.add(I * stride), j));
                }
            });
        }
        if args.activation != Activation::None {
            each_row!(I < ROWS, {
                for v in &mut acc[I] {
                    *v = S::activate(*v, args.activation);
                }
            });
        }
        each_row!(I < ROWS.min(args.rows), {
            for (j, v) in acc[I].iter().enumerate() {
                let to = args.out.add(I * args.out_stride).wrapping_add(j * S::LANES);
                match PARTIAL {
                    false => S::store(to, *v),
                    true => S::store_part(to, *v, columns::<S>(args, j)),
                }
            }
        });
    }
}

/// Vector `j` of a row.
///
/// # Safety
/// The row has `args.cols` columns, and if not `PARTIAL` all of the vector; the processor has the instruction set.
#[inline(always)]
unsafe fn load<S: Simd, const PARTIAL: bool>(args: &TileArgs, row: *const f32, j: usize) -> S::V {
    // SAFETY: the caller's promise; of a vector without columns nothing is read.
    unsafe {
        match PARTIAL {
            false => S::load(row.add(j * S::LANES)),
            true => S::load_part(row.wrapping_add(j * S::LANES), columns::<S>(args, j)),
        }
    }
}

/// How many columns of a tile's vector `j` count.
#[inline(always)]
fn columns<S: Simd>(args: &TileArgs, j: usize) -> usize {
    args.cols.saturating_sub(j * S::LANES).min(S::LANES)
}

/// All steps of depth of rows that are `STRIDE` apart. One register goes along them: with the rows' pointers made before the
/// loop, the compiler takes a register for each.
///
/// # Safety
/// Each of the rows can be read for `args.depth` f32, the weights for as many times `NV` vectors.
#[inline(always)]
unsafe fn block<S: Simd, const ROWS: usize, const NV: usize, const STRIDE: usize>(
    acc: &mut [[S::V; NV]; ROWS],
    first: *const f32,
    args: &TileArgs,
    ahead: Ahead,
) {
    let (mut at, mut w, mut next) = (first, args.weights, ahead.from);
    let mut left = args.depth;
    // SAFETY: the caller's promise; what is asked for ahead need not be valid.
    unsafe {
        while left >= S::BLOCK_STEPS {
            for u in 0..S::BLOCK_STEPS {
                S::prefetch(next);
                next = next.wrapping_add(ahead.step);
                let rows = side_by_side::<ROWS, STRIDE>(at.add(u));
                step::<S, ROWS, NV>(acc, &rows, 0, w.add(u * S::NR));
            }
            (at, w) = (at.add(S::BLOCK_STEPS), w.add(S::BLOCK_STEPS * S::NR));
            left -= S::BLOCK_STEPS;
        }
        for _ in 0..left {
            let rows = side_by_side::<ROWS, STRIDE>(at);
            step::<S, ROWS, NV>(acc, &rows, 0, w);
            (at, w) = (at.add(1), w.add(S::NR));
        }
    }
}

/// All steps of depth of one tap; returns where the next tap's weights begin.
///
/// # Safety
/// Each of `rows` can be read for `depth` f32, `w` for `depth · NV` vectors.
#[inline(always)]
unsafe fn sum<S: Simd, const ROWS: usize, const NV: usize>(
    acc: &mut [[S::V; NV]; ROWS],
    rows: &[*const f32; ROWS],
    depth: usize,
    mut w: *const f32,
) -> *const f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut k = 0;
        while k + UNROLL <= depth {
            for u in 0..UNROLL {
                step::<S, ROWS, NV>(acc, rows, k + u, w.add(u * S::NR));
            }
            w = w.add(UNROLL * S::NR);
            k += UNROLL;
        }
        while k < depth {
            step::<S, ROWS, NV>(acc, rows, k, w);
            w = w.add(S::NR);
            k += 1;
        }
    }
    w
}

/// One step of depth: the outer product of a column of rows and a row of weights.
///
/// # Safety
/// Each of `rows` can be read at `k`, `w` for `NV` vectors.
#[inline(always)]
unsafe fn step<S: Simd, const ROWS: usize, const NV: usize>(
    acc: &mut [[S::V; NV]; ROWS],
    rows: &[*const f32; ROWS],
    k: usize,
    w: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let b = vectors::<S, NV>(w);
        for i in 0..ROWS {
            let a = S::splat(*rows[i].add(k));
            for j in 0..NV {
                acc[i][j] = S::mul_add(a, b[j], acc[i][j]);
            }
        }
    }
}
