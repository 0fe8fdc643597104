//! The hub's protocol, with every fault that a network has.

use super::server::{Reply, Request, Server};
use super::*;
use crate::{ErrorKind, PreprocessHint, WeightsError, resolve};

const ID: &str = "acme/tiny";
const PATH: &str = "/acme/tiny/resolve/main/model.safetensors";

/// The golden file with a large classifier before and a larger one after the convolutions' tensors.
fn model() -> Vec<u8> {
    let original = golden_bytes("canonical.safetensors");
    let len = u64::from_le_bytes(original[..8].try_into().expect("8")) as usize;
    let json: serde_json::Value = serde_json::from_slice(&original[8..8 + len]).expect("golden");
    let mut header = serde_json::Map::new();
    const BEFORE: u64 = 400_000;
    header.insert(
        "a.weight".into(),
        serde_json::json!({"dtype": "F32", "shape": [BEFORE / 4], "data_offsets": [0, BEFORE]}),
    );
    let data = &original[8 + len..];
    for (name, info) in json.as_object().expect("golden") {
        let offset = |i: usize| info["data_offsets"][i].as_u64().expect("golden") + BEFORE;
        let entry = serde_json::json!({"dtype": "F32", "shape": info["shape"], "data_offsets": [offset(0), offset(1)]});
        header.insert(name.clone(), entry);
    }
    let at = BEFORE + data.len() as u64;
    header.insert("z.weight".into(), serde_json::json!({"dtype": "F32", "shape": [500_000], "data_offsets": [at, at + 2_000_000]}));
    let json = serde_json::Value::Object(header).to_string();
    let mut out = (json.len() as u64).to_le_bytes().to_vec();
    out.extend(json.as_bytes());
    out.extend(vec![0; BEFORE as usize]);
    out.extend(data);
    out.extend(vec![0; 2_000_000]);
    out
}

