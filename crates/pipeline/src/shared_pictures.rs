//! Pictures that are in two splits of a features folder.

use cache::CacheError;
use cache::leaks::{self, Leak};
use std::path::Path;

/// All of them, among the complete splits of a folder.
///
/// # Errors
/// An index that can't be read.
pub fn shared_pictures(features: &Path, max_distance: u32) -> Result<Vec<Leak>, CacheError> {
    let splits = cache::list_splits(features)?;
    let names: Vec<&str> = splits.iter().map(String::as_str).collect();
    leaks::find(features, &names, max_distance)
}
