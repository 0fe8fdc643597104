//! AMX: products of tiles of 16 rows by 32 bf16 with 32 bf16 by 16 columns, summed in f32.
//!
//! The intrinsics are not in stable Rust, so the instructions are in inline assembly, one piece a register tile. What
//! lives from piece to piece is the configuration: all eight tile registers have 16 rows of 64 bytes. 0 to 3 hold the
//! sums of 32 rows by 32 columns, 4 and 5 rows, 6 and 7 weights.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::mem::offset_of;
use std::sync::OnceLock;

use super::{Blocks, NR, PairArgs, Panels16, upper};

/// Two tiles.
pub(super) const MR: usize = 32;
/// bf16 in a row of a tile.
pub(super) const STEP: usize = 32;

/// Channels of one pass. Sums are loaded and stored between passes, so they should be few; the weights of a pass (32 kB,
/// twice that where they are split) should stay in the second-level cache.
const DEPTH: usize = 512;

/// Bytes from one pair of depth to the next of packed weights.
const PAIR: usize = 4 * NR;

pub(super) fn blocks(channels: usize) -> Blocks {
    let depth = channels.min(DEPTH);
    Blocks { depth, stride: depth }
}

/// Whether the processor has tiles with bf16, the system lets this process use them, and they multiply right. Asked once:
/// the kernel gives tile state only to processes that ask for it.
pub(crate) fn is_available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let there = processor_has_tiles() && system_grants_tiles() || is_emulated();
        // SAFETY: the processor reports tiles and the system granted them, or the emulator catches their instructions.
        there && unsafe { multiplies_right() }
    })
}

/// Whether the emulator could be installed.
#[cfg(all(target_os = "linux", feature = "emulate-amx"))]
fn is_emulated() -> bool {
    super::emulator::install()
}

/// The emulator is not in this build.
#[cfg(not(all(target_os = "linux", feature = "emulate-amx")))]
fn is_emulated() -> bool {
    false
}

/// One register tile of small whole numbers, which must come out exactly: a processor or a virtual machine that does
/// not is not worth its speed.
///
/// # Safety
/// The processor has tiles, and the system grants them.
unsafe fn multiplies_right() -> bool {
    let (left, right) =
        (|row: usize, k: usize| (row + 3 * k) & 15, |k: usize, c: usize| (5 * k + c) & 7);
    let rows: Vec<u16> = (0..MR * STEP).map(|i| upper(left(i / STEP, i % STEP) as f32)).collect();
    let weights = Panels16::pack(STEP, NR, false, |k, column| right(k, column) as f32);
    let mut out = vec![1.0f32; MR * NR];
    let args = PairArgs {
        rows: rows.as_ptr(),
        stride: STEP,
        low_rows: 0,
        depth: STEP,
        weights: weights.at(0, 0),
        low_weights: 0,
        add: true,
        out: out.as_mut_ptr(),
        out_stride: NR,
    };
    // SAFETY: the buffers hold a whole tile; the caller's promise.
    unsafe { session(|| tile(false, &args)) };
    out.iter().enumerate().all(|(i, found)| {
        let sum: usize = (0..STEP).map(|k| left(i / NR, k) * right(k, i % NR)).sum();
        *found == (1 + sum) as f32
    })
}

fn processor_has_tiles() -> bool {
    const XSAVE_IN_USE: u32 = 1 << 27;
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    /// Configuration and data of tiles among the saved states.
    const TILE_STATES: u64 = 3 << 17;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & XSAVE_IN_USE == 0 {
        return false;
    }
    let wanted = AMX_BF16 | AMX_TILE;
    // SAFETY: the processor has XGETBV, since the system uses XSAVE.
    __cpuid_count(7, 0).edx & wanted == wanted
        && unsafe { enabled_states() } & TILE_STATES == TILE_STATES
}

