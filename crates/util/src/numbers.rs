//! Numbers as people read them.

/// A number with commas between groups of three digits.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `(4, 4, 512)`, as numpy prints a shape.
pub fn shape(axes: &[usize]) -> String {
    match axes {
        [one] => format!("({one},)"),
        many => format!("({})", many.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// `1.50 GiB`.
pub fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_threes() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (14_714_688, "14,714,688")] {
            assert_eq!(thousands(n), text);
        }
        assert_eq!(shape(&[4, 4, 512]), "(4, 4, 512)");
        assert_eq!(shape(&[512]), "(512,)");
        assert_eq!(gib(3 << 29), "1.50 GiB");
    }
}
