//! The zip file.

use hdf5_pure::FileBuilder;
use std::io::{self, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What is in it.
pub(super) struct Members {
    pub(super) metadata: String,
    pub(super) config: String,
    pub(super) weights: FileBuilder,
}

/// Writes the members, uncompressed as Keras does: it reads the weights at any place.
pub(super) fn write(out: &mut dyn Write, members: Members) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(out);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    for (name, text) in [("metadata.json", members.metadata), ("config.json", members.config)] {
        zip.start_file(name, options)?;
        zip.write_all(text.as_bytes())?;
    }
    // Heads can be larger than what 32 bits count.
    zip.start_file("model.weights.h5", options.large_file(true))?;
    members.weights.finish_to(&mut zip).map_err(|error| match error {
        hdf5_pure::Error::Io(error) => error,
        other => io::Error::other(other),
    })?;
    zip.finish()?;
    Ok(())
}
