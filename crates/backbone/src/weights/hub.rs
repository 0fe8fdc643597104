//! The second way: a repository on the Hugging Face hub, of which only the needed tensors are fetched.

use std::collections::HashMap;
use std::ops::Range;

use super::convert::Plan;
use super::error::Failure;
use super::format::{FormatError, SafetensorsHeader};
use super::http::{HttpError, MAX_GAP, Remote};
use super::options::Bar;
use super::{ConvSpec, ErrorKind, Options, Weights, local};

/// The file that is read of a repository.
const FILE: &str = "model.safetensors";
/// First guess at the part of the file that holds the header; VGG16's takes 3 kB.
const FIRST_BYTES: u64 = 64 << 10;

/// Whether a specification is a hub id: `owner/name`.
pub(super) fn is_hub_id(spec: &str) -> bool {
    let part = |p: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !p.is_empty()
            && p.len() <= 96
            && p.bytes().all(allowed)
            && !p.starts_with(['.', '-'])
            && !p.contains("..")
    };
    spec.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// Where a repository lies, for messages.
pub(super) fn address(id: &str, opts: &Options<'_>) -> String {
    format!("{}/{id}", opts.endpoint)
}

/// Reads the file from the hub's own cache folder, where another tool has put it.
pub(super) fn from_hub_cache(
    id: &str,
    architecture: &[ConvSpec],
    opts: &Options<'_>,
) -> Result<Option<Weights>, Failure> {
    let Some(folder) = &opts.hub_cache else { return Ok(None) };
    let Some(path) = hf_hub::Cache::new(folder.clone()).model(id.to_owned()).get(FILE) else {
        return Ok(None);
    };
    let weights = local::read_file(&path, id, format!("the hub's cache, {id}"), architecture)?;
    Ok(Some(weights))
}

/// Fetches the architecture's tensors of a repository.
pub(super) fn fetch(
    id: &str,
    architecture: &[ConvSpec],
    opts: &Options<'_>,
) -> Result<Weights, Failure> {
    let url = format!("{}/resolve/main/{FILE}", address(id, opts));
    let mut remote = Remote::new(opts, url);
    let failure = |e: HttpError| http_failure(id, e, opts);

    remote.window = FIRST_BYTES;
    let mut head = remote.read(0..8, &mut |_| {}).map_err(failure)?;
    let first =
        head.as_slice().try_into().map_err(|_| Failure::new(ErrorKind::Network, "no header"))?;
    let json_len = SafetensorsHeader::json_len(first, remote.len)? as u64;
    head = remote.read(8..8 + json_len, &mut |_| {}).map_err(failure)?;
    let header = SafetensorsHeader::parse(&head, remote.len)?;
    let plan = Plan::new("safetensors", &header.entries, architecture)?;

    let mut needed: Vec<(usize, Range<u64>)> =
        plan.needed().map(|i| (i, header.range(i))).collect();
    needed.sort_by_key(|(_, range)| range.start);
    let total = needed.iter().map(|(_, r)| r.end - r.start).sum();
    let bar = Bar::start(opts.progress, &format!("{id} from {}", opts.endpoint), Some(total));
    let mut parts = HashMap::new();
    let ends = window_ends(&needed);
    for ((index, range), end) in needed.into_iter().zip(ends) {
        remote.window = end;
        let bytes = remote.read(range, &mut |n| bar.advance(n)).map_err(failure)?;
        parts.insert(index, header.decode(index, &bytes)?);
    }
    drop(bar);

    let tensors = plan.read(architecture, |index| {
        parts.remove(&index).ok_or_else(|| FormatError::Damaged("a tensor is used twice".into()))
    })?;
    let preprocess =
        header.preprocess.as_deref().and_then(|p| p.parse().ok()).unwrap_or(plan.preprocess);
    Ok(local::finish(tensors, id, address(id, opts), preprocess, architecture)?)
}

/// For each part, in ascending order, where the row of parts that lie close together ends.
fn window_ends(parts: &[(usize, Range<u64>)]) -> Vec<u64> {
    let mut ends = vec![0; parts.len()];
    for i in (0..parts.len()).rev() {
        ends[i] = match parts.get(i + 1) {
            Some((_, next)) if next.start.saturating_sub(parts[i].1.end) <= MAX_GAP => ends[i + 1],
            _ => parts[i].1.end,
        };
    }
    ends
}

fn http_failure(id: &str, error: HttpError, opts: &Options<'_>) -> Failure {
    let hint = match error {
        HttpError::Status { status: 401 | 403 } if opts.token.is_none() => Some(format!(
            "if {id} is private or gated, set HF_TOKEN to a token that may read it; else check the name"
        )),
        HttpError::Status { status: 401 | 403 } => {
            Some(format!("check that the token in HF_TOKEN may read {id}"))
        }
        HttpError::Status { status: 404 } => Some(format!(
            "check the name; {id} must hold a file {FILE}. Other files can be fetched by hand and given by path"
        )),
        _ => None,
    };
    Failure { kind: ErrorKind::Network, reason: error.to_string(), hint }
}