fn get(
    server: &Server,
    change: impl FnOnce(&mut Options<'_>),
) -> (Result<Weights, WeightsError>, Recorder, tempfile::TempDir) {
    let (models, progress) = (tempfile::tempdir().expect("temp"), Recorder::default());
    let mut opts = options(models.path(), &progress, &server.endpoint);
    change(&mut opts);
    let result = resolve(ID, &architecture(), &opts);
    drop(opts);
    (result, progress, models)
}

#[track_caller]
fn assert_golden(weights: &Weights) {
    assert!(canonical_bytes(weights) == golden_bytes("canonical.safetensors"));
    assert_eq!(weights.name, ID);
    assert_eq!(weights.preprocess, PreprocessHint::Torch);
}

#[test]
fn only_the_needed_tensors_are_fetched_and_kept() {
    let file = model();
    let server = Server::start(move |r, _| Reply::file(&file, r.range));
    let (result, progress, models) = get(&server, |_| {});
    let weights = result.expect("fetched");
    assert_golden(&weights);
    assert_eq!(weights.source, format!("{}/acme/tiny", server.endpoint));
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|r| r.path == PATH && r.authorization.is_none()));
    let (first, last) = requests[1].range.expect("a range");
    assert_eq!(last + 1 - first, 1188, "the four tensors, nothing else");
    assert_eq!(*progress.bars.lock().expect("lock"), (1, 1, 1188, 1188));

    // The second time nothing is asked of the server, nor offline.
    let cached = models.path().join("weights/acme--tiny.safetensors");
    assert!(std::fs::read(&cached).expect("kept") == golden_bytes("canonical.safetensors"));
    let mut opts = options(models.path(), &progress, &server.endpoint);
    opts.offline = true;
    let again = resolve(ID, &architecture(), &opts).expect("cached");
    assert_golden(&again);
    assert_eq!(again.source, "models cache, weights/acme--tiny.safetensors");
    assert_eq!(server.requests().len(), 2);
    let leftovers = std::fs::read_dir(models.path().join("weights")).expect("folder").flatten();
    let leftovers: Vec<_> = leftovers
        .map(|e| e.file_name())
        .filter(|n| n.to_string_lossy().contains(".part"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn a_small_file_is_read_in_one_request() {
    let server = Server::start(|r, _| Reply::file(&golden_bytes("torch.safetensors"), r.range));
    assert_golden(&get(&server, |_| {}).0.expect("fetched"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_ignores_ranges_is_read_in_one_pass() {
    let file = model();
    let server = Server::start(move |_, _| Reply::file(&file, None));
    assert_golden(&get(&server, |_| {}).0.expect("fetched"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_may_send_less_than_it_was_asked_for() {
    let file = model();
    let server =
        Server::start(move |r, _| Reply::file(&file, r.range.map(|(a, b)| (a, b.min(a + 299)))));
    assert_golden(&get(&server, |_| {}).0.expect("fetched"));
}

#[test]
fn redirects_are_followed_without_the_token() {
    let file = model();
    let storage = Server::start(move |r, _| {
        if r.authorization.is_some() { Reply::status(400) } else { Reply::file(&file, r.range) }
    });
    // localhost is another host than 127.0.0.1, as the hub's storage is another host than the hub.
    let location = storage.endpoint.replace("127.0.0.1", "localhost") + "/blob?signature=1";
    let server = Server::start(move |_, _| {
        Reply::status(302).header("Location", location.clone()).header("X-Repo-Commit", "abc")
    });
    let (result, ..) = get(&server, |o| o.token = Some("secret".into()));
    assert_golden(&result.expect("fetched"));
    assert!(server.requests().iter().all(|r| r.authorization.as_deref() == Some("Bearer secret")));
    assert!(
        storage
            .requests()
            .iter()
            .all(|r| r.path == "/blob?signature=1" && r.authorization.is_none())
    );
}

#[test]
fn another_port_of_the_hubs_host_is_another_host() {
    let file = model();
    let storage = Server::start(move |r, _| Reply::file(&file, r.range));
    let location = storage.endpoint.clone() + "/blob";
    let server = Server::start(move |_, _| Reply::status(302).header("Location", location.clone()));
    let (result, ..) = get(&server, |o| o.token = Some("secret".into()));
    assert_golden(&result.expect("fetched"));
    assert!(server.requests().iter().all(|r| r.authorization.is_some()));
    assert!(storage.requests().iter().all(|r| r.authorization.is_none()));
}

#[test]
fn a_password_in_the_hubs_address_is_sent_to_it_and_shown_nowhere() {
    let file = model();
    let server = Server::start(move |r, _| Reply::file(&file, r.range));
    let endpoint = server.endpoint.replace("http://", "http://me:secret@");
    let (result, ..) = get(&server, |o| o.endpoint.clone_from(&endpoint));
    let weights = result.expect("fetched");
    assert_eq!(weights.source, format!("{}/acme/tiny", server.endpoint));
    assert!(
        server.requests().iter().all(|r| r.authorization.as_deref() == Some("Basic bWU6c2VjcmV0"))
    );
    let denied = Server::start(|_, _| Reply::status(404));
    let endpoint = denied.endpoint.replace("http://", "http://me:secret@");
    let error = get(&denied, |o| o.endpoint.clone_from(&endpoint)).0.expect_err("not there");
    assert!(!error.to_string().contains("secret") && !hint(&error).contains("secret"), "{error}");
}

#[test]
fn a_server_that_trickles_is_given_up() {
    let file = model();
    let server = Server::start(move |r, n| Reply {
        trickle: (n > 0).then_some(1),
        ..Reply::file(&file, r.range)
    });
    let started = std::time::Instant::now();
    let (result, ..) = get(&server, |o| (o.least_rate, o.retries) = (1000, 1));
    let error = result.expect_err("too slow").to_string();
    assert!(error.contains("bytes a second arrived, expected at least 1000"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // And one that is fast enough at each moment, but never ends.
    let (result, ..) = get(&server, |o| o.deadline = Duration::from_millis(300));
    assert!(result.expect_err("too long").to_string().contains("not done after"));
}

#[test]
fn what_was_fetched_first_is_what_must_come_again() {
    let server = Server::start(|r, _| Reply::file(&golden_bytes("canonical.safetensors"), r.range));
    let (result, progress, models) = get(&server, |_| {});
    let first = result.expect("fetched").sha256;
    let file = models.path().join("weights/acme--tiny.safetensors");
    std::fs::remove_file(&file).expect("kept");
    // The same name, other weights.
    let other = Server::start(|r, _| Reply::file(&golden_bytes("random_7.safetensors"), r.range));
    let opts = options(models.path(), &progress, &other.endpoint);
    let error = resolve(ID, &architecture(), &opts).expect_err("other weights");
    assert_eq!(error.kind(), ErrorKind::Checksum);
    assert!(error.to_string().contains(&format!("expected {first}, found ")), "{error}");
    assert!(hint(&error).contains("acme--tiny.safetensors.sha256"), "{}", hint(&error));
    assert!(!file.exists());
    // Only who deletes the sum trusts again.
    std::fs::remove_file(models.path().join("weights/acme--tiny.safetensors.sha256"))
        .expect("kept");
    assert!(resolve(ID, &architecture(), &opts).is_ok());
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_the_models_folder_do_no_harm() {
    let server = Server::start(|r, _| Reply::file(&golden_bytes("canonical.safetensors"), r.range));
    let (models, progress) = (tempfile::tempdir().expect("temp"), Recorder::default());
    let weights = models.path().join("weights");
    std::fs::create_dir(&weights).expect("temp");
    let precious = models.path().join("precious");
    std::fs::write(&precious, "precious").expect("temp");
    for name in [".acme--tiny.lock", ".keeping.lock", "acme--tiny.safetensors"] {
        std::os::unix::fs::symlink(&precious, weights.join(name)).expect("temp");
    }
    // Left by killed runs.
    std::fs::write(weights.join(".writing-abc123"), "x").expect("temp");
    std::fs::write(weights.join(".fetching-abc123.part"), "x").expect("temp");
    let opts = options(models.path(), &progress, &server.endpoint);
    assert_golden(&resolve(ID, &architecture(), &opts).expect("fetched"));
    assert_eq!(std::fs::read(&precious).expect("still there"), b"precious");
    assert!(weights.join("acme--tiny.safetensors").symlink_metadata().expect("kept").is_file());
    assert!(progress.notes.lock().expect("lock").iter().any(|n| n.contains("no lock on")));
    // With a lock, what killed runs left is removed.
    std::fs::remove_file(weights.join(".keeping.lock")).expect("temp");
    std::fs::remove_file(weights.join("acme--tiny.safetensors")).expect("kept");
    assert_golden(&resolve(ID, &architecture(), &opts).expect("fetched"));
    let mut left: Vec<_> = std::fs::read_dir(&weights)
        .expect("temp")
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            ".acme--tiny.lock",
            ".keeping.lock",
            "acme--tiny.safetensors",
            "acme--tiny.safetensors.sha256"
        ]
    );

    // A pipe in place of each file that is read: an error, at once.
    let sum = weights.join("acme--tiny.safetensors.sha256");
    for path in [&sum, &weights.join("acme--tiny.safetensors")] {
        std::fs::remove_file(path).expect("kept");
        if !pipe(path) {
            return;
        }
        let error = resolve(ID, &architecture(), &opts).expect_err("a pipe").to_string();
        assert!(error.contains("pipe"), "{error}");
        std::fs::remove_file(path).expect("made");
        assert!(resolve(ID, &architecture(), &opts).is_ok());
    }
    std::fs::write(&sum, "no sum\n").expect("temp");
    let error = resolve(ID, &architecture(), &opts).expect_err("no sum").to_string();
    assert!(error.contains("64 hexadecimal digits"), "{error}");
}

#[cfg(unix)]
fn pipe(path: &Path) -> bool {
    let made = std::process::Command::new("mkfifo").arg(path).status().is_ok_and(|s| s.success());
    if !made {
        println!("skipped: no mkfifo");
    }
    made
}

#[cfg(unix)]
#[test]
fn pipes_and_paths_in_the_hubs_cache_do_no_harm() {
    let hub = tempfile::tempdir().expect("temp");
    let refs = hub.path().join("models--acme--tiny/refs");
    std::fs::create_dir_all(&refs).expect("temp");
    let server = Server::start(|_, _| Reply::status(500));
    let refused = || {
        let (result, ..) =
            get(&server, |o| (o.hub_cache, o.offline) = (Some(hub.path().to_owned()), true));
        result.expect_err("hostile").to_string()
    };
    std::fs::write(refs.join("main"), "../../../../outside").expect("temp");
    assert!(refused().contains("expected a revision"), "{}", refused());
    std::fs::write(refs.join("main"), "a".repeat(1000)).expect("temp");
    assert!(refused().contains("at most 256 bytes"), "{}", refused());
    std::fs::remove_file(refs.join("main")).expect("temp");
    if pipe(&refs.join("main")) {
        assert!(refused().contains("pipe"), "{}", refused());
    }
}

#[test]
fn relative_redirects_are_followed() {
    let file = model();
    let server = Server::start(move |r, _| match r.path.as_str() {
        PATH => Reply::status(307).header("Location", "/moved/model.safetensors"),
        _ => Reply::file(&file, r.range),
    });
    let (result, ..) = get(&server, |o| o.token = Some("secret".into()));
    assert_golden(&result.expect("fetched"));
    // The hub itself redirects small files from one of its addresses to another, and asks for the token at both.
    assert!(server.requests().iter().all(|r| r.authorization.is_some()), "{:?}", server.requests());
}

#[test]
fn failures_of_the_server_are_waited_out() {
    let file = model();
    let server = Server::start(move |r, n| match n {
        0 | 2 => Reply::status(500),
        3 => Reply::status(429).header("Retry-After", "0"),
        _ => Reply::file(&file, r.range),
    });
    assert_golden(&get(&server, |_| {}).0.expect("fetched"));
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_server_that_always_fails_is_given_up() {
    let server = Server::start(|_, _| Reply::status(503));
    let (result, ..) = get(&server, |_| {});
    let error = result.expect_err("503");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("the server answered 503"), "{error}");
    assert_eq!(server.requests().len(), 4, "one try and three more");
}

#[test]
fn a_broken_transfer_is_taken_up_where_it_ended() {
    let file = model();
    // After the header, every answer breaks after 250 bytes.
    let server = Server::start(move |r, n| Reply {
        cut: (n > 0).then_some(250),
        ..Reply::file(&file, r.range)
    });
    let (result, progress, _models) = get(&server, |_| {});
    assert_golden(&result.expect("fetched"));
    let starts: Vec<u64> =
        server.requests().iter().skip(1).map(|r| r.range.expect("a range").0).collect();
    assert_eq!(starts.len(), 5);
    assert!(starts.windows(2).all(|w| w[1] == w[0] + 250), "{starts:?}");
    assert_eq!(progress.bars.lock().expect("lock").3, 1188, "no byte counts twice");
}

#[test]
fn a_broken_transfer_without_ranges_is_read_again() {
    let file = model();
    let server = Server::start(move |_, n| Reply {
        cut: (n == 0).then_some(400_500),
        ..Reply::file(&file, None)
    });
    assert_golden(&get(&server, |_| {}).0.expect("fetched"));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_transfer_that_stands_still_is_taken_up_again() {
    let file = model();
    let server = Server::start(move |r, n| Reply {
        stall: (n == 1).then_some(100),
        ..Reply::file(&file, r.range)
    });
    assert_golden(&get(&server, |_| {}).0.expect("fetched"));
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_file_that_changes_meanwhile_is_not_put_together() {
    let file = model();
    let server = Server::start(move |r, n| {
        let mut reply = Reply::file(&file, r.range);
        if n > 0 {
            reply.headers[0].1 = "\"v2\"".into();
        }
        reply
    });
    let error = get(&server, |_| {}).0.expect_err("two versions");
    assert!(error.to_string().contains("changed on the server"), "{error}");
}

#[test]
fn refusals_say_what_to_do() {
    let answer = |status| {
        let server = Server::start(move |_: &Request, _| Reply::status(status));
        let error = get(&server, |_| {}).0.expect_err("refused");
        assert_eq!(server.requests().len(), 1, "{status} is not tried again");
        (error.to_string(), hint(&error))
    };
    let (text, hint) = answer(404);
    assert!(text.contains("404 (not found)") && text.contains("acme/tiny"), "{text}");
    assert!(hint.contains("check the name") && hint.contains("give it as the weights"), "{hint}");
    let (text, hint) = answer(401);
    assert!(text.contains("401 (not authorised)") && hint.contains("HF_TOKEN"), "{text} {hint}");
    let server = Server::start(|_, _| Reply::status(403));
    let error = get(&server, |o| o.token = Some("secret".into())).0.expect_err("forbidden");
    let hint = super::hint(&error);
    assert!(hint.contains("HF_TOKEN may read") && !hint.contains("secret"), "{hint}");
}

#[test]
fn answers_that_are_no_weights_are_refused() {
    let refused = |body: Vec<u8>| {
        let server = Server::start(move |r: &Request, _| Reply::file(&body, r.range));
        get(&server, |_| {}).0.expect_err("no weights").to_string()
    };
    assert!(
        refused(b"<!doctype html><html><body>Log in</body></html>".to_vec())
            .contains("above the limit")
    );
    assert!(
        refused(golden_bytes("random_7.safetensors")[..1000].to_vec())
            .contains("declares 1500 bytes, the file has 1000")
    );
    let other = String::from_utf8_lossy(&golden_bytes("canonical.safetensors")[8..312])
        .replace("features", "features".to_uppercase().as_str());
    let mut bytes = golden_bytes("canonical.safetensors");
    bytes[8..312].copy_from_slice(other.as_bytes());
    assert!(refused(bytes).contains("FEATURES.0.bias"));
}

#[test]
fn a_copy_in_the_hubs_own_cache_is_used_without_network() {
    let hub = tempfile::tempdir().expect("temp");
    let repo = hub.path().join("models--acme--tiny");
    let snapshot = repo.join("snapshots/0123abc");
    std::fs::create_dir_all(repo.join("refs"))
        .and_then(|()| std::fs::create_dir_all(&snapshot))
        .expect("temp");
    std::fs::write(repo.join("refs/main"), "0123abc").expect("temp");
    std::fs::copy(golden("torch.safetensors"), snapshot.join("model.safetensors")).expect("temp");
    let server = Server::start(|_, _| Reply::status(500));
    let (result, _, models) =
        get(&server, |o| (o.hub_cache, o.offline) = (Some(hub.path().to_owned()), true));
    assert_golden(&result.expect("cached"));
    assert!(server.requests().is_empty());
    assert!(models.path().join("weights/acme--tiny.safetensors").exists());
}

#[test]
fn two_fetchers_at_once_both_get_the_weights() {
    let file = model();
    let server = Server::start(move |r, _| Reply::file(&file, r.range));
    let models = tempfile::tempdir().expect("temp");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let progress = Recorder::default();
                let opts = options(models.path(), &progress, &server.endpoint);
                assert_golden(&resolve(ID, &architecture(), &opts).expect("fetched"));
            });
        }
    });
    assert_eq!(server.requests().len(), 2, "one fetches, the others wait for it");
}

#[test]
fn a_host_that_is_not_there_fails_soon() {
    let server = Server {
        endpoint: "http://127.0.0.1:9".into(),
        ..Server::start(|_, _| Reply::status(500))
    };
    let error = get(&server, |_| {}).0.expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
