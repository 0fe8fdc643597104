//! One small vector interface, one instruction set a file.
//!
//! Kernels are written once, generic over [`Simd`], and always inlined. Each instruction set has one entry function
//! with its target features, into which the whole kernel is inlined. [`dispatch`] calls it, and [`shape`] says what it
//! runs with: nothing else here depends on which instruction set it is.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
mod element;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub(crate) mod tile;

use crate::{Activation, Isa, bf16};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use element::{Element, Form};
use tile::TileArgs;

/// Vectors of `LANES` f32 and the shape of the matrix kernel's register tile.
///
/// # Safety
/// All methods may only be called on a processor that has the instruction set; pointers must be valid for `LANES`
/// f32 (no alignment asked). An implementation must do no more than each method says.
pub(crate) unsafe trait Simd: Copy + 'static {
    /// A vector register.
    type V: Copy;
    /// f32 in a vector.
    const LANES: usize;
    /// Rows (pixels) of the register tile where each has a pointer of its own.
    const MR: usize;
    /// Rows of the register tile where they are side by side.
    const BLOCK_MR: usize = Self::MR;
    /// Columns (output channels) of the register tile, a multiple of `LANES`.
    const NR: usize;
    /// Steps of a round where rows are side by side. With more than one, AVX2 keeps addresses in so many registers that sums go
    /// through the stack, at half the speed.
    const BLOCK_STEPS: usize = 1;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `count` lanes, up to all, of which alone `p` need be valid; zeros after them.
    #[inline(always)]
    unsafe fn load_part(p: *const f32, count: usize) -> Self::V {
        let mut values = [0.0; MAX_LANES];
        // SAFETY: as many are copied as `p` has, and the array holds a vector.
        unsafe {
            std::ptr::copy_nonoverlapping(p, values.as_mut_ptr(), count);
            Self::load(values.as_ptr())
        }
    }
    /// The first `count` lanes, up to all, for which alone `p` need have room.
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: Self::V, count: usize) {
        let mut values = [0.0; MAX_LANES];
        // SAFETY: the array holds a vector, and as many are copied as `p` has room for.
        unsafe {
            Self::store(values.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(values.as_ptr(), p, count);
        }
    }
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a·b + c.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c − a·b.
    unsafe fn neg_mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Negative becomes zero, NaN stays.
    unsafe fn relu(v: Self::V) -> Self::V;
    /// The larger; NaN if either is.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The activation of each lane.
    #[inline(always)]
    unsafe fn activate(v: Self::V, activation: Activation) -> Self::V {
        // SAFETY: the trait's contract.
        unsafe {
            match activation {
                Activation::None => v,
                Activation::Relu => Self::relu(v),
                // min(x, 6) = 6 − relu(6 − x) would round; −max(−x, −6) does not.
                Activation::Relu6 => {
                    let zero = Self::splat(0.0);
                    let less = Self::max(Self::sub(zero, Self::relu(v)), Self::splat(-6.0));
                    Self::sub(zero, less)
                }
            }
        }
    }
    /// Asks for the cache line at `p`, which need not be valid.
    unsafe fn prefetch(p: *const f32);
    /// The same into the first-level cache, whatever else is there.
    #[inline(always)]
    unsafe fn fetch(_: *const f32) {}
    /// The nearest bf16, ties to even, as f32; NaN stays NaN.
    #[inline(always)]
    unsafe fn round(v: Self::V) -> Self::V {
        let mut values = [0.0; MAX_LANES];
        // SAFETY: the array holds a vector.
        unsafe {
            Self::store(values.as_mut_ptr(), v);
            Self::load(values.map(bf16::round).as_ptr())
        }
    }
    /// The upper halves of the lanes, `LANES` of them.
    #[inline(always)]
    unsafe fn store_upper(p: *mut u16, v: Self::V) {
        let mut values = [0.0f32; MAX_LANES];
        // SAFETY: the array holds a vector; `p` is valid for one of halves.
        unsafe {
            Self::store(values.as_mut_ptr(), v);
            for (i, x) in values.iter().take(Self::LANES).enumerate() {
                p.add(i).write(bf16::upper(*x));
            }
        }
    }
    /// The first `count` bf16, up to a vector's, of which alone `p` need be valid; zeros after them.
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16, count: usize) -> Self::V {
        let mut values = [0.0; MAX_LANES];
        // SAFETY: as many are read as `p` has, and the array holds a vector.
        unsafe {
            for (i, value) in values.iter_mut().enumerate().take(count) {
                *value = f32::from_bits(u32::from(p.add(i).read()) << 16);
            }
            Self::load(values.as_ptr())
        }
    }
    /// The first `count` lanes, up to all, as the nearest bf16, for which alone `p` need have room. Denormal values may become 0.
    #[inline(always)]
    unsafe fn store_bf16(p: *mut u16, v: Self::V, count: usize) {
        let mut values = [0u16; MAX_LANES];
        // SAFETY: the array holds a vector's, and as many are copied as `p` has room for.
        unsafe {
            if count == Self::LANES {
                return Self::store_upper(p, Self::round(v));
            }
            Self::store_upper(values.as_mut_ptr(), Self::round(v));
            std::ptr::copy_nonoverlapping(values.as_ptr(), p, count);
        }
    }
    /// The register tile of the matrix kernel.
    unsafe fn tile(args: &TileArgs);
}

