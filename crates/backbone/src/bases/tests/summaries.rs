//! Printed tables against Keras's layers, cell by cell. (Two whole tables are golden files of `summary`.)

use super::TABLES;
use crate::{Base, Pooling, summary};

/// Column ends of a table with connections, and of a chain's.
const CONNECTED: &[usize] = &[32, 53, 65, 98];
const CHAIN: &[usize] = &[29, 55, 65];

/// Number of values of a weights column such as `kernel 3x3x3x64;bias 64`.
fn values(weights: &str) -> usize {
    let shapes = weights.split(';').filter_map(|weight| weight.split_once(' '));
    shapes
        .map(|(_, dims)| dims.split('x').map(|n| n.parse::<usize>().unwrap()).product::<usize>())
        .sum()
}

/// The lines of a layer: cells cut to their columns, a space kept between them.
fn expected(row: &[&str], columns: &[usize]) -> Vec<Vec<String>> {
    let old = |name: &str| name.replace("input_layer", "input_1");
    let links: Vec<_> =
        row[2].split(',').filter(|n| !n.is_empty()).map(|n| format!("{}[0][0]", old(n))).collect();
    let first = vec![
        format!("{} ({})", old(row[0]), row[1]),
        format!("(None, {})", row[5].replace('x', ", ")),
        values(row[4]).to_string(),
        links.first().cloned().unwrap_or_default(),
    ];
    let mut lines = vec![first];
    if columns.len() == CONNECTED.len() {
        let others = links.into_iter().skip(1);
        lines.extend(others.map(|link| vec![String::new(), String::new(), String::new(), link]));
    }
    let mut start = 0;
    for (column, &end) in columns.iter().enumerate() {
        let gap = usize::from(column + 1 < columns.len());
        for line in &mut lines {
            let cut: String = line[column].chars().take(end - start - gap).collect();
            line[column] = cut.trim_end().to_owned();
        }
        start = end;
    }
    lines.into_iter().map(|line| line.into_iter().take(columns.len()).collect()).collect()
}

#[test]
fn every_line_of_every_base_has_keras_s_cells() {
    for (name, table) in TABLES {
        let base = Base::of_keras(name, true).unwrap();
        let size = base.default_size;
        let printed = summary(&base, Pooling::None, size, size).unwrap();
        let is_chain = name.starts_with("vgg")
            || (name.starts_with("mobilenet") && !name.starts_with("mobilenet-v2"));
        let columns = if is_chain { CHAIN } else { CONNECTED };
        let is_rule = |line: &&str| line.starts_with("__") || line.starts_with("==");
        let body = printed.lines().skip(3).filter(|line| !is_rule(line));
        let cells = |line: &str| -> Vec<String> {
            let mut start = 0;
            let ends = columns
                .iter()
                .map(|&end| line[std::mem::replace(&mut start, end)..end].trim_end().to_owned());
            ends.collect()
        };
        let found: Vec<_> = body.take_while(|line| !line.starts_with("Total")).map(cells).collect();
        let expected: Vec<_> = table
            .lines()
            .flat_map(|line| expected(&line.split('\t').collect::<Vec<_>>(), columns))
            .collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
}

#[test]
fn totals_tell_statistics_from_what_is_trained() {
    // resnet50: 53 normalisations of 26,560 channels, whose mean and variance are not trained.
    let base = Base::of_keras("resnet50", true).unwrap();
    let table = summary(&base, Pooling::None, 224, 224).unwrap();
    let totals: Vec<&str> = table.lines().rev().skip(1).take(3).collect();
    assert_eq!(
        totals,
        [
            "Non-trainable params: 53,120",
            "Trainable params: 25,583,592",
            "Total params: 25,636,712"
        ]
    );
}
