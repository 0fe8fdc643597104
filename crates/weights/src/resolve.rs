//! The order of the ways.

use std::path::Path;

use super::error::Failure;
use super::pins::{self, MIRROR};
use super::source::{cache, hub, local, mirror, random};
use super::{
    Architecture, ErrorKind, Options, PublishedDigest, Remedy, Tried, Weights, WeightsError,
    canonical, spec,
};

/// Finds, fetches, checks and reads the weights that `spec` names, for a base.
///
/// `spec` is a file (`vgg16.pth`), a hub id (`timm/vgg16.tv_in1k`), `mirror`, or `random:SEED`.
///
/// # Errors
/// One [`WeightsError`] that names each way tried and why it failed.
pub fn resolve(
    spec: &str,
    architecture: &Architecture,
    opts: &Options<'_>,
) -> Result<Weights, WeightsError> {
    let search = Search { spec, architecture, opts, tried: Vec::new() };
    if let Some(seed) = spec.strip_prefix("random:") {
        search.random(seed)
    } else if spec::is_file(spec) {
        search.file()
    } else if spec == "mirror" {
        search.mirror()
    } else if spec::is_hub_id(spec) {
        search.hub()
    } else {
        let hint = "give a file (.safetensors, .pth, .npz, .h5, .keras, .ckpt), a hub id such as timm/vgg16.tv_in1k, mirror, or random:SEED";
        search.fail(
            "specification",
            Failure {
                hint: Some(hint.into()),
                ..Failure::new(
                    ErrorKind::Spec,
                    "neither a file, nor owner/name, nor mirror, nor random:SEED",
                )
            },
        )
    }
}

struct Search<'a> {
    spec: &'a str,
    architecture: &'a Architecture,
    opts: &'a Options<'a>,
    tried: Vec<(Tried, Failure)>,
}

