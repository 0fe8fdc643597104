//! Confidence intervals of shares.

/// Wilson's 95 % interval of a share (Wilson 1927, JASA 22:209), none without rows.
pub fn wilson(right: u64, total: u64) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_963_984_540_054;
    if total == 0 {
        return None;
    }
    let (n, share) = (total as f64, right as f64 / total as f64);
    let z2 = Z * Z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    Some(((centre - half).max(0.0), (centre + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_matches_the_published_example() {
        // 81 of 263: 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17:857, table I, method 3).
        let (low, high) = wilson(81, 263).unwrap();
        assert!((low - 0.2553).abs() <= 5e-5 && (high - 0.3662).abs() <= 5e-5, "{low} {high}");
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(5, 5).unwrap().1, 1.0);
    }
}
