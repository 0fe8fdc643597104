//! The register tile: sums of up to 48 pixels by 32 output channels over all taps and channels, which leave the matrix tiles
//! only when they are whole.

use std::arch::asm;
use std::mem::offset_of;

/// Pixels of a matrix tile.
pub(super) const ROWS: usize = 16;
/// Channels from row to row of the sums: those of a panel.
pub(super) const SUMS: usize = 32;

/// What is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Products {
    /// bf16, nine taps of each block of channels.
    Nine,
    /// Pairs of bf16, nine taps of each block of channels.
    NinePairs,
    /// bf16, one step.
    One,
    /// Pairs of bf16, one step.
    OnePair,
}

impl Products {
    /// The most matrix tiles of pixels that sums fit for: with three, weights are loaded for six products, but one register is left
    /// for pixels, which pairs would load too often.
    pub(super) fn most_tiles(self) -> usize {
        if self == Self::Nine { 3 } else { 2 }
    }
}

/// One call, in memory: it is more than there are registers. Distances are in bytes.
///
/// The caller promises: `lines` holds the first tap's line of 16 pixels for each of the tiles, one after the other; with nine taps
/// the other columns follow, the rows are `row` apart, and so for `blocks` blocks, `block` apart, and for the lower parts, `low`
/// further on. `weights` holds the panel's steps. `out` has room for 16 · tiles rows of [`SUMS`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) lines: *const u16,
    pub(super) row: usize,
    pub(super) block: usize,
    pub(super) low: usize,
    pub(super) weights: *const u16,
    pub(super) blocks: usize,
    /// The first line that the next tile reads: asked for into cache in time.
    pub(super) next: *const u16,
    /// Weights that are needed later, of which so many cache lines are asked for with each block.
    pub(super) ahead: *const u8,
    pub(super) ahead_lines: usize,
    pub(super) out: *mut f32,
}

/// The assembly with which sums begin: none.
macro_rules! zero {
    (1) => {
        "tilezero tmm0\ntilezero tmm1\n"
    };
    (2) => {
        concat!(zero!(1), "tilezero tmm2\ntilezero tmm3\n")
    };
    (3) => {
        concat!(zero!(2), "tilezero tmm4\ntilezero tmm5\n")
    };
}

/// The assembly that stores them.
macro_rules! store {
    (1) => {
        "tilestored [{x} + {s}*1], tmm0\ntilestored [{x} + {s}*1 + 64], tmm1\n"
    };
    (2) => {
        concat!(
            store!(1),
            "tilestored [{x} + {s}*1 + 2048], tmm2\ntilestored [{x} + {s}*1 + 2112], tmm3\n"
        )
    };
    (3) => {
        concat!(
            store!(2),
            "tilestored [{x} + {s}*1 + 4096], tmm4\ntilestored [{x} + {s}*1 + 4160], tmm5\n"
        )
    };
}

/// One step of so many matrix tiles of pixels. `$c` is how far a tap's column is from the first, `$w` how far its weights are from
/// the row's.
macro_rules! step {
    (1, $c:literal, $w:literal) => {
        concat!(
            "tileloadd tmm4, [{y} + {s}*1 + ",
            $c,
            "]\n",
            "tileloaddt1 tmm6, [{w} + {s}*1 + ",
            $w,
            "]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tileloaddt1 tmm7, [{w} + {s}*1 + ",
            $w,
            " + 1024]\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
        )
    };
    (2, $c:literal, $w:literal) => {
        concat!(
            step!(1, $c, $w),
            "tileloadd tmm5, [{y} + {s}*1 + ",
            $c,
            " + 1024]\n",
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            "tdpbf16ps tmm3, tmm5, tmm7\n",
        )
    };
    // One register is left for the pixels, which it holds in turns.
    (3, $c:literal, $w:literal) => {
        concat!(
            "tileloaddt1 tmm7, [{w} + {s}*1 + ",
            $w,
            "]\n",
            "tileloadd tmm6, [{y} + {s}*1 + ",
            $c,
            "]\n",
            "tdpbf16ps tmm0, tmm6, tmm7\n",
            "tileloadd tmm6, [{y} + {s}*1 + ",
            $c,
            " + 1024]\n",
            "tdpbf16ps tmm2, tmm6, tmm7\n",
            "tileloadd tmm6, [{y} + {s}*1 + ",
            $c,
            " + 2048]\n",
            "tdpbf16ps tmm4, tmm6, tmm7\n",
            "tileloaddt1 tmm7, [{w} + {s}*1 + ",
            $w,
            " + 1024]\n",
            "tdpbf16ps tmm5, tmm6, tmm7\n",
            "tileloadd tmm6, [{y} + {s}*1 + ",
            $c,
            " + 1024]\n",
            "tdpbf16ps tmm3, tmm6, tmm7\n",
            "tileloadd tmm6, [{y} + {s}*1 + ",
            $c,
            "]\n",
            "tdpbf16ps tmm1, tmm6, tmm7\n",
        )
    };
}