impl Search<'_> {
    fn random(self, seed: &str) -> Result<Weights, WeightsError> {
        let Ok(seed) = seed.parse::<u64>() else {
            let hint =
                Some("give a whole number from 0 to 18446744073709551615, such as random:0".into());
            return self.fail(
                "random",
                Failure { hint, ..Failure::new(ErrorKind::Spec, "the seed is not a whole number") },
            );
        };
        self.opts.progress.note(&format!(
            "WARNING: random weights (seed {seed}): this base has learnt nothing, and its features mean nothing"
        ));
        let Some(variant) = self.architecture.variants.first() else {
            return self.fail("random", Failure::new(ErrorKind::Spec, "the base has no variant"));
        };
        let tensors = random::tensors(seed, variant);
        let name = format!("random:{seed}");
        let source = "SplitMix64, made here".into();
        match local::finish(tensors, &name, source, variant.name, variant.preprocess) {
            Ok(weights) => Ok(weights),
            Err(e) => self.fail("random", e.into()),
        }
    }

    fn file(self) -> Result<Weights, WeightsError> {
        let path = Path::new(self.spec);
        let name = spec::name_of(path);
        if let Err(failure) = self.check_published(path) {
            return self.fail("file", failure);
        }
        match local::read_file(path, &name, format!("file {}", self.spec), self.architecture) {
            Ok(weights) => Ok(weights),
            Err(e) => {
                let hint = match &e {
                    super::format::FormatError::Io(_) => "check the path and its permissions",
                    super::format::FormatError::Architecture(_) => {
                        "the file must hold the tensors of this base, under the names of one of its publishers: docs/weights.md has them"
                    }
                    _ => {
                        "give a sound .safetensors, .pth, .npz, .h5, .keras or .ckpt file; docs/weights.md says what is read"
                    }
                };
                let failure = Failure::from(e);
                self.fail("file", Failure { hint: Some(hint.into()), ..failure })
            }
        }
    }

    /// A file of a published name must be what was published under it.
    ///
    /// # Errors
    /// Its digest is another. A file that can't be read is left to whoever reads it next.
    fn check_published(&self, path: &Path) -> Result<(), Failure> {
        let name = path.file_name().unwrap_or_default();
        let published = self.architecture.published.iter().find(|file| name == file.name);
        let (Some(published), Ok(mut file)) = (published, util::regular::open(path)) else {
            return Ok(());
        };
        let (what, expected, found) = match published.digest {
            PublishedDigest::Md5(digest) => ("MD5", digest, canonical::md5_of(&mut file)),
            PublishedDigest::Sha256Start(start) => {
                let found = canonical::sha256_of(&mut file);
                ("start of the sha256", start, found.map(|f| f[..start.len()].to_owned()))
            }
        };
        let found = found.map_err(|e| Failure::new(ErrorKind::File, e.to_string()))?;
        if found == expected {
            return Ok(());
        }
        let reason = format!("{what} of a published file: expected {expected}, found {found}");
        let hint = "fetch it again; weights of your own need a file name of their own".to_owned();
        Err(Failure { hint: Some(hint), ..Failure::new(ErrorKind::Checksum, reason) })
    }

    fn mirror(mut self) -> Result<Weights, WeightsError> {
        if !MIRROR.has(self.architecture) {
            let reason =
                format!("it has the weights of {} without its classifier only", MIRROR.base);
            let hint = Some("give a hub id or a file".to_owned());
            return self.fail("mirror", Failure { hint, ..Failure::new(ErrorKind::Spec, reason) });
        }
        if let Some(weights) = self.cached(MIRROR.id)? {
            return Ok(weights);
        }
        if self.opts.offline {
            return self.offline(&[MIRROR.address()]);
        }
        let lock = cache::FetchLock::acquire(MIRROR.id, self.opts);
        if let Some(weights) = self.cached(MIRROR.id)? {
            return Ok(weights);
        }
        let fetched = mirror::fetch(&MIRROR, self.architecture, self.opts, &lock);
        match self.accept(MIRROR.id, fetched, MIRROR.address()) {
            Some(weights) => Ok(weights),
            None => self.give_up(),
        }
    }

    fn hub(mut self) -> Result<Weights, WeightsError> {
        let (id, opts) = (self.spec, self.opts);
        if Path::new(id).exists() {
            opts.progress.note(&format!(
                "'{id}' means weights of the hub; to use the file of that name in this folder, write ./{id}"
            ));
        }
        if let Some(weights) = self.cached(id)? {
            return Ok(weights);
        }
        match hub::from_hub_cache(id, self.architecture, opts) {
            Ok(Some(weights)) => {
                if let Some(weights) = self.accept(id, Ok(weights), "the hub's cache".into()) {
                    return Ok(weights);
                }
            }
            Ok(None) => {
                self.missed("the hub's cache", Failure::new(ErrorKind::Offline, "not there"))
            }
            Err(failure) => self.missed("the hub's cache", failure),
        }
        let way = format!("hub {}", hub::address(id, opts));
        let mirrored = id == MIRROR.id && MIRROR.has(self.architecture);
        if opts.offline {
            let mut ways = vec![way];
            if mirrored {
                ways.push(MIRROR.address());
            }
            return self.offline(&ways);
        }
        let lock = cache::FetchLock::acquire(id, opts);
        if let Some(weights) = self.cached(id)? {
            return Ok(weights);
        }
        let fetched = hub::fetch(id, self.architecture, opts);
        if let Some(weights) = self.accept(id, fetched, way) {
            return Ok(weights);
        }
        if mirrored {
            if let Some((tried, _)) = self.tried.last() {
                opts.progress.note(&format!(
                    "{}: {}; trying {}",
                    tried.way,
                    tried.reason,
                    MIRROR.address()
                ));
            }
            let fetched = mirror::fetch(&MIRROR, self.architecture, opts, &lock);
            if let Some(weights) = self.accept(id, fetched, MIRROR.address()) {
                return Ok(weights);
            }
        }
        self.give_up()
    }

    /// What is in the models folder. A file that is there and damaged ends the search: overwriting it would hide that.
    fn cached(&mut self, id: &str) -> Result<Option<Weights>, WeightsError> {
        let file = cache::path(self.opts.models_dir, id, self.architecture);
        match cache::load(id, self.architecture, self.opts) {
            Ok(Some(weights)) => Ok(Some(weights)),
            Ok(None) => {
                if self.tried.is_empty() {
                    self.missed(
                        "models cache",
                        Failure::new(ErrorKind::Offline, format!("no {}", file.display())),
                    );
                }
                Ok(None)
            }
            Err(failure) => {
                let way = format!("models cache {}", file.display());
                let search = Search {
                    spec: self.spec,
                    architecture: self.architecture,
                    opts: self.opts,
                    tried: Vec::new(),
                };
                search.fail(&way, failure).map(Some)
            }
        }
    }

    /// Checks fetched weights against their pin, keeps them, and hands them out.
    fn accept(
        &mut self,
        id: &str,
        fetched: Result<Weights, Failure>,
        way: String,
    ) -> Option<Weights> {
        let weights = match fetched {
            Ok(weights) => weights,
            Err(failure) => {
                self.missed(&way, failure);
                return None;
            }
        };
        // Known weights by their pin; others by what was fetched the first time.
        let expected = match cache::expected(id, self.architecture, self.opts) {
            Ok(expected) => expected,
            Err(failure) => {
                self.missed(&way, failure);
                return None;
            }
        };
        if let Some(expected) = expected.filter(|e| *e != weights.sha256) {
            let reason =
                format!("sha256 of its tensors: expected {expected}, found {}", weights.sha256);
            let first = cache::sum_path(self.opts.models_dir, id, self.architecture);
            let hint = pins::pinned_sha256(id, self.architecture).is_none().then(|| {
                format!("these are not the weights that were fetched first; if they may be others now, delete {}", first.display())
            });
            self.missed(&way, Failure { hint, ..Failure::new(ErrorKind::Checksum, reason) });
            return None;
        }
        if let Err(e) = cache::store(&weights, id, self.architecture, self.opts) {
            let file = cache::path(self.opts.models_dir, id, self.architecture);
            self.opts.progress.note(&format!(
                "the weights could not be kept as {}: {e}; they will be fetched again next time",
                file.display()
            ));
        }
        Some(weights)
    }

    fn missed(&mut self, way: &str, failure: Failure) {
        let way = util::visible(way).into_owned();
        self.tried.push((Tried { way, reason: failure.reason.clone() }, failure));
    }

    fn offline(mut self, ways: &[String]) -> Result<Weights, WeightsError> {
        for way in ways {
            self.missed(way, Failure::new(ErrorKind::Offline, "not tried: offline"));
        }
        self.give_up()
    }

    fn fail(mut self, way: &str, failure: Failure) -> Result<Weights, WeightsError> {
        self.missed(way, failure);
        self.give_up()
    }

    fn give_up(self) -> Result<Weights, WeightsError> {
        // The gravest kind decides: what was found and was wrong says more than what was not there.
        let grave = |k: ErrorKind| match k {
            ErrorKind::Checksum => 5,
            ErrorKind::Architecture | ErrorKind::Format | ErrorKind::Spec | ErrorKind::File => 4,
            ErrorKind::Cache => 3,
            ErrorKind::Network => 2,
            ErrorKind::Offline => 1,
        };
        let kind = self
            .tried
            .iter()
            .map(|(_, f)| f.kind)
            .max_by_key(|&k| grave(k))
            .unwrap_or(ErrorKind::Spec);
        let own = self.tried.iter().rev().find_map(|(_, f)| f.hint.clone());
        let id = if self.spec == "mirror" { MIRROR.id } else { self.spec };
        let by_hand = || Remedy::FetchByHand {
            id: id.to_owned(),
            place: pins::pinned_sha256(id, self.architecture)
                .map(|_| cache::path(self.opts.models_dir, id, self.architecture)),
        };
        let remedies = match own {
            Some(own)
                if !spec::is_hub_id(id) || spec::is_file(id) || kind == ErrorKind::Checksum =>
            {
                vec![Remedy::Advice(own)]
            }
            Some(own) => vec![Remedy::Advice(own), by_hand()],
            None if kind == ErrorKind::Offline => vec![Remedy::AllowNetwork, by_hand()],
            None => vec![by_hand()],
        };
        Err(WeightsError {
            kind,
            spec: self.spec.to_owned(),
            tried: self.tried.into_iter().map(|(t, _)| t).collect(),
            remedies,
        })
    }
}
