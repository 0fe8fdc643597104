//! The bits of rows, as this version computes them.
//!
//! They depend on the precision and the instruction set alone, and in `highest` not on that where products are fused: not on
//! the machine, its caches, the number of threads or the batch, which differ from cut to cut here. What a test of `kernels` pins of each algorithm, this pins of a whole base.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::drawing::Picture;
use crate::npy::Npy;
use crate::support::*;

/// With a change of this digest, of [`VIEWS`], or of those in [`BLOCKS`], `NUMERICS` in crates/pipeline/src/recipe.rs goes up by
/// one: caches that were made before it are stale then. So it does for bits that are pinned beside the kernels alone, such as AMX's.
const ROWS: (u64, &str) = (5, "b467285f3e88be65a8459384c5391b3329a37d5f9b93be7d35178c4827971bff");

/// The same of rows with views.
const VIEWS: (u64, &str) = (5, "129c7ee4a5bf2cfec237b7671441cb27c1098a354df2f9c85d08947e049c0aca");

/// `bits precision layer digest`, a line each; bits are an instruction set, or `f32-fma` for all that fuse products and sums.
const BLOCKS: &str = include_str!("numerics.txt");

/// Ends of VGG16's blocks, with threads and images at once.
const CUTS: [(&str, u32, u32); 5] = [
    ("block1_pool", 1, 20),
    ("block2_pool", 2, 1),
    ("block3_pool", 3, 4),
    ("block4_pool", 5, 3),
    ("block5_pool", 2, 20),
];

fn digest(features: &Path) -> String {
    let rows = Npy::features(features, "train");
    Sha256::digest(&rows.data).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn other_bits_are_another_version() {
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/tests/odd");
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for class in ["a", "b"] {
        fs::create_dir_all(data.join("train").join(class)).unwrap();
    }
    for name in ["sampling420.jpg", "cmyk.jpg", "rgb.png", "lossy.webp", "rgb.tif"] {
        fs::copy(odd.join(name), data.join("train/a").join(name)).unwrap();
    }
    // The portable kernels are the only ones that every machine has.
    let flags =
        "--image-size 40 --layer block2_pool --device cpu --isa portable --precision highest";
    extract(&data, &features).flags(flags).run().exits(0);
    let numerics = manifest(&features, "train")["settings"]["numerics"].as_u64().unwrap();
    assert_eq!((numerics, digest(&features).as_str()), ROWS, "see the comment on ROWS");
    let views =
        "--augment=lesson,vertical-flip,channel-shift=20,brightness=0.7..1.2 --views 3 --overwrite";
    extract(&data, &features).flags(flags).flags(views).run().exits(0);
    assert_eq!((numerics, digest(&features).as_str()), VIEWS, "see the comment on ROWS");
}

/// Rows of drawn pictures at the end of each block, on one instruction set.
#[track_caller]
fn blocks(isa: &str, precisions: &[&str]) {
    let root = temp();
    let (data, features) = (root.path().join("data"), root.path().join("features"));
    for (i, class) in ["a", "a", "a", "b", "b"].into_iter().enumerate() {
        let side = 40 + 9 * i as u32;
        let file = data.join("train").join(class).join(format!("{i}.png"));
        Picture::random(i as u64, side, 100 - side).save(&file);
    }
    let mut others = String::new();
    for precision in precisions {
        for (layer, threads, batch) in CUTS {
            let flags = format!(
                "--image-size 48 --layer {layer} --device cpu --isa {isa} --precision {precision} \
                 --threads {threads} --batch-size {batch} --overwrite"
            );
            let outcome = extract(&data, &features).flags(&flags).run();
            if outcome.err.contains("is not available here") {
                println!("skipped: this machine has no {isa}");
                return;
            }
            let _ = outcome.exits(0);
            let bits = if precision == &"highest" && isa != "portable" { "f32-fma" } else { isa };
            let line = format!("{bits} {precision} {layer} {}\n", digest(&features));
            if !BLOCKS.contains(&line) {
                others += &line;
            }
        }
    }
    assert!(others.is_empty(), "bits that are not those of numerics.txt:\n{others}");
}

// Without units for bf16 `high` and `medium` are the same, and with them `highest` is that of the same vectors without.

#[test]
fn blocks_on_portable() {
    blocks("portable", &["highest", "high", "medium"]);
}

#[test]
fn blocks_on_avx2() {
    blocks("avx2", &["highest", "high", "medium"]);
}

#[test]
fn blocks_on_avx512() {
    blocks("avx512", &["highest", "high", "medium"]);
}

#[test]
fn blocks_on_avx512_bf16() {
    blocks("avx512-bf16", &["highest", "high", "medium"]);
}
