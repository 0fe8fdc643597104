//! Writes reports of made-up runs, to look at: `cargo run -p report --example demo -- DIR`.
//!
//! `DIR/lesson` is a run as most are (two classes, thirty epochs, ten seeds), `DIR/many` has twenty classes with long names,
//! `DIR/edge` has one epoch, no validation, no rows and hostile names.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use report::{
    Chosen, Epoch, Mistake, Prediction, RepeatedMetric, Repeats, Run, Section, Skipped,
    SplitResult, most_confident_mistakes, write,
};
use train::calibration::{Calibration, Choice, SplitCalibration};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: demo DIR")?;
    let dir = Path::new(&dir);
    for (name, run) in [("lesson", lesson()), ("many", many()), ("edge", edge())] {
        write(&run, &dir.join(name))?;
    }
    Ok(())
}

/// Numbers that look random and are always the same (SplitMix64, as shares of 1).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn lesson() -> Run {
    let classes = vec!["green".to_owned(), "red".to_owned()];
    let splits =
        vec![split("validation", 237, &classes, 0.03, 1), split("test", 288, &classes, 0.045, 2)];
    let shown = splits.last().map(|test| most_confident_mistakes(test, 12));
    let mistakes = shown.unwrap_or_default().into_iter().map(|p| mistake(p, "test")).collect();
    Run {
        title: "Traffic lights: green or red".into(),
        created: "2026-05-04 17:20:03 UTC".into(),
        command_line:
            "fit-head --features features --head models/traffic-lights --epochs 30 --repeats 10"
                .into(),
        tool_version: "fit-head 0.1.0".into(),
        sections: settings(),
        history: history(30, true),
        calibration: splits.first().map(|split| {
            let p: Vec<f32> =
                split.predictions.iter().flat_map(|p| p.probabilities.iter().copied()).collect();
            let labels: Vec<i64> =
                split.predictions.iter().filter_map(|p| Some(p.truth? as i64)).collect();
            Chosen { split: split.name.clone(), choice: choose(&p, &labels) }
        }),
        splits,
        mistakes,
        repeats: Some(repeats()),
        skipped: vec![Skipped {
            split: "train".into(),
            file: "train/red/truncated.jpg".into(),
            reason: "JPEG ends after 1,204 of 9,310 bytes".into(),
        }],
        classes,
        ..Run::default()
    }
}

/// On the split itself, for want of another.
fn choose(probabilities: &[f32], labels: &[i64]) -> Choice {
    let none = || Choice {
        calibration: Calibration { rows: 0, temperature: None, threshold: None },
        no_temperature: None,
    };
    Calibration::choose(probabilities, labels, 2).unwrap_or_else(|_| none())
}

fn many() -> Run {
    let classes: Vec<String> = (1..=20)
        .map(|i| match i % 4 {
            0 => format!("n0{}_soft-coated wheaten terrier, standing", 2_098_100 + i),
            1 => format!("bird {i}"),
            2 => format!("a_rather_long_class_name_without_any_space_{i}"),
            _ => format!("Straße {i}"),
        })
        .collect();
    let splits = vec![split("test", 4_000, &classes, 0.2, 3)];
    Run {
        title: "Twenty classes with names that are longer than anyone would like".into(),
        created: "2026-05-04 17:20:03 UTC".into(),
        command_line: "fit-head --features features --head models/many".into(),
        tool_version: "fit-head 0.1.0".into(),
        sections: settings(),
        history: history(200, true),
        mistakes: most_confident_mistakes(&splits[0], 5)
            .into_iter()
            .map(|p| Mistake { thumbnail_jpeg: None, ..mistake(p, "test") })
            .collect(),
        splits,
        classes,
        notes: vec!["Weights are random (random:0): the features mean nothing.".into()],
        ..Run::default()
    }
}

fn edge() -> Run {
    Run {
        title: "<script>alert(1)</script> & \"one\" epoch".into(),
        created: "2026-05-04 17:20:03 UTC".into(),
        tool_version: "fit-head 0.1.0".into(),
        classes: vec!["a & b <i>".into(), "c\u{202e}d".into()],
        history: history(1, false),
        splits: vec![SplitResult { name: "test".into(), ..SplitResult::default() }],
        mistakes: vec![Mistake {
            split: "test".into(),
            file: "x/\"><img src=x onerror=alert(1)>\\xff.jpg".into(),
            predicted: 1,
            probability: f32::NAN,
            ..Mistake::default()
        }],
        ..Run::default()
    }
}

