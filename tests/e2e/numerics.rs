//! The bits of rows, as this version computes them.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::npy::Npy;
use crate::support::*;

/// With a change of this digest `NUMERICS` in crates/cli/src/extract/config.rs goes up by one: caches that were made
/// before it are stale then.
const ROWS: (u64, &str) = (1, "b467285f3e88be65a8459384c5391b3329a37d5f9b93be7d35178c4827971bff");

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
    let rows = Npy::features(&features, "train");
    let digest: String =
        Sha256::digest(&rows.data).iter().map(|byte| format!("{byte:02x}")).collect();
    let numerics = manifest(&features, "train")["settings"]["numerics"].as_u64().unwrap();
    assert_eq!((numerics, digest.as_str()), ROWS, "see the comment on ROWS");
}
