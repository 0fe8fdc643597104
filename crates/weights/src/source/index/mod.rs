//! A source package from a Python package index, through the Simple Repository API (PEP 503 and 691): two requests, no Python.
//!
//! The digest of the archive is known beforehand, so nothing that an index or its page says has to be believed.

pub(crate) mod config;
mod ini;
mod page;

pub use config::{PackageIndex, parse_url};

use url::Url;

use crate::error::Failure;
use crate::http::{Client, HttpError, Remote, Secret, is_loopback, shown};
use crate::options::Bar;
use crate::pins::Mirror;
use crate::{ErrorKind, Options, canonical};
use page::Link;

/// JSON first; HTML from indexes that know nothing else.
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";
/// Largest page of one package.
const MAX_PAGE: u64 = 32 << 20;

/// Fetches the archive from the first index that has it, into memory: what is killed leaves nothing behind.
///
/// # Errors
/// What each index said.
pub(crate) fn fetch(mirror: &Mirror<'_>, opts: &Options<'_>) -> Result<Vec<u8>, Failure> {
    let index = opts.index.as_ref().map_err(|e| Failure::new(ErrorKind::Network, e.clone()))?;
    if index.urls.is_empty() {
        return Err(Failure::new(ErrorKind::Network, "pip's configuration says no-index"));
    }
    let mut failed: Vec<Failure> = Vec::new();
    for url in &index.urls {
        match from_one(mirror, index, url, opts) {
            Ok(archive) => return Ok(archive),
            Err(failure) => failed.push(failure),
        }
    }
    let wrong = failed.iter().any(|f| f.kind == ErrorKind::Checksum);
    let kind = if wrong { ErrorKind::Checksum } else { ErrorKind::Network };
    let reasons: Vec<&str> = failed.iter().map(|f| f.reason.as_str()).collect();
    let hint = failed.iter().find_map(|f| f.hint.clone());
    let usual = || {
        "name a package index that this machine can reach (PIP_INDEX_URL, or index-url in pip's configuration)".to_owned()
    };
    Err(Failure {
        hint: Some(hint.unwrap_or_else(usual)),
        ..Failure::new(kind, reasons.join("; "))
    })
}

fn from_one(
    mirror: &Mirror<'_>,
    index: &PackageIndex,
    url: &Url,
    opts: &Options<'_>,
) -> Result<Vec<u8>, Failure> {
    let project = project(url, mirror.package);
    let name = shown(&project);
    permitted(index, url).map_err(|what| network(&name, what))?;
    let certificates = index.certificates.as_deref();
    let client = Client::new(opts, Secret::basic(url), certificates, index.proxy.as_deref());
    let client = client.map_err(|e| http_failure(&name, &e))?;
    let page = client.page(&project, ACCEPT, MAX_PAGE).map_err(|e| http_failure(&name, &e))?;
    let links = page::links(&page.media, &page.bytes, &page.url).map_err(|e| network(&name, e))?;
    let mut failed = None;
    for link in links.iter().filter(|l| is_source(&l.file_name, mirror)) {
        match download(mirror, index, &client, opts, link, &page.url) {
            Ok(archive) => return Ok(archive),
            Err(failure) => failed = Some(failure),
        }
    }
    Err(failed.unwrap_or_else(|| {
        let Mirror { package, version, .. } = mirror;
        network(&name, format!("it lists no source package of {package} {version}"))
    }))
}

fn download(
    mirror: &Mirror<'_>,
    index: &PackageIndex,
    client: &Client<'_>,
    opts: &Options<'_>,
    link: &Link,
    page: &Url,
) -> Result<Vec<u8>, Failure> {
    let name = shown(&link.url);
    let wrong = |what: &str, found: &str| {
        let reason = format!("{name}: {what} {}, found {found}", mirror.archive_sha256);
        Failure::new(ErrorKind::Checksum, reason)
    };
    if let Some(said) = link.sha256.as_deref().filter(|&s| s != mirror.archive_sha256) {
        return Err(wrong("the index lists another file; sha256 expected", said));
    }
    if page.scheme() == "https" && link.url.scheme() != "https" {
        return Err(network(&name, "refused: an HTTPS index that leads to plain HTTP".into()));
    }
    permitted(index, &link.url).map_err(|what| network(&name, what))?;
    let bar = Bar::start(opts, &mirror.address(), Some(mirror.archive_bytes));
    let mut remote = Remote::new(client, link.url.clone());
    remote.window = mirror.archive_bytes;
    let read = |remote: &mut Remote<'_>, range| {
        remote.read(range, &mut |n| bar.advance(n)).map_err(|e| http_failure(&name, &e))
    };
    // The first byte brings the length: no more of a file that can't be the right one.
    let mut archive = read(&mut remote, 0..1)?;
    if let Some(found) = remote.len.filter(|&len| len != mirror.archive_bytes) {
        let expected = mirror.archive_bytes;
        let reason = format!("{name}: expected {expected} bytes, found {found}");
        return Err(Failure::new(ErrorKind::Checksum, reason));
    }
    archive.append(&mut read(&mut remote, 1..mirror.archive_bytes)?);
    let found = canonical::sha256_of(&mut archive.as_slice())
        .map_err(|e| Failure::new(ErrorKind::Network, e.to_string()))?;
    if found != mirror.archive_sha256 {
        return Err(wrong("sha256 of the archive: expected", &found));
    }
    Ok(archive)
}

/// The page of a package.
fn project(index: &Url, package: &str) -> Url {
    let mut url = index.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(package).push("");
    }
    url
}

/// As pip has it: plain HTTP only to this machine and to hosts that the user trusts by name.
fn permitted(index: &PackageIndex, url: &Url) -> Result<(), String> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) || index.trusts(url) => Ok(()),
        "http" => Err("refused: plain HTTP, and the host is none of pip's trusted-host".into()),
        other => Err(format!("refused: an address of kind '{other}'")),
    }
}

/// Whether a file is the source package of this name and version, however its name is written.
fn is_source(file_name: &str, mirror: &Mirror<'_>) -> bool {
    let stem = file_name.strip_suffix(".tar.gz").and_then(|s| s.rsplit_once('-'));
    stem.is_some_and(|(name, version)| {
        version == mirror.version && normal(name) == normal(mirror.package)
    })
}

/// A package's name as indexes compare it: lower case, and one hyphen for any run of `-`, `_` and `.`.
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|p| !p.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn network(name: &str, what: String) -> Failure {
    Failure::new(ErrorKind::Network, format!("{name}: {what}"))
}

fn http_failure(name: &str, error: &HttpError) -> Failure {
    let hint = matches!(error, HttpError::Status { status: 401 | 403 }).then(|| {
        "the package index asks who you are: write it into its address (https://USER:PASSWORD@HOST/…, in PIP_INDEX_URL or pip's configuration)".to_owned()
    });
    Failure { hint, ..network(name, error.to_string()) }
}
