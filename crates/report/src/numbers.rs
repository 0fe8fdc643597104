//! Numbers as people read them. Files keep full precision; only pages and pictures round.

/// What stands where a number has no value.
pub(crate) const NOT_DEFINED: &str = "not defined";

/// A metric: four decimals, whole counts as such, very small and very large ones by exponent.
pub(crate) fn metric(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        NOT_DEFINED.to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "∞" } else { "−∞" }.to_owned()
    } else if size >= 2.0 && value.fract() == 0.0 && size < 1e15 {
        format!("{}{}", minus(value), grouped(size as u64))
    } else if size >= 1e6 || (size > 0.0 && size < 5e-5) {
        format!("{value:.2e}").replace('-', "−")
    } else {
        format!("{}{size:.4}", minus(value))
    }
}

/// As [`metric`]; what is not defined is said so.
pub(crate) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| NOT_DEFINED.to_owned(), metric)
}

/// A size: `8.4 MB`, in powers of 1,000.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// A time in seconds: `4.20 s`, `59 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds.is_nan() || seconds < 0.0 {
        return NOT_DEFINED.to_owned();
    }
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 119.5 => format!("{whole} s"),
        s if s < 7199.5 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A probability: three decimals, and never rounded up to a certainty that is none.
pub(crate) fn probability(value: f32) -> String {
    if value.is_nan() {
        NOT_DEFINED.to_owned()
    } else if (0.9995..1.0).contains(&value) {
        "> 0.999".to_owned()
    } else if value > 0.0 && value < 0.0005 {
        "< 0.001".to_owned()
    } else {
        format!("{value:.3}")
    }
}

/// A share in percent: one decimal, and never rounded to all or nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NOT_DEFINED.to_owned();
    }
    let share = 100.0 * part as f64 / whole as f64;
    if part < whole && share >= 99.95 {
        "> 99.9%".to_owned()
    } else if part > 0 && share < 0.05 {
        "< 0.1%".to_owned()
    } else {
        format!("{share:.1}%")
    }
}

/// A count with thousands set apart.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count that must fit into a few characters.
pub(crate) fn compact(count: u64) -> String {
    match count {
        0..=9_999 => count.to_string(),
        10_000..=999_999 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// `1 image`, `2 images`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number for data files: the shortest text that reads back as the same value.
pub(crate) fn exact(value: f64) -> String {
    format!("{value:?}")
}

fn minus(value: f64) -> &'static str {
    if value < 0.0 { "−" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rounded_for_people() {
        assert_eq!(metric(0.959_04), "0.9590");
        assert_eq!(metric(1.0), "1.0000");
        assert_eq!(metric(0.0), "0.0000");
        assert_eq!(metric(1_234.0), "1,234");
        assert_eq!(metric(-0.5), "−0.5000");
        assert_eq!(metric(1e-7), "1.00e−7");
        assert_eq!(metric(f64::NAN), NOT_DEFINED);
        assert_eq!(metric(f64::NEG_INFINITY), "−∞");
    }

    #[test]
    fn rounding_never_claims_certainty() {
        assert_eq!(probability(1.0), "1.000");
        assert_eq!(probability(0.999_9), "> 0.999");
        assert_eq!(probability(0.000_1), "< 0.001");
        assert_eq!(probability(0.0), "0.000");
        assert_eq!(probability(f32::NAN), NOT_DEFINED);
        assert_eq!(percent(9_999, 10_000), "> 99.9%");
        assert_eq!(percent(1, 100_000), "< 0.1%");
        assert_eq!(percent(5, 5), "100.0%");
        assert_eq!(percent(0, 0), NOT_DEFINED);
    }

    #[test]
    fn sizes_and_times() {
        let sizes = [999, 8_390_000, 1_500, 2_000_000_000].map(bytes);
        assert_eq!(sizes, ["999 B", "8.4 MB", "1.5 kB", "2.00 GB"]);
        let times = [4.2, 59.3, 200.4, 7500.0, f64::NAN].map(duration);
        assert_eq!(times, ["4.20 s", "59 s", "3 min 20 s", "2 h 05 min", NOT_DEFINED]);
    }

    #[test]
    fn counts() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(compact(12_345), "12k");
        assert_eq!(counted(1, "image", "images"), "1 image");
        assert_eq!(counted(2_000, "image", "images"), "2,000 images");
    }

    #[test]
    fn exact_numbers_read_back() {
        for value in [0.1, 1e-300, 1e22, 0.972_000_000_000_000_1, 5e-324] {
            assert_eq!(exact(value).parse::<f64>().expect("a number"), value);
        }
    }
}
