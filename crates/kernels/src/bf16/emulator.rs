//! AMX in software, for tests: the processor's trap on an instruction that it does not know is caught, the instruction
//! decoded and done as Intel's manual (Software Developer's Manual, volume 2) describes it, and the program goes on
//! behind it. So the very bytes of the kernels are executed, on any Linux machine. Only the forms that the kernels use
//! are known; anything else ends the process as it would without the emulator.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};

const TILES: usize = 8;
const ROWS: usize = 16;
const WORDS: usize = 16;

/// The tile registers of one thread, as rows of 32-bit words.
struct State {
    configured: bool,
    tiles: [[[u32; WORDS]; ROWS]; TILES],
}

thread_local! {
    // Without destructor and with a constant beginning, so that a signal handler may touch it.
    static STATE: UnsafeCell<State> =
        const { UnsafeCell::new(State { configured: false, tiles: [[[0; WORDS]; ROWS]; TILES] }) };
}

/// Catches illegal instructions from now on; whether that worked.
pub(super) fn install() -> bool {
    // SAFETY: a zeroed action is a valid one to fill; the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()) == 0
    }
}

extern "C" fn handle(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the interrupted thread's context, and lets the handler change it.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let at = registers[libc::REG_RIP as usize] as *const u8;
    let done = STATE.with(|state| {
        // SAFETY: the state is this thread's, and the handler does not interrupt itself; the trap came from an
        // instruction at `at`, so at least its bytes can be read.
        unsafe { execute(at, registers, &mut *state.get()) }
    });
    match done {
        Some(length) => registers[libc::REG_RIP as usize] += length as i64,
        // Not one of ours: the next trap is fatal.
        // SAFETY: `signal` may be called in a handler, and SIG_DFL is a valid action.
        None => unsafe {
            libc::signal(libc::SIGILL, libc::SIG_DFL);
        },
    }
}