/// # Safety
/// The system uses XSAVE.
#[target_feature(enable = "xsave")]
unsafe fn enabled_states() -> u64 {
    // SAFETY: register 0 is there wherever XSAVE is in use.
    unsafe { _xgetbv(0) }
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`, which holds for all threads of the process.
#[cfg(target_os = "linux")]
fn system_grants_tiles() -> bool {
    const ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let result: isize;
    // SAFETY: a system call that reads and writes no memory of this process; it clobbers rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// Other systems' ways of asking are not known here, so tiles are not used on them.
#[cfg(not(target_os = "linux"))]
fn system_grants_tiles() -> bool {
    false
}

/// What LDTILECFG reads: palette 1, every tile 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

const CONFIG: Config = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        row_bytes[tile] = 64;
        rows[tile] = 16;
        tile += 1;
    }
    Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

/// Sets the tiles up, runs `tiles` and gives the tile state back, so that the system need not save it with the thread.
///
/// # Safety
/// Tiles are available; `tiles` opens no session itself, whose end would be the end of this one.
#[inline(always)]
pub(crate) unsafe fn session(tiles: impl FnOnce()) {
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            // SAFETY: a `Release` is only made below, where the caller of `session` promises that tiles are available.
            unsafe { asm!("tilerelease", options(nostack)) }
        }
    }
    // SAFETY: the caller's promise.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIG, options(nostack, readonly)) };
    let _release = Release;
    tiles();
}

/// What one register tile needs, in memory: it is more than there are registers.
#[repr(C)]
struct Call {
    /// The first and the second 16 rows, and the same of the lower parts.
    rows: [*const u16; 2],
    low_rows: [*const u16; 2],
    /// Bytes from row to row.
    stride: usize,
    weights: *const u16,
    low_weights: *const u16,
    /// Sums of the first and of the second 16 rows.
    out: [*mut f32; 2],
    out_stride: usize,
    steps: usize,
    add: usize,
}

/// The 32 by 32 sums of one pass.
///
/// # Safety
/// [`PairArgs`], `depth` a multiple of 32 and not 0; inside of [`session`].
#[inline(always)]
pub(super) unsafe fn tile(split: bool, args: &PairArgs) {
    // SAFETY: by `PairArgs` there are 32 rows `stride` apart, here and `low_rows` further on, and 32 rows of sums
    // `out_stride` apart: row 16 of each is inside.
    let call = unsafe {
        let low = args.rows.add(args.low_rows);
        Call {
            rows: [args.rows, args.rows.add(16 * args.stride)],
            low_rows: [low, low.add(16 * args.stride)],
            stride: size_of::<u16>() * args.stride,
            weights: args.weights,
            low_weights: args.weights.add(args.low_weights),
            out: [args.out, args.out.add(16 * args.out_stride)],
            out_stride: size_of::<f32>() * args.out_stride,
            steps: args.depth / STEP,
            add: usize::from(args.add),
        }
    };
    // SAFETY: a tile is 16 rows of 64 bytes. `steps` of them along `depth` are the rows' and the weights' whole extent, two
    // by two the 32 by 32 sums: what `PairArgs` promises. The session has set the tiles up so.
    unsafe { if split { three_products(&call) } else { one_product(&call) } }
}

/// The assembly of a register tile: sums begin, `steps` times the given lines with rows in `a`, `b` (lower parts `al`, `bl`) and
/// weights in `w` (`wl`), sums are stored.
macro_rules! register_tile {
    ($call:expr, $($line:literal,)+) => {
        asm!(
            "mov {a}, [{call} + {OUT}]",
            "mov {b}, [{call} + {OUT} + 8]",
            "mov {line}, [{call} + {OUT_STRIDE}]",
            "cmp qword ptr [{call} + {ADD}], 0",
            "je 2f",
            "tileloadd tmm0, [{a} + {line}*1]",
            "tileloadd tmm1, [{a} + {line}*1 + 64]",
            "tileloadd tmm2, [{b} + {line}*1]",
            "tileloadd tmm3, [{b} + {line}*1 + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "mov {a}, [{call} + {ROWS}]",
            "mov {b}, [{call} + {ROWS} + 8]",
            "mov {al}, [{call} + {LOW_ROWS}]",
            "mov {bl}, [{call} + {LOW_ROWS} + 8]",
            "mov {line}, [{call} + {STRIDE}]",
            "mov {w}, [{call} + {WEIGHTS}]",
            "mov {wl}, [{call} + {LOW_WEIGHTS}]",
            "mov {steps}, [{call} + {STEPS}]",
            "mov {pair:e}, {PAIR}",
            "4:",
            $($line,)+
            "add {a}, 64",
            "add {b}, 64",
            "add {al}, 64",
            "add {bl}, 64",
            "add {w}, {STEP_BYTES}",
            "add {wl}, {STEP_BYTES}",
            "dec {steps}",
            "jnz 4b",
            "mov {a}, [{call} + {OUT}]",
            "mov {b}, [{call} + {OUT} + 8]",
            "mov {line}, [{call} + {OUT_STRIDE}]",
            "tilestored [{a} + {line}*1], tmm0",
            "tilestored [{a} + {line}*1 + 64], tmm1",
            "tilestored [{b} + {line}*1], tmm2",
            "tilestored [{b} + {line}*1 + 64], tmm3",
            call = in(reg) $call,
            a = out(reg) _,
            b = out(reg) _,
            al = out(reg) _,
            bl = out(reg) _,
            line = out(reg) _,
            w = out(reg) _,
            wl = out(reg) _,
            pair = out(reg) _,
            steps = out(reg) _,
            OUT = const offset_of!(Call, out),
            OUT_STRIDE = const offset_of!(Call, out_stride),
            ADD = const offset_of!(Call, add),
            ROWS = const offset_of!(Call, rows),
            LOW_ROWS = const offset_of!(Call, low_rows),
            STRIDE = const offset_of!(Call, stride),
            WEIGHTS = const offset_of!(Call, weights),
            LOW_WEIGHTS = const offset_of!(Call, low_weights),
            STEPS = const offset_of!(Call, steps),
            PAIR = const PAIR,
            STEP_BYTES = const PAIR * STEP / 2,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// # Safety
/// The call's pointers are valid as [`PairArgs`] says; inside of [`session`].
unsafe fn one_product(call: &Call) {
    // SAFETY: the caller's promise.
    unsafe {
        register_tile!(
            call,
            "tileloadd tmm4, [{a} + {line}*1]",
            "tileloadd tmm6, [{w} + {pair}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{w} + {pair}*1 + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{b} + {line}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
        );
    }
}

/// Of the weights the lower parts come first, of the rows last, so that each is loaded once.
///
/// # Safety
/// As [`one_product`], with split operands.
unsafe fn three_products(call: &Call) {
    // SAFETY: the caller's promise.
    unsafe {
        register_tile!(
            call,
            "tileloadd tmm4, [{a} + {line}*1]",
            "tileloadd tmm6, [{wl} + {pair}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{wl} + {pair}*1 + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{b} + {line}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{w} + {pair}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{w} + {pair}*1 + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm4, [{al} + {line}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{bl} + {line}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
        );
    }
}
