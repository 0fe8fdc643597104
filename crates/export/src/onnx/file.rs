//! A model to its file, without a second copy of its weights in memory.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::LARGEST_FILE;
use super::network::Network;
use super::proto::{Constant, External, IR_VERSION, OPSET, entry};
use super::protobuf::Message;
use crate::ExportError;

/// Where the values of external constants begin: at whole pages, so that a file can be mapped.
const PAGE: u64 = 4096;
/// Smaller constants stay in the model's file.
const SMALL: u64 = 1024;

/// Writes the model; where its constants are more than `limit` bytes, those that are not small go to a file beside it, which
/// is then named.
pub(super) fn write(
    network: &Network<'_>,
    metadata: &[(String, String)],
    path: &Path,
    limit: u64,
) -> Result<Option<PathBuf>, ExportError> {
    let bytes: u64 = network.constants.iter().map(|constant| constant.data.bytes()).sum();
    let external = (bytes > limit).then(|| beside(path)).transpose()?;
    let mut offset = 0u64;
    let places: Vec<Option<u64>> = network
        .constants
        .iter()
        .map(|constant| {
            let bytes = constant.data.bytes();
            if external.is_none() || bytes < SMALL {
                return None;
            }
            let place = offset.next_multiple_of(PAGE);
            offset = place + bytes;
            Some(place)
        })
        .collect();
    if let Some((_, file)) = &external {
        // First, so that a model never lacks it.
        let write = |out: &mut dyn Write| values(&network.constants, &places, out);
        util::atomic::write(file, write).map_err(ExportError::io(file))?;
    }
    let name = external.as_ref().map(|(name, _)| name.as_str());
    util::atomic::write(path, |out| model(network, metadata, name, &places, out))
        .map_err(ExportError::io(path))?;
    Ok(external.map(|(_, file)| file))
}

/// The model as one file.
pub(super) fn to_bytes(
    network: &Network<'_>,
    metadata: &[(String, String)],
) -> Result<Vec<u8>, ExportError> {
    let bytes: u64 = network.constants.iter().map(|constant| constant.data.bytes()).sum();
    if bytes > LARGEST_FILE {
        return Err(ExportError::TooLarge { bytes, limit: LARGEST_FILE });
    }
    let places = vec![None; network.constants.len()];
    let mut out = Vec::new();
    model(network, metadata, None, &places, &mut out)
        .map_err(ExportError::io("model.onnx".as_ref()))?;
    Ok(out)
}

/// The file for values beside a model's: its name and path.
fn beside(path: &Path) -> Result<(String, PathBuf), ExportError> {
    let name = path.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}.data"));
    let name = name.ok_or_else(|| {
        let reason = "a model above 2 GB needs a file name that is text";
        ExportError::io(path)(io::Error::new(io::ErrorKind::InvalidFilename, reason))
    })?;
    let file = path.with_file_name(&name);
    Ok((name, file))
}

fn values(
    constants: &[Constant<'_>],
    places: &[Option<u64>],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut written = 0u64;
    for (constant, place) in constants.iter().zip(places) {
        let Some(place) = place else { continue };
        io::copy(&mut io::Read::take(io::repeat(0), place - written), out)?;
        constant.data.write(out)?;
        written = place + constant.data.bytes();
    }
    Ok(())
}

fn model(
    network: &Network<'_>,
    metadata: &[(String, String)],
    external: Option<&str>,
    places: &[Option<u64>],
    out: &mut dyn Write,
) -> io::Result<()> {
    let headers: Vec<(Message, u64)> = network
        .constants
        .iter()
        .zip(places)
        .map(|(constant, place)| match (external, place) {
            (Some(file), Some(offset)) => {
                (constant.header(Some(External { file, offset: *offset })), 0)
            }
            _ => (constant.header(None), constant.data.bytes()),
        })
        .collect();
    let nodes = network.nodes.iter().fold(Message::new(), |graph, node| graph.message(1, node));
    let rest = Message::new().message(11, &network.input).message(12, &network.output);
    let name = Message::new().text(2, &network.name);
    let starts: Vec<Message> = headers
        .iter()
        .map(|(header, data)| Message::new().announce(5, header.len() as u64 + data))
        .collect();
    let constants: u64 = headers
        .iter()
        .zip(&starts)
        .map(|((header, data), start)| (start.len() + header.len()) as u64 + data)
        .sum();
    let graph = (nodes.len() + name.len() + rest.len()) as u64 + constants;

    let version = env!("CARGO_PKG_VERSION");
    let start = Message::new()
        .int(1, IR_VERSION)
        .text(2, "feature-cache")
        .text(3, version)
        .message(8, &Message::new().text(1, "").int(2, OPSET));
    let start =
        metadata.iter().fold(start, |model, (key, value)| model.message(14, &entry(key, value)));
    out.write_all(start.announce(7, graph).as_bytes())?;
    for part in [&nodes, &name] {
        out.write_all(part.as_bytes())?;
    }
    for (((header, data), start), constant) in headers.iter().zip(&starts).zip(&network.constants) {
        out.write_all(start.as_bytes())?;
        out.write_all(header.as_bytes())?;
        if *data > 0 {
            constant.data.write(out)?;
        }
    }
    out.write_all(rest.as_bytes())
}
