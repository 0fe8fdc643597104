//! An export that its caller stops, and one of many blocks.
#![allow(clippy::unwrap_used)]

use cache::{Dtype, Input, OpenOptions, Opened, RowSource, RunStats, Settings, SplitReader};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use tables::{Format, TableError, export};

/// Rows of a split that is exported in several blocks, of 16 MiB each.
const ROWS: usize = 9;
const WIDTH: usize = 1 << 20;

fn draw(dir: &Path) -> SplitReader {
    let inputs =
        (0..ROWS).map(|i| Input { name: format!("cats/{i}.png"), path: dir.to_owned(), class: 0 });
    let settings = Settings {
        recipe: serde_json::from_str(r#"{"layer": "l"}"#).unwrap(),
        dtype: Dtype::F32,
        classes: vec!["cats".to_owned()],
        row_shape: vec![WIDTH],
        views: 1,
    };
    let opened = cache::open(dir, "train", settings, inputs.collect(), OpenOptions::default());
    let Opened::Writer(writer) = opened.unwrap() else { panic!("there is one already") };
    for row in 0..ROWS {
        let source =
            RowSource { sha256: [row as u8; 32], bytes: 0, width: 1, height: 1, phash: None };
        writer.write_row(row, &vec![row as f32; WIDTH], source).unwrap();
    }
    writer.finish(RunStats::default()).unwrap();
    SplitReader::open(dir, "train").unwrap()
}

#[test]
fn nothing_is_left_of_a_stopped_export_and_every_block_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let split = draw(&dir.path().join("features"));
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let path = out.join("train");
    for &format in Format::ALL {
        for stop in [4, 8] {
            let stopped = export(&split, format, &path, &mut |done| match done {
                done if done == stop => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            assert!(matches!(stopped, Err(TableError::Stopped)), "{format} {stop}: {stopped:?}");
            assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{format} {stop}");
        }
        let mut told = Vec::new();
        export(&split, format, &path, &mut |done| {
            told.push(done);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(told, [4, 8, 9], "{format}");
        match format {
            Format::EmbeddingReader => fs::remove_dir_all(&path).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
    }
}
