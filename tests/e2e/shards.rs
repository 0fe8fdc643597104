//! Parts of a split, and `cache merge`.

use std::fs;

use crate::drawing::{TWO, split};
use crate::support::*;

#[test]
fn merged_shards_are_one_run() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 5);
    split(&data, "test", &TWO, 1);
    fs::write(data.join("train/cats/bad.jpg"), b"hello").unwrap();
    let (whole, parts) = (root.path().join("whole"), root.path().join("parts"));
    quick(&data, &whole).run().exits(3);
    cache("merge", &parts).run().refuses(&["shards"]);
    for i in [2, 1, 3] {
        if i == 3 {
            cache("merge", &parts).run().refuses(&["shard", "extract --shard"]);
            assert!(!parts.join("train.json").exists());
        }
        let bad = quick(&data, &parts).flags(&format!("--shard {i}/3")).run();
        let code = bad.code.unwrap();
        assert!(code == 0 || code == 3, "{}", bad.text());
    }
    cache("info", &parts).run().exits(0).says(&["(shard 2 of 3)"]);
    cache("merge", &parts).run().exits(0).says(&["(10, 8, 8, 128)", "(2, 8, 8, 128)"]);
    assert_same(&whole, &parts, "train");
    assert_same(&whole, &parts, "test");
    cache("verify", &parts).run().exits(0);
    // What is merged is as good as computed: nothing is left to do.
    quick(&data, &parts).run().exits(3).says(&["train: up to date", "test: up to date"]);
}

#[test]
fn shards_of_other_settings_or_counts_are_refused() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 2);
    let parts = root.path().join("parts");
    quick(&data, &parts).flags("--shard 1/2").run().exits(0);
    quick(&data, &parts).flags("--shard 2/2 --interpolation nearest").run().exits(0);
    cache("merge", &parts).run().refuses(&["interpolation"]);
    quick(&data, &parts).flags("--shard 2/2 --overwrite").run().exits(0);
    quick(&data, &parts).flags("--shard 1/3").run().exits(0);
    cache("merge", &parts).run().refuses(&["different counts"]);
    assert!(!parts.join("train_features.npy").exists());
}

/// What a cluster of old and new machines needs.
#[test]
fn shards_of_other_instruction_sets_are_one_cache_in_highest_alone() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 5);
    let (whole, parts) = (root.path().join("whole"), root.path().join("parts"));
    let run = |features: &std::path::Path, isa: &str, flags: &str| {
        quick(&data, features).flags(&format!("--device cpu --isa {isa} {flags}")).run()
    };
    if run(&whole, "avx2", "--precision highest").err.contains("is not available here")
        || run(&parts, "avx512", "--precision highest --shard 1/2").err.contains("is not available")
    {
        println!("skipped: this machine has not both AVX2 and AVX-512");
        return;
    }
    run(&parts, "avx2", "--precision highest --shard 2/2").exits(0);
    cache("merge", &parts).run().exits(0);
    let rows = |features| crate::npy::Npy::features(features, "train").data;
    assert!(rows(&whole) == rows(&parts));
    // Nothing is left to do, on either.
    run(&parts, "avx512", "--precision highest").exits(0).says(&["train: up to date"]);
    run(&parts, "avx2", "--precision highest").exits(0).says(&["train: up to date"]);
    // The portable kernels round otherwise, and `high` promises each instruction set alone.
    run(&parts, "portable", "--precision highest").refuses(&["isa_or_gpu", "portable"]);
    let parts = root.path().join("high");
    run(&parts, "avx512", "--precision high --shard 1/2").exits(0);
    run(&parts, "avx2", "--precision high --shard 2/2").exits(0);
    cache("merge", &parts).run().refuses(&["isa_or_gpu"]);
}

#[test]
fn more_shards_than_images_is_allowed() {
    let root = temp();
    let data = root.path().join("data");
    split(&data, "train", &TWO, 1);
    let (whole, parts) = (root.path().join("whole"), root.path().join("parts"));
    quick(&data, &whole).run().exits(0);
    for i in 1..=3 {
        quick(&data, &parts).flags(&format!("--shard {i}/3")).run().exits(0);
    }
    cache("merge", &parts).flags("--json").run().exits(0).json();
    assert_same(&whole, &parts, "train");
}
