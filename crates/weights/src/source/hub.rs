//! The second way: a repository on the Hugging Face hub, of which only the needed tensors are fetched.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use url::Url;

use super::local;
use crate::error::Failure;
use crate::format::{FormatError, Listing, SafetensorsHeader};
use crate::http::{Client, HttpError, MAX_GAP, Remote, Secret, shown};
use crate::options::Bar;
use crate::plan::Plan;
use crate::{Architecture, ErrorKind, Options, Weights};

/// The file that is read of a repository.
const FILE: &str = "model.safetensors";
/// First guess at the part of the file that holds the header; VGG16's takes 3 kB.
const FIRST_BYTES: u64 = 64 << 10;
/// Largest file that names a revision; a hash takes 40 bytes.
const MAX_REFERENCE: u64 = 256;

/// Where a repository is, for messages.
pub(crate) fn address(id: &str, opts: &Options<'_>) -> String {
    let whole = format!("{}/{id}", opts.endpoint);
    // A password in the hub's address must not end up in a message or a manifest.
    Url::parse(&whole).map_or(whole, |url| shown(&url))
}

/// Reads the file from the hub's own cache folder, where another tool has put it.
pub(crate) fn from_hub_cache(
    id: &str,
    architecture: &Architecture,
    opts: &Options<'_>,
) -> Result<Option<Weights>, Failure> {
    let Some(folder) = &opts.hub_cache else { return Ok(None) };
    let folder = folder.join(hf_hub::Repo::model(id.to_owned()).folder_name());
    let reference = match util::regular::read(&folder.join("refs/main"), MAX_REFERENCE) {
        Ok(reference) => reference,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(Failure::new(ErrorKind::File, format!("refs/main of {id}: {e}"))),
    };
    // It names a folder, and must not lead out of this one.
    let revision = String::from_utf8_lossy(&reference).trim().to_owned();
    if revision.is_empty() || !revision.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let reason = format!("refs/main of {id}: expected a revision, found '{revision:.80}'");
        return Err(Failure::new(ErrorKind::Format, reason));
    }
    let path = folder.join("snapshots").join(revision).join(FILE);
    match local::read_file(&path, id, format!("the hub's cache, {id}"), architecture) {
        Ok(weights) => Ok(Some(weights)),
        Err(FormatError::Io(e)) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Fetches the architecture's tensors of a repository.
pub(crate) fn fetch(
    id: &str,
    architecture: &Architecture,
    opts: &Options<'_>,
) -> Result<Weights, Failure> {
    let failure = |e: HttpError| http_failure(id, e, opts);
    let url = format!("{}/{id}/resolve/main/{FILE}", opts.endpoint);
    let url = Url::parse(&url).ok().filter(Url::has_host).ok_or_else(|| {
        let what = "the hub's address (HF_ENDPOINT) makes no sense: expected https://HOST";
        failure(HttpError::Setup(what.into()))
    })?;
    let token = opts.token.as_ref().map(|token| Secret::bearer(&url, token));
    let secret = token.or_else(|| Secret::basic(&url));
    let client = Client::new(opts, secret, opts.certificates.as_deref(), None).map_err(failure)?;
    let mut remote = Remote::new(&client, url);

    remote.window = FIRST_BYTES;
    let mut head = remote.read(0..8, &mut |_| {}).map_err(failure)?;
    let first =
        head.as_slice().try_into().map_err(|_| Failure::new(ErrorKind::Network, "no header"))?;
    let json_len = SafetensorsHeader::json_len(first, remote.len)? as u64;
    head = remote.read(8..8 + json_len, &mut |_| {}).map_err(failure)?;
    let header = SafetensorsHeader::parse(&head, remote.len)?;
    let listing = Listing {
        kind: "safetensors",
        entries: &header.entries,
        order: &[],
        preprocess: header.preprocess.as_deref(),
    };
    let plan = Plan::new(&listing, architecture)?;

    let mut needed: Vec<(usize, Range<u64>)> =
        plan.needed().map(|i| (i, header.range(i))).collect();
    needed.sort_by_key(|(_, range)| range.start);
    let total = needed.iter().map(|(_, r)| r.end - r.start).sum();
    let bar = Bar::start(opts, &address(id, opts), Some(total));
    let mut parts = HashMap::new();
    let ends = window_ends(&needed);
    for ((index, range), end) in needed.into_iter().zip(ends) {
        remote.window = end;
        let bytes = remote.read(range, &mut |n| bar.advance(n)).map_err(failure)?;
        parts.insert(index, header.decode(index, &bytes)?);
    }
    drop(bar);

    let preprocess = header
        .preprocess
        .as_deref()
        .and_then(|p| p.parse().ok())
        .unwrap_or(plan.variant.preprocess);
    let (tensors, sha256) = plan.read(preprocess, |index| {
        parts.remove(&index).ok_or_else(|| FormatError::Damaged("a tensor is used twice".into()))
    })?;
    let (name, source, variant) = (id.to_owned(), address(id, opts), plan.variant.name);
    Ok(Weights { name, source, sha256, variant, preprocess, tensors })
}

/// For each part, in ascending order, where the row of parts that are close together ends.
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
            "check the name; {id} must hold a file {FILE}. Other files can be fetched by hand"
        )),
        _ => None,
    };
    Failure { hint, ..Failure::new(ErrorKind::Network, error.to_string()) }
}