/// The most lanes of any instruction set.
const MAX_LANES: usize = 16;

/// Work that is compiled once for each instruction set.
pub(crate) trait Job {
    /// Does it. Implementations are `#[inline(always)]`, so that they take on the entry function's target features.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`, and what the job's own fields demand holds.
    unsafe fn run<S: Simd>(self);
}

/// Runs the job with the vectors of `isa`.
///
/// # Safety
/// What the job's own fields demand. Availability of `isa` is the caller's too: plans are only made for available ones.
pub(crate) unsafe fn dispatch<J: Job>(isa: Isa, job: J) {
    // SAFETY: a plan exists only for an instruction set that was detected; the rest is the caller's promise.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx | Isa::Avx512Bf16 | Isa::Avx512 => avx512::enter(job),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::enter(job),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => neon::enter(job),
            _ => portable::enter(job),
        }
    }
}

/// Plain loops that the compiler vectorises for each instruction set. A type and not a closure: closures are not inlined for sure, and
/// those that are not run with the instructions that every processor has.
pub(crate) trait Loops {
    /// Runs them. Implementations are `#[inline(always)]`, as [`Job`]'s are.
    fn run(self);
}

/// Runs plain loops with the instructions of `isa`, which was detected.
pub(crate) fn vectorise(isa: Isa, loops: impl Loops) {
    struct Vectorised<L>(L);
    impl<L: Loops> Job for Vectorised<L> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            self.0.run();
        }
    }
    // SAFETY: safe code demands nothing; the caller says that `isa` is available.
    unsafe { dispatch(isa, Vectorised(loops)) }
}

/// Shape of the vectors and of the register tile of an instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) lanes: usize,
    pub(crate) mr: usize,
    pub(crate) block_mr: usize,
    pub(crate) nr: usize,
}

impl Shape {
    fn of<S: Simd>() -> Self {
        Self { lanes: S::LANES, mr: S::MR, block_mr: S::BLOCK_MR, nr: S::NR }
    }
}

/// The shape that [`dispatch`] will run with.
pub(crate) fn shape(isa: Isa) -> Shape {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Amx | Isa::Avx512Bf16 | Isa::Avx512 => Shape::of::<avx512::Avx512>(),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Shape::of::<avx2::Avx2>(),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Shape::of::<neon::Neon>(),
        _ => Shape::of::<portable::Portable>(),
    }
}
