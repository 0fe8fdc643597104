use crate::Isa;

/// How exactly products are formed, in PyTorch's words for matmul precision.
///
/// The bounds are on the largest difference from a float64 reference over the whole VGG16 base, as a part of the
/// largest feature. Other bases keep them in the tests too. Within its bound each instruction set may run any scheme;
/// [`Network::describe`](crate::Network::describe) says which it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32 operands and sums: within 5e-6.
    Highest,
    /// On AMX each f32 is a sum of two bf16 and three products are formed: within 5e-5.
    High,
    /// On GPUs of NVIDIA alone: operands rounded to 10 bits of fraction, f32 sums. The CPU kernels have none.
    Tf32,
    /// On bf16 units bf16 operands and f32 sums: within 2e-2.
    Medium,
}

util::named!(Precision, "precision", {
    Highest = "highest",
    High = "high",
    Tf32 = "tf32",
    Medium = "medium",
});

impl Precision {
    /// Those that the CPU kernels have.
    pub const ON_CPU: &'static [Self] = &[Self::Highest, Self::High, Self::Medium];

    /// This one, or what the CPU kernels have in its place: one that is at least as exact.
    pub fn on_cpu(self) -> Self {
        if self == Self::Tf32 { Self::Highest } else { self }
    }
}

/// `High` where the machine has units that do it fast, else `Highest`.
pub fn default_precision(isa: Isa) -> Precision {
    match isa {
        Isa::Amx => Precision::High,
        Isa::Avx512Bf16 | Isa::Avx512 | Isa::Avx2 | Isa::Neon | Isa::Portable => Precision::Highest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse::<Precision>(), Ok(*precision));
            assert_eq!(precision.to_string(), precision.name());
        }
        assert!(Precision::ALL.iter().all(|kind| Precision::ON_CPU.contains(&kind.on_cpu())));
        assert!(Precision::ON_CPU.iter().all(|kind| kind.on_cpu() == *kind));
        assert!("bf16".parse::<Precision>().is_err());
    }
}
