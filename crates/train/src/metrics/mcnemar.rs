//! Whether two classifiers differ, from the rows that one gets right and the other wrong.

/// McNemar's exact test: the two-sided probability, were both equally good, of counts at least as unequal as these. Of the rows
/// that one alone gets right, the first gets `first` and the second `second`; rows on which both agree don't count. Exact for
/// any counts (the binomial distribution with p = 1/2); 1 where they never disagree.
pub fn mcnemar(first: u64, second: u64) -> f64 {
    let (fewer, n) = (first.min(second), first + second);
    if first == second {
        return 1.0;
    }
    // The largest term's logarithm, ln C(n, fewer) - n ln 2; those below it by their ratios, until they don't count any more.
    let ln_factorial = |k: u64| libm::lgamma(k as f64 + 1.0);
    let largest = ln_factorial(n)
        - ln_factorial(fewer)
        - ln_factorial(n - fewer)
        - n as f64 * std::f64::consts::LN_2;
    let (mut term, mut sum) = (1.0, 1.0);
    let mut k = fewer;
    while k > 0 && term > sum * f64::EPSILON {
        term *= k as f64 / (n - k + 1) as f64;
        sum += term;
        k -= 1;
    }
    (2.0 * libm::exp(largest) * sum).min(1.0)
}
