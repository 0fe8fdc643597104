//! Settings and sizes that can't be trained with.

use crate::{FitConfig, HeadError};

/// What `head.json` holds of history besides the names of classes.
const MAX_EPOCHS: usize = 100_000;
/// Column lists count rows times columns of a chunk in 32 bits.
const MAX_BATCH: usize = 1 << 20;

impl FitConfig {
    /// Refuses settings out of their ranges, before any work. `validated`: there is a validation split.
    ///
    /// # Errors
    /// [`HeadError::Setting`], and [`HeadError::NoValidation`] for early stopping without such a split.
    pub fn check(&self, validated: bool) -> Result<(), HeadError> {
        check_config(self, validated)
    }
}

/// # Errors
/// [`HeadError::Setting`], [`HeadError::NoValidation`].
pub(crate) fn check_config(config: &FitConfig, validated: bool) -> Result<(), HeadError> {
    let refuse =
        |setting, expected, found: String| Err(HeadError::Setting { setting, expected, found });
    if let Some(h) = config.hidden.iter().find(|h| **h == 0) {
        return refuse("hidden", "widths of at least 1", h.to_string());
    }
    if !(0.0..1.0).contains(&config.dropout) {
        return refuse("dropout", "0 or more, below 1", config.dropout.to_string());
    }
    if !(1..=MAX_EPOCHS).contains(&config.epochs) {
        return refuse("epochs", "from 1 to 100000", config.epochs.to_string());
    }
    if !(1..=MAX_BATCH).contains(&config.batch_size) {
        return refuse("batch_size", "from 1 to 1048576", config.batch_size.to_string());
    }
    if !(config.learning_rate.is_finite() && config.learning_rate > 0.0) {
        return refuse("lr", "a finite number above 0", config.learning_rate.to_string());
    }
    if config.early_stopping.is_some() && !validated {
        return Err(HeadError::NoValidation);
    }
    Ok(())
}

fn limit(what: &'static str, limit: u64, found: u128) -> Result<(), HeadError> {
    match found > u128::from(limit) {
        true => {
            Err(HeadError::TooLarge { what, limit, found: found.try_into().unwrap_or(u64::MAX) })
        }
        false => Ok(()),
    }
}

/// # Errors
/// [`HeadError::TooLarge`].
pub(super) fn check_rows(rows: usize, views: usize) -> Result<(), HeadError> {
    limit("number of rows", u64::from(u32::MAX), rows as u128)?;
    limit("number of views of all rows", u64::from(u32::MAX), rows as u128 * views as u128)
}

/// # Errors
/// [`HeadError::TooLarge`].
pub(super) fn check_sizes(
    rows: usize,
    widths: &[usize],
    config: &FitConfig,
) -> Result<(), HeadError> {
    let steps = rows.div_ceil(config.batch_size) as u128 * config.epochs as u128;
    limit("number of training steps", u64::from(u32::MAX), steps)?;
    for w in widths.windows(2) {
        limit("width of a layer", 1 << 31, w[0].max(w[1]) as u128)?;
        limit("number of weights of a layer", 1 << 33, w[0] as u128 * w[1] as u128)?;
    }
    Ok(())
}
