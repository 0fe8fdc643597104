//! `extract bases`: what there is to choose from.

use anyhow::Result;
use backbone::bases::{ALL, Definition};
use backbone::{Base, Device, EngineOptions, Extractor, Pooling};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use weights::{NoProgress, Options};

use super::args::BasesArgs;
use crate::console::{out, out_json};
use crate::{text, threads};

/// Images of a measured batch.
const BATCH: usize = 16;
/// A base is measured for this long, and for two batches at least.
const LEAST: Duration = Duration::from_secs(1);

/// What is said of a base.
struct Row {
    name: &'static str,
    size: usize,
    features: [usize; 3],
    parameters: usize,
    /// Floating-point operations for one image, two for each multiplication.
    operations: u64,
    weights: String,
    licence: &'static str,
    images_per_second: Option<f64>,
}

impl Row {
    fn new(definition: &'static Definition) -> Result<Self> {
        let base = Base::named(definition.name)?;
        let size = base.default_size;
        let first = definition.variants.first();
        let file = first.and_then(|variant| variant.ids.first().copied());
        let keras = first.and_then(|variant| variant.keras_files.last()).map(|file| file.name);
        Ok(Self {
            name: base.name,
            size,
            features: base.output_shape(size, size)?,
            parameters: base.graph().parameters([size; 2])?,
            operations: 2 * base.graph().multiplications([size; 2])?,
            weights: file.or(keras).unwrap_or_default().to_owned(),
            licence: definition.licence,
            images_per_second: None,
        })
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "image_size": self.size,
            "features": self.features,
            "parameters": self.parameters,
            "operations": self.operations,
            "weights": self.weights,
            "licence": self.licence,
            "images_per_second": self.images_per_second,
        })
    }

    fn cells(&self) -> Vec<String> {
        let [h, w, c] = self.features;
        let mut cells = vec![
            self.name.to_owned(),
            format!("{0}x{0}", self.size),
            format!("({h}, {w}, {c})"),
            text::thousands(self.parameters),
            format!("{:.2}", self.operations as f64 / 1e9),
        ];
        cells.extend(self.images_per_second.map(|rate| format!("{rate:.1}")));
        cells.extend([self.licence.to_owned(), self.weights.clone()]);
        cells
    }
}

pub(super) fn print(args: &BasesArgs) -> Result<ExitCode> {
    let pool = args.measure.then(|| threads::pool(args.threads)).transpose()?;
    let mut rows = Vec::with_capacity(ALL.len());
    for definition in ALL {
        let mut row = Row::new(definition)?;
        if let Some(pool) = &pool {
            row.images_per_second = Some(pool.install(|| measure(definition.name))?);
        }
        rows.push(row);
    }
    if args.json {
        out_json(&Value::Array(rows.iter().map(Row::json).collect()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut header = vec!["base", "images", "features", "parameters", "GFLOP"];
    header.extend(args.measure.then_some("images/s"));
    header.extend(["licence", "usual weights"]);
    let header = header.into_iter().map(str::to_owned).collect();
    for line in text::table(std::iter::once(header).chain(rows.iter().map(Row::cells)).collect()) {
        out(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Images a second of a base alone, without decoding, at its usual size and precision. Weights are random: no kernel's speed
/// depends on their values.
fn measure(name: &str) -> Result<f64> {
    let base = Base::named(name)?;
    let nowhere = std::path::Path::new("unused");
    let options = Options::from_lookup(nowhere, true, &NoProgress, &|_| None);
    let weights = weights::resolve("random:0", &base.architecture()?, &options)?;
    let engine = EngineOptions { device: Device::Auto, precision: None, isa: None };
    let size = [base.default_size; 2];
    let extractor = Extractor::new(&base, weights, size, Pooling::None, &engine)?;
    let batch = BATCH.next_multiple_of(extractor.pass_images());
    let images = vec![0.5; batch * extractor.image_values()];
    let mut rows = vec![0.0; batch * extractor.row_values()];
    // The first batch touches the memory that all others use again.
    extractor.run(batch, &images, &mut rows)?;
    let start = Instant::now();
    let mut batches = 0;
    while batches < 2 || start.elapsed() < LEAST {
        extractor.run(batch, &images, &mut rows)?;
        batches += 1;
    }
    Ok((batches * batch) as f64 / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_rate_and_a_column() {
        let definition = backbone::bases::find("mobilenet-0.25").unwrap();
        let mut row = Row::new(definition).unwrap();
        let cells = row.cells().len();
        row.images_per_second = Some(measure(definition.name).unwrap());
        assert!(row.images_per_second.is_some_and(|rate| rate > 1.0 && rate.is_finite()));
        assert_eq!(row.cells().len(), cells + 1);
        assert!(row.json()["images_per_second"].is_f64());
    }
}
