//! Features and a head that many tests only read: made once a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::drawing::{TWO, split};
use crate::support::{extract, fit_head};

/// Three splits of two classes, rows of (1, 1, 512), and a head trained on them.
pub struct Shared {
    pub data: PathBuf,
    pub features: PathBuf,
    pub head: PathBuf,
}

/// Images a class of train, validation and test.
pub const COUNTS: [(&str, u64); 3] = [("train", 10), ("validation", 5), ("test", 6)];

pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        // Values in statics are never dropped, so this is among the build's files and not in a temporary folder.
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        remove_old(parent);
        let root = parent.join(format!("e2e-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let path = |name: &str| root.join(name);
        let it = Shared { data: path("data"), features: path("features"), head: path("head") };
        for (name, n) in COUNTS {
            split(&it.data, name, &TWO, n);
        }
        extract(&it.data, &it.features).flags("--image-size 32").run().exits(0);
        fit_head(&it.features, &it.head).flags("--epochs 8 --lr 1e-3").run().exits(0);
        it
    })
}

/// What earlier processes left.
fn remove_old(parent: &Path) {
    const OLD: Duration = Duration::from_secs(15 * 60);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with("e2e-");
        let changed = entry.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::now());
        if ours && changed.elapsed().is_ok_and(|age| age > OLD) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
