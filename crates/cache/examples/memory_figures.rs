//! Time and peak memory of writing, finishing, opening again, and verifying a cache of N rows.
//!
//! `cargo run --release -p cache --example memory_figures -- N ELEMENTS FOLDER` (each N in a process of its own)
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use cache::{
    Dtype, Input, OpaqueRecipe, OpenOptions, Opened, RowSource, RunStats, Settings, Skip,
    SplitReader, open,
};

type Failure = Box<dyn std::error::Error>;

/// Peak resident memory without mapped files, in MiB, as Linux tells it.
fn memory(what: &str) -> Result<String, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with(what)).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(format!("{:.0} MiB", kib / 1024.0))
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [count, elements, dir] = args.as_slice() else {
        return Err("give N ELEMENTS FOLDER".into());
    };
    let (count, elements, dir): (usize, usize, PathBuf) =
        (count.parse()?, elements.parse()?, dir.into());
    let text = |s: &str| s.to_owned();
    let settings = Settings {
        recipe: OpaqueRecipe::default(),
        dtype: Dtype::F32,
        classes: vec![text("cats"), text("dogs")],
        row_shape: vec![elements],
        views: 1,
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let name =
        |i: usize| format!("{}/picture.{i:07}.jpg", if i * 2 < count { "cats" } else { "dogs" });
    let inputs = |_| {
        (0..count).map(|i| Input {
            name: name(i),
            path: file.clone(),
            class: usize::from(i * 2 >= count),
        })
    };
    let begun = Instant::now();
    let opened =
        open(&dir, "train", settings.clone(), inputs(()).collect(), OpenOptions::default())?;
    let Opened::Writer(writer) = opened else {
        return Err("the folder has such a cache already".into());
    };
    println!("{count} rows of {elements}: set up in {:.2} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let mut row = vec![0.0; elements];
    for i in 0..count {
        row[i % elements] += 1.0;
        if i == count / 2 {
            writer.skip(i, &Skip::judged("a bad one, so that half of the rows move", b"bad"))?;
            continue;
        }
        let source =
            RowSource { sha256: [7; 32], bytes: 1, width: 1, height: 1, phash: Some(i as u64) };
        writer.write_row(i, &row, source)?;
    }
    println!("written in {:.2} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    writer.finish(RunStats::default())?;
    println!(
        "finished in {:.2} s, peak memory {}",
        begun.elapsed().as_secs_f64(),
        memory("VmHWM")?
    );
    let begun = Instant::now();
    let reader = SplitReader::open(&dir, "train")?;
    println!("opened in {:.4} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    reader.verify_full(|_| ())?;
    println!(
        "verified in {:.2} s, resident {}, of files {}",
        begun.elapsed().as_secs_f64(),
        memory("RssAnon")?,
        memory("RssFile")?
    );
    Ok(())
}
