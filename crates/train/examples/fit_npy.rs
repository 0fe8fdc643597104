//! Trains the lesson's head on arrays as `extract` writes them, without the command line's checks:
//! `cargo run --release -p head --example fit_npy -- FOLDER [--threads N] [--epochs N] [--hidden N] [--optimizer NAME] [--seed N] [--json]`.
//! Reads `train_features.npy`, `train_labels.npy` and the same of `validation`; little-endian f32 and int64 only.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;
use train::{DenseRows, FeatureRows, FitConfig, Split, Trainer};

/// Shape and raw data of a `.npy` file.
fn read_npy(path: &Path, descr: &str) -> Result<(Vec<usize>, Vec<u8>), Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let size = bytes.get(8..10).ok_or("no .npy header")?;
    let end = 10 + usize::from(u16::from_le_bytes([size[0], size[1]]));
    let header = String::from_utf8_lossy(bytes.get(10..end).ok_or("no .npy header")?).into_owned();
    if !header.contains(descr) || header.contains("True") {
        return Err(
            format!("{}: expected {descr} in C order, found {header}", path.display()).into()
        );
    }
    let (_, shape) = header.split_once('(').ok_or("no shape")?;
    let (shape, _) = shape.split_once(')').ok_or("no shape")?;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok((shape, bytes[end..].to_vec()))
}

fn load(folder: &Path, split: &str) -> Result<(DenseRows, Vec<i64>), Box<dyn Error>> {
    let (shape, data) = read_npy(&folder.join(format!("{split}_features.npy")), "<f4")?;
    let values =
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let (_, data) = read_npy(&folder.join(format!("{split}_labels.npy")), "<i8")?;
    let labels = data
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]));
    Ok((DenseRows::new(values, shape[1..].iter().product()), labels.collect()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (json, args): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a == "--json");
    let mut args = args.into_iter();
    let folder = args.next().ok_or("expected a folder")?;
    let (mut config, mut threads) = (FitConfig::default(), 0);
    while let (Some(flag), Some(value)) = (args.next(), args.next()) {
        match flag.as_str() {
            "--threads" => threads = value.parse()?,
            "--epochs" => config.epochs = value.parse()?,
            "--hidden" => {
                config.hidden = value
                    .split(',')
                    .filter(|s| !s.is_empty())
                    .map(str::parse)
                    .collect::<Result<_, _>>()?
            }
            "--optimizer" => config.optimizer = value.parse()?,
            "--seed" => config.seed = value.parse()?,
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    let (train, train_labels) = load(Path::new(&folder), "train")?;
    let (validation, validation_labels) = load(Path::new(&folder), "validation")?;
    println!(
        "train ({}, {}), validation ({}, {})",
        train.len(),
        train.width(),
        validation.len(),
        validation.width()
    );
    let classes = train_labels.iter().copied().max().map_or(0, |m| m + 1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let start = Instant::now();
    let fitted = pool.install(|| {
        let validation = Split { features: &validation, labels: &validation_labels };
        let train = Split { features: &train, labels: &train_labels };
        Trainer::new(&config)
            .fit_head(usize::try_from(classes)?, &train, Some(&validation))
            .map_err(Box::<dyn Error + Send + Sync>::from)
    });
    let fitted = fitted.map_err(|e| e.to_string())?;
    let seconds = start.elapsed().as_secs_f64();
    if !json.is_empty() {
        println!("{}", serde_json::json!({"history": fitted.outcome.history, "seconds": seconds}));
        return Ok(());
    }
    for stats in
        [&fitted.outcome.history[0], &fitted.outcome.history[fitted.outcome.history.len() - 1]]
    {
        println!("{}", serde_json::to_string(stats)?);
    }
    let mut epochs: Vec<f64> = fitted.outcome.history.iter().map(|e| e.seconds).collect();
    epochs.sort_by(f64::total_cmp);
    println!(
        "seconds {seconds:.3}, an epoch: fastest {:.4}, median {:.4}",
        epochs[0],
        epochs[epochs.len() / 2]
    );
    Ok(())
}
