//! A training on image folders, from options to a saved model.

use backbone::{Base, EngineInfo, EngineOptions, Extractor, Hardware, Isa, Pooling, Precision};
use cache::Dtype;
use graph::Graph;
use images::{ImageSize, Interpolation, LoadSpec, Preprocess};
use serde_json::json;
use std::path::PathBuf;
use train::convnet::{ConvNet, Inputs, Machine};
use train::{FitConfig, HeadFolder};
use weights::Weights;

use super::{Network, PictureInputs, Pictures, Split, Start, TrainOutcome, Training, save};
use crate::error::Error;
use crate::feature_source::FeatureSource;
use crate::fit::evaluate::Calibrated;
use crate::fit::features::is_validation;
use crate::memory;
use crate::progress::{Event, Progress};
use crate::recipe::{Augmented, NUMERICS, Recipe, WeightsId, preprocess_of};

/// What to train, on what, and how.
#[derive(Debug)]
pub struct TrainOptions {
    /// Folder with a folder a split: train, and validation (or val) and test where they exist.
    pub data: PathBuf,
    /// Folder for the model.
    pub model: PathBuf,
    /// What is trained.
    pub architecture: Architecture,
    /// Size that images are resized to.
    pub size: ImageSize,
    /// How.
    pub interpolation: Interpolation,
    /// How pixels become numbers; `None`: as the weights were trained, and without a base 0 to 1.
    pub preprocess: Option<Preprocess>,
    /// How training sees pictures; as they are if `None`.
    pub augmentation: Option<Augmented>,
    /// What runs the frozen part, and how exact it is; f32 if nothing is said.
    pub engine: EngineOptions,
    /// The training's settings.
    pub config: FitConfig,
    /// A model whose tensors training starts from.
    pub start: Option<PathBuf>,
    /// Epochs from one checkpoint to the next; `None` for no checkpoints.
    pub checkpoint_every: Option<usize>,
    /// Go on from the checkpoint in the model's folder, if there is one.
    pub resume: bool,
}

/// What is trained.
#[derive(Debug)]
pub enum Architecture {
    /// A pretrained base with a head on it.
    OnBase {
        /// The base, whole.
        base: Box<Base>,
        /// The first of its layers that is trained; `None` for none.
        unfreeze: Option<String>,
        /// Pooling between base and head.
        pooling: Pooling,
        /// The weights as they were requested, for the record.
        weights_spec: String,
    },
    /// A network on pixels, from scratch.
    Own(Graph),
}

/// A training that is ready to begin: pictures are read, the network has its first values.
pub struct PictureTraining {
    options: TrainOptions,
    splits: Vec<Pictures>,
    network: Network,
    net: ConvNet,
    extractor: Option<Extractor>,
    source: FeatureSource,
    folder: HeadFolder,
    start_digest: Option<String>,
    room: u64,
}

/// What a training on pictures gave.
pub struct PictureOutcome {
    /// The training.
    pub outcome: TrainOutcome,
    /// What its validation split chose.
    pub calibrated: Calibrated,
}

/// Splits that are trained on and judged by, in that order.
const SPLITS: [&str; 4] = ["train", "validation", "val", "test"];
/// Of the memory that there is, the part that pictures and the base's rows of them may take.
const ROOM: u64 = 2;

