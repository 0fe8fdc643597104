use std::sync::OnceLock;

use crate::Precision;
use crate::bf16::Unit;

/// Instruction sets with kernels of their own, fastest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 matrix tiles with bf16 products.
    Amx,
    /// x86-64 with 16 f32 lanes and dot products of bf16 pairs.
    Avx512Bf16,
    /// x86-64 with 16 f32 lanes.
    Avx512,
    /// x86-64 with 8 f32 lanes and fused multiply-add.
    Avx2,
    /// 64-bit Arm with 4 f32 lanes.
    Neon,
    /// Plain Rust, any processor.
    Portable,
}

util::named!(Isa, "instruction set", {
    Amx = "amx-bf16",
    Avx512Bf16 = "avx512-bf16",
    Avx512 = "avx512",
    Avx2 = "avx2",
    Neon = "neon",
    Portable = "portable",
});

impl Isa {
    /// Whether this processor has it and this build has kernels for it.
    pub fn is_available(self) -> bool {
        detected().contains(&self)
    }

    /// All that [`is_available`](Self::is_available), fastest first; never empty.
    pub fn available() -> Vec<Self> {
        detected().to_vec()
    }

    /// The fastest that is available.
    pub fn best() -> Self {
        detected().first().copied().unwrap_or(Self::Portable)
    }

    /// Names what gives the same bits at this precision: the same name, the same bits.
    ///
    /// In [`Precision::Highest`] all that fuse products and sums are one: each output is one chain of fused multiply-adds in an
    /// order that no vector's width or tile's shape changes, and algorithms are chosen without asking for them. At other
    /// precisions units for bf16 add pairs in their own order, so each instruction set is held to itself alone.
    pub fn bits(self, precision: Precision) -> &'static str {
        let is_fused = self != Self::Portable || cfg!(feature = "fused-portable");
        if precision == Precision::Highest && is_fused { "f32-fma" } else { self.name() }
    }

    /// The fastest that is available for this precision. One whose units for bf16 would stay idle gives way to the same
    /// without them, so that machines with and without such units name alike what gives the same bits.
    pub fn best_for(precision: Precision) -> Self {
        let has_idle_unit = |isa: Self| {
            matches!(isa, Self::Amx | Self::Avx512Bf16) && Unit::of(isa, precision).is_none()
        };
        detected().iter().copied().find(|isa| !has_idle_unit(*isa)).unwrap_or(Self::Portable)
    }
}

/// Asked of the processor once.
fn detected() -> &'static [Isa] {
    static FOUND: OnceLock<Vec<Isa>> = OnceLock::new();
    FOUND.get_or_init(|| Isa::ALL.iter().copied().filter(|isa| detect(*isa)).collect())
}

#[cfg(target_arch = "x86_64")]
fn detect(isa: Isa) -> bool {
    match isa {
        // Transforms and the precision `highest` run on vectors, and activations are rounded by them.
        Isa::Amx => {
            (cfg!(feature = "emulate-amx") || detect(Isa::Avx512Bf16))
                && has_16_bit_lanes()
                && detect(Isa::Avx512)
                && crate::bf16::amx::is_available()
        }
        Isa::Avx512Bf16 => {
            std::is_x86_feature_detected!("avx512bf16") && has_16_bit_lanes() && detect(Isa::Avx512)
        }
        Isa::Avx512 => std::is_x86_feature_detected!("avx512f") && detect(Isa::Avx2),
        Isa::Avx2 => std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma"),
        Isa::Neon => false,
        Isa::Portable => true,
    }
}

/// What all but the very first processors with AVX-512 have.
#[cfg(target_arch = "x86_64")]
fn has_16_bit_lanes() -> bool {
    std::is_x86_feature_detected!("avx512bw") && std::is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "aarch64")]
fn detect(isa: Isa) -> bool {
    match isa {
        Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        other => other == Isa::Portable,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect(isa: Isa) -> bool {
    isa == Isa::Portable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_portable_is_always_there() {
        for isa in Isa::ALL {
            assert_eq!(isa.name().parse::<Isa>(), Ok(*isa));
            assert_eq!(isa.to_string(), isa.name());
        }
        assert!("sse".parse::<Isa>().is_err());
        assert!(Isa::Portable.is_available());
        assert!(Isa::best().is_available());
        assert_eq!(Isa::available().first(), Some(&Isa::best()));
        for precision in Precision::ON_CPU {
            assert!(Isa::best_for(*precision).is_available());
        }
        assert!(!matches!(Isa::best_for(Precision::Highest), Isa::Amx | Isa::Avx512Bf16));
    }
}
