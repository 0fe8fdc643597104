//! ONNX Runtime for the browser: the files of one version, known by their digests.

use sha2::{Digest as _, Sha256};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::ExportError;

/// The npm package.
pub const PACKAGE: &str = "onnxruntime-web";
/// Its version.
pub const VERSION: &str = "1.30.0";

/// A file of the package's folder `dist`.
struct Pinned {
    name: &'static str,
    bytes: u64,
    sha256: &'static str,
}

/// Without a GPU's: the plain build for one thread is the smallest, and rounds as processors do.
const SCRIPT: Pinned = Pinned {
    name: "ort.wasm.min.js",
    bytes: 50_196,
    sha256: "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
};
const MODULE: Pinned = Pinned {
    name: "ort-wasm-simd-threaded.mjs",
    bytes: 24_381,
    sha256: "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
};
const WASM: Pinned = Pinned {
    name: "ort-wasm-simd-threaded.wasm",
    bytes: 14_239_897,
    sha256: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
};

/// The files' bytes.
pub(super) struct Runtime {
    /// What pages load.
    pub(super) script: Vec<u8>,
    /// What that loads.
    pub(super) module: String,
    /// What computes.
    pub(super) wasm: Vec<u8>,
}

impl Runtime {
    /// From a folder of the package: its own, or the one that has it in `node_modules`, or its `dist`.
    pub(super) fn read(folder: &Path) -> Result<Self, ExportError> {
        let inner = ["", "dist", "package/dist", "node_modules/onnxruntime-web/dist"];
        let mut places = inner.iter().map(|inner| folder.join(inner));
        let found = places.find(|place| place.join(WASM.name).is_file());
        let dist = found.unwrap_or_else(|| folder.to_owned());
        let module = String::from_utf8(MODULE.read(&dist)?);
        let module =
            module.map_err(|_| MODULE.wrong(&dist, "bytes that are no text".to_owned()))?;
        Ok(Self { script: SCRIPT.read(&dist)?, module, wasm: WASM.read(&dist)? })
    }
}

impl Pinned {
    fn wrong(&self, dist: &Path, found: String) -> ExportError {
        let expected = format!("the one of {PACKAGE} {VERSION}, sha256 {}", self.sha256);
        ExportError::Runtime { path: self.path(dist), expected, found }
    }

    fn path(&self, dist: &Path) -> PathBuf {
        dist.join(self.name)
    }

    fn read(&self, dist: &Path) -> Result<Vec<u8>, ExportError> {
        let file = util::regular::open(&self.path(dist));
        let file = file.map_err(|e| self.wrong(dist, format!("none ({e})")))?;
        let mut bytes = Vec::new();
        file.take(self.bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| self.wrong(dist, format!("none ({e})")))?;
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match digest == self.sha256 {
            true => Ok(bytes),
            false => Err(self.wrong(dist, "another file".to_owned())),
        }
    }
}
