//! Whether a training and its report fit into memory.

use train::FitConfig;

use super::features::AllFeatures;
use crate::error::{Error, MemoryUse};
use crate::memory;

/// What is left to everything else: code, threads, indices.
const RESERVE: u64 = 64 << 20;

/// Bytes in which features may be kept, so that all fits into the memory that is available.
///
/// # Errors
/// The network alone, or the report on so many classes, needs more.
pub(crate) fn check_memory(
    features: &AllFeatures,
    config: &FitConfig,
    repeats: u16,
) -> Result<usize, Error> {
    let Some(available) = memory::available() else {
        return Ok(train::CACHE_BYTES);
    };
    let train = &features.train.reader;
    let classes = features.classes().len();
    let mut needed = train::training_bytes(train.len(), train.view_elements(), classes, config);
    if repeats > 1 {
        // The first seed's head is kept meanwhile.
        needed = needed.saturating_add(needed / 3);
    }
    let reserve = RESERVE.min(available / 8);
    let reporting = report_bytes(features.iter().map(|one| one.reader.len()), classes);
    if reporting > available.saturating_sub(reserve) {
        let what = MemoryUse::Report { classes };
        return Err(Error::Memory { what, needed: reporting, available });
    }
    match available.saturating_sub(reserve).checked_sub(needed) {
        // Half of the rest: what is counted from above is not all there is.
        Some(rest) => Ok(usize::try_from(rest / 2).unwrap_or(usize::MAX).min(train::CACHE_BYTES)),
        None => {
            let what = MemoryUse::Training { hidden: config.hidden.clone() };
            Err(Error::Memory { what, needed, available })
        }
    }
}

/// Bytes that metrics, predictions and report take, from above: of every row the probability of every class as number and
/// as text, and of each split a square matrix as numbers, as JSON and as text.
fn report_bytes(rows: impl Iterator<Item = usize>, classes: usize) -> u64 {
    const VALUE: u128 = 24;
    const CELL: u128 = 72;
    let classes = classes as u128;
    let bytes = rows
        .map(|rows| {
            let table = (rows as u128).saturating_mul(classes).saturating_mul(VALUE);
            classes.saturating_mul(classes).saturating_mul(CELL).saturating_add(table)
        })
        .fold(0, u128::saturating_add);
    bytes.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_grows_with_rows_and_with_the_square_of_classes() {
        let bytes = |rows: &[usize], classes| report_bytes(rows.iter().copied(), classes);
        assert!(bytes(&[1581, 426, 392], 2) < 1 << 20);
        assert!(bytes(&[20_000], 20_000) > 30 << 30);
        assert_eq!(bytes(&[usize::MAX], usize::MAX), u64::MAX);
    }
}
