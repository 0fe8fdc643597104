//! Random numbers that are the same everywhere.

/// The generator SplitMix64 (Steele, Lea and Flood 2014, <https://doi.org/10.1145/2714064.2660195>): the state grows by
/// `0x9E3779B97F4A7C15`, and two rounds of xor-shift and multiplication make a number of it. Not for secrets.
///
/// Initial weights, orders of rows and random bases are made with it: its bits must never change.
///
/// ```
/// let mut random = util::SplitMix64::new(1_234_567);
/// assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
/// ```
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The generator whose state before the first draw is `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`: the upper 24 bits over 2^24, exact in f32.
    pub fn next_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `0..n` (`n` above 0): the upper half of a 128-bit product (Lemire 2019, without rejection; the bias is
    /// below `n / 2^64`).
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on Rosetta Code and in the generator's C source.
    #[test]
    fn splitmix_gives_its_published_numbers() {
        let mut random = SplitMix64::new(1_234_567);
        let numbers = [(); 3].map(|()| random.next_u64());
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn floats_and_indices_are_made_of_the_upper_bits() {
        let (mut bits, mut floats, mut indices) =
            (SplitMix64::new(5), SplitMix64::new(5), SplitMix64::new(5));
        for _ in 0..1000 {
            let next = bits.next_u64();
            assert_eq!(floats.next_f32(), (next >> 40) as f32 / 16_777_216.0);
            assert_eq!(indices.below(1 << 20), next >> 44);
        }
        assert!((0..1000).all(|_| indices.below(3) < 3));
    }
}
