//! AMX: products of tiles of 16 rows by 32 bf16 with 32 bf16 by 16 columns, summed in f32.
//!
//! The intrinsics are not in stable Rust, so the instructions stand in inline assembly. The compiler knows nothing of
//! tile registers and never uses them itself, so they keep their values from one piece of assembly to the next. All
//! eight hold 16 rows of 64 bytes: 0 to 3 the sums of 32 rows by 32 columns, 4 and 5 rows, 6 and 7 weights.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::OnceLock;

use super::{Blocks, NR, PairArgs};

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

/// Whether the processor has tiles with bf16, and the system lets this process use them. Asked once: the kernel gives
/// tile state only to processes that ask for it.
pub(crate) fn is_available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        #[cfg(all(target_os = "linux", feature = "emulate-amx"))]
        if super::emulator::install() {
            return true;
        }
        processor_has_tiles() && system_grants_tiles()
    })
}

pub(super) fn processor_has_tiles() -> bool {
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

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`, which holds for all threads that come after.
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

/// Elsewhere nobody has to be asked, or it is not known how.
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
#[inline(always)]
pub(super) fn session(tiles: impl FnOnce()) {
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            // SAFETY: only made below, where tiles are available.
            unsafe { asm!("tilerelease", options(nostack)) }
        }
    }
    // SAFETY: plans with this unit are only made where it is available.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIG, options(nostack, readonly)) };
    let _release = Release;
    tiles();
}

/// The 32 by 32 sums of one pass.
///
/// # Safety
/// [`PairArgs`], `depth` a multiple of 32; inside of [`session`].
#[inline(always)]
pub(super) unsafe fn tile(split: bool, args: &PairArgs) {
    let (out, line) = (args.out, 4 * args.out_stride);
    // SAFETY: all reads and writes are those that `PairArgs` allows: 16 rows of 64 bytes each.
    unsafe {
        let below = out.add(16 * args.out_stride);
        if args.add {
            asm!(
                "tileloadd tmm0, [{out} + {line}*1]",
                "tileloadd tmm1, [{out} + {line}*1 + 64]",
                "tileloadd tmm2, [{below} + {line}*1]",
                "tileloadd tmm3, [{below} + {line}*1 + 64]",
                out = in(reg) out, below = in(reg) below, line = in(reg) line,
                options(nostack, readonly),
            );
        } else {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack)
            );
        }
        if split {
            multiply_split(args);
        } else {
            multiply(args);
        }
        asm!(
            "tilestored [{out} + {line}*1], tmm0",
            "tilestored [{out} + {line}*1 + 64], tmm1",
            "tilestored [{below} + {line}*1], tmm2",
            "tilestored [{below} + {line}*1 + 64], tmm3",
            out = in(reg) out, below = in(reg) below, line = in(reg) line,
            options(nostack),
        );
    }
}

/// One product.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn multiply(args: &PairArgs) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "2:",
            "tileloadd tmm4, [{a} + {line}*1]",
            "tileloadd tmm6, [{w} + {pair}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{w} + {pair}*1 + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{b} + {line}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 64",
            "add {b}, 64",
            "add {w}, 2048",
            "dec {steps}",
            "jnz 2b",
            a = inout(reg) args.rows => _,
            b = inout(reg) args.rows.add(16 * args.stride) => _,
            line = in(reg) 2 * args.stride,
            w = inout(reg) args.weights => _,
            pair = in(reg) PAIR,
            steps = inout(reg) args.depth / STEP => _,
            options(nostack, readonly),
        );
    }
}

/// Three products; of the weights the lower parts come first, of the rows last, so that each is loaded once.
///
/// # Safety
/// As [`tile`], with split operands.
#[inline(always)]
unsafe fn multiply_split(args: &PairArgs) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "2:",
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
            "add {a}, 64",
            "add {b}, 64",
            "add {al}, 64",
            "add {bl}, 64",
            "add {w}, 2048",
            "add {wl}, 2048",
            "dec {steps}",
            "jnz 2b",
            a = inout(reg) args.rows => _,
            b = inout(reg) args.rows.add(16 * args.stride) => _,
            al = inout(reg) args.rows.add(args.low_rows) => _,
            bl = inout(reg) args.rows.add(args.low_rows + 16 * args.stride) => _,
            line = in(reg) 2 * args.stride,
            w = inout(reg) args.weights => _,
            wl = inout(reg) args.weights.add(args.low_weights) => _,
            pair = in(reg) PAIR,
            steps = inout(reg) args.depth / STEP => _,
            options(nostack, readonly),
        );
    }
}

const _: () = assert!(PAIR * STEP / 2 == 2048, "the step of the weights in the assembly");
