//! Numbers and times as people read them.

use std::time::Duration;

pub(crate) use util::thousands;

/// `1 image`, `2 images`; with commas between groups of three digits.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// Rows of cells as lines of columns. Columns of numbers are aligned to the right. The first row is the header.
pub(crate) fn table(rows: Vec<Vec<String>>) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let column = |i: usize| rows.iter().filter_map(move |row| row.get(i));
    let widths: Vec<usize> = (0..columns)
        .map(|i| column(i).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let is_number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
    let numbers: Vec<bool> = (0..columns).map(|i| column(i).skip(1).all(is_number)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(&numbers).map(|((cell, &width), &number)| {
            if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
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
        let rows = [["base", "n"], ["vgg16", "7"], ["b", "1,024"]];
        let rows = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_eq!(table(rows), ["base       n", "vgg16      7", "b      1,024"]);
        let time = |s| duration(Duration::from_secs_f64(s));
        assert_eq!([time(0.424), time(59.34), time(200.9)], ["0.42 s", "59.3 s", "3 min 20 s"]);
    }
}