/// Does the instruction at `at` and returns its length, or `None` when it is not a known one.
///
/// # Safety
/// `at` points at an instruction, whose operands are those of the interrupted program.
unsafe fn execute(at: *const u8, registers: &[i64; 23], state: &mut State) -> Option<usize> {
    // SAFETY: the caller's promise.
    let byte = |i: usize| unsafe { at.add(i).read() };
    // VEX with three bytes: C4, inverted R X B and the map, W and inverted second source and L and prefix, opcode.
    if byte(0) != 0xC4 || byte(1) & 0x1F != 2 {
        return None;
    }
    let extend = |bit: u8| if byte(1) & bit == 0 { 8usize } else { 0 };
    let (prefix, opcode, modrm) = (byte(2) & 3, byte(3), byte(4));
    let (mode, reg, rm) = (modrm >> 6, usize::from(modrm >> 3 & 7), usize::from(modrm & 7));
    let second = usize::from(!byte(2) >> 3 & 15);
    match (prefix, opcode) {
        // TILERELEASE, by its fixed last byte.
        (0, 0x49) if modrm == 0xC0 => {
            state.configured = false;
            return Some(5);
        }
        // TILEZERO.
        (3, 0x49) if mode == 3 => {
            state.tiles[reg] = [[0; WORDS]; ROWS];
            return state.configured.then_some(5);
        }
        // TDPBF16PS: modrm.reg += modrm.rm · the second source.
        (2, 0x5C) if mode == 3 => {
            let (a, b) = (state.tiles[rm], *state.tiles.get(second)?);
            // SAFETY: `Isa`'s detection asks for AVX-512 before it asks for tiles, and the kernels run only after it.
            unsafe { multiply(&mut state.tiles[reg], &a, &b) };
            return state.configured.then_some(5);
        }
        _ => {}
    }
    // What is left has a memory operand: base, perhaps an index, and a displacement.
    let general = |number: usize| {
        const ORDER: [c_int; 16] = [
            libc::REG_RAX,
            libc::REG_RCX,
            libc::REG_RDX,
            libc::REG_RBX,
            libc::REG_RSP,
            libc::REG_RBP,
            libc::REG_RSI,
            libc::REG_RDI,
            libc::REG_R8,
            libc::REG_R9,
            libc::REG_R10,
            libc::REG_R11,
            libc::REG_R12,
            libc::REG_R13,
            libc::REG_R14,
            libc::REG_R15,
        ];
        registers[ORDER[number] as usize] as usize
    };
    let mut length = 5;
    let (base, step) = if rm == 4 {
        let sib = byte(5);
        length = 6;
        let (scale, index) = (sib >> 6, usize::from(sib >> 3 & 7) + extend(0x40));
        // Without a base there would be a displacement only: not used by the kernels.
        if mode == 0 && sib & 7 == 5 {
            return None;
        }
        let step = if index == 4 { 0 } else { general(index) << scale };
        (general(usize::from(sib & 7) + extend(0x20)), step)
    } else {
        if mode == 0 && rm == 5 {
            return None;
        }
        (general(rm + extend(0x20)), 0)
    };
    let displacement = match mode {
        0 => 0,
        1 => {
            length += 1;
            byte(length - 1) as i8 as isize
        }
        2 => {
            length += 4;
            let bytes = [byte(length - 4), byte(length - 3), byte(length - 2), byte(length - 1)];
            i32::from_le_bytes(bytes) as isize
        }
        _ => return None,
    };
    let start = base.wrapping_add_signed(displacement);
    // SAFETY: these are the operands of the interrupted program's own instruction: its author promised 16 rows of 64 bytes
    // (64 bytes for a configuration) there, as for a processor that has tiles.
    unsafe {
        match (prefix, opcode) {
            // LDTILECFG: only the one configuration that the kernels use.
            (0, 0x49) if reg == 0 => {
                let config = (start.wrapping_add(step) as *const [u8; 64]).read();
                let whole = |tile: usize| {
                    config[16 + 2 * tile] == 64
                        && config[17 + 2 * tile] == 0
                        && config[48 + tile] == 16
                };
                if config[0] != 1 || config[1] != 0 || !(0..TILES).all(whole) {
                    return None;
                }
                *state = State { configured: true, tiles: [[[0; WORDS]; ROWS]; TILES] };
            }
            // TILELOADD and TILELOADDT1, which differ in what they ask of the caches.
            (3 | 1, 0x4B) if state.configured => {
                for (row, words) in state.tiles[reg].iter_mut().enumerate() {
                    *words = (start.wrapping_add(row.wrapping_mul(step)) as *const [u32; WORDS])
                        .read_unaligned();
                }
            }
            // TILESTORED.
            (2, 0x4B) if state.configured => {
                for (row, words) in state.tiles[reg].iter().enumerate() {
                    (start.wrapping_add(row.wrapping_mul(step)) as *mut [u32; WORDS])
                        .write_unaligned(*words);
                }
            }
            _ => return None,
        }
    }
    Some(length)
}

/// TDPBF16PS: for each row and column two sums of products, of the even and of the odd depths, each product and addition
/// rounded once; both added to each other and then to what is there. Denormals count as zero.
#[target_feature(enable = "avx512f")]
fn multiply(sums: &mut [[u32; WORDS]; ROWS], a: &[[u32; WORDS]; ROWS], b: &[[u32; WORDS]; ROWS]) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let (mut even, mut odd) = ([0.0f32; WORDS], [0.0f32; WORDS]);
        for (k, pair) in a[row].iter().enumerate() {
            let (first, second) = (low_half(*pair), high_half(*pair));
            for column in 0..WORDS {
                even[column] = flush(first.mul_add(low_half(b[k][column]), even[column]));
                odd[column] = flush(second.mul_add(high_half(b[k][column]), odd[column]));
            }
        }
        for (column, sum) in sums.iter_mut().enumerate() {
            let product = flush(even[column] + odd[column]);
            *sum = flush(flush(f32::from_bits(*sum)) + product).to_bits();
        }
    }
}

#[inline(always)]
fn low_half(pair: u32) -> f32 {
    flush(f32::from_bits(pair << 16))
}

#[inline(always)]
fn high_half(pair: u32) -> f32 {
    flush(f32::from_bits(pair & 0xFFFF_0000))
}

#[inline(always)]
fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0.0f32.copysign(x) } else { x }
}