fn settings() -> Vec<Section> {
    vec![
        Section::new(
            "Base",
            [("backbone", "vgg16"), ("layer", "block5_pool"), ("features", "4 × 4 × 512")],
        ),
        Section::new(
            "Weights",
            [
                ("name", "timm/vgg16.tv_in1k"),
                ("sha256", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"),
            ],
        ),
        Section::new(
            "Pixels",
            [
                ("image size", "150 × 150"),
                ("interpolation", "bilinear"),
                ("preprocessing", "torch"),
            ],
        ),
        Section::new(
            "Engine",
            [("device", "cpu"), ("ISA", "avx2+fma"), ("precision", "highest"), ("threads", "2")],
        ),
        Section::new(
            "Training",
            [
                ("hidden", "256, ReLU"),
                ("dropout", "0.5"),
                ("optimizer", "rmsprop, lr 2e-5"),
                ("epochs", "30"),
                ("batch size", "20"),
                ("seed", "0"),
            ],
        ),
    ]
}

fn history(epochs: usize, validation: bool) -> Vec<Epoch> {
    let mut numbers = Numbers(7);
    (1..=epochs)
        .map(|epoch| {
            let done = (epoch as f64 / epochs.max(8) as f64).min(1.0);
            let fall = (-4.0 * done).exp();
            let mut shake = |size: f64| size * (numbers.next() - 0.5);
            Epoch {
                epoch,
                loss: 0.05 + 0.6 * fall + shake(0.02),
                accuracy: (0.985 - 0.3 * fall + shake(0.01)).min(1.0),
                val_loss: validation.then(|| 0.08 + 0.35 * fall + 0.03 * done + shake(0.01)),
                val_accuracy: validation.then(|| 0.972 - 0.08 * fall + shake(0.006)),
            }
        })
        .collect()
}

fn split(name: &str, rows: u64, classes: &[String], wrong: f64, seed: u64) -> SplitResult {
    let mut numbers = Numbers(seed);
    let n = classes.len();
    let predictions: Vec<Prediction> = (0..rows)
        .map(|row| {
            let truth = (row as usize * n) / rows as usize;
            let off = usize::from(numbers.next() < wrong)
                * (1 + (numbers.next().powi(3) * (n - 1) as f64) as usize);
            let predicted = (truth + off) % n;
            let sure = 1.0 - 0.5 * numbers.next().powi(if off == 0 { 6 } else { 1 });
            let mut probabilities = vec![((1.0 - sure) / (n - 1) as f64) as f32; n];
            probabilities[predicted] = sure as f32;
            Prediction {
                row,
                file: format!("{name}/{}/light_{row:04}.jpg", classes[truth]),
                truth: Some(truth),
                predicted,
                probabilities,
                sha256: None,
            }
        })
        .collect();
    let probabilities: Vec<f32> =
        predictions.iter().flat_map(|p| p.probabilities.iter().copied()).collect();
    let labels: Vec<i64> =
        predictions.iter().filter_map(|p| p.truth.map(|truth| truth as i64)).collect();
    let metrics = train::metrics::evaluate(&probabilities, &labels, n).ok();
    let chosen = (n == 2).then(|| choose(&probabilities, &labels));
    let calibration = SplitCalibration::judge(
        chosen.as_ref().map(|c| &c.calibration),
        &probabilities,
        &labels,
        n,
    );
    SplitResult { name: name.into(), metrics, calibration: calibration.ok(), predictions }
}

fn mistake(prediction: &Prediction, split: &str) -> Mistake {
    Mistake {
        split: split.into(),
        file: prediction.file.clone(),
        truth: prediction.truth.unwrap_or_default(),
        predicted: prediction.predicted,
        probability: prediction.probabilities[prediction.predicted],
        thumbnail_jpeg: drawing(prediction.row, prediction.truth == Some(1)),
    }
}

/// A traffic light with one lamp on, on a sky of its own.
fn drawing(seed: u64, red: bool) -> Option<Vec<u8>> {
    let mut numbers = Numbers(seed);
    let sky = [
        90.0 + 120.0 * numbers.next(),
        120.0 + 90.0 * numbers.next(),
        170.0 + 80.0 * numbers.next(),
    ];
    let (width, height) = (96 + (80.0 * numbers.next()) as u32, 160);
    let middle = f64::from(width) / 2.0;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        let lamp = |centre: f64| (x - middle).hypot(y - centre) < 16.0;
        if lamp(42.0) {
            Rgb(if red { [235, 60, 40] } else { [60, 30, 30] })
        } else if lamp(80.0) {
            Rgb([70, 60, 30])
        } else if lamp(118.0) {
            Rgb(if red { [30, 60, 40] } else { [60, 220, 120] })
        } else if (x - middle).abs() < 26.0 && (16.0..144.0).contains(&y) {
            Rgb([38, 40, 44])
        } else {
            Rgb(sky.map(|level| (level - y * 0.3) as u8))
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).ok()?;
    Some(bytes.into_inner())
}

fn repeats() -> Repeats {
    let mut numbers = Numbers(11);
    let seeds: Vec<u64> = (0..10).collect();
    let mut metric = |key: &str, label: &str, around: f64, spread: f64| {
        let values: Vec<f64> =
            seeds.iter().map(|_| around + spread * (numbers.next() - 0.5)).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        RepeatedMetric {
            key: key.into(),
            label: label.into(),
            // Student's t at 0.975 with nine degrees of freedom.
            half_width: Some(2.262 * deviation / n.sqrt()),
            mean,
            values,
        }
    };
    let metrics = vec![
        metric("validation_accuracy", "Validation accuracy", 0.972, 0.012),
        metric("test_accuracy", "Test accuracy", 0.958, 0.015),
        metric("test_log_loss", "Test log loss", 0.104, 0.02),
    ];
    Repeats { seeds, metrics }
}
