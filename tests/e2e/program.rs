//! `feature-cache COMMAND` does what the programs of their own do; completions and man pages can be used.

use std::fs;
use std::process::Command;

use crate::drawing::{TWO, split};
use crate::shared::shared;
use crate::support::*;

/// Output and exit code of a program and of the subcommand are the same.
#[track_caller]
fn same(alone: &str, name: &str, change: impl Fn(Tool) -> Tool) -> Outcome {
    let alone = change(Tool::new(alone)).run();
    let inner = change(Tool::new(PROGRAM).arg(name)).run();
    assert_eq!(inner.code, alone.code, "{}\n{}", inner.text(), alone.text());
    assert_eq!((&inner.out, &inner.err), (&alone.out, &alone.err));
    inner
}

#[test]
fn a_subcommand_says_and_ends_as_its_own_program_does() {
    let it = shared();
    let test = it.data.join("test");
    same(EXTRACT, "extract", |tool| tool.flags("summary --image-size 64")).exits(0);
    same(CACHE, "cache", |tool| tool.arg("info").path("--features", &it.features))
        .exits(0)
        .says(&["train: (20, 1, 1, 512)"]);
    same(CACHE, "cache", |tool| tool.arg("leaks").path("--features", &it.features).arg("--json"));
    same(PREDICT, "predict", |tool| tool.path("--head", &it.head).arg("--csv").arg(&test))
        .exits(0)
        .says(&["cats"]);
    // Failures: 1.
    let gone = it.data.join("gone");
    same(EXTRACT, "extract", |tool| tool.path("--data", &gone)).refuses(&["gone"]);
    same(FIT_HEAD, "fit-head", |tool| tool.path("--features", &gone)).refuses(&["gone"]);
    same(PREDICT, "predict", |tool| tool.path("--head", &gone).arg("x.png")).exits(1);
    same(CACHE, "cache", |tool| tool.arg("verify").path("--features", &gone)).refuses(&["gone"]);
}

#[test]
fn the_way_from_pictures_to_predictions_goes_through_one_program() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let (data, features, head) = (path("data"), path("features"), path("head"));
    for (name, n) in [("train", 4), ("test", 2)] {
        split(&data, name, &TWO, n);
    }
    // One that is no picture: 3.
    fs::write(data.join("train/cats/bad.png"), "no picture").unwrap();
    let flags = "--weights random:0 --image-size 32 --layer block2_pool";
    let one = |name: &str| Tool::new(PROGRAM).arg(name);
    one("extract")
        .path("--data", &data)
        .path("--features", &features)
        .flags(flags)
        .run()
        .exits(3)
        .complains(&["bad.png"]);
    quick(&data, &path("alone")).run().exits(3);
    for name in ["train", "test"] {
        assert_same(&features, &path("alone"), name);
    }
    one("fit-head")
        .path("--features", &features)
        .path("--head", &head)
        .flags("--epochs 2")
        .run()
        .exits(0);
    fit_head(&features, &path("head-alone")).flags("--epochs 2").run().exits(0);
    let weights = |head: &str| fs::read(path(head).join("head.safetensors")).unwrap();
    assert!(weights("head") == weights("head-alone"));
    let pictures = data.join("test");
    one("predict").path("--head", &head).arg(pictures).run().exits(0).says(&["cats", "dogs"]);
    one("cache").arg("verify").path("--features", &features).run().exits(0);
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_command() {
    for (args, word) in [
        ("", "Usage: feature-cache <COMMAND>"),
        ("extrakt", "extract"),
        ("extract --bogus", "Usage: feature-cache extract"),
        ("predict", "Usage: feature-cache predict"),
        ("completions tcsh", "bash"),
        ("man", "<DIR>"),
    ] {
        Tool::new(PROGRAM).flags(args).run().exits(2).complains(&[word]);
    }
    let help = Tool::new(PROGRAM).arg("--help").run().exits(0);
    help.says(&["extract", "fit-head", "predict", "cache", "completions", "man"]);
    Tool::new(PROGRAM).flags("extract --version").run().exits(0).says(&["extract"]);
}

/// What a shell says of a script that it reads and does not run; `None` where there is no such shell.
fn checked(shell: &str, script: &std::path::Path) -> Option<(bool, String)> {
    let run = Command::new(shell).arg("-n").arg(script).output().ok()?;
    Some((run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned()))
}

#[test]
fn completions_are_scripts_that_the_shells_take() {
    let root = temp();
    for shell in ["bash", "zsh", "fish"] {
        let run = Tool::new(PROGRAM).arg("completions").arg(shell).run().exits(0);
        for word in ["fit-head", "image-size", "leaks"] {
            assert!(run.out.contains(word), "{shell}: {word}");
        }
        let script = root.path().join(shell);
        fs::write(&script, &run.out).unwrap();
        match checked(shell, &script) {
            Some((fine, says)) => assert!(fine && says.is_empty(), "{shell}: {says}"),
            None => println!("skipped: no {shell} here to read its completions"),
        }
    }
}

#[test]
fn man_pages_are_written_for_every_command() {
    let root = temp();
    let dir = root.path().join("share/man1");
    Tool::new(PROGRAM).arg("man").arg(&dir).run().exits(0);
    let found = names(&dir);
    for name in ["", "-extract", "-extract-summary", "-fit-head", "-predict", "-cache-merge"] {
        let name = format!("feature-cache{name}.1");
        assert!(found.contains(&name), "{name} expected in {found:?}");
    }
    for name in found {
        let page = fs::read_to_string(dir.join(&name)).unwrap();
        assert!(page.len() > 200 && page.contains(".SH SYNOPSIS"), "{name}:\n{page}");
        if let Ok(run) = Command::new("man").arg("-l").arg(dir.join(&name)).output()
            && run.status.success()
        {
            assert!(String::from_utf8_lossy(&run.stdout).contains("SYNOPSIS"), "{name}");
        }
    }
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Tool::new(PROGRAM).arg("man").arg(file.join("below")).run().exits(1);
    refused.complains(&["cannot write man pages into"]);
}