/// One step of three products each: of the weights the lower parts come first, of the pixels last, so that each is loaded once.
macro_rules! step_of_pairs {
    (1, $c:literal, $w:literal) => {
        concat!(
            "tileloadd tmm4, [{y} + {s}*1 + ",
            $c,
            "]\n",
            "tileloaddt1 tmm6, [{w} + {s}*1 + ",
            $w,
            " + 2048]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tileloaddt1 tmm7, [{w} + {s}*1 + ",
            $w,
            " + 3072]\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tileloaddt1 tmm6, [{w} + {s}*1 + ",
            $w,
            "]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tileloaddt1 tmm7, [{w} + {s}*1 + ",
            $w,
            " + 1024]\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tileloadd tmm4, [{z} + {s}*1 + ",
            $c,
            "]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
        )
    };
    (2, $c:literal, $w:literal) => {
        concat!(
            "tileloadd tmm4, [{y} + {s}*1 + ",
            $c,
            "]\n",
            "tileloaddt1 tmm6, [{w} + {s}*1 + ",
            $w,
            " + 2048]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tileloaddt1 tmm7, [{w} + {s}*1 + ",
            $w,
            " + 3072]\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tileloadd tmm5, [{y} + {s}*1 + ",
            $c,
            " + 1024]\n",
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            "tdpbf16ps tmm3, tmm5, tmm7\n",
            "tileloaddt1 tmm6, [{w} + {s}*1 + ",
            $w,
            "]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tileloaddt1 tmm7, [{w} + {s}*1 + ",
            $w,
            " + 1024]\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            "tdpbf16ps tmm3, tmm5, tmm7\n",
            "tileloadd tmm4, [{z} + {s}*1 + ",
            $c,
            "]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tileloadd tmm5, [{z} + {s}*1 + ",
            $c,
            " + 1024]\n",
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            "tdpbf16ps tmm3, tmm5, tmm7\n",
        )
    };
}

/// Asks for the lines that a row of taps reads into the first-level cache: two more than pixels.
macro_rules! fetch {
    (1, $from:literal) => {
        fetch!($from: 0 64 128 192 256 320 384 448 512 576 640 704 768 832 896 960 1024 1088)
    };
    (2, $from:literal) => {
        concat!(
            fetch!(1, $from),
            fetch!($from: 1152 1216 1280 1344 1408 1472 1536 1600 1664 1728 1792 1856 1920 1984 2048 2112),
        )
    };
    (3, $from:literal) => {
        concat!(
            fetch!(2, $from),
            fetch!($from: 2176 2240 2304 2368 2432 2496 2560 2624 2688 2752 2816 2880 2944 3008 3072 3136),
        )
    };
    ($from:literal: $($at:literal)*) => { concat!($("prefetcht0 [", $from, " + ", $at, "]\n",)*) };
}

/// A multiply-add of vectors, here and there: after some 120 products without one, storing a tile takes a quarter of a
/// microsecond longer.
macro_rules! wake {
    () => {
        "vfmadd231ps zmm31, zmm31, zmm31\n"
    };
}

/// A row of taps, and on to the next one's weights.
macro_rules! row {
    (Bf16, $tiles:tt) => {
        concat!(
            fetch!($tiles, "{n}"),
            step!($tiles, "0", "0"),
            step!($tiles, "64", "2048"),
            step!($tiles, "128", "4096"),
            "add {w}, 6144\n",
            wake!(),
        )
    };
    (Pairs, $tiles:tt) => {
        concat!(
            fetch!($tiles, "{n}"),
            fetch!($tiles, "{m}"),
            step_of_pairs!($tiles, "0", "0"),
            step_of_pairs!($tiles, "64", "4096"),
            step_of_pairs!($tiles, "128", "8192"),
            "add {w}, 12288\n",
            wake!(),
        )
    };
}

