//! How far two perceptual hashes are apart. Whoever writes a cache computes them; `docs/formats.md` says how.

/// The bits of a hash that mirroring the picture left to right flips: those of the odd horizontal frequencies.
pub const MIRRORED_BITS: u64 = 0xaaaa_a555_52aa_954a;

/// The hash of the mirrored picture.
pub(super) fn mirrored(hash: u64) -> u64 {
    hash ^ MIRRORED_BITS
}

/// Bits by which two pictures' hashes differ, in the better of both ways round, and whether that is mirrored.
pub fn distance(a: u64, b: u64) -> (u32, bool) {
    let (straight, turned) = ((a ^ b).count_ones(), (a ^ mirrored(b)).count_ones());
    if straight <= turned { (straight, false) } else { (turned, true) }
}
