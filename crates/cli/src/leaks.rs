//! What is said of pictures that are in two splits.

use cache::leaks::{Leak, Why};

/// One line on a picture that is in two splits.
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
