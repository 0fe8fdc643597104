//! Whether there is room for a training: memory for its weights, a folder for its files.

use anyhow::Result;
use head::FitConfig;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::features::AllFeatures;
use crate::available;
use crate::failure::hinted;

/// What is left to everything else: code, threads, indices.
const RESERVE: u64 = 64 << 20;

/// Bytes in which features may be kept, so that all fits into the memory that is available.
///
/// # Errors
/// The network alone needs more.
pub(super) fn check_memory(
    features: &AllFeatures,
    config: &FitConfig,
    repeats: u16,
) -> Result<usize> {
    let Some(available) = available::memory() else {
        return Ok(head::CACHE_BYTES);
    };
    let train = &features.train.reader;
    let classes = features.classes().len();
    let mut needed = head::training_bytes(train.len(), train.row_elements(), classes, config);
    if repeats > 1 {
        // The first seed's head is kept meanwhile.
        needed = needed.saturating_add(needed / 3);
    }
    let reserve = RESERVE.min(available / 8);
    match available.saturating_sub(reserve).checked_sub(needed) {
        // Half of the rest: what is counted from above is not all there is.
        Some(rest) => Ok(usize::try_from(rest / 2).unwrap_or(usize::MAX).min(head::CACHE_BYTES)),
        None => Err(hinted(
            format!(
                "training a network of {} takes about {}, {} are available",
                layers(config),
                gib(needed),
                gib(available)
            ),
            "give fewer --hidden units or a smaller --batch-size, or free memory",
        )),
    }
}

fn layers(config: &FitConfig) -> String {
    let hidden: Vec<String> = config.hidden.iter().map(usize::to_string).collect();
    match hidden.as_slice() {
        [] => "no hidden layer".to_owned(),
        widths => format!("hidden width {}", widths.join(", ")),
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Makes the head's folder and a file in it, to see whether that can be done, and removes both.
///
/// # Errors
/// It can't.
pub(super) fn check_folder(head: &Path) -> Result<()> {
    let made: Vec<PathBuf> =
        head.ancestors().take_while(|f| !f.exists()).map(Path::to_owned).collect();
    let tried = fs::create_dir_all(head).and_then(|()| probe(head));
    // From the innermost outwards; what was there before stays.
    for folder in made.iter().filter(|f| !f.as_os_str().is_empty()) {
        // An empty folder that cannot be removed does no harm.
        let _ = fs::remove_dir(folder);
    }
    tried.map_err(|error| {
        hinted(
            format!("head '{}': cannot be written: {error}", head.display()),
            "choose another folder with --head DIR",
        )
    })
}

fn probe(head: &Path) -> io::Result<()> {
    let path = head.join(format!(".fit-head.{}", std::process::id()));
    fs::File::create_new(&path)?;
    fs::remove_file(&path)
}