/// The assembly of a register tile of nine taps.
macro_rules! nine {
    ($call:expr, $kind:tt, $tiles:tt) => {
        asm!(
            zero!($tiles),
            "vpxord zmm31, zmm31, zmm31",
            "mov {x}, [{call} + {LINES}]",
            "mov {w}, [{call} + {WEIGHTS}]",
            "mov {blocks}, [{call} + {BLOCKS}]",
            "mov {ahead}, [{call} + {AHEAD}]",
            "mov {s:e}, 64",
            "2:",
            "mov {n}, [{call} + {AHEAD_LINES}]",
            "test {n}, {n}",
            "jz 4f",
            "3:",
            "prefetcht1 [{ahead}]",
            "add {ahead}, 64",
            "dec {n}",
            "jnz 3b",
            "4:",
            // The rows of taps; each asks for the next one's lines.
            "mov {y}, {x}",
            "mov {z}, {y}",
            "add {z}, [{call} + {LOW}]",
            "mov {n}, {y}",
            "add {n}, [{call} + {ROW}]",
            "mov {m}, {n}",
            "add {m}, [{call} + {LOW}]",
            row!($kind, $tiles),
            "mov {y}, {n}",
            "mov {z}, {m}",
            "add {n}, [{call} + {ROW}]",
            "add {m}, [{call} + {ROW}]",
            row!($kind, $tiles),
            "mov {y}, {n}",
            "mov {z}, {m}",
            "add {x}, [{call} + {BLOCK}]",
            "mov {n}, {x}",
            "cmp {blocks}, 1",
            "cmove {n}, [{call} + {NEXT}]",
            "mov {m}, {n}",
            "add {m}, [{call} + {LOW}]",
            row!($kind, $tiles),
            "dec {blocks}",
            "jnz 2b",
            "mov {x}, [{call} + {OUT}]",
            "mov {s:e}, 128",
            store!($tiles),
            call = in(reg) $call,
            x = out(reg) _,
            y = out(reg) _,
            z = out(reg) _,
            w = out(reg) _,
            s = out(reg) _,
            n = out(reg) _,
            m = out(reg) _,
            blocks = out(reg) _,
            ahead = out(reg) _,
            LINES = const offset_of!(Call, lines),
            ROW = const offset_of!(Call, row),
            BLOCK = const offset_of!(Call, block),
            LOW = const offset_of!(Call, low),
            WEIGHTS = const offset_of!(Call, weights),
            BLOCKS = const offset_of!(Call, blocks),
            NEXT = const offset_of!(Call, next),
            AHEAD = const offset_of!(Call, ahead),
            AHEAD_LINES = const offset_of!(Call, ahead_lines),
            OUT = const offset_of!(Call, out),
            out("zmm31") _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// The assembly of a register tile of a single step.
macro_rules! one {
    ($call:expr, $step:ident, $tiles:tt) => {
        asm!(
            zero!($tiles),
            "mov {y}, [{call} + {LINES}]",
            "mov {z}, {y}",
            "add {z}, [{call} + {LOW}]",
            "mov {w}, [{call} + {WEIGHTS}]",
            "mov {s:e}, 64",
            $step!($tiles, "0", "0"),
            "mov {x}, [{call} + {OUT}]",
            "mov {s:e}, 128",
            store!($tiles),
            call = in(reg) $call,
            x = out(reg) _,
            y = out(reg) _,
            z = out(reg) _,
            w = out(reg) _,
            s = out(reg) _,
            LINES = const offset_of!(Call, lines),
            LOW = const offset_of!(Call, low),
            WEIGHTS = const offset_of!(Call, weights),
            OUT = const offset_of!(Call, out),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// The sums of `tiles` matrix tiles of pixels.
///
/// # Safety
/// [`Call`]'s promise, `tiles` at most [`Products::most_tiles`] and not 0; the processor has tiles, and a session is open.
pub(super) unsafe fn tile(products: Products, tiles: usize, call: &Call) {
    // SAFETY: a tile is 16 rows of 64 bytes: the lines, steps and sums of the call, two by two panels of 16 channels. The session
    // has set the tiles up so. Asking for lines ahead reads nothing.
    unsafe {
        match (products, tiles) {
            (Products::Nine, 1) => nine!(call, Bf16, 1),
            (Products::Nine, 2) => nine!(call, Bf16, 2),
            (Products::Nine, _) => nine!(call, Bf16, 3),
            (Products::NinePairs, 1) => nine!(call, Pairs, 1),
            (Products::NinePairs, _) => nine!(call, Pairs, 2),
            (Products::One, 1) => one!(call, step, 1),
            (Products::One, _) => one!(call, step, 2),
            (Products::OnePair, 1) => one!(call, step_of_pairs, 1),
            (Products::OnePair, _) => one!(call, step_of_pairs, 2),
        }
    }
}
