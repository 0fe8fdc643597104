//! Pictures that lie in two splits of a features folder.

use cache::CacheError;
use cache::leaks::{self, Leak, Why};
use std::path::Path;

/// All of them, among the complete splits of a folder.
///
/// # Errors
/// An index that can't be read.
pub(crate) fn find(features: &Path, max_distance: u32) -> Result<Vec<Leak>, CacheError> {
    let splits = cache::list_splits(features)?;
    let names: Vec<&str> = splits.iter().map(String::as_str).collect();
    leaks::find(features, &names, max_distance)
}

/// One line on a picture that lies in two splits.
pub(crate) fn describe_leak(leak: &Leak) -> String {
    let why = match leak.why {
        Why::SameBytes => "are the same file".to_owned(),
        Why::SamePicture { mirrored: false, .. } => "show nearly the same picture".to_owned(),
        Why::SamePicture { mirrored: true, .. } => {
            "show nearly the same picture, mirrored".to_owned()
        }
    };
    format!("{}/{} and {}/{} {why}", leak.a.split, leak.a.file, leak.b.split, leak.b.file)
}
