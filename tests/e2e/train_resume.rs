//! Trainings that are killed or stopped, and go on to the same bits.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::drawing::{Picture, Random};
use crate::support::*;
use crate::train::shades;

const CHECKPOINT: &str = "checkpoint.safetensors";
const EPOCHS: usize = 12;

struct Run {
    data: PathBuf,
    file: PathBuf,
}

impl Run {
    fn new(root: &Path) -> Self {
        let it = Self { data: root.join("data"), file: root.join("small.toml") };
        shades(&it.data);
        fs::write(&it.file, SMALL).unwrap();
        it
    }

    fn tool(&self, model: &Path) -> Tool {
        train_own(&self.data, model, &self.file)
            .flags("--batch-size 4 --optimizer adam --lr 1e-3 --augment --epochs")
            .arg(EPOCHS.to_string())
    }

    /// Runs until `epochs` were told, and holds the process there.
    fn held(&self, tool: Tool, epochs: usize) -> Child {
        let mut child = tool.spawn();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        for _ in 0..epochs {
            line.clear();
            while !line.contains("Epoch") {
                line.clear();
                assert!(out.read_line(&mut line).unwrap() > 0, "it ended too soon");
            }
        }
        signal(&child, "STOP");
        child.stdout = Some(out.into_inner());
        child
    }

    fn killed(&self, model: &Path, tool: Tool, epochs: usize) {
        self.killed_maybe_too_late(tool, epochs);
        assert!(model.join(CHECKPOINT).exists());
    }

    fn killed_maybe_too_late(&self, tool: Tool, epochs: usize) {
        let mut child = self.held(tool, epochs);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The history without its last column, if that is the seconds, and the tensors.
fn outcome(model: &Path) -> (String, Vec<u8>) {
    let read = |name: &str| fs::read(model.join(name)).unwrap();
    (String::from_utf8(read("history.csv")).unwrap(), read("head.safetensors"))
}

#[test]
fn a_killed_training_goes_on_to_the_same_bits() {
    let root = temp();
    let run = Run::new(root.path());
    let whole = root.path().join("whole");
    run.tool(&whole).run().exits(0);
    let expected = outcome(&whole);
    let mut random = Random(5);
    for i in 0..3 {
        let model = root.path().join(format!("killed{i}"));
        run.killed(&model, run.tool(&model), 1 + random.below(5) as usize);
        run.killed(&model, run.tool(&model).flags("--resume"), 1 + random.below(4) as usize);
        let done = run.tool(&model).flags("--resume --threads 3").run().exits(0);
        let _ = done.says(&["resumed  after"]);
        assert_eq!(outcome(&model), expected, "{i}");
        assert!(!model.join(CHECKPOINT).exists());
    }
    // Nothing to go on from is no error.
    let model = root.path().join("fresh");
    run.tool(&model).flags("--resume").run().exits(0);
    assert_eq!(outcome(&model), expected);
}

#[test]
fn ctrl_c_leaves_a_checkpoint() {
    let root = temp();
    let run = Run::new(root.path());
    let whole = root.path().join("whole");
    run.tool(&whole).run().exits(0);
    let model = root.path().join("model");
    // Between two checkpoints, too.
    let held = run.held(run.tool(&model).flags("--checkpoint-every 2"), 3);
    assert!(model.join(CHECKPOINT).exists());
    signal(&held, "INT");
    signal(&held, "CONT");
    let stopped = Outcome::of(held.wait_with_output().unwrap()).exits(130);
    let _ = stopped.complains(&["stopped", "--resume"]);
    assert!(model.join(CHECKPOINT).exists() && !model.join("head.json").exists());
    run.tool(&model).flags("--checkpoint-every 2 --resume").run().exits(0);
    assert_eq!(outcome(&model), outcome(&whole));
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let root = temp();
    let run = Run::new(root.path());
    let model = root.path().join("model");
    run.killed(&model, run.tool(&model), 1);
    run.tool(&model).run().refuses(&[CHECKPOINT, "did not end", "--resume"]);
    let resumed = |tool: Tool| tool.flags("--resume").run();
    let other = |flags: &str| {
        let tool = train_own(&run.data, &model, &run.file);
        resumed(tool.flags("--optimizer adam --augment").flags(flags))
    };
    let rest = "--batch-size 4 --epochs 12";
    other(&format!("{rest} --lr 0.002")).refuses(&[
        CHECKPOINT,
        "learning_rate: expected 0.002, found 0.001",
        "hint: ",
    ]);
    other(&format!("{rest} --lr 1e-3 --seed 7")).refuses(&["seed: expected 7, found 0"]);
    resumed(
        train_own(&run.data, &model, &run.file)
            .flags("--optimizer adam --batch-size 4 --lr 1e-3 --epochs 12 --augment=zoom=0.2"),
    )
    .refuses(&["augmentation", "zoom=0.2"]);
    fs::write(&run.file, SMALL.replace("filters = 6", "filters = 5")).unwrap();
    resumed(run.tool(&model)).refuses(&[CHECKPOINT, "network"]);
    fs::write(&run.file, SMALL).unwrap();
    Picture::random(77, 30, 30).save(&run.data.join("train/dark/new.png"));
    resumed(run.tool(&model)).refuses(&[CHECKPOINT, "pictures"]);
    fs::remove_file(run.data.join("train/dark/new.png")).unwrap();

    let good = fs::read(model.join(CHECKPOINT)).unwrap();
    let length = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let head = fs::read(root.path().join("small.toml")).unwrap();
    let mut header = good.clone();
    header[length / 2] = b'{';
    for (what, bytes) in [
        ("empty", &[][..]),
        ("cut", &good[..good.len() - 9]),
        ("halved", &good[..good.len() / 2]),
        ("text", &head),
        ("header", &header),
        ("no checkpoint", b"\x02\0\0\0\0\0\0\0{}"),
    ] {
        fs::write(model.join(CHECKPOINT), bytes).unwrap();
        let refused = resumed(run.tool(&model)).exits(1);
        assert!(
            refused.err.contains("checkpoint") && refused.err.contains("hint: "),
            "{what}: {}",
            refused.text()
        );
    }
    fs::write(model.join(CHECKPOINT), &good).unwrap();
    resumed(run.tool(&model)).exits(0);
}

#[test]
fn early_stopping_ends_a_resumed_run_where_it_ended() {
    let root = temp();
    let run = Run::new(root.path());
    let tool = |model: &Path| run.tool(model).flags("--early-stopping 1 --lr-schedule constant");
    let whole = root.path().join("whole");
    tool(&whole).run().exits(0);
    let (history, _) = outcome(&whole);
    let epochs = history.lines().count() - 1;
    let model = root.path().join("model");
    // Killed when the last epoch was told: before its model was written or, on a busy machine, after that.
    run.killed_maybe_too_late(tool(&model), epochs.clamp(1, 3));
    if model.join(CHECKPOINT).exists() {
        tool(&model).flags("--resume").run().exits(0);
    }
    assert_eq!(outcome(&model), outcome(&whole));
}
