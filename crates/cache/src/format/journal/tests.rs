//! Damaged lines, hostile lines, and rows that move.

use super::*;
use crate::format::digest::Hex;
use crate::input::RowSource;

#[test]
fn any_damage_ends_the_valid_part() {
    let mut good = Vec::new();
    push_line(&mut good, &Record::Input("a \"ü\"\n.jpg".to_owned(), 3)).unwrap();
    assert!(matches!(parse_line(&good), Some(Record::Input(n, 3)) if n == "a \"ü\"\n.jpg"));
    for i in 0..good.len() {
        assert!(parse_line(&good[..i]).is_none(), "cut at {i}");
        let mut bad = good.clone();
        bad[i] ^= 1;
        assert!(parse_line(&bad).is_none(), "flip at {i}");
    }
}

#[test]
fn hostile_lines_are_refused() {
    for json in
        [r#"{"row":[18446744073709551615]}"#, r#"{"session":{}}"#, "[[[[", r#"{"head":{}}"#, "0"]
    {
        let line = format!("{} {json}\n", checksum(json.as_bytes()));
        assert!(parse_line(line.as_bytes()).is_none(), "{json}");
    }
}

#[test]
fn rows_move_down_over_the_skipped() {
    let source = RowSource { sha256: [0; 32], bytes: 1, width: 1, height: 1, phash: None };
    let fact = RowFact::new(Hex([0; 16]), &source, None);
    let row = || Entry::Row(Box::new(fact.clone()));
    let reason = "bad".to_owned();
    let bad = SkipFact { reason, stamp: None, sha256: None, bytes: None };
    let skip = || Entry::Skipped(Box::new(bad.clone()));
    let entries = [row(), skip(), row(), skip(), row()];
    let layout = Layout::compact(&entries);
    assert_eq!([0, 2, 4].map(|i| layout.slot(i)), [0, 1, 2]);
    assert!(!Layout::default().same(&layout, &entries));
    assert!(Layout::default().same(&Layout::compact(&entries[..2]), &entries[..2]));
}