impl PictureTraining {
    /// Reads the pictures and makes the network ready. `weights` are those of the base, where there is one. To be called in the pool
    /// that trains.
    ///
    /// # Errors
    /// Folders that can't be listed, splits without pictures or with other classes, a network that can't be trained, a start that
    /// does not fit, a folder that can't be written. `None` where the caller stopped it.
    pub fn new(
        options: TrainOptions,
        weights: Option<&Weights>,
        progress: &dyn Progress,
    ) -> Result<Option<Self>, Error> {
        options.config.check(true)?;
        let folder = HeadFolder::open(&options.model).map_err(|error| Error::ModelFolder {
            path: options.model.clone(),
            source: Box::new(error),
        })?;
        let start = options.start.as_deref().map(Start::load).transpose()?;
        let size = [options.size.height as usize, options.size.width as usize];
        let spec = options.load_spec(weights);
        let mut room = memory::available().map_or(u64::MAX, |available| available / ROOM);
        let Some(splits) = read_splits(&options, spec, &mut room, progress)? else {
            return Ok(None);
        };
        let validated = splits.iter().any(|split| is_validation(&split.name));
        options.config.check(validated)?;
        let classes = splits[0].classes.clone();
        let config = FitConfig { class_names: classes.clone(), ..options.config.clone() };
        let options = TrainOptions { config, ..options };
        let (network, base) = options.network(size, weights, classes.len())?;
        let precision = options.engine.precision.unwrap_or(Precision::Highest);
        let isa = options.engine.isa.unwrap_or_else(|| Isa::best_for(precision));
        let engine = EngineOptions { precision: Some(precision), ..options.engine };
        let extractor = match (&network.cut, &base, weights) {
            (Some(cut), Some(base), Some(weights)) => {
                let base = base.clone().up_to(cut)?;
                Some(Extractor::new(&base, weights.clone(), size, Pooling::None, &engine)?)
            }
            _ => None,
        };
        let machine = Machine { isa, precision };
        network.fits(&options.config, splits[0].len())?;
        let net = network.ready(machine, weights, start.as_ref(), options.config.seed)?;
        let info = extractor.as_ref().map(Extractor::info);
        let source = options.source(spec, &network, base.as_ref(), weights, info, machine);
        let start_digest = start.and_then(|start| Some(start.manifest.tensors?.sha256));
        Ok(Some(Self {
            options,
            splits,
            network,
            net,
            extractor,
            source,
            folder,
            start_digest,
            room,
        }))
    }

    /// The splits, train first.
    pub fn splits(&self) -> &[Pictures] {
        &self.splits
    }

    /// Both parts of the network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The part that is trained.
    pub fn net(&self) -> &ConvNet {
        &self.net
    }

    /// What the options say, with the classes.
    pub fn options(&self) -> &TrainOptions {
        &self.options
    }

    /// How inputs of the trained part are made.
    pub fn source(&self) -> &FeatureSource {
        &self.source
    }

    /// Trains, evaluates, calibrates and saves; `None` where the caller stopped it: then a checkpoint is what is left. Runs on the
    /// rayon pool it is called in.
    ///
    /// # Errors
    /// Those of [`Training::run`], [`Error::Diverged`], or the model can't be saved.
    pub fn run(&mut self, progress: &dyn Progress) -> Result<Option<PictureOutcome>, Error> {
        let mut room = self.room;
        let augmented = self.options.augmentation.as_ref();
        let inputs: Vec<PictureInputs<'_>> = self
            .splits
            .iter()
            .map(|split| {
                let augmented = augmented.filter(|_| split.name == "train");
                PictureInputs::new(split, augmented, self.extractor.as_ref(), &mut room)
            })
            .collect();
        let mut splits = self.splits.iter().zip(&inputs).map(|(split, inputs)| Split {
            name: &split.name,
            inputs: inputs as &dyn Inputs,
            labels: split.labels(),
        });
        let Some(train) = splits.next() else { return Ok(None) };
        let training = Training {
            config: &self.options.config,
            train,
            others: splits.collect(),
            checkpoint_every: self.options.checkpoint_every,
            resume: self.options.resume,
            run: json!({
                "settings": self.options.config,
                "source": self.source,
                "network": train::NetworkRecord::of(&self.net),
                "augmentation": augmented,
                "pictures": self.splits.iter().map(|s| save::hex(&s.digest())).collect::<Vec<_>>(),
                "start": self.start_digest,
            }),
        };
        let Some(outcome) = training.run(&mut self.net, &self.folder, progress)? else {
            return Ok(None);
        };
        let labels = self.splits.iter().map(|split| (split.name.as_str(), split.labels()));
        let calibrated = save::model(
            &self.net,
            &self.folder,
            &outcome,
            &self.options.config,
            &self.source,
            &labels.collect::<Vec<_>>(),
        )?;
        progress.event(Event::Calibrated(&calibrated)).map_err(Error::Progress)?;
        Ok(Some(PictureOutcome { outcome, calibrated }))
    }
}

