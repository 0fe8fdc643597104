//! A trained network to disk, with what its validation split chose.

use train::convnet::{CHECKPOINT, ConvNet};
use train::{FitConfig, HeadError, HeadFolder, HeadManifest};

use super::TrainOutcome;
use crate::error::Error;
use crate::feature_source::FeatureSource;
use crate::fit::describe;
use crate::fit::evaluate::{Calibrated, Judged, calibrate};
use crate::fit::features::is_validation;

/// Saves the model and removes the checkpoint. A run that diverged saves the weights of its best epoch, if there was one, and is
/// an error then.
pub(super) fn model(
    net: &ConvNet,
    folder: &HeadFolder,
    outcome: &TrainOutcome,
    config: &FitConfig,
    source: &FeatureSource,
    labels: &[(&str, &[i64])],
) -> Result<Calibrated, Error> {
    let judged: Vec<Judged<'_>> = outcome
        .evaluated
        .iter()
        .zip(labels)
        .map(|((_, result), (name, labels))| Judged { name, labels, result })
        .collect();
    let validation = labels.iter().map(|(name, _)| *name);
    let validation = validation.into_iter().find(|name| is_validation(name));
    let fitted = &outcome.fitted;
    let diverged = fitted.diverged.clone();
    let save = |calibrated: Option<&Calibrated>| {
        let classes = config.class_names.clone();
        let mut manifest = HeadManifest::of_network(fitted, config, classes, describe(source)?);
        let choice = calibrated.and_then(|calibrated| calibrated.choice.as_ref());
        manifest.calibration = choice.map(|choice| choice.calibration.clone());
        net.save(folder, &manifest).map_err(Error::from)
    };
    if let Some(divergence) = diverged {
        let detail = HeadError::from(divergence).to_string();
        let saved = fitted.best_epoch.filter(|_| fitted.restored_best);
        if saved.is_some() {
            save(None)?;
        }
        // Whoever goes on from it gets there again.
        remove_checkpoint(folder)?;
        return Err(Error::Diverged { detail, saved });
    }
    let calibrated = calibrate(&judged, validation, net.classes())?;
    save(Some(&calibrated))?;
    remove_checkpoint(folder)?;
    Ok(calibrated)
}

fn remove_checkpoint(folder: &HeadFolder) -> Result<(), Error> {
    let checkpoint = folder.path().join(CHECKPOINT);
    match std::fs::remove_file(&checkpoint) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(HeadError::Io { action: "remove", path: checkpoint, source }.into())
        }
        _ => Ok(()),
    }
}

/// In lower-case hex.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
