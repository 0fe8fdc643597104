//! Numbers and times as people read them.

use std::time::Duration;

/// `1 image`, `2 images`; with commas between groups of three digits.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// A number with commas between groups of three digits.
pub(crate) fn thousands(n: usize) -> String {
    indicatif::HumanCount(n as u64).to_string()
}

/// `1.50 GiB`.
pub(crate) fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// `0.42 s`, `59.3 s`, `3 min 20 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{} min {:02} s", (s / 60.0) as u64, (s % 60.0) as u64),
    }
}

/// `(4, 4, 512)`, as numpy prints a shape.
pub(crate) fn shape(axes: &[usize]) -> String {
    match axes {
        [one] => format!("({one},)"),
        many => format!("({})", many.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Now, as `2026-05-04 17:20:03 UTC`.
pub(crate) fn now() -> String {
    time(u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default())
}

/// Seconds since 1970 as `2026-05-04 17:20:03 UTC`.
pub(crate) fn time(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or("unknown".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_can_read_it() {
        assert_eq!(count(1, "image", "images"), "1 image");
        assert_eq!(count(1581, "image", "images"), "1,581 images");
        assert_eq!(shape(&[4, 4, 512]), "(4, 4, 512)");
        assert_eq!(shape(&[512]), "(512,)");
        let time = |s| duration(Duration::from_secs_f64(s));
        assert_eq!([time(0.424), time(59.34), time(200.9)], ["0.42 s", "59.3 s", "3 min 20 s"]);
    }
}
