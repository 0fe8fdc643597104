//! What a file says of its rows beside them.

use cache::Manifest;
use serde_json::Value;

use crate::error::TableError;

/// Keys and JSON: the names of the classes in label order, the shape of one view of a row, and the manifest without the hashes of the
/// blocks, which are those of the `.npy` file.
pub(crate) fn of(manifest: &Manifest) -> Result<[(&'static str, String); 3], TableError> {
    let settings = &manifest.settings;
    let mut whole = serde_json::to_value(manifest)?;
    if let Some(fields) = whole.as_object_mut() {
        fields.remove("block_sha256");
        fields.remove("block_rows");
    }
    Ok([
        ("classes", serde_json::to_string(&settings.classes)?),
        ("row_shape", serde_json::to_string(&settings.row_shape)?),
        ("manifest", Value::to_string(&whole)),
    ])
}