impl TrainOptions {
    fn load_spec(&self, weights: Option<&Weights>) -> LoadSpec {
        let trained = weights.map_or(Preprocess::Rescale, |w| preprocess_of(w.preprocess));
        LoadSpec {
            size: self.size,
            interpolation: self.interpolation,
            preprocess: self.preprocess.unwrap_or(trained),
        }
    }

    /// The network, and the base in the variant of its weights.
    fn network(
        &self,
        size: [usize; 2],
        weights: Option<&Weights>,
        classes: usize,
    ) -> Result<(Network, Option<Base>), Error> {
        match &self.architecture {
            Architecture::Own(graph) => {
                Ok((Network::of_graph(graph, size, &self.config, classes)?, None))
            }
            Architecture::OnBase { base, unfreeze, pooling, .. } => {
                let base = match weights {
                    Some(weights) => base.for_variant(weights.variant)?,
                    None => (**base).clone(),
                };
                let unfreeze = unfreeze.as_deref();
                let network =
                    Network::on_base(&base, size, unfreeze, None, *pooling, &self.config, classes)?;
                Ok((network, Some(base)))
            }
        }
    }

    /// How inputs of the trained part are made: what `predict` must know.
    fn source(
        &self,
        spec: LoadSpec,
        network: &Network,
        base: Option<&Base>,
        weights: Option<&Weights>,
        info: Option<EngineInfo>,
        machine: Machine,
    ) -> FeatureSource {
        let LoadSpec { size, interpolation, preprocess } = spec;
        let base = base.filter(|_| network.cut.is_some());
        let weights = weights.filter(|_| base.is_some());
        let backbone = base.map_or(Recipe::NO_BACKBONE, |base| base.name);
        let layer = network.cut.as_deref().unwrap_or("pixels");
        let recipe = Recipe {
            numerics: NUMERICS,
            backbone: backbone.to_owned(),
            variant: base.and_then(Base::variant).map(str::to_owned),
            layer: layer.to_owned(),
            pooling: Pooling::None,
            weights: WeightsId {
                name: weights.map_or("none", |w| &w.name).to_owned(),
                sha256: weights.map_or(String::new(), |w| w.sha256.clone()),
                preprocess: weights.map_or(preprocess, |w| preprocess_of(w.preprocess)),
            },
            image_size: size,
            interpolation,
            preprocess,
            precision: machine.precision,
            hardware: info.map_or(Hardware::Cpu(machine.isa), |info| info.hardware),
            dtype: Dtype::F32,
            views: 1,
            augmentation: None,
        };
        let [height, width] = network.input;
        let channels = network.graph.nodes().first().map(|node| &node.op);
        let channels = match channels {
            Some(graph::Op::Input { channels }) => *channels,
            _ => 0,
        };
        FeatureSource { recipe, row_shape: vec![height, width, channels] }
    }
}

/// Every split that there is, train first; `None` where the caller stopped it.
fn read_splits(
    options: &TrainOptions,
    spec: LoadSpec,
    room: &mut u64,
    progress: &dyn Progress,
) -> Result<Option<Vec<Pictures>>, Error> {
    let found = images::find_splits(&options.data)?;
    let mut names: Vec<&str> =
        SPLITS.iter().copied().filter(|name| found.iter().any(|f| f == name)).collect();
    if names.first() != Some(&"train") {
        names.insert(0, "train");
    }
    let mut splits: Vec<Pictures> = Vec::new();
    for name in names {
        let dir = options.data.join(name);
        let scan = images::scan_split(&dir).map_err(Error::from).map_err(Error::of_split(name))?;
        progress.event(Event::Scanned { split: name, scan: &scan }).map_err(Error::Progress)?;
        if let Some(train) = splits.first()
            && train.classes != scan.classes
        {
            let (split, expected) = (name.to_owned(), train.classes.clone());
            return Err(Error::SplitClasses { split, expected, found: scan.classes });
        }
        let stop = || progress.stop();
        let pictures = Pictures::read(name, scan.classes, scan.files, spec, room, &stop)?;
        if progress.stop() {
            return Ok(None);
        }
        pictures.check()?;
        splits.push(pictures);
    }
    Ok(Some(splits))
}
